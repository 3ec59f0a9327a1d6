"""New rows: codes that are drawn, decoded."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if

from sklearn_ae._ambient import Undisturbed
from sklearn_ae._frames import as_output
from sklearn_ae._input import with_shape
from sklearn_ae._priors import draw
from sklearn_ae._torch import derive_seed, draw_seed, make_generator


def not_computed(name: str) -> NotFittedError:
    """Answer what to raise where something of a fitted model is needed and absent."""
    return NotFittedError(
        f"There is no {name}: the last fit was interrupted before it was computed, or "
        "had other parameters. Call fit again, or train on by partial_fit or with "
        "warm_start=True."
    )


def _has_sample(estimator: Any) -> bool:
    return estimator._is_generative()


class SampleMixin(Undisturbed):
    """Gives an estimator `sample`, where there are codes to draw."""

    # Hooks.

    def _is_generative(self) -> bool:
        """Whether there are codes to draw, so that it has `sample`."""
        return self.latent_density is not None

    def _classes_to_draw(self, n_samples: int, y: Any, seed: int) -> np.ndarray | None:
        """Answer the numbers of the classes that rows are to be of, if there are any.

        Labels `y` are what was asked for.
        """
        return None

    def _draw_codes(
        self, n_samples: int, seed: int, classes: np.ndarray | None = None
    ) -> np.ndarray:
        """Draw codes of shape (n_samples, n_components) that depend on `seed` only."""
        return draw(self.latent_density_, n_samples, derive_seed(seed, "codes"))

    def _prior_quantiles(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Answer (n_probabilities, n_components) quantiles of the prior, if known."""
        return None

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
            Whether to draw around the decoded codes (from the likelihood if there is
            one, else with each feature's variance of the training residuals, or 0 and 1
            with binary cross-entropy) or to answer the decoded codes.

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
