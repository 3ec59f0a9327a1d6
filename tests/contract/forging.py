"""Files as `save` writes them, with right checksums, whatever they hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from sklearn.mixture import GaussianMixture

from contract.table import structured_rows
from sklearn_ae import Autoencoder, Huber
from sklearn_ae._files.format import open_file

BLANK = "0" * 64


def fitted(**params: Any) -> Autoencoder:
    """Answer an estimator that has one of everything that a file can hold."""
    params = {"loss": Huber(0.5), "latent_density": GaussianMixture(2), **params}
    estimator = Autoencoder(hidden_layer_sizes=(4,), max_epochs=2, **params)
    return estimator.set_params(random_state=0).fit(structured_rows())


def parts_of(
    estimator: Any, path: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Save an estimator; answer the header and the arrays of its file."""
    estimator.save(path)
    with open_file(path) as file:
        arrays = {name: file.pop(name) for name in file.entries}
        file.finish({})
    return file.header, arrays


def forge(path: Path, header: Any, arrays: dict[str, np.ndarray]) -> None:
    """Write a file with any header: a dict, or text that begins with "{"."""
    text = header if isinstance(header, str) else json.dumps(header)
    text = '{"sha256":"' + BLANK + '",' + text[1:]
    data = safetensors.numpy.save(arrays, {"sklearn_ae": text})
    checksum = hashlib.sha256(data).hexdigest()
    path.write_bytes(data.replace(BLANK.encode(), checksum.encode(), 1))
