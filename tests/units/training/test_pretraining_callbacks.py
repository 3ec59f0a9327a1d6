"""Pretraining leaves callbacks, and whatever else a layer has no use for, alone."""

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklearn_ae import Autoencoder


class Counter(Callback):
    """One that scikit-learn cannot clone: its state is no constructor argument."""

    def __init__(self):
        self.epochs, self.starts = [], []

    def initialize(self):
        self.starts.append(True)
        return self

    def on_epoch_end(self, net, **rest):
        self.epochs.append(len(net.history))


@pytest.mark.parametrize("pretraining", ["greedy", "rbm"])
def test_callbacks_see_the_fine_tuning_only(pretraining):
    X = np.random.default_rng(0).uniform(size=(40, 6))
    counter = Counter()
    Autoencoder(
        2,
        hidden_layer_sizes=(4,),
        activation="logistic",
        pretraining=pretraining,
        pretraining_epochs=2,
        max_epochs=3,
        callbacks=[counter],
    ).fit(X)
    assert counter.epochs == [1, 2, 3]
    assert counter.starts == [True]
