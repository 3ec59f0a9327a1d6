"""The one table of the contract: every public estimator, and what it accepts.

A new estimator gets one row here, and every test of the contract runs on it. A public
class that is in none of the lists below fails `test_completeness.py`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, settings
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import _num_samples
from toys.game import RealisticAutoencoder
from toys.generator import MomentMatcher
from toys.predictor import BottleneckRegressor
from toys.variant import SmoothAutoencoder

import sklearn_ae
from contract.kinds import GENERATOR, PREDICTOR, Kind, kind_of, needs_of
from sklearn_ae import (
    AdversarialAutoencoder,
    Autoencoder,
    ConditionalVariationalAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    Correntropy,
    DenoisingAutoencoder,
    FlowPrior,
    GaussianMixturePrior,
    GaussianNoise,
    GaussianRing,
    Huber,
    LinearAutoencoder,
    LSTMAutoencoder,
    MaskingNoise,
    RobustAutoencoder,
    SaltAndPepperNoise,
    SparseAutoencoder,
    StackedAutoencoder,
    StandardNormal,
    SwissRoll,
    UniformBox,
    VampPrior,
    VariationalAutoencoder,
)
from sklearn_ae.architectures import LSTM, Architecture, Convolutional, Dense, Residual
from sklearn_ae.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
)

N_ROWS, N_FEATURES = 60, 6
_Test = TypeVar("_Test", bound=Callable[..., None])


@dataclass(frozen=True)
class Row:
    """An estimator and how the contract handles it.

    Attributes
    ----------
    cls : type
    fast : dict
        Constructor arguments with which a fit takes some milliseconds.
    variants : dict of str to dict
        Further arguments, by name, that lead the fit along other paths.
    by_batch : dict
        Arguments with which a fit takes batches of 16 rows, for 4 epochs.
    learns : dict
        Arguments with which a fit learns something real in less than a second.
    diverges : dict
        Arguments with which a fit diverges in its first epochs.
    wide : tuple of dict
        Arguments of nets of which several threads train the last one, on 600 rows of
        300 features.
    sparse : bool
        Whether sparse rows are accepted.
    shift_scale : bool
        Whether a shift and a scale of X leave the score as it is.
    missing : bool
        Whether NaN stands for a missing entry.
    shaped : bool
        Whether rows may be images, or have several axes otherwise.
    sequences : bool
        Whether NaN stands for steps that a sequence no longer has.
    generative : bool
        Whether it has `sample` without a density of its codes.
    in_nats : bool
        Whether `score` is a log-likelihood in nats per row, not a share of variance.
    constant : dict
        Arguments with which rows that are all the same have a code of 0, so that their
        mean, which is known from the start, is their reconstruction.
    constant_within : float
        How nearly so; codes that are drawn move the decoder by a little.
    supervised : dict
        Arguments with which the training looks at y; none where it always does.
    needs_y : bool
        Whether it is trained with labels, or targets, which have to be passed.
    takes_rows : bool
        Whether its targets are rows.
    plain : bool
        Whether its objective is the squared error of clean rows.
    stopping_early : dict
        Arguments with which early stopping ends the fit before `max_epochs`.
    """

    cls: type[BaseEstimator]
    fast: dict[str, Any]
    variants: dict[str, dict[str, Any]]
    by_batch: dict[str, Any]
    learns: dict[str, Any]
    diverges: dict[str, Any]
    wide: tuple[dict[str, Any], ...]
    sparse: bool
    shift_scale: bool
    missing: bool = False
    shaped: bool = False
    sequences: bool = False
    generative: bool = False
    in_nats: bool = False
    constant: dict[str, Any] = field(default_factory=dict)
    constant_within: float = 1e-6
    supervised: dict[str, Any] | None = None
    needs_y: bool = False
    takes_rows: bool = False
    plain: bool = True
    stopping_early: dict[str, Any] = field(
        default_factory=lambda: {
            "early_stopping": True,
            "max_epochs": 50,
            "n_iter_no_change": 2,
            "tol": 1.0,
        }
    )

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def kind(self) -> Kind:
        """The kind of the class, whatever else the row says of it."""
        return kind_of(self.cls)

    @property
    def offers(self) -> set[str]:
        """What tests may need, see `NEEDS`."""
        others = {"rows" if self.takes_rows else "labels"}
        others |= set() if self in TOYS else {"public"}
        return {*dir(self.cls)} | others

    def can_be_asked(self, test: Callable[..., None]) -> bool:
        """Whether the class has what a test needs."""
        return needs_of(test.__name__) <= self.offers

    def targets(self, X: Any) -> np.ndarray:
        """Answer a y for the rows of X: labels, or rows where those are needed."""
        return np.asarray(X)[:, :2] ** 2 if self.takes_rows else labels(X)

    def explained(self, estimator: Any, X: np.ndarray) -> float:
        """Answer the share of variance that reconstructions explain."""
        if not self.in_nats:
            return estimator.score(X)
        error = estimator.reconstruction_error(X).mean()
        return 1 - error / X.var(axis=0).mean()

    def score_of_multiple(self, score: float, factor: float, n_features: int) -> float:
        """Answer what rows times a factor score that score `score` as they are."""
        return score - n_features * math.log(factor) if self.in_nats else score

    def loss_of_multiple(self, loss: Any, factor: float, n_features: int) -> Any:
        """Answer the loss of rows times a factor, from that of the rows as they are."""
        if self.in_nats:
            return np.add(loss, n_features * math.log(factor))
        return factor**2 * np.asarray(loss)

    @property
    def takes_density(self) -> bool:
        """Whether a density of the codes may be asked of it."""
        return "latent_density" in self.cls().get_params()

    def sampling(self, density: Any) -> dict[str, Any]:
        """Answer the arguments with which it has `sample`, by this density if any."""
        return {"latent_density": density} if self.takes_density else {}

    def make(self, *n_components: int, **params: Any) -> Any:
        """Answer an unfitted estimator that is fast to fit."""
        named = {"random_state": 0, **self.fast, **params}
        if n_components:
            named.pop("n_components", None)
        return self.cls(*n_components, **named)


def flipped_signs(X: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """Flip the signs of some entries: a noise of one's own."""
    return X * random_state.choice([-1, 1], X.shape, p=[0.1, 0.9])


