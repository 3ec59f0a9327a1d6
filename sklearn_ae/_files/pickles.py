"""What pickles, copies and skops files hold of an estimator: plain values, arrays."""

from __future__ import annotations

from typing import Any, Self

import torch
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.neighbors import KernelDensity

from sklearn_ae._compute.ambient import undisturbed
from sklearn_ae._compute.warnings import warn_caller
from sklearn_ae._files import densities, models
from sklearn_ae._files.models import OwnPart
from sklearn_ae._nets.autoencoder import fill_tensors
from sklearn_ae._version import __version__

# Of the state. Pickles of version 0.1.0 name classes by files that are gone.
FORMAT = 2
_FORMAT, _VERSION = "_sklearn_ae_format", "_sklearn_ae_version"
_DENSITY = "_sklearn_ae_density"


class PickleMixin:
    """Gives an estimator a state of arrays and plain values."""

    @undisturbed
    def __getstate__(self) -> dict[str, Any]:
        """Answer parameters, what was fitted, and the versions that they are of."""
        state: dict[str, Any] = {_FORMAT: FORMAT, _VERSION: __version__}
        kept = super().__getstate__()
        if "_model" in kept:
            state["_model"] = models.take_apart(self, kept["_model"])
        return state | {k: _as_plain(v) for k, v in kept.items() if k != "_model"}

    @undisturbed
    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what a state is of, with a warning if another version has made it."""
        state = dict(state)
        number, version = state.pop(_FORMAT), state.pop(_VERSION)
        name = type(self).__name__
        if number > FORMAT:
            raise ValueError(
                f"sklearn_ae {version} has pickled this {name} in format {number}, and "
                f"version {__version__} reads formats up to {FORMAT}: upgrade "
                "sklearn_ae."
            )
        if version != __version__:
            told = InconsistentVersionWarning(
                estimator_name=name,
                current_sklearn_version=f"{__version__} of sklearn_ae",
                original_sklearn_version=f"{version} of sklearn_ae",
            )
            warn_caller(told, InconsistentVersionWarning)
        parts = state.pop("_model", None)
        super().__setstate__({name: _from_plain(v) for name, v in state.items()})
        if parts is not None:
            try:
                model = models.put_together(self, parts)
            except ValueError as error:
                raise ValueError(
                    f"This {name} cannot be unpickled: {error} (pickled by sklearn_ae "
                    f"{version}, this is {__version__})."
                ) from error
            fill_tensors(model.module, parts["tensors"])
            models.move(model, parts["device"])
            self._model = model

    def __copy__(self) -> Self:
        """Answer an estimator with the same parts, its fitted model included."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied


def _as_plain(value: Any) -> Any:
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, torch.nn.Module):
        return OwnPart(value)
    if type(value) is KernelDensity and hasattr(value, "tree_"):
        # Its tree follows from its data, and is no plain value.
        return {_DENSITY: list(densities.take_apart(value))}
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {_DENSITY}:
        return densities.put_together(*value[_DENSITY])
    if isinstance(value, OwnPart):
        return value.content
    return value
