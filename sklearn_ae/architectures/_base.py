"""What every architecture says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

from sklearn_ae._compute.suggestions import Suggestions


class Architecture(Suggestions, BaseEstimator, ABC):
    r"""A spec of encoder and decoder, for the parameter `architecture`.

    .. math:: z = f(x), \quad \hat x = g(z)

    A subclass is a dataclass of its own parameters, with `_parameter_constraints` as
    scikit-learn has them, that implements `build`. It is cloned, printed and searched
    like an estimator: `architecture__width` is the parameter `width` of such a spec.

    Attributes
    ----------
    supports_sparse : bool
        Whether sparse rows are accepted (and densified batch by batch).
    supports_tied_weights : bool
        Whether the decoder can use the encoder's weights, transposed.
    supports_pretraining : bool
        Whether the net is a chain of layers that can be trained one by one.
    stackable : bool
        Whether a group of such nets can be trained at once.
    reads_missing : bool
        Whether rows may have NaN, which the encoder gets as it is.
    has_skips : bool
        Whether the decoder gets more of a row than its code, so that no autoencoder
        can have it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import Architecture
    >>> @dataclass(eq=False, repr=False)
    ... class Bottleneck(Architecture):
    ...     width: int = 32
    ...
    ...     def build(self, n_features, n_components, *, seed, **others):
    ...         layers = [
    ...             torch.nn.Linear(n_features, self.width),
    ...             torch.nn.Linear(self.width, n_components),
    ...             torch.nn.Linear(n_components, n_features),
    ...         ]
    ...         generator = torch.Generator().manual_seed(seed)
    ...         for layer in layers:
    ...             torch.nn.init.orthogonal_(layer.weight, generator=generator)
    ...             torch.nn.init.zeros_(layer.bias)
    ...         return torch.nn.Sequential(*layers[:2]), layers[2]
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(8, architecture=Bottleneck(16), max_epochs=5)
    >>> autoencoder.fit(X).transform(X).shape
    (1797, 8)
    """

    supports_sparse = False
    supports_tied_weights = False
    supports_pretraining = False
    stackable = False
    reads_missing = False
    has_skips = False
    _parameter_constraints = {}

    def row_shape(self, n_features: int) -> tuple[int, ...] | None:
        """Answer what a row is besides a vector; None where it is nothing else.

        Raises
        ------
        ValueError
            If there are no rows of that many features.
        """
        return None

    def for_rows(self, shape: tuple[int, ...]) -> Self:
        """Answer a spec that takes what this one leaves open from the rows of X.

        It is asked when X has three or more axes, and `shape` is that of a row. The
        spec itself stays as it is.

        Raises
        ------
        ValueError
            If rows have no such shape.
        """
        return self

    def output_layout(self, n_features: int) -> tuple[int, int, int]:
        """Answer which features the output layer makes by the same weights.

        As an array of that shape, a row has one unit of the layer along the second
        axis: features that differ in their place along the others only share weights,
        and are taken to be in the same units.
        """
        return 1, n_features, 1

    def check_missing(self, X: np.ndarray) -> None:
        """Refuse rows whose NaN the encoder does not understand.

        Rows have the shape that `row_shape` answers. It is not asked by estimators for
        which NaN stands for a missing entry, wherever it is.

        Raises
        ------
        ValueError
        """
        return

    def ended(self, X: np.ndarray) -> np.ndarray:
        """Answer where NaN in rows is no missing entry: there is nothing to answer.

        `reconstruct` leaves NaN there. Rows have the shape that `row_shape` answers.
        """
        return np.isnan(X)

    def advice(
        self, found: tuple[int, ...] | None, expected: tuple[int, ...] | None
    ) -> str | None:
        """Say what to do about rows of another shape than is expected.

        Parameters
        ----------
        found : tuple of int or None
            The shape of a row of X; None where rows differ in it.
        expected : tuple of int or None
            That of rows as the net takes them; None where they are vectors.
        """
        if expected is None and found is not None and len(found) > 1:
            return (
                "make vectors of the rows, X.reshape(len(X), -1); "
                "ConvolutionalAutoencoder takes images as they are, and "
                "LSTMAutoencoder sequences"
            )
        return None

    def doubt(self, shape: tuple[int, ...]) -> str | None:
        """Say what rows of a shape, as `row_shape` answers it, are hardly meant for."""
        return None

    def settled(self, found: tuple[int, ...] | None) -> Self:
        """Answer a valid spec for rows that X has in a shape; None is of vectors."""
        self._validate_params()
        return self if found is None else self.for_rows(found)

    def checked_row_shape(self, n_features: int) -> tuple[int, ...] | None:
        """Answer `row_shape` as a tuple."""
        shape = self.row_shape(n_features)
        return None if shape is None else tuple(shape)

    @abstractmethod
    def build(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        code_activation: str,
        tied_weights: bool,
        initialization: str | float,
        seed: int,
    ) -> tuple[nn.Module, nn.Module]:
        """Build an initialised encoder and decoder.

        Returns
        -------
        encoder : nn.Module
            From standardised rows (n_rows, n_features) to codes.
        decoder : nn.Module
            From codes to the output's pre-activations (n_rows, n_features).
        """