def fitted_mixture() -> GaussianMixture:
    """Answer a density of codes that is not fitted on any."""
    Z = np.random.default_rng(0).normal(size=(200, 2))
    return GaussianMixture(2, random_state=0).fit(Z)


def uniform_codes(n: int, random_state: np.random.RandomState) -> np.ndarray:
    """Draw codes: a prior of one's own."""
    return random_state.uniform(-1, 1, (n, 2))


# Of the variational classes.
VARIATIONAL = {
    "by_batch": {"batch_size": 16, "max_epochs": 4},
    "learns": {
        "hidden_layer_sizes": (64,),
        "max_epochs": 40,
        "n_components": 8,
        # With longer steps a rounding decides where a fit ends.
        "learning_rate": 1e-3,
    },
    "diverges": {"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
    "wide": (
        {
            "hidden_layer_sizes": (200,),
            "n_components": 64,
            "batch_size": 300,
            "max_epochs": 1,
        },
    ),
    "sparse": True,
    "shift_scale": True,
    "plain": False,
    "generative": True,
    "in_nats": True,
    "constant_within": 0.01,
}

ROWS = [
    Row(
        Autoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={
            "cross_entropy": {"loss": "binary_cross_entropy"},
            "tied": {"tied_weights": True, "weight_decay": 1e-3},
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2},
            "huber": {"loss": Huber(delta=0.1), "optimizer": "sgd", "batch_size": 7},
            "multinomial": {"loss": "multinomial", "code_activation": "tanh"},
            "correntropy": {"loss": Correntropy(kernel_width=0.5)},
            "absolute": {"loss": "absolute_error", "activation": "binary"},
            "autograd": {"optimizer": partial(torch.optim.AdamW, amsgrad=True)},
            "schedule": {"learning_rate_schedule": "cosine", "optimizer": "rmsprop"},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 12, "n_components": 8},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "hidden_layer_sizes": (512,),
                "n_components": 100,
                "batch_size": 200,
                "max_epochs": 1,
            },
            {
                "hidden_layer_sizes": (200,),
                "batch_size": 300,
                "max_epochs": 1,
                "optimizer": "sgd",
                "tied_weights": True,
                "weight_decay": 0.1,
            },
            # Thin products, exponentials, and an odd number of them.
            {
                "hidden_layer_sizes": (513,),
                "n_components": 10,
                "batch_size": 333,
                "max_epochs": 1,
                "activation": "silu",
                "loss": "binary_cross_entropy",
            },
        ),
        sparse=True,
        shift_scale=True,
    ),
    Row(
        LinearAutoencoder,
        fast={"max_epochs": 2},
        variants={
            "adam": {"optimizer": "adam", "batch_size": 16},
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2},
            "decay": {"weight_decay": 1e-3},
            "tied": {"tied_weights": True, "weight_decay": 1e-3},
        },
        by_batch={"optimizer": "adam", "batch_size": 16, "max_epochs": 4},
        learns={"max_epochs": 5, "n_components": 8},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {"n_components": 100, "max_epochs": 1},
            {
                "n_components": 100,
                "max_epochs": 1,
                "optimizer": "adam",
                "batch_size": 600,
            },
        ),
        sparse=True,
        shift_scale=True,
    ),
    Row(
        SparseAutoencoder,
        fast={"n_components": 2, "max_epochs": 2, "batch_size": 16},
        variants={
            "l1": {"penalty": "l1", "alpha": 0.01},
            "top_k": {"penalty": "top_k", "k": 1},
            "deep": {"hidden_layer_sizes": (7,), "code_activation": "tanh"},
        },
        by_batch={"batch_size": 16, "max_epochs": 4, "alpha": 0.01},
        constant={"penalty": "l1"},
        learns={"n_components": 32, "max_epochs": 30, "alpha": 0.001},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {"n_components": 500, "batch_size": 300, "max_epochs": 1},
            {
                "n_components": 500,
                "batch_size": 300,
                "max_epochs": 1,
                "penalty": "top_k",
            },
        ),
        sparse=True,
        # The weight of the penalty has units.
        shift_scale=False,
        plain=False,
    ),
    Row(
        ContractiveAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={
            "one layer": {"hidden_layer_sizes": (), "code_activation": "logistic"},
            "projected": {"n_projections": 2},
            "linear": {
                "hidden_layer_sizes": (),
                "tied_weights": True,
                "optimizer": "lbfgs",
                "max_epochs": 2,
            },
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={
            "hidden_layer_sizes": (64,),
            "max_epochs": 12,
            "n_components": 8,
            "alpha": 1e-4,
        },
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "n_projections": 1,
                "batch_size": 300,
                "max_epochs": 1,
            },
            {
                "hidden_layer_sizes": (),
                "n_components": 200,
                "code_activation": "tanh",
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=True,
        shift_scale=False,
        plain=False,
    ),
    Row(
        ConvolutionalAutoencoder,
        fast={"hidden_layer_sizes": (3, 4), "max_epochs": 2, "batch_size": 16},
        variants={
            "residual": {
                "architecture": Residual(n_blocks=2),
                "hidden_layer_sizes": (2, 2),
            },
            "normalised": {
                "architecture": Convolutional(kernel_size=4, normalization="layer")
            },
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2, "weight_decay": 1e-3},
            "cross_entropy": {"loss": "binary_cross_entropy", "activation": "tanh"},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={
            "hidden_layer_sizes": (8, 16),
            "max_epochs": 15,
            "n_components": 8,
            "learning_rate": 0.01,
        },
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "architecture": Convolutional((15, 20)),
                "hidden_layer_sizes": (32, 64),
                "batch_size": 300,
                "max_epochs": 1,
            },
            {
                "hidden_layer_sizes": (16, 32),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=False,
        shift_scale=True,
        shaped=True,
    ),
    Row(
        LSTMAutoencoder,
        fast={"hidden_layer_sizes": (4,), "max_epochs": 2, "batch_size": 16},
        variants={
            "bidirectional": {"architecture": LSTM(bidirectional=True)},
            "autoregressive": {
                "architecture": LSTM(autoregressive=True),
                "hidden_layer_sizes": (3, 4),
            },
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2, "weight_decay": 1e-3},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={
            "architecture": LSTM(1),
            "hidden_layer_sizes": (32,),
            "max_epochs": 20,
            "n_components": 8,
            "learning_rate": 0.01,
        },
        # Saturated gates hold it back.
        diverges={"optimizer": "sgd", "learning_rate": 1e30, "max_epochs": 20},
        wide=(
            {
                "architecture": LSTM(3),
                "hidden_layer_sizes": (128,),
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=False,
        shift_scale=True,
        shaped=True,
        sequences=True,
    ),
    Row(
        DenoisingAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={
            "gaussian": {"noise": GaussianNoise(), "noise_level": 0.1},
            "salt_and_pepper": {"noise": "salt_and_pepper", "activation": "tanh"},
            "function": {"noise": flipped_signs},
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2, "noise_level": 0.01},
            "autograd": {"optimizer": partial(torch.optim.AdamW, amsgrad=True)},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 12, "n_components": 8},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=True,
        shift_scale=True,
        missing=True,
        plain=False,
    ),
    Row(
        RobustAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={
            "width": {"kernel_width": 0.5},
            "tied": {"tied_weights": True, "weight_decay": 1e-3},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 12, "n_components": 8},
        # Its gradient vanishes far from the rows.
        diverges={"optimizer": "sgd", "learning_rate": 1e40, "max_epochs": 20},
        wide=(
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=True,
        # No squared error: features of little variance have the most weight.
        shift_scale=False,
        plain=False,
    ),
    Row(
        StackedAutoencoder,
        fast={
            "hidden_layer_sizes": (8, 4),
            "max_epochs": 2,
            "pretraining_epochs": 1,
            "batch_size": 16,
        },
        variants={
            "rbm": {"pretraining": "rbm", "activation": "logistic"},
            "binary rbm": {
                "pretraining": "rbm",
                "activation": "logistic",
                "loss": "binary_cross_entropy",
            },
        },
        by_batch={"batch_size": 16, "max_epochs": 4, "pretraining_epochs": 1},
        learns={
            "hidden_layer_sizes": (64, 32),
            "max_epochs": 12,
            "n_components": 8,
            "pretraining_epochs": 5,
        },
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
                "pretraining_epochs": 1,
            },
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
                "pretraining": "rbm",
                "activation": "logistic",
                "pretraining_epochs": 1,
            },
        ),
        sparse=True,
        shift_scale=True,
    ),
    Row(
        VariationalAutoencoder,
        fast={
            "hidden_layer_sizes": (8,),
            "max_epochs": 2,
            "batch_size": 16,
            # Of four longer steps constant rows would still show.
            "learning_rate": 1e-3,
        },
        variants={
            "bernoulli": {"likelihood": "bernoulli", "n_latent_samples": 3},
            "one variance": {"noise_variance": "learned", "beta": 0.5},
            "variance": {"noise_variance": 0.01, "code_activation": "tanh"},
            "info": {"mmd_weight": 5.0, "beta": 0.0, "learning_rate": 0.01},
            "warm-up": {"kl_warmup_epochs": 2, "learning_rate": 0.01},
            "vamp": {"prior": VampPrior(n_pseudo_inputs=7), "free_bits": 0.1},
            "mixture": {"prior": GaussianMixturePrior(n_modes=3), "mmd_weight": 1.0},
            "flow": {
                "prior": FlowPrior(n_transforms=1, hidden_layer_sizes=(6,)),
                "learning_rate": 0.01,
            },
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2, "weight_decay": 1e-3},
            "greedy": {"pretraining": "greedy", "pretraining_epochs": 2},
        },
        **VARIATIONAL,
    ),
    Row(
        ConditionalVariationalAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={
            "bernoulli": {"likelihood": "bernoulli", "n_latent_samples": 3},
            "class priors": {"conditional_prior": True},
            "vamp": {"prior": VampPrior(n_pseudo_inputs=7), "free_bits": 0.1},
            "mixture": {"prior": GaussianMixturePrior(n_modes=3), "mmd_weight": 1.0},
            "lbfgs": {"optimizer": "lbfgs", "max_epochs": 2, "weight_decay": 1e-3},
            "greedy": {"pretraining": "greedy", "pretraining_epochs": 2},
        },
        **VARIATIONAL,
        # The decoder has to learn first that labels tell nothing of them.
        constant={"max_epochs": 200},
        supervised={},
        needs_y=True,
    ),
    Row(
        AdversarialAutoencoder,
        fast={
            "hidden_layer_sizes": (8,),
            "discriminator_hidden_layer_sizes": (8,),
            "max_epochs": 2,
            "batch_size": 16,
        },
        variants={
            "ring": {
                "n_components": 2,
                "prior": GaussianRing(n_modes=3),
                "optimizer": "sgd",
            },
            "roll": {
                "n_components": 2,
                "prior": "swiss_roll",
                "learning_rate_ratio": 0.5,
            },
            "mixture": {"n_components": 2, "prior": fitted_mixture()},
            "function": {"n_components": 2, "prior": uniform_codes},
            "tied": {"tied_weights": True, "prior": "uniform"},
            "no game": {"alpha": 0.0},
        },
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={
            "hidden_layer_sizes": (64,),
            "max_epochs": 40,
            "n_components": 8,
            "learning_rate": 3e-3,
            # With more of it the game decides where a fit ends, by chance.
            "alpha": 0.1,
        },
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=(
            {
                "discriminator_hidden_layer_sizes": (512, 512),
                "batch_size": 300,
                "max_epochs": 1,
            },
            {
                "hidden_layer_sizes": (200,),
                "n_components": 64,
                "batch_size": 300,
                "max_epochs": 1,
            },
        ),
        sparse=True,
        shift_scale=True,
        generative=True,
        # In a game the code goes where draws are.
        constant={"alpha": 0.0},
        supervised={"label_conditioned": True, "prior": "gaussian_ring"},
        plain=False,
    ),
]

