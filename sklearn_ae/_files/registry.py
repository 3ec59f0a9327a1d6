"""The classes that a file may hold, by kind and by name: it makes nothing else."""

from __future__ import annotations

from typing import Any

from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity

from sklearn_ae._objective.specs import SPECS

# The package's own estimators. Each class of them adds itself.
CLASSES: dict[str, type[Any]] = {}
# Of scikit-learn, which `densities` takes apart.
DENSITIES: dict[str, type[Any]] = {
    cls.__name__: cls
    for cls in (GaussianMixture, BayesianGaussianMixture, KernelDensity)
}
_KINDS = {"estimator": CLASSES, "density": DENSITIES, **SPECS}


def find_class(value: Any) -> tuple[str, str] | None:
    """Answer the kind and the name of the class of a value, if files may hold it.

    A subclass of one's own is another class.
    """
    for kind, classes in _KINDS.items():
        for name, cls in classes.items():
            if type(value) is cls:
                return kind, name
    return None
