"""The gradient of a stack of nets by `torch.func`, where it is not written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from sklearn_ae._nets.autoencoder import AutoencoderModule


class _Objective(nn.Module):
    """The objective of a net as what a module answers when it is called."""

    def __init__(self, net: AutoencoderModule) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, x: Tensor, weights: Tensor | None, drawn: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Answer the terms of a batch."""
        return self.net.objective(x, weights, drawn)


class FunctionalGradient:
    """Writes the gradient of the objective into the parameters' `grad`.

    Parameters
    ----------
    module : AutoencoderModule
        With a leading model axis on every parameter, its `grad`, and every buffer.
    """

    def __init__(self, module: AutoencoderModule) -> None:
        self.objective = _Objective(module)
        self.parameters = dict(self.objective.named_parameters())
        self.values = {k: p.detach() for k, p in self.parameters.items()}

    def _sum(
        self,
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        x: Tensor,
        weights: Tensor | None,
        drawn: dict[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        terms = functional_call(
            self.objective, (parameters, buffers), (x, weights, drawn)
        )
        return sum(terms.values()), terms

    def __call__(
        self, x: Tensor, weights: Tensor | None, drawn: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Write the gradient for standardised rows; answer the objective's terms.

        Parameters
        ----------
        x : Tensor of shape (n_models, n_rows, n_features)
        weights, drawn
            As in `AutoencoderModule.objective`, with a leading axis of models.
        """
        buffers = dict(self.objective.named_buffers())
        in_dims = (0, 0, 0, None if weights is None else 0, 0)
        of_each = vmap(grad_and_value(self._sum, has_aux=True), in_dims)
        # Someone may have turned gradients off.
        with torch.enable_grad():
            gradients, (_, terms) = of_each(self.values, buffers, x, weights, drawn)
        for name, gradient in gradients.items():
            self.parameters[name].grad.copy_(gradient)
        return {name: term.detach() for name, term in terms.items()}