# Public classes that are no estimators: parts that are passed in, and errors.
SPECS = [
    LSTM,
    Convolutional,
    Correntropy,
    Dense,
    FlowPrior,
    GaussianMixturePrior,
    GaussianNoise,
    GaussianRing,
    Huber,
    MaskingNoise,
    Residual,
    SaltAndPepperNoise,
    VampPrior,
    StandardNormal,
    SwissRoll,
    UniformBox,
]
# They fit estimators, and have tests of their own.
SEARCHES = [BatchedGridSearchCV, BatchedRandomizedSearchCV]
ERRORS = [sklearn_ae.DivergenceError]
# For specs of one's own.
ABSTRACT = [Architecture]


_TOY_WIDE = ({"hidden_layer_sizes": (512,), "batch_size": 300, "max_epochs": 1},)
# Small estimators, one of each kind: the contract holds for what is still to come.
TOYS = [
    Row(
        SmoothAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={},
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 12, "n_components": 8},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=_TOY_WIDE,
        sparse=True,
        # The weight of the penalty has units.
        shift_scale=False,
        plain=False,
    ),
    Row(
        RealisticAutoencoder,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={},
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 12, "n_components": 8},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=_TOY_WIDE,
        sparse=True,
        shift_scale=False,
        plain=False,
    ),
    Row(
        MomentMatcher,
        fast={
            "hidden_layer_sizes": (8,),
            "max_epochs": 2,
            "batch_size": 16,
            # Of shorter steps less is gained than draws differ by.
            "learning_rate": 0.01,
        },
        variants={},
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 40, "learning_rate": 0.01},
        diverges={"optimizer": "sgd", "learning_rate": 1e30, "max_epochs": 20},
        wide=_TOY_WIDE,
        sparse=True,
        shift_scale=False,
        generative=True,
        plain=False,
    ),
    Row(
        BottleneckRegressor,
        fast={"hidden_layer_sizes": (8,), "max_epochs": 2, "batch_size": 16},
        variants={},
        by_batch={"batch_size": 16, "max_epochs": 4},
        learns={"hidden_layer_sizes": (64,), "max_epochs": 30, "learning_rate": 0.01},
        diverges={"optimizer": "sgd", "learning_rate": 1e6, "max_epochs": 20},
        wide=_TOY_WIDE,
        sparse=True,
        shift_scale=False,
        needs_y=True,
        takes_rows=True,
        plain=False,
    ),
]


