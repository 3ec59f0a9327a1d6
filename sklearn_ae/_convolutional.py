"""The convolutional autoencoder: convolutions down to the code and back."""

from __future__ import annotations

from sklearn_ae._base import BaseAutoencoder
from sklearn_ae.architectures import Architecture


class ConvolutionalAutoencoder(BaseAutoencoder):
    r"""Autoencoder of images or signals whose layers are convolutions.

    .. math:: h_l = s(W_l * h_{l-1} + b_l), \quad z = W h_L + b

    and transposed convolutions back. It is an :class:`Autoencoder` with
    `architecture="convolutional"`, which every estimator may have.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(16, 32)
        Channels of the maps, each half as high and wide as the one before; mirrored in
        the decoder.
    architecture : str or spec, default="convolutional"
        As in :class:`Autoencoder`. X of shape (n_samples, height, width) or (n_samples,
        channels, height, width) says what rows are; `Convolutional(input_shape=...)`
        says it of vectors that are neither square images nor signals, and
        `Convolutional(dimensions=1)` takes X of shape (n_samples, channels, length).

    See Also
    --------
    Autoencoder : With dense layers.
    sklearn_ae.architectures.Convolutional : What can be chosen.

    References
    ----------
    J. Masci, U. Meier, D. Ciresan and J. Schmidhuber. Stacked convolutional
    auto-encoders for hierarchical feature extraction. ICANN (2011).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import ConvolutionalAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> convolutional = ConvolutionalAutoencoder(8, max_epochs=5, random_state=0)
    >>> convolutional.fit(X).transform(X).shape
    (1797, 8)
    >>> strips = X.reshape(-1, 4, 16)  # as if they were 4 by 16 pixels
    >>> convolutional.fit(strips).inverse_transform(convolutional.transform(X)).shape
    (1797, 4, 16)
    """

    hidden_layer_sizes: tuple[int, ...] = (16, 32)
    architecture: str | Architecture = "convolutional"
