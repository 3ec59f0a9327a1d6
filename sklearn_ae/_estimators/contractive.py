"""The contractive autoencoder: small changes of a row hardly change its code."""

from __future__ import annotations

from numbers import Integral, Real

from sklearn.utils._param_validation import Interval

from sklearn_ae._data.moments import Moments, Units, objective_weight
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._layers.dense import is_linear
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._objective.contraction import Contraction, ProjectedContraction
from sklearn_ae._objective.penalties import Penalty


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
        large decoder weights, and is refused unless `tied_weights=True`. A net with
        hidden layers escapes it in part in the same way, whatever `code_activation` is:
        set `tied_weights=True` where the penalty is to weigh what the code tells of a
        row, not how large it is.
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

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> AutoencoderModule:
        module = super()._build_module(row_shape, moments, seed)
        if self.alpha and not self.tied_weights and is_linear(module.encoder):
            raise ValueError(
                "A linear encoder with tied_weights=False makes any penalty with "
                f"alpha={self.alpha:g} as small as it likes, by a small code and large "
                "decoder weights. Set tied_weights=True, or a code_activation such as "
                "'logistic', or hidden_layer_sizes with a nonlinear activation."
            )
        return module

    def _build_penalties(self, units: Units) -> dict[str, Penalty]:
        penalties = super()._build_penalties(units)
        if not self.alpha:
            return penalties
        strength = objective_weight(self.alpha, units.cost * units.rows**2)
        if self.n_projections is None:
            return penalties | {"contraction": Contraction(strength=strength)}
        projected = ProjectedContraction(
            strength, self.n_projections, self.n_components
        )
        return penalties | {"contraction": projected}
