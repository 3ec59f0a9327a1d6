"""The robust autoencoder: outliers in the training rows hardly move it."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Self

from sklearn_ae._data.rows import Array
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._layers.dense import Stage
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.losses import Correntropy, Loss


class RobustAutoencoder(BaseAutoencoder):
    r"""Autoencoder that maximises correntropy, to which outliers hardly count.

    .. math:: \min_{f, g} -\frac{1}{n} \sum_x \sum_j \frac{1}{\sqrt{2 \pi} \sigma}
              \exp\left(-\frac{(x_j - g(f(x))_j)^2}{2 \sigma^2}\right)

    Residuals far above the width sigma have next to no gradient, those far below it the
    gradient of the squared error: with a wide kernel it learns what an
    :class:`Autoencoder` does. Shift and scale of the net are told by medians, so that
    neither spoiled entries nor rows far away, fewer than half of them, move where it
    starts; Boltzmann machines (`pretraining="rbm"`) do follow them. `score` is the
    share of variance explained all the same, with `v` of all training rows.

    Parameters
    ----------
    kernel_width : "auto" or float, default="auto"
        The deviation sigma of the kernel, in units of X. "auto" is the root mean
        square, over features, of the median distance from the median (see
        :class:`Correntropy`): outliers hardly move it, and features of large variance
        decide, as they do for the squared error. Where entries are rarely anything but
        the median, as in indicators, what differs counts as an outlier: give a width.

    Attributes
    ----------
    kernel_width_ : float
        The width that was used.

    See Also
    --------
    Correntropy : The same loss for other estimators.

    References
    ----------
    W. Liu, P. P. Pokharel and J. C. Principe. Correntropy: properties and applications
    in non-Gaussian signal processing. IEEE Transactions on Signal Processing 55 (2007).

    Y. Qi, Y. Wang, X. Zheng and Z. Wu. Robust feature learning by stacked autoencoder
    with maximum correntropy criterion. ICASSP (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import RobustAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> X[::20] = 1000.0
    >>> robust = RobustAutoencoder(8, max_epochs=20, random_state=0).fit(X)
    >>> robust.reconstruct(X).shape
    (1797, 64)
    """

    loss: str | Loss = field(default="correntropy", init=False)
    kernel_width: str | float = "auto"

    _passing_attributes = ("kernel_width_",)
    _parameter_constraints = Correntropy._parameter_constraints

    def _loss(self) -> Correntropy:
        return Correntropy(self.kernel_width)

    def _shallow_copy(self, stage: Stage) -> Self:
        shallow = super()._shallow_copy(stage)
        if stage.below is not None:
            shallow.kernel_width = shallow.loss.kernel_width
        return shallow

    def _expected_attributes(self) -> set[str]:
        return super()._expected_attributes() | {"kernel_width_"}

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        width = self._loss().width(model.moments)
        return super()._derived_attributes(model, X) | {"kernel_width_": width}
