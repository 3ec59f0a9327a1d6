"""Codes of rows, rows of codes, and both in a row: reconstructions and their scores."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, check_scalar
from sklearn.utils.metaestimators import available_if

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._compute.seeds import draw_seed, make_generator
from sklearn_ae._data.checks import check_codes, shape_of_rows, with_shape
from sklearn_ae._data.frames import as_output, with_dtypes
from sklearn_ae._objective.specs import resolve_spec


def not_computed(name: str) -> NotFittedError:
    """Answer what to raise where something of a fitted model is needed and absent."""
    return NotFittedError(
        f"There is no {name}: the last fit was interrupted before it was computed, or "
        "had other parameters. Call fit again, or train on by partial_fit or with "
        "warm_start=True."
    )


def _is_dense(estimator: Any) -> bool:
    if resolve_spec("architecture", estimator.architecture).supports_pretraining:
        return True
    raise AttributeError("only nets of architecture='dense' are a chain of layers")


class CodesMixin(Undisturbed, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Gives an estimator codes of rows: `transform` and `layer_codes`."""

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Codes; float32 for float32 rows, else float64.
        """
        model, X = self._fitted_rows(X)
        return model.encode(X)

    @available_if(_is_dense)
    def layer_codes(self, X: Any) -> list[np.ndarray]:
        """Encode rows, and answer what each layer of a dense encoder makes of them.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        list of ndarray of shape (n_samples, n_units)
            From the data inwards; the last one is the code. With `set_output` they are
            frames: the last as `transform` answers it, those before it with the columns
            layer1_0, layer1_1, ..., layer2_0, ...
        """
        model, checked = self._fitted_rows(X)
        *inner, codes = model.layer_codes(checked)
        answers = [
            as_output(self, H, X, [f"layer{depth}_{i}" for i in range(H.shape[1])])
            for depth, H in enumerate(inner, start=1)
        ]
        return [*answers, as_output(self, codes, X, self.get_feature_names_out())]

    def __sklearn_tags__(self) -> Tags:
        """Say that codes have the precision of the rows."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self._model.n_components


def _has_sample(estimator: Any) -> bool:
    if estimator._is_generative():
        return True
    raise AttributeError(
        "codes are drawn from a density. Set latent_density before fit, for example to "
        "sklearn.mixture.GaussianMixture(10), or take a VariationalAutoencoder, which "
        "has a prior"
    )


