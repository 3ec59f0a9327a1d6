"""A fitted model as plain values and arrays, and back: what pickles and files hold.

It has no net: a net is built again from the parameters of its estimator, and filled
with the arrays that were trained. Only a net with parts of one's own goes along.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from torch import nn

from sklearn_ae._compute.devices import device_or_cpu
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._files.checks import build_again
from sklearn_ae._nets.autoencoder import (
    copy_module,
    fill_tensors,
    named_tensors,
    share_parameters,
    shared_parameters,
)
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.specs import SPECS, is_same, net_parameters
from sklearn_ae._priors.prior import OwnDensity
from sklearn_ae._training.state import as_arrays, as_tensors

# Fields of a model that a description has in another form, or not at all.
APART = frozenset(
    {"module", "device", "moments", "training_state", "parameters", "_twins"}
)
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


def _own_net(module: nn.Module) -> OwnPart:
    """Answer a net without its tensors."""
    shared = shared_parameters(module)
    # Of parameters in two places, the move there makes two.
    return OwnPart((copy_module(module).to("meta"), shared))


def _filled(net: OwnPart, tensors: dict[str, np.ndarray]) -> nn.Module:
    skeleton, shared = net.content
    module = copy.deepcopy(skeleton).to_empty(device="cpu")
    share_parameters(module, shared)
    fill_tensors(module, tensors)
    return module


def take_apart(model: Model) -> dict[str, Any]:
    """Describe a model, without what its estimator's parameters say."""
    tensors = {
        name: tensor.detach().cpu().numpy()
        for name, tensor in named_tensors(model.module)
    }
    moments = model.moments.parts()
    others = {name: v for name, v in vars(model).items() if name not in APART}
    if model.training_state is not None:
        others["training_state"] = as_arrays(model.training_state)
    device = str(model.device)
    return {"device": device, "moments": moments, "tensors": tensors, **others}


def describe_model(estimator: Any, model: Model) -> dict[str, Any]:
    """Answer what pickles hold of a model: its description, and what else it needs."""
    now = vars(estimator)
    changed = {
        name: value
        for name, value in model.parameters.items()
        if name not in now or not is_same(now[name], value)
    }
    description = take_apart(model) | {"parameters": changed}
    if _is_own(model):
        description["net"] = _own_net(model.module)
    return description


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


def rebuild_model(estimator: Any, description: dict[str, Any]) -> Model:
    """Answer the model that `describe_model` has described, of an estimator.

    It is where it was; on the CPU, with a warning, where that device is not available.
    """
    fields = dict(description)
    device = device_or_cpu(fields.pop("device"))
    tensors, net = fields.pop("tensors"), fields.pop("net", None)
    moments = Moments.of(fields.pop("moments"))
    # As the estimator was when its net was built.
    builder = object.__new__(type(estimator))
    vars(builder).update(vars(estimator) | fields.pop("parameters"))
    state = fields.pop("training_state", None)
    with one_thread():
        if net is not None:
            module = _filled(net, tensors)
        else:
            start = fields.get("row_shape"), moments, fields["seed"]
            module = build_again(builder, *start, tensors)
        return Model(
            module.to(device),
            device,
            moments,
            parameters=net_parameters(builder),
            training_state=None if state is None else as_tensors(state),
            **fields,
        )
