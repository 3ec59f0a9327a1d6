"""Alternating least squares: an epoch solves for the encoder, then for the decoder.

Of a linear net with squared errors, each of the two has a solution in closed form while
the other is held: the encoder from the decoder alone, the decoder from one pass over
the rows. What is solved is as small as the code. Turn by turn the span of the decoder
comes nearer to that of the first principal components.

The turns are those of a net with a few more codes, of which the net that is trained has
those of most variance: what follows the last component that is asked for would else be
told from it slowly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor, nn

from sklearn_ae._compute.seeds import make_generator
from sklearn_ae._layers.codes import Certain
from sklearn_ae._layers.dense import DenseLayer, TransposedLayer
from sklearn_ae._nets.autoencoder import AutoencoderModule
from sklearn_ae._objective.losses import ResidualReconstruction
from sklearn_ae._objective.penalties import WeightDecay
from sklearn_ae._training.batches import Batches, TermSums

# Codes of the wider net beyond those of the net, unless that is most of the columns.
_MORE_CODES = 8
# The start may make some directions this much longer than others, no more: distances
# between codes tell less of those between rows, and weights end in float32.
_LARGEST_RATIO = 2.0


class AlternatingLeastSquares(torch.optim.Optimizer):
    """What an epoch of alternating least squares leaves for the next one.

    It has no step on gradients, so the learning rate means nothing.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @property
    def block(self) -> Tensor | None:
        """Orthonormal basis of the span of the wider net's decoder, as columns.

        Before the first epoch, which takes it from the weights, it is None.
        """
        return self._state.get("block")

    @block.setter
    def block(self, block: Tensor) -> None:
        # Files keep no other order, and products round by it.
        self._state["block"] = block.contiguous()

    @property
    def _state(self) -> dict[str, Tensor]:
        return self.state[self.param_groups[0]["params"][0]]


def alternate(net: Any, batches: Batches, sums: TermSums) -> bool:
    """Solve for the encoder and for the decoder; answer whether their span stands.

    Parameters
    ----------
    net : AutoencoderNet
        With `AlternatingLeastSquares` as its optimizer.
    batches : Batches
        All rows, in slices.
    sums : TermSums
        Gets the terms of the objective at the solution.

    Raises
    ------
    InvalidParameterError
        If the net is no linear one, or its objective has other terms.
    """
    solver, linear = net.optimizer_, _LinearNet(net.module_)
    epoch = net.epochs_before + len(net.history)
    generator = make_generator(net.seed, "alternating least squares", epoch)
    if solver.block is None:
        solver.block = _first_block(linear.decoder_weight, generator)
    seen = _look(batches, solver.block)
    weights, terms = linear.solve(seen)
    net.flat_.vector.data.copy_(weights)
    sums.add(terms, len(batches.source))
    # An axis along which nothing varies would never turn.
    fresh = _random_like(seen.axes, seen.axes.shape[1], generator)
    solver.block = _orthonormal(torch.where(seen.varies, seen.images, fresh))
    return seen.stands(linear.n_kept, net.tol)


