"""The basic autoencoder, shallow or deep."""

from __future__ import annotations

from sklearn_ae._base import BaseAutoencoder


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
