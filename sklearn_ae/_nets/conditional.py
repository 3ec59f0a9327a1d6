"""A net whose decoder gets the class of a row beside its code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import torch
from torch import Tensor

from sklearn_ae._nets.autoencoder import AutoencoderModule, split_missing


class ConditionalModule(AutoencoderModule):
    r"""The encoder is q(z|x), the decoder p(x|z, y).

    Where a row's class y is not given, p(x|z) is the average over classes,

    .. math:: p(x|z) = \sum_y p(y|z) \, p(x|z, y)

    with p(y|z) the frequencies of the classes in training, or what a prior of codes by
    class makes of them. The cost of a reconstruction is minus a log-likelihood.
    """

    # Of the classes in training. No tensor: it is known without one from a file.
    class_frequencies: tuple[float, ...]

    def decoder_input(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Answer codes (..., n_rows, k), each beside a one for its class."""
        # Not torch's `one_hot`, which cannot be a part of a group of nets.
        numbers = torch.arange(len(self.class_frequencies), device=z.device)
        flags = (classes.unsqueeze(-1) == numbers).to(z.dtype)
        return torch.cat([z, flags.expand(*z.shape[:-1], -1)], -1)

    def cost(
        self,
        z: Tensor,
        x: Tensor,
        weights: Tensor | None = None,
        classes: Tensor | None = None,
    ) -> Tensor:
        if classes is not None:
            return super().cost(z, x, weights, classes)
        unit = self.reconstruction.unit
        # One at a time: all together are as many times the rows as there are classes.
        parts = (
            log_p - unit * super(ConditionalModule, self).cost(z, x, weights, classes)
            for classes, log_p in self._each_class(z)
        )
        return -reduce(torch.logaddexp, parts) / unit

    def decode(self, z: Tensor, classes: Tensor | None = None) -> Tensor:
        """Decode codes of shape (n_rows, n_components) to (n_rows, n_features).

        With classes, of shape (n_rows,) and int64, to what rows of these are like;
        without, to the average over classes.
        """
        if classes is not None:
            return super().decode(self.decoder_input(z, classes))
        return sum(
            log_p.exp().unsqueeze(-1) * self.decode(z, classes)
            for classes, log_p in self._each_class(z)
        )

    def forward(self, x: Tensor, classes: Tensor | None = None) -> Tensor:
        """Reconstruct rows; without classes, each as one of the most probable class."""
        return self.reconstruct_standardized(self.standardize(x), classes)

    def reconstruct_standardized(
        self, x: Tensor, classes: Tensor | None = None
    ) -> Tensor:
        z = self.encode_standardized(x)
        if classes is not None:
            return self.decode(z, classes)
        classes, log_p = self._most_probable(z, *split_missing(x, self.may_miss))
        # Of a row that is too large for all classes, the first is none to answer.
        is_told = log_p.isfinite().unsqueeze(-1)
        return self.decode(z, classes).masked_fill(~is_told, torch.nan)

    def _most_probable(
        self, z: Tensor, x: Tensor, weights: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Answer each row's class of the largest log p(y|z) p(x|z, y), and that."""
        best = torch.full(z.shape[:-1], -torch.inf, dtype=z.dtype, device=z.device)
        chosen = torch.zeros(z.shape[:-1], dtype=torch.int64, device=z.device)
        for classes, log_p in self._each_class(z):
            cost = super().cost(z, x, weights, classes)
            log_p = log_p - self.reconstruction.unit * cost
            chosen = torch.where(log_p > best, classes, chosen)
            best = torch.maximum(log_p, best)
        return chosen, best

    def _each_class(self, z: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Answer each class, as often as there are rows, and log p(y|z) of codes."""
        frequencies = z.new_tensor(self.class_frequencies, dtype=torch.float64)
        log_p = self.prior.log_class_probabilities(z, frequencies.log())
        for number, frequency in enumerate(self.class_frequencies):
            if frequency:
                classes = torch.full(z.shape[-2:-1], number, device=z.device)
                yield classes, log_p[..., number].to(z.dtype)
