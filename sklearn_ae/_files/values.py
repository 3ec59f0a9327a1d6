"""Trees of plain values, arrays, specs and densities as JSON, and back.

None, booleans, integers, strings, finite floats and lists stand for themselves. What
JSON has no form for is an object of one entry, whose name says what it is.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch

from sklearn_ae._files.densities import put_together, take_apart
from sklearn_ae._files.format import NAMES
from sklearn_ae._files.registry import find_class
from sklearn_ae._objective.specs import SPECS

_LAST_CHARACTER = 0x10FFFF
# A list of so many numbers, or of records, is an array, or several: the header of a
# file is short however long the fit was.
_LONG = 64
_COLUMNS = {float: np.float64, int: np.int64, bool: np.bool_}


class Encoder:
    """Turns values into what JSON can hold, and puts their arrays aside.

    Parameters
    ----------
    section : str
        What the names of its arrays begin with.
    arrays : dict of str to ndarray
        Where it puts them.
    """

    def __init__(self, section: str, arrays: dict[str, np.ndarray]) -> None:
        self.section, self.arrays = section, arrays

    def encode(self, name: str, value: Any) -> Any:
        """Answer what stands for a value in JSON.

        Parameters
        ----------
        name : str
            Of the parameter or attribute that holds it.
        value : object

        Raises
        ------
        ValueError
            If it cannot be written; the message has its name.
        """
        if isinstance(value, np.generic) and value.dtype.kind in "?biufU":
            value = value.item()
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list:
            return self._encode_list(name, value)
        if kind is tuple:
            return {"tuple": [self.encode(name, item) for item in value]}
        if kind is dict:
            pairs = value.items()
            return {"dict": [[self.encode(name, v) for v in pair] for pair in pairs]}
        if kind is np.ndarray:
            return self._encode_array(name, value)
        return self._encode_object(name, value)

    def _encode_list(self, name: str, items: list[Any]) -> Any:
        kinds = {type(item) for item in items}
        if len(items) < _LONG or len(kinds) > 1:
            return [self.encode(name, item) for item in items]
        (kind,) = kinds
        if kind is dict and _are_records(items):
            # The last epoch of a fit has more to say than those before it.
            alike = [list(run) for _, run in itertools.groupby(items, key=list)]
            if len(alike) > 1:
                names = (f"{name}__{i}" for i in range(len(alike)))
                return {"joined": list(map(self._encode_list, names, alike))}
            columns = {
                key: self._encode_list(f"{name}__{key}", [item[key] for item in items])
                for key in items[0]
            }
            return {"records": columns}
        is_short = kind is int and max(map(abs, items)) < 2**63
        if kind in (float, bool) or is_short:
            return {"column": self._put_aside(name, np.array(items, _COLUMNS[kind]))}
        return [self.encode(name, item) for item in items]

    def _encode_array(self, name: str, array: np.ndarray) -> Any:
        if array.dtype.newbyteorder("<") in NAMES:
            return {"array": self._put_aside(name, array)}
        if array.dtype.kind == "U" and array.dtype.itemsize:
            native = array.astype(array.dtype.newbyteorder("="), order="C")
            codes = native[..., np.newaxis].view(np.uint32)
            return {"text": self._put_aside(name, codes)}
        if array.dtype == object and array.ndim == 1:
            return {"objects": [self.encode(name, item) for item in array]}
        raise _refusal(name, array)

    def _put_aside(self, name: str, array: np.ndarray) -> str:
        key = start = f"{self.section}.{name}"
        while key in self.arrays:
            key = f"{start}.{len(self.arrays)}"
        self.arrays[key] = array
        return key

    def _encode_object(self, name: str, value: Any) -> Any:
        if isinstance(value, torch.device):
            return str(value)
        found = find_class(value)
        if found is None:
            raise _refusal(name, value)
        kind, own = found
        if kind == "estimator":
            return {kind: self.encode_estimator(name, value)}
        value._validate_params()
        if kind == "density":
            own, parameters, fitted = take_apart(value)
            fitted = fitted and self.encode_parts(fitted, f"{name}__")
            return {kind: [own, self.encode_parts(parameters, f"{name}__"), fitted]}
        parameters = value.get_params(deep=False)
        return {"spec": [kind, own, self.encode_parts(parameters, f"{name}__")]}

    def encode_parts(self, parts: dict[str, Any], within: str = "") -> dict[str, Any]:
        """Answer what stands for each value; `within` begins their names."""
        return {name: self.encode(within + name, v) for name, v in parts.items()}

    def encode_estimator(self, name: str, value: Any) -> Any:
        """Answer what stands for an estimator; files know how."""
        raise _refusal(name, value)


class Decoder:
    """Turns what an `Encoder` has answered into values, and takes their arrays.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Those that have been put aside; each is taken out of it once.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self._forms = {
            "float": self._decode_float,
            "tuple": lambda items: tuple(self.decode(item) for item in items),
            "dict": self._decode_dict,
            "array": self.arrays.pop,
            "text": self._decode_text,
            "objects": self._decode_objects,
            "column": self._decode_column,
            "records": self._decode_records,
            "joined": self._decode_joined,
            "spec": self._decode_spec,
            "density": self._decode_density,
            "estimator": self.decode_estimator,
        }

    def decode(self, node: Any) -> Any:
        """Answer the value that a node of the tree stands for.

        Raises
        ------
        Exception
            Of many kinds, if no `Encoder` has answered it.
        """
        if isinstance(node, list):
            return [self.decode(item) for item in node]
        if not isinstance(node, dict):
            if isinstance(node, float) and not math.isfinite(node):
                raise ValueError("a number in its header is too large")
            return node
        ((form, content),) = node.items()
        return self._forms[form](content)

    def decode_parts(self, parts: dict[str, Any]) -> dict[str, Any]:
        """Answer the values of a dict of nodes."""
        return {name: self.decode(node) for name, node in parts.items()}

    def _decode_float(self, text: str) -> float:
        if text not in ("nan", "inf", "-inf"):
            raise ValueError(f"{text!r} is no special number")
        return float(text)

    def _decode_dict(self, pairs: list[Any]) -> dict[Any, Any]:
        found = {self.decode(key): self.decode(value) for key, value in pairs}
        if len(found) < len(pairs):
            raise ValueError("a key occurs twice")
        return found

    def _decode_text(self, key: str) -> np.ndarray:
        if self.arrays[key].dtype != np.uint32:
            raise ValueError(f"{key} holds no text")
        codes = self.arrays.pop(key)
        if codes.max(initial=0) > _LAST_CHARACTER:
            raise ValueError(f"{key} has numbers that are no characters")
        return codes.view(f"U{codes.shape[-1]}")[..., 0]

    def _decode_column(self, key: str) -> list[Any]:
        column = self.arrays[key]
        if len(column.shape) != 1 or column.dtype not in _COLUMNS.values():
            raise ValueError(f"{key} holds no column")
        return self.arrays.pop(key).tolist()

    def _decode_records(self, columns: dict[str, Any]) -> list[dict[str, Any]]:
        decoded = {key: self.decode(column) for key, column in columns.items()}
        if not decoded or not all(isinstance(c, list) for c in decoded.values()):
            raise ValueError("records have no columns")
        rows = zip(*decoded.values(), strict=True)
        return [dict(zip(decoded, row, strict=True)) for row in rows]

    def _decode_joined(self, pieces: list[Any]) -> list[Any]:
        decoded = [self.decode(piece) for piece in pieces]
        if not all(isinstance(piece, list) for piece in decoded):
            raise ValueError("what is to be joined is no list")
        return [item for piece in decoded for item in piece]

    def _decode_objects(self, items: list[Any]) -> np.ndarray:
        found = np.empty(len(items), dtype=object)
        for i, item in enumerate(items):
            found[i] = self.decode(item)
        return found

    def _decode_spec(self, content: list[Any]) -> Any:
        kind, name, parameters = content
        # Files of 0.1.0 have two kinds of priors, and a mixture of each.
        if (kind, name) == ("imposed_prior", "gaussian_mixture"):
            name = "gaussian_ring"
        kind = "prior" if kind in ("imposed_prior", "latent_prior") else kind
        spec = SPECS[kind][name](**self.decode_parts(parameters))
        spec._validate_params()
        return spec

    def decode_estimator(self, content: dict[str, Any]) -> Any:
        """Answer an estimator; files know how."""
        raise ValueError("there is no place for an estimator")

    def _decode_density(self, content: list[Any]) -> Any:
        name, parameters, fitted = content
        fitted = None if fitted is None else self.decode_parts(fitted)
        return put_together(name, self.decode_parts(parameters), fitted)


def _are_records(items: list[dict[Any, Any]]) -> bool:
    """Whether all have entries, with names."""
    return all(items) and all(type(name) is str for item in items for name in item)


def _refusal(name: str, value: Any) -> ValueError:
    shown = " ".join(repr(value).split())[:200]
    return ValueError(
        f"{name}={shown} cannot be written to a file: files hold plain values, "
        "arrays, specs and estimators of sklearn_ae, and scikit-learn's mixtures and "
        "KernelDensity. pickle and joblib keep everything."
    )
