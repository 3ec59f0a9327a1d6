"""Games of two: a module trains against a discriminator, in turns."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._compute.threads import threads_for
from sklearn_ae._data.rows import Batch
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._nets.discriminator import Discriminator
from sklearn_ae._training.batches import TermSums, restore_generator
from sklearn_ae._training.net import AutoencoderNet
from sklearn_ae._training.optimizers import (
    FlatParameters,
    load_optimizer,
    make_optimizer,
    scaled_update,
)
from sklearn_ae._training.rounds import Round
from sklearn_ae._training.state import load_weights
from sklearn_ae.exceptions import DivergenceError


@dataclass
class Game:
    """Whom the module plays against, what they are shown, and by which rules.

    Attributes
    ----------
    round : Round
    discriminator : Discriminator
    alpha : float, default=1.0
        Weight of the module's share in the game, in units of the objective.
    pace : float, default=1.0
        Learning rate of the discriminator, over that of the module.
    gradient_penalty : float, default=0.0
        Weight of the squared gradient of the discriminator's log odds.
    n_turns : int, default=1
        Steps of the discriminator for each batch that it is trained on.
    n_own_turns : int, default=1
        Steps of the module for each time that the discriminator is trained.
    averaging : float, default=0.0
        How much of the mean of earlier weights is kept at each step of the module,
        which ends with that mean; at 0 it ends with the last weights.
    """

    round: Round
    discriminator: Discriminator
    alpha: float = 1.0
    pace: float = 1.0
    gradient_penalty: float = 0.0
    n_turns: int = 1
    n_own_turns: int = 1
    averaging: float = 0.0


class GameNet(AutoencoderNet):
    """Trains a module whose examples are to pass for real ones.

    For each batch the discriminator takes a step on what the module has made and as
    many real examples, and the module one on its objective and, with weight `alpha`, on
    the log loss of the discriminator's taking what it makes for real. Both players have
    an optimizer of the same kind. The module knows nothing of the game.

    Parameters
    ----------
    module : AutoencoderModule
    game : Game
    **options
        Those of `AutoencoderNet`.
    """

    def __init__(
        self, module: AutoencoderModule, *, game: Game, **options: Any
    ) -> None:
        super().__init__(module, **options)
        self.game = game

    def initialize_module(self) -> GameNet:
        """Take both players as they are."""
        super().initialize_module()
        self.discriminator_ = self.game.discriminator
        self.opposed_ = FlatParameters(self.discriminator_)
        # The last weights of the module, and their mean, where that is what counts.
        self.last_: Tensor | None = None
        self.mean_: Tensor | None = None
        return self

    def initialize_optimizer(self, triggered_directly: Any = None) -> GameNet:
        """Build the optimizers of both players."""
        super().initialize_optimizer(triggered_directly)
        self.gradient_ = self._play
        self.n_played_ = 0
        parameters, rate = self.discriminator_.parameters(), self._opposed_rate()
        self.opposed_optimizer_ = make_optimizer(
            self.optimizer, self.opposed_, parameters, rate
        )
        return self

    def _start_streams(self, epoch: int) -> None:
        super()._start_streams(epoch)
        device = self.opposed_.vector.device
        self.draws_ = make_generator(
            self.seed, self.game.round.stream, self.epochs_before + epoch, device
        )

    def _opposed_rate(self) -> float:
        # Whatever schedule there is, it goes for both.
        return self.game.pace * self.optimizer_.param_groups[0]["lr"]

    # The game.

    def _play(self, batch: Batch) -> dict[str, Tensor]:
        """Train the discriminator, and write the gradient of the module."""
        self._average()
        self.flat_.zero_gradient()
        # Someone may have turned gradients off.
        with torch.enable_grad():
            with self.game.round.watch(self.module_) as made:
                terms = super()._terms(batch)
            if self.n_played_ % self.game.n_own_turns == 0:
                for _ in range(self.game.n_turns):
                    self._train_discriminator(batch, made[0].detach())
            self.n_played_ += 1
            terms["adversarial"] = self._adversarial(batch, made[0])
            sum(terms.values()).backward()
        return {name: term.detach() for name, term in terms.items()}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.game.round.watch(self.module_) as made:
            terms = super()._terms(batch)
        if self.discriminator_.n_classes and batch.target is None:
            # Rows that a callback has brought without their labels.
            return terms
        return terms | {"adversarial": self._adversarial(batch, made[0])}

    def _adversarial(self, batch: Batch, made: Tensor) -> Tensor:
        """Answer what it costs the module that what it makes is not taken for real."""
        self.discriminator_.requires_grad_(False)
        odds = self.discriminator_(made, self._classes(batch))
        self.discriminator_.requires_grad_(True)
        return self.game.alpha * softplus(-odds).mean()

    def _classes(self, batch: Batch) -> Tensor | None:
        return batch.target if self.discriminator_.n_classes else None

    def _train_discriminator(self, batch: Batch, made: Tensor) -> None:
        n_real, classes = len(made), self._classes(batch)
        real = self.game.round.real(batch, made, self.draws_)
        both = torch.cat([real.to(made.dtype), made])
        both.requires_grad_()
        twice = None if classes is None else torch.cat([classes, classes])
        self.opposed_.zero_gradient()
        odds = self.discriminator_(both, twice)
        # Log odds of being right.
        right = torch.cat([odds[:n_real], -odds[n_real:]])
        loss = softplus(-right).mean()
        (loss + self._steepness(odds, both)).backward()
        for group in self.opposed_optimizer_.param_groups:
            group["lr"] = self._opposed_rate()
        scaled_update(self.opposed_optimizer_, [])()
        figures = {
            "discriminator_accuracy": (right > 0).double().mean(),
            "discriminator_loss": loss.detach(),
        }
        self.figures_.add(figures, n_real)

    def _steepness(self, odds: Tensor, points: Tensor) -> Tensor | float:
        """Answer the penalty of a discriminator that changes much with its input."""
        if not self.game.gradient_penalty:
            return 0.0
        (gradient,) = torch.autograd.grad(odds.sum(), points, create_graph=True)
        return self.game.gradient_penalty * gradient.square().sum(-1).mean()

    # Its epochs.

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
        if any(self.figures_.n_rows):
            self.history.record("figures", *self.figures_.averages())
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

    # Averaged weights.

    def _average(self) -> None:
        """Let the mean follow the weights that the last step has left."""
        if not self.game.averaging:
            return
        with torch.no_grad():
            weights = self.flat_.vector.detach()
            if self.mean_ is None:
                self.mean_ = weights.clone()
            elif self.n_played_:
                self.mean_.lerp_(weights, 1 - self.game.averaging)

    def _validate(self) -> None:
        if self.mean_ is None:
            return super()._validate()
        # The last step of the epoch is not in the mean yet; it will be in the next.
        last = self.flat_.vector.detach().clone()
        self.flat_.vector.data.copy_(self.mean_)
        try:
            super()._validate()
        finally:
            self.flat_.vector.data.copy_(last)

    def settle(self) -> None:
        """Finish the last epoch, and go back to the best or to the mean weights."""
        if self.mean_ is None or self.last_ is not None:
            return super().settle()
        is_told = bool(self.kept_)
        # More threads would hang in a forked child.
        with threads_for(math.inf):
            last = self.flat_.vector.detach().clone()
            super().settle()
            self.last_ = last
            if not is_told:
                self._average()
                self.flat_.vector.data.copy_(self.mean_)

    # What a later fit goes on from.

    def own_state(self) -> dict[str, Any]:
        """Answer the discriminator, its optimizer's state, and where draws are."""
        return {
            "discriminator": {
                name: parameter.detach().clone()
                for name, parameter in self.discriminator_.named_parameters()
            },
            "discriminator state": copy.deepcopy(self.opposed_optimizer_.state_dict()),
            "draws": self.draws_.get_state(),
        } | ({} if self.last_ is None else {"last weights": self.last_.clone()})

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
        load_weights(self.discriminator_, kept["discriminator"], "discriminator")
        restore_generator(self.draws_, kept["draws"])
        if "last weights" in kept and self.game.averaging:
            self.mean_ = self.flat_.vector.detach().clone()
            self.flat_.vector.data.copy_(kept["last weights"])
        if is_same_kind:
            load_optimizer(self.opposed_optimizer_, kept["discriminator state"])
