"""What displays ask of an estimator, and of the components of its codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

from sklearn.utils._param_validation import InvalidParameterError

from sklearn_ae._compute.arguments import check_methods


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