def _configurations(row: Row) -> dict[str, dict[str, Any]]:
    """Answer a row's fast arguments alone, with early stopping, and each variant."""
    named = {"early_stopping": row.stopping_early, **row.variants}
    return {row.name: {}} | {f"{row.name}-{k}": params for k, params in named.items()}


_NAMED = [(row, name, p) for row in ROWS for name, p in _configurations(row).items()]
CASES = [(row, params) for row, _, params in _NAMED]
CASES_BY_NAME = {name: (row, params) for row, name, params in _NAMED}


def is_turn(row: Row, number: int) -> bool:
    """Whether a class has its turn, as every third has for each of some numbers.

    What all classes share is shown in pairs: of each class some, by some class each.
    """
    return [*ROWS, *TOYS].index(row) % 3 == number % 3


# Many cases at a time: each class as it is, and what else the table has of them.
SETS = {
    "classes": [case for case in CASES if not case[1]],
    "variants": [case for case in CASES if case[1]],
}
set_names = [
    pytest.param(name, marks=pytest.mark.variant if name == "variants" else ())
    for name in SETS
]

# What is public, at its defaults but for speed, is asked in each run. The variants have
# a run of their own: there are more with each class. So have the toys.
_NAMED_TOYS = [
    (row, name, p) for row in TOYS for name, p in _configurations(row).items()
]


