"""What is at fault where training has diverged, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

from sklearn_ae._data.moments import Moments

# As many times what the mean costs, an answer has nothing to do with the rows.
_MUCH = 1e3
# Where a penalty is as many times the reconstruction, steps follow it alone.
_DOMINANT = 10.0
# In deviations of the rows, how far from the mean is far, and what is another size.
_FAR, _OTHER_SIZE = 30.0, 100.0
# Parameters in units of X, to some power, that the cost of a row depends on.
_POWERS = {
    **dict.fromkeys(("kernel_width", "loss__kernel_width", "loss__delta"), 1),
    **dict.fromkeys(("noise_level", "noise__fill"), 1),
    "noise_variance": 2,
}
# Those of a game, whose cost is none of the module's.
_OF_GAMES = ("alpha", "learning_rate_ratio", "gradient_penalty")


@dataclass(frozen=True)
class Suspects:
    """What may be at fault beside the learning rate.

    Attributes
    ----------
    parameters : dict
        Of the estimator, those of its specs among them.
    moments : Moments
        Of the rows.
    """

    parameters: dict[str, Any]
    moments: Moments

    def fault_of(self, net: Any) -> str:
        """Say what was at fault, as far as the terms of the first batch tell.

        They come before the first step: no learning rate has to do with them.
        """
        terms = net.first_terms_()
        n_outputs = len(self.moments.answered.mean)
        # Generators have none.
        cost = abs(terms.pop("reconstruction", n_outputs))
        relative = cost / n_outputs
        change = "" if relative <= _MUCH else self._change_of_start()
        if change:
            times = _times(relative, "what the mean costs")
            return f"Before the first step the cost of a row is {times}. {change}."
        shares = {name: abs(term) / max(cost, 1e-300) for name, term in terms.items()}
        # NaN is more than any.
        largest = max(shares, key=lambda name: _order(shares[name]), default="")
        weights = self._weights_of(net, largest) if largest else ""
        if not weights or shares[largest] <= _DOMINANT:
            return self._change_of_steps(net)
        times = _times(shares[largest], "the reconstruction")
        change = "" if math.isfinite(shares[largest]) else self._change_of_start()
        return (
            f"Before the first step the term {largest!r} is {times}. Lower {weights} "
            f"or learning_rate.{change and f' {change}.'}"
        )

    def _change_of_start(self) -> str:
        """Say what may make first answers what they are; "" where nothing is known."""
        start = self.parameters.get("initialization")
        architecture = self.parameters.get("architecture")
        changes = self._change_of_lengths()
        if _is_number(start):
            advice = f"Lower initialization={start:g}, or set initialization='auto'"
            changes = f"{advice}. {changes}" if changes else advice
        if not changes and not isinstance(architecture, (str, type(None))):
            return f"Look at what the modules of architecture={architecture!r} answer"
        return changes

    def _change_of_lengths(self) -> str:
        """Name the parameters that have the units of X and another size, if any."""
        found, scale = {}, self.moments.answered.scale
        for name, power in _POWERS.items():
            value = self.parameters.get(name)
            if _is_number(value) and value:
                size = abs(value) / scale**power
                if not 1 / _OTHER_SIZE <= size <= _OTHER_SIZE:
                    found[name] = value
        if not found:
            return ""
        return f"Change {_assigned(found)}: the deviation of X is {scale:.2g}"

    def _weights_of(self, net: Any, term: str) -> str:
        """Name the parameters that a term of the objective grows with."""
        penalties = net.module_.penalties
        if term not in penalties:
            # A game's, which comes after the opponent's first step.
            return _assigned(self._large(_OF_GAMES))
        names = penalties[term].weighed_by
        known = {n: self.parameters[n] for n in names if n in self.parameters}
        return _assigned(self._large(names) or known) or f"the weight of {term!r}"

    def _large(self, names: Iterable[str]) -> dict[str, float]:
        """Answer the parameters of some names that are far above what is usual."""
        known = {name: self.parameters.get(name) for name in names}
        return {
            name: value
            for name, value in known.items()
            if _is_number(value) and value > _OTHER_SIZE
        }

    def _change_of_steps(self, net: Any) -> str:
        """Say how steps become smaller."""
        optimizer = self.parameters.get("optimizer")
        if net.on_all_rows_:
            return f"Set optimizer='adam' in place of {optimizer!r}."
        own = optimizer.keywords if isinstance(optimizer, partial) else {}
        rate = net.optimizer_.param_groups[0]["lr"]
        advice = f"Lower learning_rate={net.lr:g}"
        if "lr" in own:
            advice = f"Lower lr={own['lr']:g} of the optimizer, which is what counts"
        elif rate > 2 * net.lr:
            advice += f", or change learning_rate_schedule, which has made it {rate:g}"
        if large := self._large(_OF_GAMES):
            return f"Lower {_assigned(large)}."
        if lengths := self._change_of_lengths():
            return f"{lengths}. {advice} if that is not the reason."
        farthest, column = self._farthest()
        if farthest > _FAR:
            advice += (
                f", or look at column {column} of X, which has a value {farthest:.2g} "
                "deviations from the mean: RobustScaler, a logarithm or clipping helps"
            )
        return f"{advice}."

    def _farthest(self) -> tuple[float, int]:
        """Answer how far from its mean a column of X goes, and which one."""
        known = self.moments
        far = abs(known.high - known.mean).clip(abs(known.low - known.mean))
        column = int(far.argmax())
        return float(far[column]) / known.scale, column


def _assigned(values: dict[str, float]) -> str:
    return " or ".join(f"{name}={value:g}" for name, value in values.items())


def _times(factor: float, what: str) -> str:
    return f"{factor:.2g} times {what}" if math.isfinite(factor) else "not finite"


def _order(share: float) -> float:
    return math.inf if math.isnan(share) else share


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
