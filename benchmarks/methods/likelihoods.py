"""Nets whose likelihoods are measured, how they are trained, and published figures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skorch.callbacks import Callback

from benchmarks.common import say


@dataclass(frozen=True)
class Task:
    """A net, how it is trained, and the published figures to stand beside, in nats.

    `fast` and `full` are the profiles: images for training and validation, epochs,
    test images.
    """

    hidden: tuple[int, ...]
    n_components: int
    n_pseudo_inputs: int
    fast: tuple[int, int, int]
    full: tuple[int, int, int]
    batch_size: int
    activation: str = "relu"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    published: Mapping[str, float] = field(default_factory=dict)


TASKS = {
    "digits": Task(
        hidden=(100, 100),
        n_components=10,
        n_pseudo_inputs=50,
        fast=(1347, 60, 450),
        full=(1347, 200, 450),
        batch_size=32,
    ),
    "mnist": Task(
        hidden=(300, 300),
        n_components=40,
        n_pseudo_inputs=500,
        fast=(6000, 10, 500),
        full=(60_000, 150, 10_000),
        batch_size=256,
        activation="silu",
        learning_rate=2e-3,
        weight_decay=1e-4,
        published={"normal": -88.56, "vamp": -85.57},
    ),
}


def make_vae(task: Task, prior: str, arguments: argparse.Namespace) -> Any:
    """Return the net with one prior; all else is the same."""
    from sklearn_ae import VampPrior, VariationalAutoencoder

    return VariationalAutoencoder(
        task.n_components,
        prior=VampPrior(task.n_pseudo_inputs) if prior == "vamp" else prior,
        hidden_layer_sizes=task.hidden,
        activation=arguments.activation,
        likelihood="bernoulli",
        kl_warmup_epochs=arguments.warmup,
        learning_rate=arguments.rate,
        learning_rate_schedule="cosine",
        weight_decay=arguments.weight_decay,
        batch_size=arguments.batch,
        max_epochs=arguments.epochs,
        # The best weights are kept, and the schedule is always gone through.
        early_stopping=True,
        validation_fraction=1 / 6,
        n_iter_no_change=arguments.epochs,
        callbacks=[Teller(time.perf_counter())],
        device=arguments.device,
        random_state=arguments.seed,
    )


class Teller(Callback):
    """Says how far the training is: ten times, and after the first epoch."""

    def __init__(self, began: float) -> None:
        self.began = began

    def on_epoch_end(self, net: Any, **rest: Any) -> None:
        """Say what the objective is of training and of validation images."""
        epoch = len(net.history)
        if epoch > 1 and epoch % max(1, net.max_epochs // 10):
            return
        last, seconds = net.history[-1], time.perf_counter() - self.began
        say(
            f"  epoch {epoch}: {last['train_loss']:.2f} nats in training, "
            f"{last['valid_loss']:.2f} in validation, after {seconds:.0f} s"
        )
