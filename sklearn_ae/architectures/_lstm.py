"""Recurrent nets: a sequence into a code, and a sequence unrolled from the code."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from numbers import Integral
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._layers.dense import FLOAT, DenseLayer, Layer, initialize
from sklearn_ae._layers.functions import fill_missing, weight_deviation
from sklearn_ae.architectures._base import Architecture

# Gates of input, forgetting, candidate and output, in torch's order.
_N_GATES, _FORGETTING = 4, 1
# Sequences have seldom so few steps of so many features.
_FEW_STEPS, _MANY_FEATURES = 4, 16


class LSTMLayer(nn.LSTM):
    """Torch's layer, without its list of weights, which `functional_call` passes by."""

    def forward(self, x: Tensor) -> Tensor:
        """Answer h of every step of sequences (n_rows, n_steps, n_inputs)."""
        start = x.new_zeros(1, x.shape[0], self.hidden_size)
        # A trace is run with gradients and without.
        is_trained = torch.is_grad_enabled() and not torch.jit.is_tracing()
        weights = list(self.parameters())
        h, *_ = torch.lstm(
            x, (start, start), weights, True, 1, 0.0, is_trained, False, True
        )
        return h


class Recurrence(Layer):
    r"""A layer of long short-term memory (Gers et al. 2000).

    .. math:: c_t = f_t c_{t-1} + i_t g_t, \quad h_t = o_t \tanh(c_t)

    where i, f and o are the logistic function, and g is tanh, of
    `W x_t + V h_{t-1} + b`.
    """

    n_inner = _N_GATES

    def __init__(self, n_inputs: int, n_units: int, n_steps: int) -> None:
        super().__init__()
        # Its constructor would draw from torch's own generator.
        lstm = LSTMLayer(
            n_inputs, n_units, batch_first=True, dtype=FLOAT, device="meta"
        )
        self.lstm = lstm.to_empty(device="cpu")
        self.n_places = n_steps

    @property
    def directions(self) -> Tensor:
        """What each input adds to the pre-activations, (n_inputs, 4 n_units)."""
        return self.lstm.weight_ih_l0.mT

    @property
    def n_units(self) -> int:
        """Numbers in a state."""
        return self.lstm.hidden_size

    def start(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Answer the states before the first step of sequences like `x`."""
        # Not its length, which an export would take for the same in all batches.
        zeros = x.new_zeros(x.shape[0], self.n_units)
        return zeros, zeros

    def step(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Answer the states h and c after a step with inputs (n_rows, n_inputs)."""
        h, c = state
        lstm = self.lstm
        a = F.linear(x, lstm.weight_ih_l0, lstm.bias_ih_l0)
        a = a + F.linear(h, lstm.weight_hh_l0, lstm.bias_hh_l0)
        i, f, g, o = a.chunk(_N_GATES, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, x: Tensor) -> Tensor:
        """Answer h of every step of sequences (n_rows, n_steps, n_inputs)."""
        # Torch's own loop over the steps has no rule for the transforms of `torch.func`
        # and, on a GPU, no derivative of its derivative.
        if not torch._C._are_functorch_transforms_active():
            return self.lstm(x)
        state, answers = self.start(x), []
        for inputs in x.unbind(1):
            state = self.step(inputs, state)
            answers.append(state[0])
        return torch.stack(answers, 1)

    def initialize(
        self, initialization: str | float, seed: int, part: str, index: int
    ) -> None:
        """Draw the weights: states are kept at first, in size and in memory.

        Orthogonal matrices across steps neither stretch nor shrink what passes them
        (Saxe et al. 2014), and gates of forgetting begin open (Gers et al. 2000).
        """
        generator = make_generator(seed, f"initialization of the {part}", index)
        inward, across = self.lstm.weight_ih_l0, self.lstm.weight_hh_l0
        n_units = self.n_units
        with torch.no_grad():
            if initialization == "auto":
                deviation = weight_deviation("tanh", inward.shape[1], n_units)
                for gate in across.chunk(_N_GATES):
                    nn.init.orthogonal_(gate, generator=generator)
            else:
                deviation = float(initialization)
                nn.init.normal_(across, std=deviation, generator=generator)
            nn.init.normal_(inward, std=deviation, generator=generator)
            for bias in (self.lstm.bias_ih_l0, self.lstm.bias_hh_l0):
                bias.zero_()
            forgetting = slice(_FORGETTING * n_units, (_FORGETTING + 1) * n_units)
            self.lstm.bias_ih_l0[forgetting] = 1.0


class SequenceEncoder(nn.Module):
    """Recurrent layers, and a dense one from the state after the last step.

    Steps of NaN at the end of a sequence are no part of it. Other missing entries are
    read as 0, which of standardised rows is the mean.
    """

    def __init__(
        self,
        n_steps: int,
        n_inputs: int,
        sizes: tuple[int, ...],
        n_components: int,
        code_activation: str,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.n_steps, self.n_inputs = n_steps, n_inputs
        self.bidirectional = bidirectional
        n_ways = 2 if bidirectional else 1
        widths = [n_inputs, *(n_ways * size for size in sizes)]
        self.layers = nn.ModuleList(
            nn.ModuleList(Recurrence(width, size, n_steps) for _ in range(n_ways))
            for width, size in zip(widths[:-1], sizes, strict=True)
        )
        self.code = DenseLayer(widths[-1], n_components, code_activation)

    def forward(self, x: Tensor) -> Tensor:
        """Encode rows of shape (n_rows, n_features)."""
        steps = x.reshape(-1, self.n_steps, self.n_inputs)
        is_there = ~steps.isnan().all(-1)
        places = torch.arange(self.n_steps, device=x.device)
        n_present = (is_there * (places + 1)).amax(-1, keepdim=True)
        h = fill_missing(steps)
        last = (n_present - 1).clamp(min=0)
        if not self.bidirectional:
            for (layer,) in self.layers:
                h = layer(h)
            return self.code(_take(h, last).squeeze(1))
        # From the last step to the first; what comes after them stays where it is.
        back = torch.where(places < n_present, n_present - 1 - places, places)
        for onward, backward in self.layers:
            to_last = onward(h)
            to_first = _take(backward(_take(h, back)), back)
            h = torch.cat([to_last, to_first], -1)
        ends = [_take(to_last, last).squeeze(1), to_first[:, 0]]
        return self.code(torch.cat(ends, -1))


def _take(h: Tensor, places: Tensor) -> Tensor:
    """Answer the steps of each sequence at its own places, (n_rows, n_places, n)."""
    return h.gather(1, places.unsqueeze(-1).expand(-1, -1, h.shape[-1]))


class SequenceDecoder(Layer):
    """Recurrent layers that get the code at each step, and a dense one of each state.

    They begin with the last step, which is nearest to what the encoder has read last
    (Sutskever et al. 2014). With `autoregressive` they also get what they have answered
    for the step before.
    """

    activation = "identity"

    def __init__(
        self,
        n_steps: int,
        n_outputs: int,
        sizes: tuple[int, ...],
        n_components: int,
        autoregressive: bool,
    ) -> None:
        super().__init__()
        self.n_steps, self.autoregressive = n_steps, autoregressive
        n_inputs = n_components + (n_outputs if autoregressive else 0)
        widths = [n_inputs, *sizes]
        self.layers = nn.ModuleList(
            Recurrence(width, size, n_steps)
            for width, size in zip(widths[:-1], sizes, strict=True)
        )
        self.n_components = n_components
        self.output = DenseLayer(widths[-1], n_outputs, "identity")
        self.output.n_places = n_steps

    def output_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """List those of the layer that answers, in each step the same."""
        return self.output.output_parameters()

    @property
    def directions(self) -> Tensor:
        """What each component adds to pre-activations, (n_components, 4 n_units)."""
        return self.layers[0].directions[: self.n_components]

    def forward(self, z: Tensor) -> Tensor:
        """Decode codes of shape (n_rows, n_components)."""
        if self.autoregressive:
            return self._step_by_step(z).flip(1).flatten(1)
        h = z.unsqueeze(1).expand(-1, self.n_steps, -1)
        for layer in self.layers:
            h = layer(h)
        return self.output(h).flip(1).flatten(1)

    def _step_by_step(self, z: Tensor) -> Tensor:
        states = [layer.start(z) for layer in self.layers]
        x = z.new_zeros(z.shape[0], self.output.weight.shape[0])
        answers = []
        for _ in range(self.n_steps):
            h = torch.cat([z, x], -1)
            for i, layer in enumerate(self.layers):
                states[i] = layer.step(h, states[i])
                h = states[i][0]
            x = self.output(h)
            answers.append(x)
        return torch.stack(answers, 1)


@dataclass(eq=False, repr=False)
class LSTM(Architecture):
    r"""Long short-term memory: a sequence's last state is its code, which is unrolled.

    .. math:: h_t = \mathrm{LSTM}(x_t, h_{t-1}), \quad z = s_z(W h_T + b), \quad
              h'_t = \mathrm{LSTM}'(z, h'_{t+1}), \quad \hat x_t = V h'_t + c

    Rows are sequences in C order, (n_steps, n_features_per_step). The estimator's
    `hidden_layer_sizes` are the units of the recurrent layers, mirrored in the decoder
    (`()` is one layer of as many units as components); `activation` plays no part.
    Shorter sequences have NaN in place of their last steps: they take no part in code
    and objective, `reconstruct` answers NaN there, and `inverse_transform` whole
    sequences. A :class:`sklearn_ae.DenoisingAutoencoder` also takes NaN before a
    number, of whole steps or of some of their features: these entries are missing, are
    read as the training mean, and are answered. Rows may be flat, or have the shape
    (n_steps, n_features_per_step).

    Parameters
    ----------
    n_steps : int, default=None
        Steps of a sequence; None takes them from X if that has three axes, and of
        vectors each feature for a step.
    bidirectional : bool, default=False
        Whether the encoder also reads sequences from their end.
    autoregressive : bool, default=False
        Whether each step of the decoder also gets what it has answered for the one
        after, where it comes from.

    References
    ----------
    S. Hochreiter and J. Schmidhuber. Long short-term memory. Neural Computation 9
    (1997).

    F. A. Gers, J. Schmidhuber and F. Cummins. Learning to forget: continual prediction
    with LSTM. Neural Computation 12 (2000).

    I. Sutskever, O. Vinyals and Q. V. Le. Sequence to sequence learning with neural
    networks. NIPS (2014).

    A. M. Saxe, J. L. McClelland and S. Ganguli. Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks. ICLR (2014).

    N. Srivastava, E. Mansimov and R. Salakhutdinov. Unsupervised learning of video
    representations using LSTMs. ICML (2015).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_ae import Autoencoder
    >>> from sklearn_ae.architectures import LSTM
    >>> t = np.linspace(0, 1, 20)
    >>> phases = np.random.default_rng(0).uniform(0, 6, (100, 1))
    >>> X = np.sin(6 * t + phases)
    >>> autoencoder = Autoencoder(
    ...     2, architecture=LSTM(), hidden_layer_sizes=(16,), max_epochs=2
    ... )
    >>> autoencoder.fit(X).transform(X).shape
    (100, 2)
    """

    n_steps: int | None = None
    bidirectional: bool = False
    autoregressive: bool = False

    reads_missing = True
    _parameter_constraints = {
        "n_steps": [Interval(Integral, 1, None, closed="left"), None],
        "bidirectional": ["boolean"],
        "autoregressive": ["boolean"],
    }

    def row_shape(self, n_features: int) -> tuple[int, ...]:
        """Answer the number of steps, and of features for each of them."""
        n_steps = self.n_steps or n_features
        if n_features % n_steps:
            raise ValueError(
                f"n_steps={n_steps} does not divide the {n_features} features of X: "
                "set it to a number of steps that all rows have."
            )
        return n_steps, n_features // n_steps

    def for_rows(self, shape: tuple[int, ...]) -> Self:
        """Answer a spec whose `n_steps` is that of the rows, if it was None."""
        if self.n_steps is not None:
            return self
        if len(shape) != 2:
            raise ValueError(
                f"X has rows of shape {shape}, but sequences are (n_steps, "
                "n_features_per_step): reshape X."
            )
        settled = copy.copy(self)
        settled.n_steps = shape[0]
        return settled

    def output_layout(self, n_features: int) -> tuple[int, int, int]:
        """Answer that a feature is made by the same weights in all steps."""
        return *self.row_shape(n_features), 1

    def check_missing(self, X: np.ndarray) -> None:
        """Refuse NaN anywhere but in the last steps of sequences.

        Raises
        ------
        ValueError
        """
        if (np.isnan(X) & ~self.ended(X)).any():
            raise ValueError(
                "Input X contains NaN that a number follows: of a sequence only whole "
                "steps at its end may be missing. DenoisingAutoencoder takes NaN in "
                "between for missing entries."
            )

    def ended(self, X: np.ndarray) -> np.ndarray:
        """Answer which steps are after the last one of their sequence."""
        is_empty = np.isnan(X).all(axis=2)
        is_over = np.logical_and.accumulate(is_empty[:, ::-1], axis=1)[:, ::-1]
        return np.broadcast_to(is_over[:, :, np.newaxis], X.shape)

    def advice(
        self, found: tuple[int, ...] | None, expected: tuple[int, ...] | None
    ) -> str | None:
        """Say how sequences become as long as others."""
        if found is None:
            return (
                "sequences of different lengths make one array when shorter ones are "
                "padded with NaN at their end"
            )
        if expected is None or len(found) > 2:
            return super().advice(found, expected)
        n_steps, n_inputs = expected
        is_flat, width = len(found) == 1, found[-1]
        if not is_flat and width != n_inputs:
            if found == (n_inputs, n_steps):
                return "put the steps first, X.transpose(0, 2, 1)"
            if self.n_steps is not None:
                return f"reshape X, or set architecture__n_steps={found[0]}"
            return None
        if width % n_inputs:
            return None
        if is_flat and width == n_inputs > 1:
            return (
                "a single sequence is given as X[np.newaxis], and as long as the "
                f"others, {n_steps} steps: padded with NaN at its end, or cut"
            )
        # Of flat rows, in entries; of others, in steps.
        n_found, n_wanted = found[0], n_steps * n_inputs if is_flat else n_steps
        if n_found > n_wanted:
            return (
                f"cut longer sequences, X[:, :{n_wanted}], or fit to sequences that "
                "are padded with NaN at their end to the length of the longest"
            )
        added = f"(0, 0), (0, {n_wanted - n_found})" + ("" if is_flat else ", (0, 0)")
        return (
            "pad shorter sequences with NaN at their end, "
            f"np.pad(X, ({added}), constant_values=np.nan)"
        )

    def doubt(self, shape: tuple[int, ...]) -> str | None:
        """Say so where the first axis of X's rows is likely to be the features."""
        n_steps, n_inputs = shape
        if (
            self.n_steps is not None
            or n_steps > _FEW_STEPS
            or n_inputs < _MANY_FEATURES
        ):
            return None
        return (
            f"Rows of shape {shape} are taken for sequences of {n_steps} step(s) of "
            f"{n_inputs} features. If the last axis is that of the steps, "
            "X.transpose(0, 2, 1) puts it first; LSTM(n_steps) says that it is not."
        )

    def build(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: tuple[int, ...],
        activation: str,
        code_activation: str,
        tied_weights: bool,
        initialization: str | float,
        seed: int,
    ) -> tuple[nn.Module, nn.Module]:
        """Build an initialised encoder and decoder."""
        n_steps, n_inputs = self.row_shape(n_features)
        sizes = hidden_layer_sizes or (n_components,)
        encoder = SequenceEncoder(
            n_steps, n_inputs, sizes, n_components, code_activation, self.bidirectional
        )
        decoder = SequenceDecoder(
            n_steps, n_inputs, sizes[::-1], n_components, self.autoregressive
        )
        for part, module in (("encoder", encoder), ("decoder", decoder)):
            layers = [m for m in module.modules() if isinstance(m, Recurrence)]
            from_data = layers if part == "encoder" else layers[::-1]
            for index, layer in enumerate(from_data):
                layer.initialize(initialization, seed, part, index)
        initialize(encoder.code, initialization, seed, "code", 0)
        initialize(decoder.output, initialization, seed, "output", 0)
        return encoder, decoder
