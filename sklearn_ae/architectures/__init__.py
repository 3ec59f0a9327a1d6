"""Architectures: what the encoder and the decoder are made of."""

from sklearn_ae.architectures._base import Architecture
from sklearn_ae.architectures._dense import Dense

ARCHITECTURES: dict[str, type[Architecture]] = {"dense": Dense}

__all__ = ["Dense"]
