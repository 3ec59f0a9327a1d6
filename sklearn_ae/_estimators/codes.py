"""What shows the net and its codes: layers, the torch module, new rows."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_scalar
from sklearn.utils.metaestimators import available_if
from torch import nn

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._compute.seeds import derive_seed, draw_seed, make_generator
from sklearn_ae._data.checks import with_shape
from sklearn_ae._data.frames import as_output
from sklearn_ae._nets.autoencoder import AutoencoderModule, copy_module, set_precision
from sklearn_ae._objective.specs import resolve_spec
from sklearn_ae._priors.foreign import draw

if TYPE_CHECKING:
    import pandas as pd


def _is_dense(estimator: Any) -> bool:
    return resolve_spec("architecture", estimator.architecture).supports_pretraining


class InspectionMixin(Undisturbed):
    """Gives an estimator `summary`, `layer_codes` and `to_module`."""

    def summary(self) -> pd.DataFrame:
        """List the layers of the trained net.

        Returns
        -------
        DataFrame
            A row for each layer, in the order in which rows pass through them: `layer`
            (its name in `to_module()`), `kind`, `output_shape` (of one row; None
            where another layer computes with its weights) and `n_parameters`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn_ae import Autoencoder
        >>> X, _ = load_digits(return_X_y=True)
        >>> autoencoder = Autoencoder(hidden_layer_sizes=(16,), max_epochs=1)
        >>> print(autoencoder.fit(X).summary().to_string(index=False))
            layer       kind output_shape  n_parameters
        encoder.0 DenseLayer        (16,)          1040
        encoder.1 DenseLayer         (2,)            34
        decoder.0 DenseLayer        (16,)            48
        decoder.1 DenseLayer        (64,)          1088
        """
        # Here, since it takes longer to import than the package.
        import pandas as pd

        return pd.DataFrame(_layers(self.to_module()))

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

    def to_module(self) -> nn.Module:
        """Answer the net as a torch module of its own, on the CPU.

        Returns
        -------
        nn.Module
            With `encode`, `decode` and `forward`, in the units of the training rows;
            it shares nothing with the estimator. Weights are float32, and so are its
            answers for float32 rows. Shift and scale are float64, which rows far from
            zero need; `module.float()` rounds them.
        """
        module = copy_module(self._fitted_model().module).cpu()
        return set_precision(module, torch.float32).requires_grad_(True)


def _layers(module: AutoencoderModule) -> list[dict[str, Any]]:
    """Describe what has no parts, or parameters of its own, as a row passes it."""
    found: dict[str, dict[str, Any]] = {}

    counted: set[nn.Parameter] = set()
    counts: dict[str, int] = {}

    def watch(name: str, layer: nn.Module) -> Any:
        own = set(layer.parameters(recurse=False)) - counted
        counted.update(own)
        counts[name] = sum(p.numel() for p in own)

        def note(layer: nn.Module, inputs: Any, output: Any) -> None:
            output = output[0] if isinstance(output, tuple) else output
            shape = tuple(output.shape[1:])
            found[name] = _row(name, type(layer).__name__, shape, counts[name])

        return layer.register_forward_hook(note)

    hooks = [
        watch(f"{part}.{name}".rstrip("."), layer)
        for part in ("encoder", "decoder")
        for name, layer in getattr(module, part).named_modules()
        if next(layer.children(), None) is None
        or next(layer.parameters(recurse=False), None) is not None
    ]
    n_features = len(module.reconstruction.shift)
    try:
        with torch.no_grad():
            module.eval()(torch.zeros(1, n_features, dtype=torch.float32))
    finally:
        for hook in hooks:
            hook.remove()
    # What another layer computes with, and does not call.
    for name, n_parameters in counts.items():
        if n_parameters and name not in found:
            kind = type(module.get_submodule(name)).__name__
            found[name] = _row(name, kind, None, n_parameters)
    return list(found.values())


def _row(
    name: str, kind: str, shape: tuple[int, ...] | None, n_parameters: int
) -> dict[str, Any]:
    return {
        "layer": name,
        "kind": kind,
        "output_shape": shape,
        "n_parameters": n_parameters,
    }


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
