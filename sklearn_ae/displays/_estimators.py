"""What displays ask of an estimator, and of the components of its codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ae._compute.arguments import check_methods
from sklearn_ae._estimators.codes import RowsMixin
from sklearn_ae.displays._drawing import dense

# Of codes at each end, the share that pictures leave out.
_OUTERMOST = 0.01


def last_step(estimator: Any) -> Any:
    """Answer what a search or a Pipeline ends in; anything else is itself."""
    while hasattr(estimator, "best_estimator_") or hasattr(estimator, "steps"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            estimator = estimator.steps[-1][1]
    return estimator


def check_has(estimator: Any, *methods: str) -> None:
    check_methods(estimator, *methods)


def names_of_components(estimator: Any) -> list[str] | None:
    # A Pipeline has this method even where one of its steps has not.
    try:
        return list(estimator.get_feature_names_out())
    except (AttributeError, ValueError):
        return None


def name_components(estimator: Any, n_components: int) -> list[str]:
    names = names_of_components(estimator)
    return names or [f"component {column + 1}" for column in range(n_components)]


def quantiles_of_codes(
    estimator: Any, X: Any, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Answer n probabilities, the quantiles of each component's codes, and medians.

    Of X's codes they go from end to end, but for the outermost, which are seldom like
    any; of a prior each stands for as many codes.
    """
    probabilities = (np.arange(n) + 0.5) / n
    if X is not None:
        check_has(estimator, "transform")
        if n > 1:
            probabilities = np.linspace(_OUTERMOST, 1 - _OUTERMOST, n)
        Z = dense(estimator.transform(X))
        quantiles = np.quantile(Z, np.append(probabilities, 0.5), axis=0)
    else:
        last, found = last_step(estimator), None
        # What is of another package has no prior that is known here.
        if isinstance(last, RowsMixin):
            found = last._prior_quantiles(np.append(probabilities, 0.5))
        if found is None:
            raise ValueError(
                f"{type(estimator).__name__} has no prior whose quantiles are known: "
                "pass X, and the quantiles of its codes are used."
            )
        quantiles = np.asarray(found)
    return probabilities, quantiles[:-1], quantiles[-1]


def decode(estimator: Any, Z: np.ndarray, label: Any) -> Any:
    """Decode codes along the last axis, of rows with a label if there is one."""
    given = {} if label is None else {"y": label}
    if given and "y" not in signature(estimator.inverse_transform).parameters:
        raise ValueError(
            f"{type(estimator).__name__} decodes codes without labels, so label="
            f"{label!r} cannot be drawn."
        )
    return estimator.inverse_transform(Z.reshape(-1, Z.shape[-1]), **given)


def check_components(components: int | Sequence[int] | None, width: int) -> list[int]:
    if components is None:
        return list(range(min(width, 2)))
    chosen = [*components] if isinstance(components, Iterable) else [components]
    if len(chosen) not in (1, 2) or not all(isinstance(c, Integral) for c in chosen):
        raise InvalidParameterError(
            f"components must be one or two integers, got {components!r}."
        )
    if min(chosen) < 0 or max(chosen) >= width:
        raise ValueError(
            f"components={components!r} asks for a column that the code has not: "
            f"it has {width} component(s), counted from 0."
        )
    return chosen
