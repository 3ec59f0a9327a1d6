"""The basic autoencoder, and presets of it: stacked, convolutional, recurrent."""

from __future__ import annotations

from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae.architectures import Architecture


class Autoencoder(BaseAutoencoder):
    r"""Autoencoder: a net that reconstructs its input through a code.

    .. math:: \min_{f, g} \frac{1}{n} \sum_x \|x - g(f(x))\|^2

    with the encoder f and the decoder g. With fewer components than features the code
    is a compressed description of a row; with more, something else has to keep the net
    from copying its input.

    See Also
    --------
    LinearAutoencoder : Spans the subspace of PCA.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams. Learning internal representations
    by error propagation. In Parallel Distributed Processing (1986).

    G. E. Hinton and R. R. Salakhutdinov. Reducing the dimensionality of data with
    neural networks. Science 313 (2006).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import Autoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> autoencoder = Autoencoder(8, max_epochs=20, random_state=0).fit(X)
    >>> Z = autoencoder.transform(X)
    >>> Z.shape, autoencoder.inverse_transform(Z).shape
    ((1797, 8), (1797, 64))
    >>> autoencoder.score(X) > 0.7
    True
    """


class StackedAutoencoder(BaseAutoencoder):
    r"""Deep autoencoder whose layers are trained one by one before all of it is.

    .. math:: h_l = s(W_l h_{l-1} + b_l), \quad
              \min \|h_{l-1} - s(W_l^T h_l + c_l)\|^2 \text{ for one l after the other}

    and then the objective of :class:`Autoencoder`, from these weights and their
    transposes. It is an `Autoencoder` with `pretraining="greedy"`, which every dense
    estimator has: a denoising one corrupts the codes below, a robust one has its loss
    at each layer.

    Parameters
    ----------
    pretraining : {"greedy", "rbm"} or None, default="greedy"
        As in :class:`Autoencoder`.

    See Also
    --------
    Autoencoder : The same without pretraining.

    References
    ----------
    G. E. Hinton and R. R. Salakhutdinov. Reducing the dimensionality of data with
    neural networks. Science 313 (2006).

    Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle. Greedy layer-wise training of
    deep networks. NIPS (2007).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import StackedAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> stacked = StackedAutoencoder(
    ...     8, hidden_layer_sizes=(32, 16), pretraining_epochs=5, max_epochs=10
    ... ).fit(X)
    >>> [codes.shape for codes in stacked.layer_codes(X)]
    [(1797, 32), (1797, 16), (1797, 8)]
    """

    pretraining: str | None = "greedy"


class ConvolutionalAutoencoder(BaseAutoencoder):
    r"""Autoencoder of images or signals whose layers are convolutions.

    .. math:: h_l = s(W_l * h_{l-1} + b_l), \quad z = W h_L + b

    and transposed convolutions back. It is an :class:`Autoencoder` with
    `architecture="convolutional"`, which every estimator may have.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int or int, default=(16, 32)
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

    hidden_layer_sizes: tuple[int, ...] | int = (16, 32)
    architecture: str | Architecture = "convolutional"


class LSTMAutoencoder(BaseAutoencoder):
    r"""Autoencoder of sequences whose layers are long short-term memory.

    .. math:: h_t = \mathrm{LSTM}(x_t, h_{t-1}), \quad z = W h_T + b

    and a second net of that kind back. It is an :class:`Autoencoder` with
    `architecture="lstm"`, which every estimator may have.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int or int, default=(64,)
        Units of the recurrent layers, mirrored in the decoder.
    architecture : str or spec, default="lstm"
        As in :class:`Autoencoder`. X of shape (n_samples, n_steps,
        n_features_per_step) says what rows are; `LSTM(n_steps=...)` says it of vectors
        whose steps have several features.

    See Also
    --------
    Autoencoder : With dense layers.
    sklearn_ae.architectures.LSTM : What can be chosen.

    References
    ----------
    N. Srivastava, E. Mansimov and R. Salakhutdinov. Unsupervised learning of video
    representations using LSTMs. ICML (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ae import LSTMAutoencoder
    >>> t = np.linspace(0, 1, 20)
    >>> phases = np.random.default_rng(0).uniform(0, 6, (100, 1))
    >>> X = np.sin(6 * t + phases)
    >>> X[::2, 15:] = np.nan  # shorter sequences
    >>> recurrent = LSTMAutoencoder(2, max_epochs=2, random_state=0).fit(X)
    >>> recurrent.transform(X).shape
    (100, 2)
    >>> bool(np.array_equal(np.isnan(recurrent.reconstruct(X)), np.isnan(X)))
    True
    >>> pairs = np.stack([X, 2 * X], axis=2)  # two features in each step
    >>> recurrent.fit(pairs).reconstruct(pairs).shape
    (100, 20, 2)
    """

    hidden_layer_sizes: tuple[int, ...] | int = (64,)
    architecture: str | Architecture = "lstm"
