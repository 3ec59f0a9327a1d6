"""A fitted model as plain values and arrays, and back: what pickles and files hold.

It has no net: a net is built again from the parameters of its estimator, and filled
with the arrays that were trained. Only a net with parts of one's own goes along.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from sklearn_ae._compute.devices import AllocationLimit, device_or_cpu
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._nets.autoencoder import (
    copy_module,
    named_tensors,
    share_parameters,
    shared_parameters,
)
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.specs import SPECS, is_same, net_parameters
from sklearn_ae._priors.prior import OwnDensity
from sklearn_ae._training.state import as_arrays, as_tensors

# Fields of a model that its parts have in another form, or not at all.
_APART = {"module", "device", "moments", "training_state", "parameters", "_twins"}
# Whose modules are built again by their constructors.
_LIBRARIES = frozenset({"sklearn_ae", "torch", "zuko"})


class OwnPart:
    """Something of torch that is of one's own: pickles and copies can hold it.

    Parameters
    ----------
    content : object
    """

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, protocol: int) -> tuple[Any, ...]:
        """Answer what pickle and copy need."""
        return OwnPart, (self.content,)

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse those that do not pickle, as skops, and look for plain values."""
        raise TypeError(
            "An estimator with parts of one's own (an architecture or a prior that is "
            "not of sklearn_ae) is no set of plain values, so skops cannot write it; "
            "pickle, joblib and cloudpickle can."
        )


def take_apart(estimator: Any, model: Model) -> dict[str, Any]:
    """Answer the parts of a model by name.

    They have what its estimator's parameters say only where these have been changed
    since it was fitted.
    """
    module, now = model.module, vars(estimator)
    parts = {name: value for name, value in vars(model).items() if name not in _APART}
    parts |= {
        "device": str(model.device),
        "moments": model.moments.parts(),
        "tensors": {
            name: tensor.detach().cpu().numpy()
            for name, tensor in named_tensors(module)
        },
        "parameters": {
            name: value
            for name, value in model.parameters.items()
            if name not in now or not is_same(now[name], value)
        },
    }
    if model.training_state is not None:
        parts["training_state"] = as_arrays(model.training_state)
    if _is_own(model):
        # Of parameters in two places, the move makes two.
        shared = shared_parameters(module)
        parts["net"] = OwnPart((copy_module(module).to("meta"), shared))
    return parts


def _is_own(model: Model) -> bool:
    """Whether some of the net's parts are not of this package's making."""
    spec = model.parameters.get("architecture", "dense")
    if not isinstance(spec, str) and type(spec) not in SPECS["architecture"].values():
        return True
    return any(
        isinstance(part, OwnDensity)
        or type(part).__module__.partition(".")[0] not in _LIBRARIES
        for part in model.module.modules()
    )


def put_together(estimator: Any, parts: dict[str, Any]) -> Model:
    """Answer the model that `take_apart` has taken apart, of an estimator.

    It is on the CPU, and its net has yet to be filled with the tensors. Of these, all
    that is looked at are names, shapes and dtypes: a file may claim anything of them.

    Raises
    ------
    ValueError
        If they are not those of such a net.
    """
    fields = {name: v for name, v in parts.items() if name not in ("device", "tensors")}
    net, state = fields.pop("net", None), fields.pop("training_state", None)
    moments = Moments.of(fields.pop("moments"))
    builder = builder_of(estimator, fields.pop("parameters"))
    with one_thread():
        if net is not None:
            skeleton, shared = net.content
            module = copy.deepcopy(skeleton).to_empty(device="cpu")
            share_parameters(module, shared)
        else:
            start = fields["row_shape"], moments, fields["seed"]
            module = _build(builder, start, parts["tensors"])
    return Model(
        module,
        torch.device("cpu"),
        moments,
        parameters=net_parameters(builder),
        training_state=None if state is None else as_tensors(state),
        **fields,
    )


def builder_of(estimator: Any, changed: dict[str, Any]) -> Any:
    """Answer an estimator as it was when its net was built."""
    builder = object.__new__(type(estimator))
    vars(builder).update(vars(estimator) | changed)
    return builder


def _build(builder: Any, start: tuple[Any, ...], tensors: dict[str, Any]) -> nn.Module:
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    # Some are made on the way, an encoder of distributions twice; a net of 10**9 units
    # is refused before it is made.
    with AllocationLimit(4 * n_bytes + 2**20, 8 * len(tensors) + 256):
        module = builder._build_module(*start)
    wanted = {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in named_tensors(module)
    }
    found = {name: (array.shape, str(array.dtype)) for name, array in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{name!r} is {found.get(name)}, where the net of its parameters has "
                f"{wanted.get(name)}"
            )
    module.rehearse(builder.n_components)
    return module.eval()


def move(model: Model, device: str) -> None:
    """Put a model where it was; on the CPU, with a warning, where that is not here."""
    model.device = device_or_cpu(device)
    model.module.to(model.device)
