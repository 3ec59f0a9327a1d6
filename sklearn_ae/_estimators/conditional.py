"""The conditional variational autoencoder: what rows are like, given their labels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._data.moments import Moments
from sklearn_ae._data.rows import Array
from sklearn_ae._data.targets import (
    class_frequencies,
    draw_classes,
    encode_labels,
    numbers_of_rows,
)
from sklearn_ae._estimators.base import learns_by_batch
from sklearn_ae._estimators.variational import VariationalAutoencoder
from sklearn_ae._layers.codes import Encode
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._nets.conditional import ConditionalModule
from sklearn_ae._priors.drawn import StandardNormal
from sklearn_ae._priors.learned import ClassNormals
from sklearn_ae._priors.prior import LatentDensity


class ConditionalVariationalAutoencoder(VariationalAutoencoder):
    r"""Variational autoencoder of labelled rows: it draws rows of a label of choice.

    .. math:: \max_{f, g} \frac{1}{n} \sum_{x, y} E_{q(z|x)} \log p(x|z, y)
              - \beta \, KL(q(z|x) \| p(z))

    The decoder gets the label y beside the code, so that the code need not tell it:
    it is about what else there is to a row, such as the style of a digit. With many
    components it may tell the label all the same, and drawn rows are not always of the
    label that was asked for: take fewer, or set `conditional_prior`.

    The encoder gets the row alone, so `transform` needs no labels, nor does any other
    method but those that train. Those that decode take them as `y`, one label for all
    rows or one for each; without them

    - `score_samples` and `log_likelihood` are of the mixture
      :math:`p(x) = \sum_y p(y) \, p(x|y)`, with the frequencies of the labels in
      training for p(y), and so is `score` always: rows of a search's held-out part may
      have labels that the other parts lack,
    - `reconstruct` decodes each row with its most probable label,
    - `inverse_transform` answers the average over labels,
    - `sample` draws the labels, too.

    A decoder of one's own (`architecture=(Encoder, Decoder)`) is called with the code
    and, behind it, one number for each label.

    Parameters
    ----------
    conditional_prior : bool, default=False
        Whether the codes of each class have a normal distribution of their own, p(z|y),
        whose mean and variances are learned. Then the code may tell the label. It takes
        the place of `prior`, which has to be "normal"; `mmd_weight` and
        `kl_per_component_` are about the mixture of all classes.
    prior : str, spec or object, default="normal"
        Distribution p(z) of the codes, which is the same for all labels: "normal"
        (:class:`StandardNormal`), "vamp" (:class:`VampPrior`), "flow"
        (:class:`FlowPrior`), "gaussian_mixture" (:class:`GaussianMixturePrior`), one of
        these specs, or an object as :class:`VariationalAutoencoder` takes it.

    Attributes
    ----------
    class_count_ : ndarray of shape (n_classes,)
        Number of training rows of each class, of all calls that went on from one
        another.
    classes_ : ndarray of shape (n_classes,)
        The labels, in order.

    See Also
    --------
    VariationalAutoencoder : Without labels.
    AdversarialAutoencoder : With labels, places each class on a part of the prior.

    References
    ----------
    K. Sohn, H. Lee and X. Yan. Learning structured output representation using deep
    conditional generative models. NIPS (2015).

    D. P. Kingma, D. J. Rezende, S. Mohamed and M. Welling. Semi-supervised learning
    with deep generative models. NIPS (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn_ae import ConditionalVariationalAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> conditional = ConditionalVariationalAutoencoder(8, random_state=0)
    >>> sevens = conditional.fit(X, y).sample(5, y=7, observation_noise=False)
    >>> sevens.shape
    (5, 64)
    >>> threes = conditional.inverse_transform(conditional.transform(X), 3)
    >>> bool(conditional.score_samples(X, y).mean() > conditional.score(X))
    True
    """

    conditional_prior: bool = False

    _module_type = ConditionalModule
    _parameter_constraints = {"conditional_prior": ["boolean"]}

    def __sklearn_tags__(self) -> Tags:
        """Say that labels are needed."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    # What the net is made of.

    def _n_labels(self, moments: Moments) -> int:
        return len(moments.class_count)

    def _build_module(
        self, row_shape: tuple[int, ...] | None, moments: Moments, seed: int
    ) -> AutoencoderModule:
        module = super()._build_module(row_shape, moments, seed)
        module.class_frequencies = class_frequencies(moments.class_count)
        return module

    def _build_prior(
        self, moments: Moments, encode: Encode, seed: int
    ) -> LatentDensity:
        if not self.conditional_prior:
            return super()._build_prior(moments, encode, seed)
        if not isinstance(self._spec("prior"), StandardNormal):
            raise ValueError(
                "conditional_prior=True does not work with "
                f"prior={self.prior!r}: it is a normal distribution for each class."
            )
        return ClassNormals(self.n_components, class_frequencies(moments.class_count))

    def _prior_quantiles(self, probabilities: np.ndarray) -> np.ndarray | None:
        if self._fitted_model().parameters["conditional_prior"]:
            return None
        return super()._prior_quantiles(probabilities)

    # Labels.

    def _encode_targets(
        self, X: Array, y: Any, reset: bool, classes: Any
    ) -> tuple[np.ndarray, dict[str, Any]]:
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but "
                "the target y is None. VariationalAutoencoder learns without labels."
            )
        return encode_labels(X, y, None if reset else self, classes)

    def _classes_of(self, n_rows: int, y: Any) -> np.ndarray | None:
        return None if y is None else numbers_of_rows(y, n_rows, self.classes_)

    def _classes_to_draw(self, n_samples: int, y: Any, seed: int) -> np.ndarray:
        if y is not None:
            return self._classes_of(n_samples, y)
        generator = make_generator(seed, "labels")
        return draw_classes(self.class_count_, n_samples, generator).numpy()

    # What takes labels.

    @available_if(learns_by_batch)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None) -> Self:
        """Train on, once through the rows of X in their order.

        Shift, scale and classes are those of the first call; the frequencies of the
        classes are those of all calls. It is not available with `optimizer="lbfgs"`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Further training rows.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that may come; needed in the first call only, and only if its y
            lacks some of them.

        Returns
        -------
        self : estimator
            Fitted.

        Raises
        ------
        ValueError
            If a label is none of the classes, or with `early_stopping=True`, which
            needs rows that are held out throughout.
        """
        continues = self.__sklearn_is_fitted__()
        return self._train(X, y, continues, one_pass=True, classes=classes)

    def inverse_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Decode codes to rows of a label, or to the average over labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_components)
            Codes, as `transform` answers them.
        y : label or array-like of shape (n_samples,), default=None
            Labels of the rows; None answers the average over the labels, with their
            frequencies in training (or, with `conditional_prior`, in rows of such a
            code).

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the units and the shape of the training rows. With `set_output`, rows
            that are vectors are a frame: with the columns of the training rows, and the
            index of X.
        """
        return self._decode(X, y)

    def reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        """Encode and decode rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : label or array-like of shape (n_samples,), default=None
            Their labels; None uses for each row the label that is most probable, given
            the row and its code.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the shape of X. With `set_output`, rows that are vectors are a frame:
            with the columns of the training rows, and the index of X.
        """
        return self._reconstruct(X, y)

    def reconstruction_error(self, X: Any, y: Any = None) -> np.ndarray:
        r"""Squared error of each row's reconstruction, a mean over features.

        .. math:: \|x - \hat x\|^2 / n_\text{features}

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : label or array-like of shape (n_samples,), default=None
            Labels, as in `reconstruct`.

        Returns
        -------
        ndarray of shape (n_samples,)
            In squared units of X.
        """
        return self._mean_squared_error(X, y)

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        r"""Evidence lower bound (ELBO) of each row's log-likelihood, in nats.

        .. math:: E_{q(z|x)} \log p(x|z, y) - KL(q(z|x) \| p(z|y))
                  \quad \text{or} \quad
                  E_{q(z|x)} \log \sum_y p(y|z) \, p(x|z, y) - KL(q(z|x) \| p(z))

        where p(z|y) is p(z), and p(y|z) the frequency of y, unless `conditional_prior`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : label or array-like of shape (n_samples,), default=None
            Labels, for a bound of log p(x|y); None is for one of log p(x).

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            With `likelihood="bernoulli"` if X is not in [0, 1].
        """
        return self._evidence(X, y)

    def log_likelihood(
        self, X: Any, n_importance_samples: int = 500, y: Any = None
    ) -> np.ndarray:
        r"""Importance-weighted lower bound of each row's log-likelihood, in nats.

        See :meth:`VariationalAutoencoder.log_likelihood`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        n_importance_samples : int, default=500
        y : label or array-like of shape (n_samples,), default=None
            Labels, for a bound of log p(x|y); None is for one of log p(x).

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        ValueError
            With `likelihood="bernoulli"` if X is not in [0, 1].
        """
        return self._importance(X, n_importance_samples, y)

    def sample(
        self,
        n_samples: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        *,
        y: Any = None,
        observation_noise: bool = True,
    ) -> np.ndarray:
        """Draw new rows: codes from the prior, decoded to rows of a label.

        Parameters
        ----------
        n_samples : int, default=None
            None is as many as there are labels in `y`, or 1.
        random_state : int, RandomState instance or None, default=None
            An int makes the draw repeatable, whatever was drawn before.
        y : label or array-like of shape (n_samples,), default=None
            Labels of the rows; None draws them with their frequencies in training.
        observation_noise : bool, default=True
            Whether to draw around the decoded codes, from the likelihood, as rows vary,
            or to answer the decoded codes, as for pictures.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the shape of the training rows. With `set_output`, rows that are vectors
            are a frame with the columns of the training rows.

        Raises
        ------
        ValueError
            If there is no such label, or there are not `n_samples` of them.
        """
        if n_samples is None:
            n_samples = max(1, len(y)) if np.ndim(y) else 1
        return self._sample(n_samples, random_state, observation_noise, y)
