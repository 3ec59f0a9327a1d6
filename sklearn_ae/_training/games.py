"""Two players in one net: a discriminator of codes beside encoder and decoder."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._data.rows import Batch
from sklearn_ae._layers.dense import FLOAT, DenseLayer, initialize
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._priors.foreign import CodeSource
from sklearn_ae._training.batches import TermSums, restore_generator
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import (
    FlatParameters,
    load_optimizer,
    make_optimizer,
)
from sklearn_ae.exceptions import DivergenceError

_N_WAVES, _FREQUENCY = 32, 2.0


class Discriminator(nn.Module):
    r"""Tells draws of the prior (positive answers) from codes (negative ones).

    .. math:: D(z) = d(z, \sin B z, \cos B z, c)

    with fixed random frequencies B, without which a net takes very long to see shapes
    that are thin beside the whole (Tancik et al. 2020), dense layers d, and the class
    c of the row, one number per class, where classes have places of their own.

    Parameters
    ----------
    n_components : int
    n_classes : int
    hidden_layer_sizes : tuple of int
    seed : int
    """

    frequencies: Tensor

    def __init__(
        self,
        n_components: int,
        n_classes: int,
        hidden_layer_sizes: tuple[int, ...],
        seed: int,
    ) -> None:
        super().__init__()
        self.n_classes = n_classes
        generator = make_generator(seed, "frequencies of the discriminator")
        shape, device = (n_components, _N_WAVES), generator.device
        waves = torch.empty(shape, dtype=FLOAT, device=device)
        waves.normal_(generator=generator)
        # Points of more components are farther apart.
        waves *= _FREQUENCY * math.sqrt(2 / n_components)
        self.register_buffer("frequencies", waves)
        widths = [n_components + 2 * _N_WAVES + n_classes, *hidden_layer_sizes, 1]
        names = ["leaky_relu"] * len(hidden_layer_sizes) + ["identity"]
        pairs = zip(itertools.pairwise(widths), names, strict=True)
        layers = [DenseLayer(*sizes, name) for sizes, name in pairs]
        for index, layer in enumerate(layers):
            initialize(layer, "auto", seed, "discriminator", index)
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor, classes: Tensor | None) -> Tensor:
        """Answer log odds, of shape (n_rows,), that codes are draws of the prior."""
        phases = z @ self.frequencies
        parts = [z, phases.sin(), phases.cos()]
        if self.n_classes:
            parts.append(one_hot(classes, self.n_classes).to(z.dtype))
        return self.layers(torch.cat(parts, dim=-1)).squeeze(-1)


@dataclass
class Opponent:
    """What encoder and decoder play against.

    Attributes
    ----------
    discriminator : Discriminator
    source : CodeSource
        Of the draws that codes are to be mistaken for.
    alpha : float
        Weight of the encoder's share in the game, in units of the objective.
    pace : float
        Learning rate of the discriminator, over that of the other two.
    gradient_penalty : float
        Weight of the squared gradient of its log odds.
    """

    discriminator: Discriminator
    source: CodeSource
    alpha: float
    pace: float
    gradient_penalty: float


class AdversarialNet(AutoencoderNet):
    """Trains an `AutoencoderModule` whose codes are to pass for draws of a prior.

    Each batch is one round: a step of the discriminator on its codes and as many draws,
    and a step of encoder and decoder on the objective and, with weight `alpha`, on the
    log loss of the discriminator's taking the codes for draws. Both players have an
    optimizer of the same kind. The discriminator is no part of the module.

    Parameters
    ----------
    module : AutoencoderModule
    opponent : Opponent
    **options
        Those of `AutoencoderNet`.
    """

    def __init__(
        self, module: AutoencoderModule, *, opponent: Opponent, **options: Any
    ) -> None:
        super().__init__(module, **options)
        self.opponent = opponent

    def initialize_module(self) -> AdversarialNet:
        """Take both players as they are."""
        super().initialize_module()
        self.discriminator_ = self.opponent.discriminator
        self.opposed_ = FlatParameters(self.discriminator_)
        return self

    def initialize_optimizer(self, triggered_directly: Any = None) -> AdversarialNet:
        """Build the optimizers of both players."""
        super().initialize_optimizer(triggered_directly)
        self.gradient_ = self._round
        parameters, rate = self.discriminator_.parameters(), self._opposed_rate()
        self.opposed_optimizer_ = make_optimizer(
            self.optimizer, self.opposed_, parameters, rate
        )
        return self

    def _start_streams(self, epoch: int) -> None:
        super()._start_streams(epoch)
        device = self.opposed_.vector.device
        self.draws_ = make_generator(
            self.seed, "prior in training", self.epochs_before + epoch, device
        )

    def _opposed_rate(self) -> float:
        # Whatever schedule there is, it goes for both.
        return self.opponent.pace * self.optimizer_.param_groups[0]["lr"]

    def _round(self, batch: Batch) -> dict[str, Tensor]:
        """Train the discriminator, and write the gradient of encoder and decoder."""
        self.flat_.zero_gradient()
        # Someone may have turned gradients off.
        with torch.enable_grad():
            with _codes_of(self.module_) as codes:
                terms = super()._terms(batch)
            (z,), classes = codes, batch.target
            self._train_discriminator(z.detach(), classes)
            terms["adversarial"] = self._adversarial(z, classes)
            sum(terms.values()).backward()
        return {name: term.detach() for name, term in terms.items()}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        with _codes_of(self.module_) as codes:
            terms = super()._terms(batch)
        classes = batch.target
        if self.discriminator_.n_classes and classes is None:
            # Rows that a callback has brought without their labels.
            return terms
        return terms | {"adversarial": self._adversarial(codes[0], classes)}

    def _adversarial(self, z: Tensor, classes: Tensor | None) -> Tensor:
        """Answer what it costs the encoder that codes are told from draws."""
        self.discriminator_.requires_grad_(False)
        odds = self.discriminator_(z, classes)
        self.discriminator_.requires_grad_(True)
        return self.opponent.alpha * softplus(-odds).mean()

    def _train_discriminator(self, z: Tensor, classes: Tensor | None) -> None:
        draws = self.opponent.source.draw(len(z), self.draws_, classes)
        both = torch.cat([draws.to(z.dtype), z])
        both.requires_grad_()
        twice = None if classes is None else torch.cat([classes, classes])
        self.opposed_.zero_gradient()
        odds = self.discriminator_(both, twice)
        # Log odds of being right.
        right = torch.cat([odds[: len(z)], -odds[len(z) :]])
        loss = softplus(-right).mean()
        (loss + self._steepness(odds, both)).backward()
        for group in self.opposed_optimizer_.param_groups:
            group["lr"] = self._opposed_rate()
        optimizer = self.opposed_optimizer_
        getattr(optimizer, "update", optimizer.step)()
        figures = {
            "discriminator_accuracy": (right > 0).double().mean(),
            "discriminator_loss": loss.detach(),
        }
        self.figures_.add(figures, len(z))

    def _steepness(self, odds: Tensor, points: Tensor) -> Tensor | float:
        """Answer the penalty of a discriminator that changes much with the code."""
        if not self.opponent.gradient_penalty:
            return 0.0
        (gradient,) = torch.autograd.grad(odds.sum(), points, create_graph=True)
        return self.opponent.gradient_penalty * gradient.square().sum(-1).mean()

    def begin_epoch(self) -> None:
        """Begin the next epoch, with figures of its own."""
        self.figures_ = TermSums()
        super().begin_epoch()

    def _check_finite(self) -> None:
        super()._check_finite()
        if not torch.isfinite(self.opposed_.vector).all():
            raise DivergenceError(
                f"Training diverged in epoch {len(self.history)} with "
                f"learning_rate={self.lr:g}: the discriminator's weights are not "
                "finite. Lower learning_rate, or learning_rate_ratio."
            )

    def record(self, averages: dict[str, float]) -> None:
        """Write the terms, and how the discriminator did."""
        # First, since a record that has a loss is whole.
        if self.figures_.n_rows:
            self.history.record("figures", self.figures_.averages())
        super().record(averages)

    def _vectors(self) -> list[Tensor]:
        # The discriminator, too, is kept as it was in the best epoch.
        return [*super()._vectors(), self.opposed_.vector]

    def _has_converged(self, objective: float, least_gain: float) -> bool:
        # That a player's cost stands still, or rises, says nothing about the game.
        is_told = self.validation is not None
        return is_told and super()._has_converged(objective, least_gain)

    def get_all_learnable_params(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the parameters that callbacks see: not those of the opponent."""
        yield from self.module_.named_parameters()

    def own_state(self) -> dict[str, Any]:
        """Answer the discriminator, its optimizer's state, and where draws are."""
        return {
            "discriminator": {
                name: parameter.detach().clone()
                for name, parameter in self.discriminator_.named_parameters()
            },
            "discriminator state": copy.deepcopy(self.opposed_optimizer_.state_dict()),
            "draws": self.draws_.get_state(),
        }

    def restore_own_state(self, kept: dict[str, Any], is_same_kind: bool) -> None:
        """Go on with the discriminator of an earlier fit.

        Raises
        ------
        ValueError
            If it has another shape.
        """
        if "discriminator" not in kept:
            # There was no game yet.
            return
        own = dict(self.discriminator_.named_parameters())
        weights = kept["discriminator"]
        if {name: w.shape for name, w in weights.items()} != {
            name: w.shape for name, w in own.items()
        }:
            raise ValueError(
                "The shape of the discriminator has changed since the last fit, so "
                "training cannot continue from it; set warm_start=False or fit a clone."
            )
        for name, parameter in own.items():
            parameter.data.copy_(weights[name])
        restore_generator(self.draws_, kept["draws"])
        if is_same_kind:
            load_optimizer(self.opposed_optimizer_, kept["discriminator state"])


@contextmanager
def _codes_of(module: AutoencoderModule) -> Iterator[list[Tensor]]:
    """Answer a list that gets the codes of the rows that the module is called with."""
    codes: list[Tensor] = []

    def note(part: nn.Module, inputs: object, output: Tensor) -> None:
        # A penalty may call the encoder once more.
        if not codes:
            codes.append(output)

    hook = module.encoder.register_forward_hook(note)
    try:
        yield codes
    finally:
        hook.remove()
