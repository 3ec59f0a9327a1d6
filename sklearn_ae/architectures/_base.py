"""What every architecture says of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator
from torch import nn


class Architecture(BaseEstimator, ABC):
    """A spec of encoder and decoder, for the parameter `architecture`.

    Attributes
    ----------
    supports_sparse : bool
        Whether sparse rows are accepted (and densified batch by batch).
    supports_tied_weights : bool
        Whether the decoder can use the encoder's weights, transposed.
    supports_pretraining : bool
        Whether the net is a chain of layers that can be trained one by one.
    stackable : bool
        Whether a stack of such nets can be trained at once.
    """

    supports_sparse = False
    supports_tied_weights = False
    supports_pretraining = False
    stackable = False
    _parameter_constraints = {}

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
