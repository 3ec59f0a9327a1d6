"""Errors of this package."""


class DivergenceError(ValueError):
    """Raised by `fit` when the objective or a weight is no longer finite."""
