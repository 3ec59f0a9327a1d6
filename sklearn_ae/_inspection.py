"""What shows the net itself: its layers, their codes, and the torch module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from torch import nn

from sklearn_ae._ambient import Undisturbed
from sklearn_ae._frames import as_output
from sklearn_ae._modules import AutoencoderModule, copy_module, set_precision
from sklearn_ae._specs import resolve_spec

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
