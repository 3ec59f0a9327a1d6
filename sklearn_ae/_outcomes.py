"""What a training run leaves behind, and the public attributes that tell of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sklearn_ae._model import Model


@dataclass
class Outcome:
    """What a training run leaves behind.

    Attributes
    ----------
    model : Model
    history : list of dict
        A record per epoch.
    loss : float or None
        The objective of weights that no epoch has trained; None where none are worth
        keeping, as an interrupt came before the first step.
    """

    model: Model
    history: list[dict[str, Any]]
    loss: float | None

    @property
    def is_usable(self) -> bool:
        """Whether there are weights to keep."""
        return bool(self.history) or self.loss is not None


def fitted_attributes(outcome: Outcome, earlier: Any) -> dict[str, Any]:
    """Answer the public attributes that tell of the training.

    Parameters
    ----------
    outcome : Outcome
    earlier : estimator or None
        The estimator whose earlier epochs the run has continued.
    """
    rows = outcome.history
    history = [*(earlier.history_ if earlier is not None else []), *rows]
    validated = [row for row in history if "valid_loss" in row]
    kept = min(
        (row for row in rows if "valid_loss" in row),
        key=lambda row: row["valid_loss"],
        default=rows[-1] if rows else {"train_loss": outcome.loss},
    )
    return {
        "_model": outcome.model,
        "history_": history,
        "n_iter_": outcome.model.n_epochs,
        "loss_": kept["train_loss"],
        "loss_curve_": [row["train_loss"] for row in history],
        "loss_terms_": _by_name(history, "terms", 0.0),
        "validation_scores_": [-row["valid_loss"] for row in validated] or None,
        **{
            f"{name}_": curve
            for name, curve in _by_name(history, "figures", math.nan).items()
        },
    }


def _by_name(
    history: list[dict[str, Any]], key: str, absent: float
) -> dict[str, list[float]]:
    """Answer a curve for each name that an entry of the records has in any epoch."""
    parts = [row.get(key, {}) for row in history]
    names = {name: None for part in parts for name in part}
    return {name: [part.get(name, absent) for part in parts] for name in names}
