"""The linear autoencoder, whose decoder spans the subspace of PCA."""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from torch import Tensor

from sklearn_ae._compute.threads import one_thread
from sklearn_ae._data.rows import Array, read_rows, row_slices
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._nets.fitted import Model


class LinearAutoencoder(BaseAutoencoder):
    r"""Linear autoencoder: PCA's subspace, found by training a net.

    .. math:: \min_{W_1, W_2, b_1, b_2} \frac{1}{n}
              \sum_x \|x - W_2 (W_1 x + b_1) - b_2\|^2

    Every local minimum is global and its decoder spans the first principal components
    (Bourlard and Kamp 1988, Baldi and Hornik 1989); the minimum is the sum of the other
    eigenvalues of the covariance. The net finds the subspace, not its axes: order,
    signs and variances of `components_` come from the covariance of the training rows
    projected on it. `transform` is the net's own code: which of all codes that tell the
    same follows from the initial weights, but for their scale, with which weights of
    encoder and decoder are as large as each other. With `weight_decay` or
    `tied_weights=True` the columns of the decoder are orthogonal but for a rotation of
    the code.

    Parameters
    ----------
    initialization : "auto" or float, default=1e-3
        Standard deviation of the initial weights. Small ones let gradient descent find
        the components one after the other, largest first (Saxe et al. 2014). With
        "alternating" only their directions count.
    optimizer : str or callable, default="alternating"
        "alternating" solves for the encoder and for the decoder in turns (alternating
        least squares, Roweis 1998), each exactly and by systems no larger than some
        codes more than the net has: neither X nor its covariance is decomposed. An
        epoch is a turn and takes one pass over the rows, in float64; learning rate,
        schedule and batch size are ignored. It minimises the squared error with weight
        decay or without, and nothing else; what has less than 1e-14 of the variance is
        lost in rounding. The other optimizers are those of :class:`Autoencoder`.
    max_epochs : int, default=200
        Passes over the rows at most; with "lbfgs", steps of at most 20 iterations.
    tol : float, default=1e-7
        With "alternating" training ends when the squared sine of the largest angle
        between the decoder's span and that of the principal components is at most
        `tol`, by a bound that needs no other decomposition (Davis and Kahan 1970), or
        when the span turns by no more than `tol` in an epoch. With other optimizers it
        ends when `n_iter_no_change` epochs have not improved the objective by `tol`
        times its absolute value in the first epoch.
    n_iter_no_change : int, default=10
        See `tol`. With early stopping it counts epochs that have not improved the
        objective on the held-out rows, whatever the optimizer.

    Attributes
    ----------
    components_ : ndarray of shape (min(n_components, n_features), n_features)
        Orthonormal axes of the decoder's span, by decreasing variance, with the signs
        of PCA.
    explained_variance_ : ndarray of shape (min(n_components, n_features),)
        Variance of the training rows along each, with n - 1 degrees of freedom.
    explained_variance_ratio_ : ndarray of shape (min(n_components, n_features),)
        The same as a share of the total variance.
    mean_ : ndarray of shape (n_features,)
        Training mean per feature.

    See Also
    --------
    Autoencoder : The same with hidden layers.

    References
    ----------
    H. Bourlard and Y. Kamp. Auto-association by multilayer perceptrons and singular
    value decomposition. Biological Cybernetics 59 (1988).

    P. Baldi and K. Hornik. Neural networks and principal component analysis: learning
    from examples without local minima. Neural Networks 2 (1989).

    C. Davis and W. M. Kahan. The rotation of eigenvectors by a perturbation III. SIAM
    Journal on Numerical Analysis 7 (1970).

    S. Roweis. EM algorithms for PCA and SPCA. NIPS (1997).

    A. M. Saxe, J. L. McClelland and S. Ganguli. Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks. ICLR (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn_ae import LinearAutoencoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> linear = LinearAutoencoder(2, random_state=0).fit(X)
    >>> pca = PCA(2).fit(X)
    >>> bool(abs(linear.components_ - pca.components_).max() < 1e-3)
    True
    """

    _parameter_constraints = {
        "optimizer": [
            StrOptions({"alternating", "adam", "sgd", "rmsprop", "lbfgs"}),
            callable,
        ],
    }

    hidden_layer_sizes: tuple[int, ...] = field(default=(), init=False)
    activation: str = field(default="identity", init=False)
    code_activation: str = field(default="identity", init=False)
    output_activation: str = field(default="auto", init=False)
    architecture: str = field(default="dense", init=False)
    loss: str = field(default="squared_error", init=False)
    pretraining: str | None = field(default=None, init=False)
    pretraining_epochs: int = field(default=20, init=False)
    initialization: str | float = 1e-3
    optimizer: Any = "alternating"
    max_epochs: int = 200
    tol: float = 1e-7

    _absent_attributes = ("pretraining_curves_",)
    _passing_attributes = (
        "components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "mean_",
    )

    def _expected_attributes(self) -> set[str]:
        return super()._expected_attributes() | {*LinearAutoencoder._passing_attributes}

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        """Find the principal axes within the span of the decoder."""
        attributes = super()._derived_attributes(model, X)
        # One code per component, and the origin: the decoder's columns and its bias.
        codes = np.vstack([np.eye(model.n_components), np.zeros(model.n_components)])
        rows = model.decode(codes)
        # In torch and in one thread: the rounding must not depend on their number.
        with one_thread():
            basis, _ = torch.linalg.qr(torch.from_numpy(rows[:-1] - rows[-1]).mT)
            covariance, total = _projected_covariance(X, model.moments.mean, basis)
            variances, axes = torch.linalg.eigh(covariance)
            components = (basis @ axes.flip(-1)).mT.numpy()
        # PCA's convention: the largest entry of each axis is positive.
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        variances = variances.flip(-1).clamp(min=0).numpy()
        return attributes | {
            "components_": components * signs[:, np.newaxis],
            "explained_variance_": variances,
            "explained_variance_ratio_": variances / total if total else variances,
            "mean_": model.moments.mean.copy(),
        }


def _projected_covariance(
    X: Array, mean: np.ndarray, basis: Tensor
) -> tuple[Tensor, float]:
    """Covariance of the rows projected on a basis, and the rows' total variance."""
    n_samples, rank = X.shape[0], basis.shape[1]
    scatter, total = torch.zeros(rank, rank, dtype=basis.dtype), 0.0
    for rows in row_slices(*X.shape):
        centred = read_rows(X, rows, np.dtype(np.float64)) - mean
        projected = torch.from_numpy(centred) @ basis
        scatter += projected.mT @ projected
        total += float(np.einsum("ij,ij->", centred, centred))
    degrees = max(1, n_samples - 1)
    return scatter / degrees, total / degrees
