"""The contractive autoencoder: small changes of a row hardly change its code."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Self

from sklearn.utils._param_validation import Interval

from sklearn_ae._base import BaseAutoencoder
from sklearn_ae._contraction import Contraction, ProjectedContraction
from sklearn_ae._layers import Stage
from sklearn_ae._penalties import Penalty, objective_weight
from sklearn_ae._reconstruction import Reconstruction


class ContractiveAutoencoder(BaseAutoencoder):
    r"""Autoencoder whose code changes little when the row does.

    .. math:: \min_{f, g} \frac{1}{n} \sum_x \|x - g(f(x))\|^2
              + \alpha \, \|J_f(x)\|_F^2

    with the Jacobian of the encoder, in units of the code per unit of X. Of one layer
    with activation s it is the sum of (s'(a_j) ||w_j||)^2 over components, in closed
    form; of deeper encoders it takes a backward pass for each component, or for each of
    `n_projections` random directions v, since the mean of ||J' v||^2 over directions of
    independent signs is the squared norm.

    `score` leaves the penalty out, so it always prefers the least `alpha`: choose it
    by :func:`sklearn_ae.metrics.make_probe_scorer`, by
    :func:`sklearn_ae.metrics.make_denoising_scorer`, or by a classifier at the end of
    a pipeline.

    Parameters
    ----------
    alpha : float, default=0.1
        Weight of the penalty, in units of the loss times squared units of X over
        squared units of the code. A linear encoder would escape it by a small code and
        large decoder weights, and is refused unless `tied_weights=True`.
    n_projections : int or None, default=None
        Random directions for each row; None computes the norm exactly. Use some where
        there are many components and hidden layers.

    See Also
    --------
    Autoencoder : Without the penalty.

    References
    ----------
    S. Rifai, P. Vincent, X. Muller, X. Glorot and Y. Bengio. Contractive auto-encoders:
    explicit invariance during feature extraction. ICML (2011).

    M. F. Hutchinson. A stochastic estimator of the trace of the influence matrix for
    Laplacian smoothing splines. Communications in Statistics 19 (1990).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import ContractiveAutoencoder
    >>> X, _ = load_digits(return_X_y=True)
    >>> contractive = ContractiveAutoencoder(
    ...     16, hidden_layer_sizes=(), code_activation="logistic", random_state=0
    ... )
    >>> contractive.fit(X).transform(X).shape
    (1797, 16)
    """

    alpha: float = 0.1
    n_projections: int | None = None

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="left")],
        "n_projections": [Interval(Integral, 1, None, closed="left"), None],
    }

    def _build_penalties(self, reconstruction: Reconstruction) -> dict[str, Penalty]:
        penalties = super()._build_penalties(reconstruction)
        if not self.alpha:
            return penalties
        self._refuse_linear_encoder()
        unit = float(reconstruction.unit * reconstruction.scale**2)
        strength = objective_weight(self.alpha, unit)
        if self.n_projections is None:
            return penalties | {"contraction": Contraction(strength)}
        projected = ProjectedContraction(
            strength, self.n_projections, self.n_components
        )
        return penalties | {"contraction": projected}

    def _shallow_copy(self, stage: Stage) -> Self:
        shallow = super()._shallow_copy(stage)
        if stage.below is not None:
            unit = self._loss().unit(stage.known) * stage.known.scale**2
            shallow.alpha = self.alpha / unit
        return shallow

    def _refuse_linear_encoder(self) -> None:
        is_linear = self._resolved_code_activation() == "identity" and (
            not len(self.hidden_layer_sizes) or self.activation == "identity"
        )
        if is_linear and not self.tied_weights and self.architecture == "dense":
            raise ValueError(
                "A linear encoder with tied_weights=False makes any penalty with "
                f"alpha={self.alpha:g} as small as it likes, by a small code and large "
                "decoder weights. Set tied_weights=True, or a code_activation such as "
                "'logistic', or hidden_layer_sizes with a nonlinear activation."
            )
