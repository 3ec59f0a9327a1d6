"""Estimators as files that run nothing when they are read, and back.

A file has the constructor's parameters, the public fitted attributes, what the model
knows besides its net, and the net's parameters and buffers as arrays. The net itself is
built again from the parameters, and refused where it does not fit the arrays.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any, ClassVar

import numpy as np

from sklearn_ae._compute.ambient import Undisturbed, undisturbed
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._files.checks import (
    VECTORS,
    check_finite_tensors,
    check_fitted,
    check_start,
    check_training_state,
    missing_attributes,
)
from sklearn_ae._files.format import StoredFile, open_file, write_file
from sklearn_ae._files.models import builder_of, move, put_together, take_apart
from sklearn_ae._files.registry import CLASSES, find_class
from sklearn_ae._files.values import Decoder, Encoder
from sklearn_ae._nets.autoencoder import named_tensors
from sklearn_ae._nets.fitted import Model
from sklearn_ae._version import __version__

# More entries than any list of widths has; each of them becomes an object.
_LONGEST_PARAMETER = 2**16
# What the names of a net's tensors begin with.
_MODULE = "module."
_HEADER = {
    "class": str,
    "parameters": dict,
    "output": dict,
    "fitted": dict,
    "model": (dict, type(None)),
}
_RESIDUALS = "residual_variance"
_INNER = ("moments", "parameters")
_PARTS = {
    *("device", "moments", "n_components", "n_epochs", "parameters"),
    *(_RESIDUALS, "row_shape", "seed", "training_state"),
}
_CONTAINERS = ("default", "pandas", "polars")


class SaveMixin(Undisturbed):
    """Gives an estimator `save`, and `load` what it asks of one."""

    # Fitted attributes of its own that every fit has.
    _lasting_attributes: ClassVar[tuple[str, ...]] = ()

    def _check_parameters(self) -> None:
        """Refuse parameters that `fit` would refuse."""
        self._validate_params()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the estimator to a file, for :func:`sklearn_ae.load`.

        The file is in the safetensors format and holds no code, so one of unknown
        origin can be read safely, unlike a pickle. It holds the parameters and, after
        `fit`, all that was fitted, with the optimizer's state where training is to go
        on from it: with `warm_start=True` and after `partial_fit`. Where an interrupt
        has kept something from being computed, it says what. It takes the place of an
        earlier file at once, when it is complete. What a process has left behind that
        was killed while it wrote into the folder is removed.

        Parameters
        ----------
        path : str or path-like
            Name of the file, which is used as it is.

        Returns
        -------
        None

        Raises
        ------
        ValueError
            If a parameter cannot be written, by its name: callables and classes,
            callbacks, `RandomState` instances, and objects of other classes than
            those of this package, `GaussianMixture`, `BayesianGaussianMixture` and
            `KernelDensity`; if a parameter is invalid; for classes that are not of this
            package.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn.datasets import load_iris
        >>> import sklearn_ae
        >>> X, _ = load_iris(return_X_y=True)
        >>> autoencoder = sklearn_ae.Autoencoder(max_epochs=5, random_state=0).fit(X)
        >>> with TemporaryDirectory() as folder:
        ...     autoencoder.save(Path(folder) / "iris.safetensors")
        ...     loaded = sklearn_ae.load(Path(folder) / "iris.safetensors")
        >>> bool((loaded.transform(X) == autoencoder.transform(X)).all())
        True
        """
        arrays: dict[str, np.ndarray] = {}
        with one_thread():
            header = _Writer("", arrays).encode_estimator("", self)
        write_file(path, {"library": __version__, **header}, arrays)


