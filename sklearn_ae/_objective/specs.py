"""Specs: values of parameters that have parameters of their own, by kind and name."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from sklearn_ae._objective.losses import LOSSES
from sklearn_ae._objective.noise import NOISES
from sklearn_ae._priors.foreign import as_prior
from sklearn_ae._priors.names import PRIORS
from sklearn_ae.architectures import ARCHITECTURES
from sklearn_ae.architectures._own import OwnModules

# Kinds of spec, the names of the parameters whose value may be one; a name of a spec
# stands for it at its defaults.
SPECS: dict[str, dict[str, type]] = {
    "architecture": ARCHITECTURES,
    "loss": LOSSES,
    "noise": NOISES,
    "prior": PRIORS,
}


def resolve_spec(kind: str, value: Any) -> Any:
    """Answer the spec that a parameter stands for: itself, or one at its defaults."""
    if isinstance(value, str):
        return SPECS[kind][value]()
    if kind == "architecture" and isinstance(value, tuple):
        return OwnModules.of(value)
    return as_prior(value) if kind == "prior" else value


def net_parameters(estimator: Any) -> dict[str, Any]:
    """Answer the parameters that say what an estimator's net is, as they are now."""
    return {
        name: _settled(value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in estimator._apart_from_net
    }


def _settled(value: Any) -> Any:
    """Answer a copy of what `set_params`, or anybody else, may change later."""
    if any(type(value) in registry.values() for registry in SPECS.values()):
        return clone(value)
    return copy.copy(value) if isinstance(value, (list, np.ndarray)) else value


def is_same(one: Any, other: Any) -> bool:
    """Whether two values of a parameter are equal, or one object."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, BaseEstimator):
        one, other = one.get_params(deep=False), other.get_params(deep=False)
    if isinstance(one, partial):
        one, other = _parts(one), _parts(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            is_same(one[key], other[key]) for key in one
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and all(map(is_same, one.flat, other.flat))
    return isinstance(one, (bool, int, float, str, np.generic)) and bool(one == other)


def _parts(of: partial) -> tuple[Any, ...]:
    return of.func, of.args, of.keywords
