"""Data and transformers that the checks of several metrics share."""

from __future__ import annotations

import re

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris

X, Y = load_iris(return_X_y=True)
SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])


class Codes(TransformerMixin, BaseEstimator):
    """Code and rebuild by two functions, keeping every batch of rows that came in."""

    def __init__(self, encode=lambda X: X, decode=lambda Z: Z):
        self.encode = encode
        self.decode = decode
        self.batches_ = []

    def transform(self, X):
        self.batches_.append(np.array(X))
        return self.encode(X)

    def inverse_transform(self, X):
        return self.decode(X)

    @property
    def seen_(self):
        return np.concatenate(self.batches_)


def exactly(message):
    return "^" + re.escape(message) + "$"
