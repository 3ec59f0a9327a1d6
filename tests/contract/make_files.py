"""The files of a release, which every later one has to read.

From the folder `tests`, once per release:

    python -m contract.make_files

writes `contract/files/VERSION/NAME.safetensors` for every class of the table, and for
its variants that have a spec among their parameters; beside each, `NAME.npz` has some
rows and the answers to them. Folders of earlier releases stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

import sklearn_ae
from contract.table import CASES_BY_NAME, answers, labels, structured_rows

FILES = Path(__file__).with_name("files")


def is_kept(params: dict[str, Any]) -> bool:
    """Whether a file of the release holds an estimator with these parameters."""
    return not params or any(isinstance(v, BaseEstimator) for v in params.values())


def make_files(folder: Path) -> None:
    """Write the files of this version into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    X = structured_rows()
    frame = pd.DataFrame(X, columns=list("abcdef"))
    y = labels(X)
    for name, (row, params) in CASES_BY_NAME.items():
        if not is_kept(params):
            continue
        density = KernelDensity() if params else GaussianMixture(2)
        estimator = row.make(**params, **row.sampling(density)).fit(frame, y)
        estimator.save(folder / f"{name}.safetensors")
        np.savez_compressed(
            folder / f"{name}.npz", X=X[:5], **answers(estimator, frame[:5])
        )


if __name__ == "__main__":
    make_files(FILES / sklearn_ae.__version__)
