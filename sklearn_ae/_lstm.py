"""The LSTM autoencoder: sequences read into a code and unrolled from it."""

from __future__ import annotations

from sklearn_ae._base import BaseAutoencoder
from sklearn_ae.architectures import Architecture


class LSTMAutoencoder(BaseAutoencoder):
    r"""Autoencoder of sequences whose layers are long short-term memory.

    .. math:: h_t = \mathrm{LSTM}(x_t, h_{t-1}), \quad z = W h_T + b

    and a second net of that kind back. It is an :class:`Autoencoder` with
    `architecture="lstm"`, which every estimator may have.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(64,)
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

    hidden_layer_sizes: tuple[int, ...] = (64,)
    architecture: str | Architecture = "lstm"
