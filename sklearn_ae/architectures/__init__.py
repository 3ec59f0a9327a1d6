"""Architectures: what the encoder and the decoder are made of."""

from sklearn_ae.architectures._base import Architecture
from sklearn_ae.architectures._convolutional import Convolutional
from sklearn_ae.architectures._dense import Dense
from sklearn_ae.architectures._lstm import LSTM
from sklearn_ae.architectures._residual import Residual

ARCHITECTURES: dict[str, type[Architecture]] = {
    "dense": Dense,
    "convolutional": Convolutional,
    "residual": Residual,
    "lstm": LSTM,
}

__all__ = ["LSTM", "Architecture", "Convolutional", "Dense", "Residual"]

# Pickles name what they hold by its public place, which outlives moves of files.
for _name in __all__:
    globals()[_name].__module__ = __name__