@undisturbed
def load(path: str | os.PathLike[str]) -> Any:
    """Read an estimator from a file that its method `save` has written.

    Nothing in the file is run, whoever has written it. An estimator that was trained on
    a device that is not available here answers from the CPU, with a warning.

    Parameters
    ----------
    path : str or path-like
        Name of the file.

    Returns
    -------
    estimator
        As it was saved, fitted or not. Its answers are bit-equal, and it can be trained
        on.

    Raises
    ------
    ValueError
        If it is another file, if it is damaged or lacks something, or if a newer
        version has written it in a format that this one does not know. What a file
        claims is compared before anything large is read.
    OSError
        If the file cannot be read, for example because there is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_ae import LinearAutoencoder, load
    >>> with TemporaryDirectory() as folder:
    ...     LinearAutoencoder(n_components=3).save(Path(folder) / "linear")
    ...     load(Path(folder) / "linear")
    LinearAutoencoder(n_components=3)
    """
    library = __version__
    try:
        with open_file(path) as file, one_thread():
            library = file.header.get("library")
            reader = _Reader(file)
            estimator = reader.decode_estimator(file.header)
            reader.finish()
    except (OSError, MemoryError):
        raise
    except Exception as error:
        # Whatever stands in the file may be wrong, and so whatever may be raised.
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        if library != __version__:
            reason += f" (written by sklearn_ae {library}, this is {__version__})"
        raise ValueError(
            f"{os.fsdecode(path)} cannot be loaded: {reason.rstrip('.')}."
        ) from error
    for model, device in reader.models:
        move(model, device)
    return estimator


class _Writer(Encoder):
    """Turns estimators into headers, too, also where they are within one another."""

    def encode_estimator(self, name: str, value: Any) -> dict[str, Any]:
        """Answer what a header has of an estimator; the outermost has no name."""
        found = find_class(value)
        if found is None:
            raise ValueError(
                f"{type(value).__name__} is no class of sklearn_ae, so load could not "
                "know what it is; pickle and joblib can write it."
            )
        start, within = self._start_of(name), name and f"{name}__"

        def encode(section: str, parts: dict[str, Any]) -> dict[str, Any]:
            return _Writer(start + section, self.arrays).encode_parts(parts, within)

        value._check_parameters()
        given = value.get_params(deep=False)
        fitted = {k: v for k, v in vars(value).items() if k not in given}
        model = fitted.pop("_model", None)
        output = fitted.pop("_sklearn_output_config", {})
        _refuse_others(fitted, within)
        check_fitted(value, fitted, model)
        header = {
            "class": found[1],
            "parameters": encode("parameter", given),
            "output": output,
            "fitted": encode("fitted", fitted),
            "model": None,
            "missing": missing_attributes(value, fitted, model),
            "arrays": start,
        }
        if model is not None:
            parts = take_apart(value, model)
            # What is not built by a class of the list was a parameter, and refused.
            parts.pop("net", None)
            for key, array in parts.pop("tensors").items():
                self.arrays[f"{start}{_MODULE}{key}"] = array
            inner = {k: encode("model", parts.pop(k)) for k in _INNER}
            header["model"] = encode("model", parts) | inner
        return header

    def _start_of(self, name: str) -> str:
        """Answer what the names of an estimator's arrays begin with."""
        start = name and f"{self.section}.{name}."
        # Several may have one name, as in a list.
        is_taken = name and any(key.startswith(start) for key in self.arrays)
        return f"{start}{len(self.arrays)}." if is_taken else start


def _refuse_others(fitted: dict[str, Any], within: str) -> None:
    for name, value in fitted.items():
        if name.startswith("_") or not name.endswith("_"):
            raise ValueError(
                f"{within}{name}={value!r} is no parameter and no fitted attribute, so "
                "it cannot be written to a file. pickle and joblib keep everything."
            )


