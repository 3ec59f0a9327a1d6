"""The gradient of a group of nets by `torch.func`, where it is not written out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from sklearn_ae._data.rows import Batch
from sklearn_ae._nets.autoencoder import AutoencoderModule


class _Objective(nn.Module):
    """The objective of a net as what a module answers when it is called."""

    def __init__(self, net: AutoencoderModule) -> None:
        super().__init__()
        self.net = net

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Answer the terms of a batch."""
        return self.net.objective(batch)


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
        batch: Batch,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        terms = functional_call(self.objective, (parameters, buffers), (batch,))
        return sum(terms.values()), terms

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Write the gradient for a batch; answer the objective's terms.

        All in the batch has a leading axis of models.
        """
        buffers = dict(self.objective.named_buffers())
        axes = Batch(*(None if each is None else 0 for each in batch))
        of_each = vmap(grad_and_value(self._sum, has_aux=True), (0, 0, axes))
        # Someone may have turned gradients off.
        with torch.enable_grad():
            gradients, (_, terms) = of_each(self.values, buffers, batch)
        for name, gradient in gradients.items():
            self.parameters[name].grad.copy_(gradient)
        return {name: term.detach() for name, term in terms.items()}
