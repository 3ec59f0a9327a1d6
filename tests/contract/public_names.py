"""List the public names with their signatures, as `public_names.txt` holds them.

    python tests/contract/public_names.py > tests/contract/public_names.txt

A line that changes or disappears breaks programs: the changelog says so.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

MODULES = (
    "sklearn_ae",
    "sklearn_ae.architectures",
    "sklearn_ae.displays",
    "sklearn_ae.exceptions",
    "sklearn_ae.metrics",
    "sklearn_ae.model_selection",
)


def documented() -> Iterator[tuple[str, object]]:
    """Yield all public names, and what they are of."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        names = getattr(module, "__all__", None)
        for name in names or [n for n in vars(module) if n[0].isupper()]:
            found = getattr(module, name)
            yield f"{module_name}.{name}", found
            if inspect.isclass(found):
                for own in _own_names(found):
                    member = inspect.getattr_static(found, own)
                    yield f"{module_name}.{name}.{own}", member


def _own_names(cls: type) -> Iterator[str]:
    """Yield what the package adds to the classes of its libraries."""
    owners = [base for base in cls.__mro__ if base.__module__.startswith("sklearn_ae")]
    for name in {name for owner in owners for name in vars(owner)}:
        # Parameters are in the signature of the class.
        member = inspect.getattr_static(cls, name)
        if name[0] != "_" and (callable(member) or hasattr(type(member), "__get__")):
            yield name


def signature_of(found: object) -> str:
    """Answer the parameters of what can be called, with their defaults."""
    # Of what is there for some parameters only, the function.
    found = getattr(found, "fn", None) or getattr(found, "__func__", found)
    is_error = inspect.isclass(found) and issubclass(found, Exception)
    if is_error or not callable(found):
        return ""
    # Not the annotations, which become wider without breaking anything.
    parameters = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(found).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def lines() -> list[str]:
    """Answer a line for each."""
    return sorted(f"{name}{signature_of(found)}" for name, found in documented())


if __name__ == "__main__":
    print("\n".join(lines()))
