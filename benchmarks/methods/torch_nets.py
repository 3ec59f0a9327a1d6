"""The nets that several tools train, as one writes them by hand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Net:
    """A dense autoencoder: the widths from the input to the code, and its batches."""

    widths: tuple[int, ...]
    batch_size: int

    @property
    def label(self) -> str:
        """The widths, as they are written."""
        return "-".join(map(str, self.widths))

    @property
    def is_dense(self) -> bool:
        """Whether scikit-learn's own net can be the same."""
        return self.architecture() == "dense"

    def architecture(self) -> Any:
        """Return what the estimators take for the same net."""
        return "dense"

    def module(self) -> nn.Module:
        """Build the net: ReLU inside, linear code and output."""
        layers: list[nn.Module] = []
        for widths in (self.widths, self.widths[::-1]):
            for n_in, n_out in itertools.pairwise(widths):
                layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            layers.pop()
        return nn.Sequential(*layers)


@dataclass(frozen=True)
class ConvolutionalNet(Net):
    """Kernels of three at a stride of two; `widths` has the channels of the maps."""

    side: int = 28

    @property
    def label(self) -> str:
        """The widths, and what kind of net they are of."""
        return f"convolutional {super().label}"

    def architecture(self) -> Any:
        """Return what the estimators take for the same net."""
        from sklearn_ae.architectures import Convolutional

        return Convolutional((self.side, self.side))

    def module(self) -> nn.Module:
        """Build the net from torch's own layers."""
        _, *channels, n_components = self.widths
        maps, side = [1, *channels], self.side
        down: list[nn.Module] = [nn.Unflatten(1, (1, side, side))]
        up: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(maps):
            down += [nn.Conv2d(n_in, n_out, 3, 2, 1), nn.ReLU()]
            # What the stride has cut off comes back.
            further = 1 - side % 2
            up = [nn.ConvTranspose2d(n_out, n_in, 3, 2, 1, further), nn.ReLU(), *up]
            side = (side + 1) // 2
        n_values = channels[-1] * side**2
        code = [nn.Flatten(), nn.Linear(n_values, n_components)]
        back = [nn.Linear(n_components, n_values), nn.ReLU()]
        back.append(nn.Unflatten(1, (channels[-1], side, side)))
        return nn.Sequential(*down, *code, *back, *up[:-1], nn.Flatten())


@dataclass(frozen=True)
class RecurrentNet(Net):
    """Long short-term memory; `widths` has the units of its one layer."""

    n_steps: int = 30

    @property
    def label(self) -> str:
        """The widths, and what kind of net they are of."""
        return f"LSTM {super().label}"

    def architecture(self) -> Any:
        """Return what the estimators take for the same net."""
        from sklearn_ae.architectures import LSTM

        return LSTM(self.n_steps)

    def module(self) -> nn.Module:
        """Build the net from torch's own layers."""
        n_features, n_units, n_components = self.widths
        return _Recurrent(
            self.n_steps, n_features // self.n_steps, n_units, n_components
        )


class _Recurrent(nn.Module):
    """A sequence's last state is its code, from which it is unrolled backwards."""

    def __init__(
        self, n_steps: int, n_inputs: int, n_units: int, n_components: int
    ) -> None:
        super().__init__()
        self.n_steps, self.n_inputs = n_steps, n_inputs
        self.encoder = nn.LSTM(n_inputs, n_units, batch_first=True)
        self.code = nn.Linear(n_units, n_components)
        self.decoder = nn.LSTM(n_components, n_units, batch_first=True)
        self.output = nn.Linear(n_units, n_inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct rows of shape (n_rows, n_features)."""
        h, _ = self.encoder(x.unflatten(1, (self.n_steps, self.n_inputs)))
        z = self.code(h[:, -1])
        h, _ = self.decoder(z.unsqueeze(1).expand(-1, self.n_steps, -1))
        return torch.flip(self.output(h), [1]).flatten(1)