def count_codes(n_features: int, n_components: int) -> int:
    """Answer how many codes the wider net has: fewer than features, if the net has."""
    if n_components >= n_features:
        return n_features
    return min(n_components + _MORE_CODES, (n_components + n_features) // 2)


def _first_block(start: Tensor, generator: torch.Generator) -> Tensor:
    """Answer what the span of a decoder begins with, of random columns for the rest."""
    n_codes = count_codes(*start.shape)
    drawn = _random_like(start, n_codes + start.shape[1], generator)
    first, more = drawn.split([start.shape[1], n_codes], 1)
    # Weight decay leaves nothing of some codes.
    start = torch.where(start.norm(dim=0) > 0, start, first)
    return _orthonormal(torch.cat([start, more], 1)[:, :n_codes])


def _random_like(tensor: Tensor, n_columns: int, generator: torch.Generator) -> Tensor:
    shape, place = (len(tensor), n_columns), generator.device
    drawn = torch.randn(shape, generator=generator, dtype=tensor.dtype, device=place)
    return drawn.to(tensor.device) / math.sqrt(len(tensor))


def _orthonormal(columns: Tensor) -> Tensor:
    # Of columns of very different lengths the short ones would count for nothing.
    lengths = columns.norm(dim=0)
    return torch.linalg.qr(columns / torch.where(lengths > 0, lengths, 1.0)).Q


@dataclass
class _Seen:
    """What one pass over the rows tells of the codes of the wider net.

    Its encoder is the transpose of its decoder, whose columns are orthonormal: to it
    that is the solution. Axes are what the codes stand for when they are turned so as
    to be uncorrelated, with the most variance first.

    Attributes
    ----------
    mean : Tensor of shape (n_features,)
    total : Tensor of shape ()
        Variance of the rows, summed over features.
    variances : Tensor of shape (n_codes,)
        Of the codes along the axes.
    axes : Tensor of shape (n_features, n_codes)
        Orthonormal.
    varies : Tensor of shape (n_codes,)
        Whether the rows vary along an axis by more than rounding.
    images : Tensor of shape (n_features, n_codes)
        The decoder that the codes along the axes have by least squares; the axis itself
        where nothing varies.
    """

    mean: Tensor
    total: Tensor
    variances: Tensor
    axes: Tensor
    varies: Tensor
    images: Tensor

    def stands(self, n_kept: int, tol: float) -> bool:
        """Whether the span of the first images is that of as many principal components.

        The sine of the angle between the two is bounded by how far the images are off
        their axes, over the gap between the variances (Davis and Kahan 1970).
        """
        varies, rounding = self.varies[:n_kept], self.rounding
        outside = float((self.total - self.variances.sum()).clamp(min=0.0))
        if outside > rounding and not bool(varies.all()):
            # A direction that was drawn anew may find what varies outside.
            return False
        off = (self.images - self.axes)[:, :n_kept][:, varies]
        turn = float(off.norm())
        if turn <= tol:
            return True
        last = float(self.variances[:n_kept][varies][-1])
        is_whole = n_kept == len(self.variances)
        following = outside if is_whole else float(self.variances[n_kept])
        gap = 1 - following / last
        return gap > 0 and (turn / gap) ** 2 <= tol

    @property
    def rounding(self) -> float:
        """Variance that is told from none."""
        return _rounding(self.total, len(self.mean))


def _rounding(total: Tensor, n_features: int) -> float:
    return n_features * torch.finfo(total.dtype).eps * float(total)


def _look(batches: Batches, block: Tensor) -> _Seen:
    """Pass over the rows."""
    n_rows, total, origin = len(batches.source), block.new_zeros(()), None
    sums, products = block.new_zeros(len(block)), torch.zeros_like(block)
    for x, _ in batches:
        if origin is None:
            # Squares of rows far from zero would leave nothing of their variance.
            origin = x.mean(0)
        x = x - origin
        products.addmm_(x.mT, x @ block)
        sums += x.sum(0)
        total += x.square().sum()
    mean = sums / n_rows
    products = products / n_rows - torch.outer(mean, mean @ block)
    total = (total / n_rows - mean @ mean).clamp(min=0.0)
    covariance = block.mT @ products
    variances, turn = torch.linalg.eigh((covariance + covariance.mT) / 2)
    variances, turn = variances.flip(0), turn.flip(1)
    axes = block @ turn
    varies = variances > _rounding(total, len(block))
    variances = torch.where(varies, variances, 0.0)
    images = products @ turn / torch.where(varies, variances, 1.0)
    images = torch.where(varies, images, axes)
    return _Seen(mean + origin, total, variances, axes, varies, images)


class _LinearNet:
    """A shallow linear net, whose weights are those of standardised rows.

    Attributes
    ----------
    decoder_weight : Tensor of shape (n_features, n_components)
    n_kept : int
        How many axes its codes can stand for.
    """

    def __init__(self, module: AutoencoderModule) -> None:
        self._module = module
        self._encoder, self._decoder = _checked_layers(module)
        self._tied = isinstance(self._decoder, TransposedLayer)
        self.decoder_weight = self._decoder.directions.detach().mT
        self.n_kept = min(self.decoder_weight.shape)

    def solve(self, seen: _Seen) -> tuple[Tensor, dict[str, Tensor]]:
        """Answer weights and biases as one vector, and the terms of the objective."""
        kept = slice(self.n_kept)
        variances, axes = seen.variances[kept], seen.axes[:, kept]
        # The turn of tied weights waits for the next pass.
        back = axes if self._tied else seen.images[:, kept]
        share, encoding, decoding = self._codes(axes, variances)
        encoder, decoder = encoding @ axes.mT, back @ decoding
        explained = variances * back.square().sum(0) * share * (2 - share)
        magnitude = self._module.reconstruction.magnitude
        left_over = (seen.total - explained.sum()).clamp(min=0.0)
        terms = {"reconstruction": left_over / magnitude}
        for name, penalty in self._module.penalties.items():
            squares = encoder.square().sum()
            if not self._tied:
                squares = squares + decoder.square().sum()
            terms[name] = penalty.weight * squares
        return self._vector(encoder, decoder, seen.mean), terms

    def _codes(self, axes: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Answer what is kept along each axis, and the ways to the codes and back.

        With weight decay, or tied weights, the solution says so but for a rotation: it
        keeps `1 - decay / variance`, half of it by either part (Kunin et al. 2019).
        Else the codes may be any others that tell the same; they are as the decoder
        that the turn begins with would have them, so far as it turns only.
        """
        before = axes.mT @ self.decoder_weight
        turn, lengths, codes = torch.linalg.svd(before, full_matrices=False)
        decay = self._decay
        if decay or self._tied:
            share = torch.ones_like(variances)
            if decay:
                share = (1 - decay / variances).clamp(min=0.0)
            decoding = share.sqrt()[:, None] * (turn @ codes)
            return share, decoding.mT, decoding
        longest = lengths[0] if lengths[0] > 0 else torch.ones_like(lengths[0])
        lengths = lengths.clamp(min=longest / _LARGEST_RATIO)
        # Of codes and weights that are as large as each other.
        lengths = lengths * (lengths.reciprocal().norm() / lengths.norm()).sqrt()
        encoding = codes.mT @ (turn / lengths).mT
        return torch.ones_like(variances), encoding, (turn * lengths) @ codes

    @property
    def _decay(self) -> float:
        """Weight of what a decoder and an encoder as large as each other add up to."""
        magnitude = self._module.reconstruction.magnitude
        weights = [float(p.weight) for p in self._module.penalties.values()]
        return sum(weights) * float(magnitude) / (2 if self._tied else 1)

    def _vector(self, encoder: Tensor, decoder: Tensor, mean: Tensor) -> Tensor:
        values = {
            self._encoder.weight: encoder,
            self._encoder.bias: -encoder @ mean,
            self._decoder.bias: mean,
        }
        if not self._tied:
            values[self._decoder.weight] = decoder
        parameters = self._module.parameters()
        return torch.cat([values[parameter].reshape(-1) for parameter in parameters])


def _checked_layers(
    module: AutoencoderModule,
) -> tuple[DenseLayer, DenseLayer | TransposedLayer]:
    """Answer the two layers of a net.

    Raises
    ------
    InvalidParameterError
        If there is more to the net, or to its objective.
    """
    cost, parts = module.reconstruction, (module.encoder, module.decoder)
    layers = [part[0] for part in parts if _is_linear_layer(part)]
    if (
        len(layers) == 2
        and type(module) is AutoencoderModule
        and type(cost) is ResidualReconstruction
        and (cost.name, cost.output_activation) == ("squared_error", "identity")
        and type(module.posterior) is Certain
        and module.corruption is None
        and not module.may_miss
        and all(type(part) is WeightDecay for part in module.penalties.values())
    ):
        return layers[0], layers[1]
    raise InvalidParameterError(
        "optimizer='alternating' solves for the weights of a linear autoencoder whose "
        "objective is the squared error, with weight decay or without; with further "
        "terms, noise or missing entries it must be 'lbfgs', 'adam', 'sgd', 'rmsprop' "
        "or a torch class."
    )


def _is_linear_layer(part: nn.Module) -> bool:
    """Whether a part of a net is one linear layer, and nothing else."""
    kinds = (DenseLayer, TransposedLayer)
    inner = list(part.children())
    return (
        type(part) is nn.Sequential
        and [type(layer) in kinds for layer in inner] == [True]
        and inner[0].activation == "identity"
    )
