"""Promise 14: checkpoints of skorch are gone on from, epoch after epoch."""

from __future__ import annotations

import numpy as np
import pytest
from skorch.callbacks import Checkpoint, LoadInitState, TrainEndCheckpoint

from contract.table import assert_same_model, every_class

DRAWS = {
    "DenoisingAutoencoder",
    "VariationalAutoencoder",
    "ConditionalVariationalAutoencoder",
    "AdversarialAutoencoder",
    "RealisticAutoencoder",
    "MomentMatcher",
}
KINDS = {
    "each epoch": lambda folder: Checkpoint(monitor=None, dirname=folder),
    "end": lambda folder: TrainEndCheckpoint(dirname=folder),
}


def going_on(kind, folder, last_first):
    """Answer callbacks that load what they have written before."""
    checkpoint = KINDS[kind](str(folder))
    callbacks = [checkpoint, LoadInitState(checkpoint)]
    return callbacks[::-1] if last_first else callbacks


@every_class
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_lose_and_add_no_epoch(row, kind, X, y, tmp_path):
    """14: two fits of two epochs have the epochs, and the weights, of one of four."""
    params = {**row.by_batch, "tol": 0.0, "n_iter_no_change": 100}
    whole = row.make(**params).set_params(max_epochs=4).fit(X, y)
    for last_first in (False, True):
        folder = tmp_path / str(last_first)
        for _ in range(2):
            callbacks = going_on(kind, folder, last_first)
            estimator = row.make(**params, callbacks=callbacks)
            estimator.set_params(max_epochs=2).fit(X, y)
        assert estimator.n_iter_ == len(estimator.history_) == 4
        assert len(estimator.loss_curve_) == 4
        assert [epoch["epoch"] for epoch in estimator.history_] == [*range(1, 5)]
        if row.name in DRAWS:
            # Where the generators have been is not in a checkpoint.
            assert np.isfinite(estimator.loss_)
            continue
        assert_same_model(estimator, whole)
        assert estimator.loss_curve_ == whole.loss_curve_
        best = [epoch["train_loss_best"] for epoch in estimator.history_]
        assert best == [epoch["train_loss_best"] for epoch in whole.history_]


@every_class
def test_checkpoints_and_warm_starts(row, X, y, tmp_path):
    """14, 8: epochs that are there already are not counted twice."""
    callbacks = going_on("each epoch", tmp_path, False)
    estimator = row.make(**row.by_batch, warm_start=True, callbacks=callbacks)
    for n_epochs in (2, 4, 6):
        estimator.set_params(max_epochs=2, tol=0.0, n_iter_no_change=100).fit(X, y)
        assert estimator.n_iter_ == len(estimator.loss_curve_) == n_epochs
    assert hasattr(estimator, "partial_fit")
    estimator.partial_fit(X, y)
    assert estimator.n_iter_ == 7
