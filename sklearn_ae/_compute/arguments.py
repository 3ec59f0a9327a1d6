"""Arguments of functions that are no estimators' methods: refused with a remedy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from numbers import Number
from typing import Any, TypeVar

from sklearn.utils._param_validation import Interval, InvalidParameterError

from sklearn_ae._compute.suggestions import check_arguments, did_you_mean

# What is passed where an estimator is meant, arrays and frames apart.
_NO_OBJECTS = (type(None), str, Number, list, tuple, dict)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def with_known_arguments(function: _Function) -> _Function:
    """Let a function say what was meant by arguments that it does not have."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        check_arguments(function.__name__, function, args, kwargs, did_you_mean)
        return function(*args, **kwargs)

    return call


def check_number(name: str, value: Any, allowed: Interval) -> None:
    """Refuse what is no number of an interval; a bool is none.

    Raises
    ------
    InvalidParameterError
        It is both a `TypeError` and a `ValueError`.
    """
    if isinstance(value, bool) or not allowed.is_satisfied_by(value):
        raise InvalidParameterError(f"{name} must be {allowed}, got {value!r}.")


def check_choice(
    name: str, value: Any, options: Collection[str], or_: str = ""
) -> None:
    """Refuse what is none of some names, and say which one was probably meant.

    Raises
    ------
    InvalidParameterError
    """
    if not isinstance(value, str) or value not in options:
        raise InvalidParameterError(
            f"{name} must be {or_}in {[*options]}, got {value!r}."
            f"{did_you_mean(value, options)}"
        )


def check_methods(estimator: Any, *methods: str) -> None:
    """Refuse an object that has not all of some methods, with its own reason.

    Raises
    ------
    TypeError
        If it is no object of the kind at all, such as a class, an array or a name.
    AttributeError
        If it lacks one.
    """
    named = " and ".join(f"`{method}`" for method in methods)
    if isinstance(estimator, type):
        raise TypeError(
            f"An object with {named} is needed, got the class {estimator.__name__}: "
            f"make one, {estimator.__name__}()."
        )
    for method in methods:
        try:
            getattr(estimator, method)
        except AttributeError as error:
            if isinstance(estimator, _NO_OBJECTS) or hasattr(estimator, "shape"):
                raise TypeError(
                    f"An object with {named} is needed, got a "
                    f"{type(estimator).__name__}: an estimator comes first, then X."
                ) from None
            reason = str(error).partition(": ")[2].rstrip(".")
            raise AttributeError(
                f"{type(estimator).__name__} has no `{method}`"
                f"{reason and f': {reason}'}."
            ) from None
