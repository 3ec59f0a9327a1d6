"""The hooks that build the parts of a net from an estimator's parameters."""

from __future__ import annotations

from sklearn_ae._corruption import Corruption
from sklearn_ae._input import Accepted
from sklearn_ae._modules import AutoencoderModule
from sklearn_ae._moments import Moments
from sklearn_ae._parameters import SPECS, Parameters, resolve_spec
from sklearn_ae._penalties import Penalty, WeightDecay
from sklearn_ae._reconstruction import Reconstruction


class Building(Parameters):
    """Builds the net; a variant adds to what `super()` returns what is its own."""

    # Whether NaN stands for a missing entry.
    _may_miss = False

    def _build_module(
        self, n_features: int, moments: Moments, seed: int
    ) -> AutoencoderModule:
        """Build the initialised net."""
        architecture = resolve_spec("architecture", self.architecture)
        architecture._validate_params()
        if self.tied_weights and not architecture.supports_tied_weights:
            raise ValueError(
                f"tied_weights=True does not work with architecture={architecture}: "
                "it has no layers whose transpose is a decoder."
            )
        encoder, decoder = architecture.build(
            n_features,
            self.n_components,
            hidden_layer_sizes=self._checked_hidden_layer_sizes(),
            activation=self.activation,
            code_activation=self._resolved_code_activation(),
            tied_weights=self.tied_weights,
            initialization=self.initialization,
            seed=seed,
        )
        reconstruction = self._build_reconstruction(moments)
        return AutoencoderModule(
            encoder,
            decoder,
            reconstruction,
            self._build_penalties(reconstruction),
            self._build_corruption(moments),
            may_miss=self._may_miss,
        )

    def _resolved_code_activation(self) -> str:
        """Answer the name of the code's activation."""
        return self.code_activation

    def _build_reconstruction(self, moments: Moments) -> Reconstruction:
        """Build the end of the net: what a reconstruction is, and what it costs."""
        loss = resolve_spec("loss", self.loss)
        return loss.build(self.output_activation, moments)

    def _build_penalties(self, reconstruction: Reconstruction) -> dict[str, Penalty]:
        """Build the further terms of the objective, by name."""
        if not self.weight_decay:
            return {}
        return {"weight_decay": WeightDecay(self.weight_decay)}

    def _build_corruption(self, moments: Moments) -> Corruption | None:
        """Build what happens to rows before the encoder gets them in training."""
        return None

    def _accepted(self) -> Accepted:
        # Asked before parameters are validated, so the name may be wrong.
        spec = SPECS["architecture"].get(self.architecture, self.architecture)
        is_sparse = getattr(spec, "supports_sparse", False)
        return Accepted(sparse=is_sparse, missing=self._may_miss)
