"""What to do about parameters, values and attributes that an estimator lacks."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import nn

from sklearn_ae._compute.suggestions import Suggestions, known_elsewhere, meant_by
from sklearn_ae._estimators.docstrings import split_entries, split_sections
from sklearn_ae._files.registry import CLASSES
from sklearn_ae._objective.specs import SPECS


class Hints(Suggestions):
    """Lets an estimator say which other class, or spec, has what it has not."""

    _examples: ClassVar[dict[str, str]] = {
        "hidden_layer_sizes": "(64, 32)",
        "discriminator_hidden_layer_sizes": "(64, 32)",
        "architecture": "Convolutional(kernel_size=5)",
        "loss": "Huber(delta=2.0)",
        "optimizer": "torch.optim.AdamW",
        "callbacks": "[skorch.callbacks.EpochScoring(None)]",
        "latent_density": "sklearn.mixture.GaussianMixture(10)",
    }

    @classmethod
    def _hint_on_parameter(cls, name: str, names: Collection[str]) -> str:
        hint = super()._hint_on_parameter(name, names)
        owners = [n for n, other in CLASSES.items() if name in _constructor(other)]
        if owners:
            hint += f" It is a parameter of {_few(owners)}."
        kinds = [kind for kind in SPECS if kind in names]
        return hint + "".join(hint_on_spec(kind, name) for kind in kinds)

    def _hint_on_value(self, name: str, value: Any, constraints: list[Any]) -> str:
        if isinstance(value, nn.Module) and name == "architecture":
            # Layers are called like architectures.
            return " Pass two classes of modules, architecture=(Encoder, Decoder)."
        hint = super()._hint_on_value(name, value, constraints)
        if name == "optimizer" and (meant := meant_by(value, dir(torch.optim))):
            hint += f" Torch's classes are taken, too: torch.optim.{meant[0]}."
        return hint

    def _why_absent(self, name: str) -> str:
        """Say what was meant by an attribute, or what has it, if anything."""
        if name.startswith("_"):
            return ""
        own = {*dir(type(self)), *vars(self), *_documented(type(self))}
        if name in own:
            return "call fit first, which makes it" if name.endswith("_") else ""
        meant = known_elsewhere(name, own)
        if meant:
            return f"here it is {' or '.join(meant)}"
        owners = [
            other
            for other, cls in CLASSES.items()
            if name in dir(cls) or name in _documented(cls)
        ]
        return f"{_few(owners)} has it" if owners else ""


def hint_on_spec(kind: str, name: str) -> str:
    """Say which spec has a parameter that another one, or the estimator, has not."""
    for spec in SPECS.get(kind, {}).values():
        if name in _constructor(spec):
            return f" Of a spec it is one: {kind}={spec.__name__}({name}=...)."
    return ""


def _constructor(cls: type) -> Collection[str]:
    """Answer the names of the parameters of an estimator's or a spec's constructor."""
    return inspect.signature(cls).parameters


# Of classes of the user, it would keep those alive that nobody has any more.
@lru_cache(maxsize=128)
def _documented(cls: type) -> Collection[str]:
    """Answer the names of the attributes in a class's docstring."""
    return split_entries(split_sections(cls.__doc__ or "").get("Attributes", ""))


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if names[3:] else "")
