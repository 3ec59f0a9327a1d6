"""The stacked autoencoder: a deep net that was trained layer by layer first."""

from __future__ import annotations

from sklearn_ae._base import BaseAutoencoder


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