def _param(row: Row, *others: Any, name: str, is_variant: Any) -> Any:
    marks = pytest.mark.variant if is_variant or row in TOYS else ()
    return pytest.param(row, *others, id=name, marks=marks)


def every_class(test: _Test) -> _Test:
    """Run a test on each class that has what the test needs."""
    asked = [row for row in [*ROWS, *TOYS] if row.can_be_asked(test)]
    rows = [_param(row, name=row.name, is_variant=False) for row in asked]
    return pytest.mark.parametrize("row", rows)(test)


def every_case(test: _Test) -> _Test:
    """Run a test on each class that has what it needs, and on each of its variants."""
    cases = [
        _param(row, params, name=name, is_variant=params)
        for row, name, params in [*_NAMED, *_NAMED_TOYS]
        if row.can_be_asked(test)
    ]
    return pytest.mark.parametrize(("row", "params"), cases)(test)


def every_case_and(name: str, values: Sequence[Any]) -> Callable[[_Test], _Test]:
    """Run a test on each class with all values, on each variant with one in turn."""

    def decorate(test: _Test) -> _Test:
        cases = []
        for turn, (row, case, params) in enumerate([*_NAMED, *_NAMED_TOYS]):
            if not row.can_be_asked(test):
                continue
            for value in [values[turn % len(values)]] if params else values:
                label = f"{case}-{getattr(value, '__name__', value)}"
                cases.append(_param(row, params, value, name=label, is_variant=params))
        return pytest.mark.parametrize(("row", "params", name), cases)(test)

    return decorate