class RowsMixin(Undisturbed):
    """Gives an estimator rows of codes: `inverse_transform` of given ones, `sample`."""

    # Hooks.

    def _is_generative(self) -> bool:
        """Whether there are codes to draw, so that it has `sample`."""
        return True

    def _classes_to_draw(self, n_samples: int, y: Any, seed: int) -> np.ndarray | None:
        """Answer the numbers of the classes that rows are to be of, if there are any.

        Labels `y` are what was asked for.
        """
        return None

    def _draw_codes(
        self, n_samples: int, seed: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw codes of shape (n_samples, n_components) that depend on `seed` only.

        They are standard normal, unless a class has another prior.
        """
        generator = make_generator(seed, "codes")
        shape = n_samples, self._fitted_model().n_components
        return torch.randn(shape, dtype=torch.float64, generator=generator).numpy()

    def _prior_quantiles(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Answer (n_probabilities, n_components) quantiles of the prior, if known."""
        return None

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Decode codes.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_components)
            Codes, as `transform` answers them.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Reconstructions, in the units of the training rows; where these were images
            (or had several axes otherwise), of their shape, as (n_samples, height,
            width). With `set_output`, rows that are vectors are a frame: with the
            columns of the training rows, and the index of X.
        """
        return self._decode(X)

    def _decode(self, X: Any, y: Any = None) -> np.ndarray:
        model = self._fitted_model()
        Z = check_codes(X, model.n_components)
        rows = model.decode(Z, self._classes_of(Z.shape[0], y))
        return as_output(self, with_shape(rows, model.row_shape), X)

    @available_if(_has_sample)
    def sample(
        self,
        n_samples: int = 1,
        random_state: int | np.random.RandomState | None = None,
        *,
        observation_noise: bool = True,
    ) -> np.ndarray:
        """Draw new rows: codes from the prior, or of `latent_density`, decoded.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            An int makes the draw repeatable, whatever was drawn before.
        observation_noise : bool, default=True
            Whether to draw around the decoded codes, as rows vary (from the likelihood
            if there is one, else with each feature's variance of the training
            residuals, or 0 and 1 with binary cross-entropy), or to answer the decoded
            codes, as for pictures.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            In the shape of the training rows. With `set_output`, rows that are vectors
            are a frame with the columns of the training rows.
        """
        return self._sample(n_samples, random_state, observation_noise)

    def _sample(
        self,
        n_samples: int,
        random_state: int | np.random.RandomState | None,
        observation_noise: bool,
        y: Any = None,
    ) -> np.ndarray:
        model = self._fitted_model()
        is_expected = "residual_variance" in self._expected_attributes()
        if observation_noise and is_expected and model.residual_variance is None:
            raise not_computed("variance of the residuals")
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        seed = draw_seed(random_state)
        classes = self._classes_to_draw(n_samples, y, seed)
        Z = self._draw_codes(n_samples, seed, classes)
        generator = make_generator(seed, "observation noise")
        rows = model.sample(Z, generator, observation_noise, classes)
        return as_output(self, with_shape(rows, model.row_shape))


class ReconstructionMixin(Undisturbed):
    """Gives an estimator reconstructions of rows, and scores of how good they are."""

    def reconstruct(self, X: Any) -> np.ndarray:
        """Encode and decode rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Of the shape of X, whatever that of the training rows. With
            `loss="multinomial"` every row sums to what the training rows sum to on
            average, whatever the sum of its own. With `set_output`, rows that are
            vectors are a frame: with the columns of the training rows, and the index of
            X.
        """
        return self._reconstruct(X)

    def _reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        model, checked = self._fitted_rows(X)
        rows = model.reconstruct(checked, self._classes_of(checked.shape[0], y))
        ended = self._accepted().ended
        if ended is not None:
            is_over = ended(with_shape(checked, model.module.row_shape))
            rows[is_over.reshape(rows.shape)] = np.nan
        return with_dtypes(as_output(self, with_shape(rows, shape_of_rows(X)), X), X)

    def reconstruction_error(self, X: Any) -> np.ndarray:
        r"""Squared error of each row's reconstruction, a mean over features.

        .. math:: \|x - \hat x\|^2 / n_\text{features}

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            In squared units of X.
        """
        return self._mean_squared_error(X)

    def _mean_squared_error(self, X: Any, y: Any = None) -> np.ndarray:
        model, X = self._fitted_rows(X)
        classes = self._classes_of(X.shape[0], y)
        return model.squared_error(X, classes) / X.shape[1]

    def score_samples(self, X: Any) -> np.ndarray:
        r"""Score each row by how well it is reconstructed.

        .. math:: 1 - \|x - \hat x\|^2 / v

        `v` is the mean squared distance of the training rows from their mean (1 where
        that is 0). A perfect reconstruction scores 1, and on average over the training
        rows answering their mean scores 0. With `loss="multinomial"` only rows of one
        length can score 1, since all are reconstructed at the average length: divide
        rows by their sums first where proportions are what counts.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        model, X = self._fitted_rows(X)
        self._check_range(X)
        return 1.0 - model.squared_error(X) / (model.moments.variance or 1.0)

    def score(self, X: Any, y: Any = None) -> float:
        """Average of `score_samples`: higher is better, penalties are left out.

        Of a linear model without a likelihood it is the share of variance explained.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : None
            Ignored, present for consistency.

        Returns
        -------
        float
        """
        return float(np.mean(self.score_samples(X)))
