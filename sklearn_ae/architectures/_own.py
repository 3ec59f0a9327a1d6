"""Nets of one's own: an encoder and a decoder as classes, and specs of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from sklearn_ae._compute.seeds import derive_seed, own_global_seed
from sklearn_ae._compute.suggestions import check_takes
from sklearn_ae._layers.dense import FLOAT
from sklearn_ae.architectures._base import Architecture
from sklearn_ae.architectures._convolutional import Activate

# Their answer to a row depends on the other rows, or on chance.
_REFUSED = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


@dataclass(eq=False, repr=False)
class OwnModules(Architecture):
    """What `architecture=(Encoder, Decoder)` stands for.

    Parameters
    ----------
    encoder, decoder : callable
        `encoder(n_features, n_components)` and `decoder(n_components, n_features)`
        answer the two modules: from standardised rows to pre-activations of the code,
        and from the code to those of the output. Hidden layers and the initialization
        are their own.
    """

    encoder: Callable[[int, int], nn.Module]
    decoder: Callable[[int, int], nn.Module]

    _parameter_constraints = {"encoder": [callable], "decoder": [callable]}

    @classmethod
    def of(cls, pair: tuple[Callable[[int, int], nn.Module], ...]) -> Self:
        """Answer the spec of a pair.

        Raises
        ------
        InvalidParameterError
            If it is no pair of callables, or of modules in place of their classes.
        """
        is_pair = len(pair) == 2 and all(map(callable, pair))
        if not is_pair or any(isinstance(part, nn.Module) for part in pair):
            raise InvalidParameterError(
                "The 'architecture' parameter must be a name, a spec or a pair "
                "(Encoder, Decoder) of classes, or of functions that answer modules. "
                f"Got {pair!r} instead."
            )
        for name, part in zip(("encoder", "decoder"), pair, strict=True):
            check_takes(name, part, "n_inputs", "n_outputs")
        return cls(*pair)

    def build(
        self,
        n_features: int,
        n_components: int,
        *,
        code_activation: str,
        **ignored: Any,
    ) -> tuple[nn.Module, nn.Module]:
        """Build both modules."""
        encoder = self.encoder(n_features, n_components)
        decoder = self.decoder(n_components, n_features)
        if code_activation != "identity" and isinstance(encoder, nn.Module):
            encoder = nn.Sequential(encoder, Activate(code_activation))
        return encoder, decoder


def build_parts(
    architecture: Architecture, *args: int, seed: int, **params: Any
) -> tuple[nn.Module, nn.Module]:
    """Build the encoder and the decoder of a spec, whoever has written it.

    Whatever they draw from torch's own generator follows from the seed, and leaves it
    as it was.

    Raises
    ------
    ValueError
        If they are no two modules, or some that cannot be trained here.
    """
    if type(architecture).__module__.startswith("sklearn_ae.") and not isinstance(
        architecture, OwnModules
    ):
        return architecture.build(*args, seed=seed, **params)
    with own_global_seed(derive_seed(seed, "own modules")):
        parts = architecture.build(*args, seed=seed, **params)
    is_pair = isinstance(parts, tuple) and len(parts) == 2
    if not is_pair or not all(isinstance(part, nn.Module) for part in parts):
        raise ValueError(
            f"architecture={architecture} has built {parts!r}, where an encoder and a "
            "decoder are expected."
        )
    for part in parts:
        # Whatever torch's default is.
        part.to(FLOAT)
        for layer in part.modules():
            if isinstance(layer, _REFUSED):
                raise ValueError(
                    f"{layer} does not work in an autoencoder of this package: what "
                    "becomes of a row may depend on no other row, and on no chance "
                    "that random_state does not govern. LayerNorm, GroupNorm and the "
                    "noise of DenoisingAutoencoder take their place."
                )
    return parts