class _Reader(Decoder):
    """Makes estimators of headers, too; their nets are filled when it finishes.

    Arrays are read when it is known that they are what is needed.
    """

    arrays: StoredFile

    def __init__(self, file: StoredFile) -> None:
        super().__init__(file)
        # With the names of their devices; until `finish` they are on the CPU.
        self.models: list[tuple[Model, str]] = []
        self._places: dict[str, np.ndarray] = {}

    def decode_estimator(self, header: dict[str, Any]) -> Any:
        """Answer the estimator of a header."""
        for name, kind in _HEADER.items():
            if not isinstance(header.get(name), kind):
                raise ValueError(f"{name!r} in its header is wrong")
        estimator = self._read_unfitted(header)
        for name in header["fitted"]:
            is_name = re.fullmatch("[A-Za-z][A-Za-z0-9_]*_", name)
            if not is_name or hasattr(estimator, name):
                raise ValueError(f"{name!r} is no fitted attribute")
        model = None if header["model"] is None else self._read_model(estimator, header)
        fitted = self.decode_parts(header["fitted"])
        check_fitted(estimator, fitted, model)
        missing = missing_attributes(estimator, fitted, model)
        if missing != header.get("missing", []):
            raise ValueError(
                f"it lacks {missing}, and says that {header.get('missing', [])} are "
                "missing"
            )
        vars(estimator).update(fitted)
        if model is not None:
            estimator._model = model
        return estimator

    def finish(self) -> None:
        """Read what is left of the file into the nets."""
        self.arrays.finish(self._places)
        for model, _ in self.models:
            check_finite_tensors(model.module)

    def _read_unfitted(self, header: dict[str, Any]) -> Any:
        """Answer the estimator with its parameters alone."""
        if header["class"] not in CLASSES:
            raise ValueError(f"sklearn_ae has no class {header['class']!r}")
        parameters = self._read_parameters(header["parameters"])
        estimator = CLASSES[header["class"]](**parameters)
        estimator._check_parameters()
        for name, value in header["output"].items():
            if name != "transform" or value not in _CONTAINERS:
                raise ValueError(f"set_output has no {name}={value!r}")
            estimator.set_output(transform=value)
        return estimator

    def _read_parameters(self, nodes: dict[str, Any]) -> dict[str, Any]:
        for name, node in nodes.items():
            if isinstance(node, dict) and node.keys() <= {"array", "column"}:
                shapes = [self.arrays[key].shape for key in node.values()]
                if any(math.prod(shape) > _LONGEST_PARAMETER for shape in shapes):
                    raise ValueError(
                        f"an array of shape {shapes} is no parameter {name}"
                    )
        return self.decode_parts(nodes)

    def _read_moments(self, nodes: dict[str, Any], n_features: Any) -> dict[str, Any]:
        """Answer moments by name, of as many features."""
        nodes, target = dict(nodes), nodes.get("target")
        vectors = {
            name: self._read_vector(name, nodes.pop(name, None), n_features)
            for name in VECTORS
        }
        found = self.decode_parts(nodes | {"target": None}) | vectors
        if target is not None:
            n_targets = math.prod(found["target_shape"])
            found["target"] = self._read_moments(dict(target["dict"]), n_targets)
        return found

    def _read_vector(self, name: str, node: Any, n_features: Any) -> np.ndarray | None:
        """Answer an array with an entry for each feature; others are not read."""
        if node is None:
            return None
        entry = self.arrays[node["array"]] if isinstance(node, dict) else None
        if entry is None or entry.shape != (n_features,) or entry.dtype != float:
            raise ValueError(
                f"the vectors of its moments and residuals have {n_features} entries, "
                f"and {name} has not: its numbers of features disagree"
            )
        return self.arrays.pop(node["array"])

    def _read_model(self, estimator: Any, header: dict[str, Any]) -> Model:
        """Answer the model, in whose net there is nothing of the file yet."""
        # Files of before have no parameters that were changed, or row shapes.
        nodes = {"parameters": {}, "row_shape": None} | header["model"]
        wrong = (nodes.keys() ^ _PARTS) - {"training_state"}
        if wrong:
            raise ValueError(f"{sorted(wrong)} of its model are missing, or too many")
        n_features = header["fitted"].get("n_features_in_")
        moments = self._read_moments(nodes.pop("moments"), n_features)
        residuals = self._read_vector(_RESIDUALS, nodes.pop(_RESIDUALS), n_features)
        changed = self._read_parameters(nodes.pop("parameters"))
        parts = self.decode_parts(nodes) | {_RESIDUALS: residuals}
        parts |= {"moments": moments, "parameters": changed}
        if not re.fullmatch(r"cpu|mps|(cuda|xpu)(:\d{1,4})?", parts["device"]):
            raise ValueError(f"there is no device {parts['device']!r}")
        check_start(parts["row_shape"], Moments.of(moments), parts["seed"])
        if not changed.keys() <= estimator.get_params(deep=False).keys():
            raise ValueError(f"one of {sorted(changed)} is no parameter")
        builder = builder_of(estimator, changed)
        builder._check_parameters()
        start = header.get("arrays", "") + _MODULE
        parts["tensors"] = self.arrays.set_apart(start)
        model = put_together(estimator, parts)
        if "training_state" in parts:
            state = parts["training_state"]
            check_training_state(state, model.module, builder.n_components)
        for name, tensor in named_tensors(model.module):
            tensor.data = tensor.data.contiguous()
            self._places[start + name] = tensor.detach().numpy()
        self.models.append((model, parts["device"]))
        return model
