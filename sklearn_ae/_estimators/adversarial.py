"""The adversarial autoencoder: codes that pass for draws of a prior."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import field
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklearn_ae._compute.seeds import derive_seed, make_generator
from sklearn_ae._compute.warnings import warn_caller
from sklearn_ae._data.rows import Array
from sklearn_ae._data.targets import draw_classes, encode_labels
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._estimators.parameters import TRAINING
from sklearn_ae._nets.discriminator import discriminator_of_codes
from sklearn_ae._nets.fitted import Model
from sklearn_ae._objective.specs import resolve_spec
from sklearn_ae._priors.drawn import DrawnPrior
from sklearn_ae._priors.foreign import repeatable
from sklearn_ae._priors.names import PRIOR_CONSTRAINTS, check_has
from sklearn_ae._priors.prior import Prior, draw_codes
from sklearn_ae._training.optimizers import uses_all_rows

# Of one component. Chosen by `python -m benchmarks defaults --estimator adversarial`.
_GRADIENT_PENALTY = 0.0075


def _resolved(prior: Any, warns: bool = False) -> Prior:
    """Answer the prior that a parameter stands for.

    What is the learned mixture's name elsewhere was the ring's here, in 0.1.0.
    """
    if isinstance(prior, str) and prior == "gaussian_mixture":
        if warns:
            warn_caller(
                "prior='gaussian_mixture' of AdversarialAutoencoder is called "
                "'gaussian_ring' since version 0.2, and refused from 0.3 on: "
                "elsewhere it is the learned mixture. Set prior='gaussian_ring'.",
                FutureWarning,
            )
        prior = "gaussian_ring"
    return resolve_spec("prior", prior)


class AdversarialAutoencoder(BaseAutoencoder):
    r"""Autoencoder whose codes are distributed like a prior of your choice.

    .. math:: \min_{f, g} \frac{1}{n} \sum_x \|x - g(f(x))\|^2
              - \alpha \, v \, \log \sigma(D(f(x))), \quad
              \max_D \; \tfrac{1}{2} \mathbb{E}_{z \sim p} \log \sigma(D(z))
              + \frac{1}{2n} \sum_x \log \sigma(-D(f(x)))
              - \gamma \, \mathbb{E} \|\nabla D\|^2

    A discriminator D learns to tell draws of the prior p from codes, while the encoder
    f learns to make it take codes for draws, until it can only guess. So the prior
    needs no density, and `sample` decodes draws of it. The factor v, what the rows
    cost where all are answered by their mean (their variance, for the squared error),
    makes the weight mean the same in all units.

    Each batch is a step of the discriminator and then one of encoder and decoder, each
    by an optimizer of its own. What keeps the game stable: the encoder's cost is the
    non-saturating log loss above, which has a gradient where the discriminator is sure;
    the two learning rates are the same, and follow one schedule; the discriminator also
    gets sines and cosines of random projections of the code, without which it does not
    see shapes that are thin beside the whole; and its gradient is penalised, which
    takes the place of noise on codes and draws.

    The discriminator is no part of the fitted model. With `warm_start=True` and after
    `partial_fit` it is kept, in pickles and files too; where others are trained on, a
    new one learns first.

    The encoder's cost depends on the discriminator, so it falls and rises during
    training. Without `early_stopping` all of `max_epochs` are trained; with it the
    held-out objective contains that cost, and epochs in which the discriminator has not
    learned yet may look best. `score` leaves it out. What tells how far the game is are
    `discriminator_accuracy_`, which is near 0.5 where codes cannot be told from draws
    any more, and a look at the codes.

    Parameters
    ----------
    activation : str, default="silu"
        Activation of the hidden layers, by name as in :class:`Autoencoder`.
    prior : str, prior object, object with `sample` or callable, default="normal"
        What codes are to be distributed like: "normal" (:class:`StandardNormal`),
        "uniform" (:class:`UniformBox`), "swiss_roll" (:class:`SwissRoll`) and
        "gaussian_ring" (:class:`GaussianRing`), both of two components, or one of
        these objects; any object whose ``sample(n_samples)`` answers codes, such as a
        fitted :class:`~sklearn.mixture.GaussianMixture`, which clones keep fitted; or a
        function ``prior(n_samples, random_state)`` of a `RandomState` that does. Of
        objects without a seed of their own 16384 codes are drawn once.
    alpha : float, default=1.0
        Weight of the encoder's cost in the game, relative to the cost of answering the
        mean.
    discriminator_hidden_layer_sizes : tuple of int or int, default=(128, 128)
        Widths of the hidden layers of the discriminator.
    learning_rate_ratio : float, default=1.0
        Learning rate of the discriminator, as a multiple of `learning_rate`.
    gradient_penalty : float or "auto", default="auto"
        Weight, beside the discriminator's log loss, of the mean squared gradient of its
        log odds by draws and codes, in squared units of the code. With less, a
        discriminator that is sure pushes all codes the same way, and they may fall
        together; with more it sees less of thin shapes. "auto" is 0.0075
        n_components^2, which is 0.03 of two components: the more there are, the easier
        it is to be sure.
    label_conditioned : bool, default=False
        Whether `fit` takes labels y of any kind and puts each class on a component of
        the prior: the first of `classes_` on the first, and so on. The prior must have
        as many components as there are classes, or more, as "gaussian_ring" and a
        fitted `GaussianMixture` have. Labels are needed for training only; those that
        `partial_fit` or `warm_start` go on with have to be among the first. Otherwise y
        is ignored.
    pretraining : {"greedy", "rbm"} or None, default=None
        What the weights of a dense net start from: "greedy" trains layer after layer,
        each a shallow autoencoder with tied weights on the codes of the layer below;
        "rbm" trains restricted Boltzmann machines by contrastive divergence (for
        logistic layers and a logistic or linear code; with Gaussian visible units, or
        binary ones for binary cross-entropy). The decoder starts from the transposes,
        and the whole net is trained on. The discriminator enters the game after it.
    optimizer : str or callable, default="adam"
        "adam", "sgd" (Nesterov momentum 0.9), "rmsprop", a torch optimizer class or a
        `functools.partial` of one, for both players; its own weight decay is set to 0.
        There is no "lbfgs": a line search needs an objective that stays what it is.

    Attributes
    ----------
    class_count_ : ndarray of shape (n_classes,)
        Number of training rows of each class, of all calls that went on from one
        another, with `label_conditioned=True`.
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the components that they are put on, with
        `label_conditioned=True`.
    discriminator_accuracy_ : list of float
        Share of draws and codes that the discriminator told right in each epoch, each
        batch before it was trained on it.
    discriminator_loss_ : list of float
        Log loss of the discriminator in each epoch, in nats; log 2 is that of guessing.
    prior_ : object
        The `prior` that codes were trained on, and that `sample` draws from.

    See Also
    --------
    Autoencoder : With `latent_density`, which follows the codes; here they follow it.

    References
    ----------
    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow and B. Frey. Adversarial
    autoencoders. arXiv:1511.05644 (2015).

    I. Goodfellow et al. Generative adversarial nets. NIPS (2014).

    L. Mescheder, A. Geiger and S. Nowozin. Which training methods for GANs do actually
    converge? ICML (2018).

    M. Tancik et al. Fourier features let networks learn high frequency functions in low
    dimensional domains. NeurIPS (2020).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import AdversarialAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> adversarial = AdversarialAutoencoder(max_epochs=10, random_state=0).fit(X)
    >>> images = adversarial.sample(5, random_state=0, observation_noise=False)
    >>> images.shape
    (5, 64)
    >>> ring = AdversarialAutoencoder(
    ...     prior="gaussian_ring", label_conditioned=True, max_epochs=5
    ... )
    >>> ring.set_params(prior__width=0.2).fit(X, y).classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    # Chosen by `python -m benchmarks defaults --estimator adversarial`.
    activation: str = "silu"
    prior: str | Prior | Callable[..., Any] | Any = "normal"
    alpha: float = 1.0
    discriminator_hidden_layer_sizes: tuple[int, ...] | int = (128, 128)
    learning_rate_ratio: float = 1.0
    gradient_penalty: str | float = "auto"
    label_conditioned: bool = False
    latent_density: Any = field(default=None, init=False)

    _parameter_constraints = {
        "prior": PRIOR_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left")],
        "discriminator_hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate_ratio": [Interval(Real, 0, None, closed="neither")],
        "gradient_penalty": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="left"),
        ],
        "label_conditioned": ["boolean"],
        "optimizer": [StrOptions({"adam", "sgd", "rmsprop"}), callable],
    }
    _apart_from_net = TRAINING | {
        *("prior", "alpha", "discriminator_hidden_layer_sizes", "learning_rate_ratio"),
        *("gradient_penalty", "label_conditioned"),
    }
    _absent_attributes = ("latent_density_",)
    _lasting_attributes = ("prior_",)
    _passing_attributes = (
        "class_count_",
        "classes_",
        "discriminator_accuracy_",
        "discriminator_loss_",
    )

    def __sklearn_clone__(self) -> Self:
        """Clone, keeping a fitted prior of another library fitted."""
        if isinstance(self.prior, (str, Prior)):
            return super().__sklearn_clone__()
        bare = copy.copy(self)
        bare.prior = "normal"
        cloned = super(AdversarialAutoencoder, bare).__sklearn_clone__()
        cloned.prior = copy.deepcopy(self.prior)
        return cloned

    def __sklearn_tags__(self) -> Tags:
        """Say whether labels are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.label_conditioned)
        return tags

    def _is_generative(self) -> bool:
        return True

    def _prior_quantiles(self, probabilities: np.ndarray) -> np.ndarray | None:
        check_is_fitted(self)
        return _resolved(self.prior_).quantiles(probabilities, self.n_components)

    def _draw_codes(
        self, n_samples: int, seed: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        check_is_fitted(self)
        prior, width = _resolved(self.prior_), self._model.n_components
        generator = make_generator(seed, "codes")
        if hasattr(self, "class_count_"):
            prior = repeatable(prior, width, self._prior_seed(self._model), True)
            modes = draw_classes(self.class_count_, n_samples, generator)
            return prior.draw_modes(modes, generator).double().numpy()
        if isinstance(prior, DrawnPrior):
            return prior.draw(n_samples, width, generator).double().numpy()
        # As many as are asked for, where training may have to do with a pool.
        return draw_codes(prior, n_samples, width, derive_seed(seed, "codes"))[0]

    def _prior_seed(self, model: Model) -> int:
        return derive_seed(model.seed, "prior")

    def _expected_attributes(self) -> set[str]:
        return super()._expected_attributes() | {"residual_variance"}

    def _derived_attributes(self, model: Model, X: Array) -> dict[str, Any]:
        model.residual_variance = model.squared_residuals(X)
        return super()._derived_attributes(model, X)

    def _encode_targets(
        self, X: Array, y: Any, reset: bool, classes: Any
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        check_has(self._spec("prior"), self, "sample")
        # A copy: what `sample` draws from is what the codes were trained on.
        seen = {"prior_": copy.deepcopy(self.prior)}
        if not self.label_conditioned:
            return None, seen
        if y is None:
            raise ValueError(
                f"With label_conditioned=True this {type(self).__name__} estimator "
                "requires y to be passed, but the target y is None."
            )
        numbers, labels = encode_labels(X, y, None if reset else self, classes)
        return numbers, seen | labels

    def _may_be_batched(self) -> bool:
        """Whether its net can train in a group: not with an opponent of its own."""
        return False

    def _check_pretraining(self) -> None:
        super()._check_pretraining()
        self._drawn_prior(seed=0)

    def _spec(self, name: str) -> Any:
        if name != "prior":
            return super()._spec(name)
        return _resolved(self.prior, warns=True)

    def _drawn_prior(self, seed: int, n_classes: int = 0) -> Prior:
        """Answer what draws are made from in training, if there can be a game."""
        self._checked_hidden_layer_sizes("discriminator_hidden_layer_sizes")
        if uses_all_rows(self.optimizer):
            raise ValueError(
                f"optimizer={self.optimizer!r} does not work in a game of two: its "
                "line search needs an objective that stays what it is."
            )
        prior = _resolved(self.prior)
        prior = repeatable(prior, self.n_components, seed, n_classes > 0)
        if prior.n_modes < n_classes:
            raise ValueError(
                "label_conditioned=True puts each class on a component of the prior, "
                f"but prior={self.prior!r} has {prior.n_modes or 'none'} for "
                f"{n_classes} classes. 'gaussian_ring', GaussianRing(n_modes=...) and "
                "a fitted GaussianMixture have components."
            )
        return prior

    def _resolved_gradient_penalty(self) -> float:
        if self.gradient_penalty == "auto":
            return _GRADIENT_PENALTY * self.n_components**2
        return self.gradient_penalty

    def _build_net(self, model: Model, seen: dict[str, Any], **options: Any) -> Any:
        if self._stage is not None:
            return super()._build_net(model, seen, **options)
        n_classes = len(seen.get("classes_", ()))
        prior = self._drawn_prior(self._prior_seed(model), n_classes)
        if not self.alpha:
            return super()._build_net(model, seen, **options)
        from sklearn_ae._training.games import Game, GameNet
        from sklearn_ae._training.rounds import CodesAgainstDraws

        sizes = self._checked_hidden_layer_sizes("discriminator_hidden_layer_sizes")
        discriminator = discriminator_of_codes(
            self.n_components, n_classes, sizes, model.seed
        )
        game = Game(
            CodesAgainstDraws(prior),
            discriminator.to(model.device),
            self.alpha,
            self.learning_rate_ratio,
            self._resolved_gradient_penalty(),
        )
        return GameNet(model.module, game=game, **options)
