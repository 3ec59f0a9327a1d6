"""Units: what weights of penalties, which are in data units, are given in."""

from __future__ import annotations

from typing import NamedTuple

# Its square, which Adam takes, is well within float32.
_LARGEST_WEIGHT = 1e12


class Units(NamedTuple):
    """What numbers of the objective are multiplied by to be in data units.

    A weight is converted once, by the term that knows what its units are.

    Attributes
    ----------
    cost : float
        Of what a reconstruction costs.
    rows : float
        Of the rows that the encoder gets.
    output : float
        Of the decoder's last pre-activations.
    """

    cost: float = 1.0
    rows: float = 1.0
    output: float = 1.0

    def within(self, outer: Units) -> Units:
        """Answer the units of a net whose own rows are in units of `outer`."""
        pairs = zip(self, outer, strict=True)
        return Units(*(own * other for own, other in pairs))


def objective_weight(weight: float, unit: float) -> float:
    """Turn the weight of a term in data units into units of the objective.

    It has a limit, at which the term has long been all that counts: rows of 1e-20 have
    squared errors that float32 cannot hold beside a term of order one.
    """
    if weight >= unit * _LARGEST_WEIGHT:
        return _LARGEST_WEIGHT
    return weight / unit