# The same examples in every run, however slow the machine.
examples = partial(
    settings,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def structured_rows(
    n_rows: int = N_ROWS, n_features: int = N_FEATURES, seed: int = 0
) -> np.ndarray:
    """Answer rows in [0, 1] near a plane, of float64."""
    rng = np.random.default_rng(seed)
    plane = rng.normal(size=(n_rows, 2)) @ rng.normal(size=(2, n_features))
    X = plane + 0.1 * rng.normal(size=(n_rows, n_features))
    return (X - X.min()) / np.ptp(X)


def sparse_rows(n_rows: int, n_features: int, density: float) -> scipy.sparse.csr_array:
    """Answer CSR rows of which few entries are there, all of them in (0, 1)."""
    rng = np.random.default_rng(0)
    n_entries = round(density * n_rows * n_features)
    places = rng.choice(n_rows * n_features, n_entries, replace=False)
    shape = n_rows, n_features
    entries = 1 - rng.random(n_entries), np.unravel_index(places, shape)
    return scipy.sparse.csr_array(entries, shape=shape)


def labels(X: Any) -> np.ndarray:
    """Answer labels of three classes for the rows of X, whatever X is, by position."""
    return np.array(["b", "a", "c"])[np.arange(_num_samples(X)) % 3]


def weights(estimator: Any) -> dict[str, np.ndarray]:
    """Answer the trained weights by name."""
    parameters = estimator.to_module().named_parameters()
    return {name: p.detach().numpy() for name, p in parameters}


def dense(Z: Any) -> np.ndarray:
    """Answer codes as an ndarray, also where `transform` answers sparse ones."""
    return Z.toarray() if scipy.sparse.issparse(Z) else np.asarray(Z)


def answers(estimator: Any, X: Any) -> dict[str, np.ndarray]:
    """Answer what every method that looks at rows says of X."""
    kind = kind_of(type(estimator))
    if kind is GENERATOR:
        return {
            "sample": estimator.sample(9, random_state=0),
            "inverse_transform": estimator.inverse_transform(
                np.eye(estimator.n_components)
            ),
            "score": np.array(estimator.score(X)),
        }
    if kind is PREDICTOR:
        return {"predict": estimator.predict(X)}
    return {
        "transform": dense(estimator.transform(X)),
        "reconstruct": estimator.reconstruct(X),
        "reconstruction_error": estimator.reconstruction_error(X),
        "score_samples": estimator.score_samples(X),
        "score": np.array(estimator.score(X)),
    }


def fitted_numbers(estimator: Any) -> dict[str, np.ndarray]:
    """Answer the public fitted attributes that are numbers."""
    found = {}
    for name, value in vars(estimator).items():
        is_public = name.endswith("_") and not name.startswith("_")
        if is_public and isinstance(value, (int, float, list, np.ndarray)):
            array = np.asarray(value) if name != "history_" else np.array([])
            if array.dtype.kind in "if":
                found[name] = array
    return found


def digest(estimator: Any, X: Any) -> str:
    """Answer a hash of the weights, the loss curve and all answers to X."""
    found = hashlib.sha256(repr(estimator.loss_curve_).encode())
    for part in (weights(estimator), answers(estimator, X), fitted_numbers(estimator)):
        for name, array in sorted(part.items()):
            found.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def assert_same_model(one: Any, other: Any) -> None:
    """Assert that the weights of two estimators are bit-equal."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
