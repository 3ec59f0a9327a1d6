"""Estimators as files that run nothing when they are read, and back.

A file has the constructor's parameters, the public fitted attributes, what the model
knows besides its net, and the net's parameters and buffers as arrays. The net itself is
built again from the parameters, and refused where it does not fit the arrays.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import torch

from sklearn_ae._compute.ambient import Undisturbed, undisturbed
from sklearn_ae._compute.devices import device_or_cpu
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.moments import Moments
from sklearn_ae._files.checks import (
    alike,
    check_finite_tensors,
    check_fitted,
    check_parameters,
    check_start,
    missing_attributes,
    rebuild,
)
from sklearn_ae._files.format import (
    MODULE,
    Entry,
    Shelf,
    StoredFile,
    check_sizes,
    open_file,
    write_file,
)
from sklearn_ae._files.models import APART, take_apart
from sklearn_ae._files.registry import CLASSES
from sklearn_ae._files.values import Decoder, Encoder
from sklearn_ae._nets.autoencoder import describe, named_tensors
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.specs import net_parameters
from sklearn_ae._training.state import as_tensors, check_training_state
from sklearn_ae._version import __version__

_HEADER = {
    "class": str,
    "parameters": dict,
    "output": dict,
    "fitted": dict,
    "model": (dict, type(None)),
}
_CONTAINERS = ("default", "pandas", "polars")


class SaveMixin(Undisturbed):
    """Gives an estimator `save`."""

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
            callbacks, `RandomState` instances, and densities other than
            `GaussianMixture` and `KernelDensity`; if a parameter is invalid, or has
            been changed since `fit` so that it describes another net; for classes that
            are not of this package.
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
        with one_thread():
            header, arrays = _take_apart(self)
        write_file(path, header, arrays)


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
            estimator, device = _put_together(file)
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
    if device is not None:
        model = estimator._model
        model.device = device_or_cpu(device)
        model.module.to(model.device)
    return estimator


def _take_apart(estimator: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    name = type(estimator).__name__
    if CLASSES.get(name) is not type(estimator):
        raise ValueError(
            f"{name} is no class of sklearn_ae, so load could not know what it is; "
            "pickle and joblib can write it."
        )
    arrays: dict[str, np.ndarray] = {}
    parameters = estimator.get_params(deep=False)
    encode = Encoder("parameter", arrays).encode
    written = {key: encode(key, value) for key, value in parameters.items()}
    check_parameters(estimator)
    attributes = {k: v for k, v in vars(estimator).items() if k not in parameters}
    model = attributes.pop("_model", None)
    output = attributes.pop("_sklearn_output_config", {})
    encode = Encoder("fitted", arrays).encode
    for key, value in attributes.items():
        if key.startswith("_") or not key.endswith("_"):
            raise ValueError(
                f"{key}={value!r} is no parameter and no fitted attribute, so it "
                "cannot be written to a file. pickle and joblib keep everything."
            )
    header = {
        "library": __version__,
        "class": name,
        "parameters": written,
        "output": output,
        "fitted": {key: encode(key, value) for key, value in attributes.items()},
        "model": None,
    }
    if model is not None:
        check_fitted(estimator, attributes, model)
        missing = missing_attributes(estimator, vars(estimator))
        if missing:
            header["missing"] = missing
        header["model"] = _take_model_apart(estimator, model, arrays)
    return header, arrays


def _take_model_apart(
    estimator: Any, model: Model, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    others = take_apart(model)
    tensors, moments = others.pop("tensors"), others.pop("moments")
    try:
        rebuilt = rebuild(
            estimator, model.row_shape, model.moments, model.seed, tensors
        )
        if not alike(describe(rebuilt), describe(model.module)):
            raise ValueError("it has other activations or another loss")
    except ValueError as error:
        raise ValueError(
            "The parameters no longer describe the trained net: set back what has been "
            f"changed since fit, or fit again, before it is saved ({error})."
        ) from error
    arrays |= {MODULE + name: array for name, array in tensors.items()}
    encode = Encoder("model", arrays).encode
    moments = {name: encode(name, value) for name, value in moments.items()}
    others = {name: encode(name, value) for name, value in others.items()}
    return {**others, "moments": moments}


def _put_together(file: StoredFile) -> tuple[Any, str | None]:
    """Answer the estimator, its module on the CPU, and the name of its device.

    Arrays are read when it is known that they are what is needed.
    """
    header, shelf = file.header, Shelf(file)
    for name, kind in _HEADER.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{name!r} in its header is wrong")
    check_sizes(header, file.entries)
    tensors = shelf.set_apart(MODULE)
    decoder = Decoder(shelf)
    estimator = _read_unfitted(header, decoder)
    for name in header["fitted"]:
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*_", name) or hasattr(estimator, name):
            raise ValueError(f"{name!r} is no fitted attribute")
    model, device, places = None, None, {}
    if header["model"] is not None:
        model, device = _read_model(estimator, header["model"], tensors, decoder)
        places = _places_of(model.module)
    fitted = decoder.decode_parts(header["fitted"])
    if model is not None:
        check_fitted(estimator, fitted, model)
        missing = missing_attributes(estimator, {**fitted, "_model": model})
        if missing != header.get("missing", []):
            raise ValueError(
                f"it lacks {missing}, and says that {header.get('missing', [])} are "
                "missing"
            )
        estimator._model = model
    if shelf:
        raise ValueError(f"nothing needs its arrays {sorted(shelf)[:3]}")
    file.finish(places)
    if model is not None:
        check_finite_tensors(model.module)
    vars(estimator).update(fitted)
    return estimator, device


def _read_unfitted(header: dict[str, Any], decoder: Decoder) -> Any:
    """Answer the estimator with its parameters alone."""
    if header["class"] not in CLASSES:
        raise ValueError(f"sklearn_ae has no class {header['class']!r}")
    parameters = decoder.decode_parts(header["parameters"])
    estimator = CLASSES[header["class"]](**parameters)
    check_parameters(estimator)
    for name, value in header["output"].items():
        if name != "transform" or value not in _CONTAINERS:
            raise ValueError(f"set_output has no {name}={value!r}")
        estimator.set_output(transform=value)
    return estimator


def _places_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Answer the memory of the tensors of a module, which gets what a file has."""
    places = {}
    for name, tensor in named_tensors(module):
        tensor.data = tensor.data.contiguous()
        places[MODULE + name] = tensor.detach().numpy()
    return places


def _read_model(
    estimator: Any,
    stored: dict[str, Any],
    tensors: dict[str, Entry],
    decoder: Decoder,
) -> tuple[Model, str]:
    """Answer the model, in whose net there is nothing of the file yet."""
    fields = dict(stored)
    device = fields.pop("device")
    if not re.fullmatch(r"cpu|mps|(cuda|xpu)(:\d{1,4})?", device):
        raise ValueError(f"there is no device {device!r}")
    if fields.keys() & APART - {"training_state", "moments"}:
        raise ValueError(f"a model in a file has no {fields.keys() & APART}")
    moments = Moments.of(decoder.decode_parts(fields.pop("moments")))
    seed = decoder.decode(fields.pop("seed"))
    row_shape = decoder.decode(fields.pop("row_shape", None))
    start = row_shape, moments, seed
    check_start(*start)
    module = rebuild(estimator, *start, tensors)
    others = decoder.decode_parts(fields)
    others |= {"row_shape": row_shape, "parameters": net_parameters(estimator)}
    if "training_state" in others:
        state = others["training_state"]
        check_training_state(state, module, estimator.n_components)
        others["training_state"] = as_tensors(state)
    return Model(module, torch.device("cpu"), moments, seed=seed, **others), device
