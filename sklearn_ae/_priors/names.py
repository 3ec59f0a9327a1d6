"""Priors by name, and the refusal of those that lack what is needed."""

from __future__ import annotations

from typing import Any

from sklearn.utils._param_validation import (
    HasMethods,
    InvalidParameterError,
    StrOptions,
)

from sklearn_ae._priors.drawn import GaussianRing, StandardNormal, SwissRoll, UniformBox
from sklearn_ae._priors.learned import FlowPrior, GaussianMixturePrior, VampPrior
from sklearn_ae._priors.prior import Prior

PRIORS: dict[str, type[Prior]] = {
    spec.name: spec
    for spec in (
        *(StandardNormal, UniformBox, SwissRoll, GaussianRing),
        *(GaussianMixturePrior, VampPrior, FlowPrior),
    )
}
# What a parameter `prior` may be.
PRIOR_CONSTRAINTS = [StrOptions(set(PRIORS)), Prior, HasMethods(["sample"]), callable]


def check_has(prior: Prior, estimator: Any, *methods: str) -> None:
    """Refuse a prior that has not its own of one of the methods, the first by name.

    Raises
    ------
    InvalidParameterError
        The message names the priors that an estimator with such needs may have.
    """

    def has_one(spec: type[Prior]) -> bool:
        return any(getattr(spec, name) is not getattr(Prior, name) for name in methods)

    if not has_one(type(prior)):
        names = ", ".join(repr(name) for name, spec in PRIORS.items() if has_one(spec))
        raise InvalidParameterError(
            f"The 'prior' parameter of {type(estimator).__name__} needs "
            f"`{methods[0]}`, which {estimator.prior!r} lacks: {names} have it, and an "
            "object of your own may."
        )
