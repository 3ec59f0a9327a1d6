"""Promises 19, 20 and 22: a second process gives the same answers."""

from __future__ import annotations

import json
import pickle

import numpy as np
from threadpoolctl import threadpool_limits

from contract.subprocesses import run_python
from contract.table import digest
from contract.test_determinism import digests_of, wide_digests


def test_another_process(fitted_cases, set_name, X, tmp_path):
    """One whose environment differs; all in one test, for it takes long to start."""
    models, rows = tmp_path / "models.pickle", tmp_path / "rows.npy"
    models.write_bytes(pickle.dumps(fitted_cases))
    np.save(rows, X)
    printed = run_python(
        "-m",
        "contract.elsewhere",
        str(models),
        str(rows),
        set_name,
        PYTHONHASHSEED="1",
        OMP_NUM_THREADS="1",
        MKL_NUM_THREADS="1",
    )
    seen = json.loads(printed)
    # 20: where nothing of the package had been imported.
    assert seen["changed by the import"] == []
    assert not seen["pyplot"]
    # 22: where nothing had been imported before the file was read.
    assert seen["unpickled"] == [digest(e, X) for e in fitted_cases]
    # 19: with other hashes of strings.
    assert seen["fitted"] == digests_of(set_name)
    with threadpool_limits(1):
        assert seen["wide"] == wide_digests()
