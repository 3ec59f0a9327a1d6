"""A game over rows: reconstructions are to pass for rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sklearn_ae._data.rows import Batch
from sklearn_ae._estimators.base import BaseAutoencoder
from sklearn_ae._estimators.parameters import TRAINING
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._nets.discriminator import discriminator_of_rows
from sklearn_ae._nets.fitted import Model
from sklearn_ae._training.games import Game, GameNet
from sklearn_ae._training.rounds import Round


class RowsAgainstReconstructions(Round):
    def maker(self, module: AutoencoderModule) -> nn.Module:
        return module.decoder

    def real(self, batch: Batch, made: Tensor, generator: torch.Generator) -> Tensor:
        return batch.x


class RealisticAutoencoder(BaseAutoencoder):
    """Autoencoder whose reconstructions a discriminator takes for rows."""

    realism: float = 0.1
    averaging: float = 0.0
    n_turns: int = 1

    _parameter_constraints = {
        "realism": [float],
        "averaging": [float],
        "n_turns": [int],
    }
    _apart_from_net = TRAINING | {"realism", "averaging", "n_turns"}
    _passing_attributes = ("discriminator_accuracy_", "discriminator_loss_")

    def _build_net(self, model: Model, seen: dict[str, Any], **options: Any) -> Any:
        if self._stage is not None:
            return super()._build_net(model, seen, **options)
        discriminator = discriminator_of_rows(
            self._checked_architecture().settled(model.row_shape),
            len(model.moments.mean),
            self._checked_hidden_layer_sizes(),
            model.seed,
        )
        game = Game(
            RowsAgainstReconstructions(),
            discriminator.to(model.device),
            alpha=self.realism,
            averaging=self.averaging,
            n_turns=self.n_turns,
        )
        return GameNet(model.module, game=game, **options)

    def _may_be_batched(self) -> bool:
        return False
