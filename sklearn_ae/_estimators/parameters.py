"""The parameters that every estimator has: fields, constraints and documentation.

Each is declared here once. A subclass is a dataclass by inheritance: it declares and
documents only what is its own, and `Parameters` completes signature, constraints and
docstring.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
)

from sklearn_ae._compute.ambient import Undisturbed
from sklearn_ae._estimators.docstrings import ShortSignature, merge_docstrings
from sklearn_ae._estimators.hints import Hints, hint_on_spec
from sklearn_ae._files.registry import CLASSES
from sklearn_ae._layers.dense import checked_widths
from sklearn_ae._layers.functions import ACTIVATIONS
from sklearn_ae._objective.losses import LOSSES, Loss
from sklearn_ae._objective.specs import SPECS, resolve_spec
from sklearn_ae.architectures import ARCHITECTURES, Architecture

# What says how a net is trained, or what comes after it, and not what it is.
TRAINING = frozenset(
    {
        *("optimizer", "learning_rate", "learning_rate_schedule", "batch_size"),
        *("max_epochs", "tol", "n_iter_no_change", "early_stopping"),
        *("validation_fraction", "warm_start", "pretraining", "pretraining_epochs"),
        *("callbacks", "latent_density", "device", "random_state", "verbose"),
    }
)

_POSITIVE_INTEGER = Interval(Integral, 1, None, closed="left")
_ACTIVATION = StrOptions(set(ACTIVATIONS))


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters(Hints, Undisturbed):
    """Parameters of every estimator.

    Parameters
    ----------
    n_components : int, default=2
        Number of components of the code.
    hidden_layer_sizes : tuple of int or int, default=(256, 128)
        Widths of the encoder's hidden layers, mirrored in the decoder: units of dense
        or recurrent layers, channels of convolutions. `64` is one layer, as `(64,)` is,
        and `()` a shallow net.
    activation : str, default="relu"
        Activation of the hidden layers: "identity", "relu", "logistic", "tanh",
        "selu", "elu", "gelu", "silu", "leaky_relu" or "binary" (a step from 0 to 1
        whose gradient is the logistic function's).
    code_activation : str, default="identity"
        Activation of the code, one of the same.
    output_activation : str, default="auto"
        Activation of the reconstruction, one of the same; it maps to data units.
        "auto" follows the loss: logistic for binary cross-entropy, identity otherwise.
    architecture : str, spec or tuple of callables, default="dense"
        What the encoder and the decoder are made of: "dense", "convolutional",
        "residual", "lstm", a spec of :mod:`sklearn_ae.architectures` such as
        `Convolutional(kernel_size=5)`, or `(Encoder, Decoder)`, two classes of torch
        modules that are called with their numbers of inputs and outputs. Of the
        parameters of a net such a pair has `code_activation` and `output_activation`
        only; it cannot be written to a file, and pickled only as classes can.
    tied_weights : bool, default=False
        Whether the decoder's weights are the encoder's, transposed.
    loss : str or spec, default="squared_error"
        Cost of a reconstruction, summed over features: "squared_error",
        "absolute_error", "huber" (or `Huber(delta)`), "correntropy" (or
        `Correntropy(kernel_width)`), "binary_cross_entropy" (in nats, for X in [0, 1])
        or "multinomial" (in nats, for counts or proportions; softmax output, of the
        average length of the training rows).
    pretraining : {"greedy", "rbm"} or None, default=None
        What the weights of a dense net start from: "greedy" trains layer after layer,
        each a shallow autoencoder of the same kind with tied weights on the codes of
        the layer below; "rbm" trains restricted Boltzmann machines by contrastive
        divergence (for logistic layers and a logistic or linear code; with Gaussian
        visible units, or binary ones for binary cross-entropy). The decoder starts
        from the transposes, and the whole net is trained on.
    pretraining_epochs : int, default=20
        Passes over the rows for each layer.
    initialization : "auto" or float, default="auto"
        Standard deviation of the initial weights; "auto" chooses it for each layer by
        its activation and width.
    optimizer : str or callable, default="adam"
        "adam", "sgd" (Nesterov momentum 0.9), "rmsprop", "lbfgs" (strong Wolfe line
        search on all rows, in float64; learning rate, schedule and batch size are
        ignored, and an epoch is at most 20 iterations), a torch optimizer class or a
        `functools.partial` of one; its own weight decay is set to 0.
    learning_rate : float, default=1e-3
        First step size of the optimizer.
    learning_rate_schedule : str or callable, default=None
        "cosine" (to 0 at `max_epochs`), "exponential" (to a hundredth at
        `max_epochs`), "plateau" (to a tenth whenever half of `n_iter_no_change`
        epochs have not improved the objective, see `tol`), or a `functools.partial` of
        a torch scheduler; one step an epoch.
    weight_decay : float, default=0.0
        The objective contains `weight_decay` times the sum of all squared weights
        (biases are left out). It means the same for every optimizer.
    batch_size : int or "auto", default="auto"
        Rows in a batch; the last batch of an epoch may be smaller. "auto" is a power
        of two near a fortieth of the rows, from 32 to 256.
    max_epochs : int, default=60
        Passes over the rows at most; 0 leaves a pretrained net as it is.
    tol : float, default=1e-4
        Training ends when `n_iter_no_change` epochs have not improved the objective by
        `tol` times its value in the first epoch (above the least that the loss can be,
        where that is not 0: `"correntropy"` is negative).
    n_iter_no_change : int, default=10
        See `tol`.
    early_stopping : bool, default=False
        Whether to watch the objective on held-out rows instead of the training rows,
        and to keep the weights that were best on them.
    validation_fraction : float, default=0.1
        Share of the rows, drawn at random, that early stopping holds out.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with the shift, the
        scale and the random streams of the first.
    callbacks : list of skorch callbacks, default=None
        Passed through to the training loop, each as a copy. Those that watch
        "valid_loss" need `early_stopping=True`; the rows of a scoring callback are
        their own target, and its `y` is None.
    latent_density : scikit-learn density, default=None
        Fitted on the codes, for example `GaussianMixture` or `KernelDensity`: it gives
        the estimator `sample`.
    device : str or torch.device, default="cpu"
        "cpu", "cuda", "cuda:1", "xpu", "mps" and so on; "auto" is cuda where there is
        one, else cpu. Of several GPUs the worker processes of joblib and Dask take one
        after another.
    random_state : int, RandomState instance or None, default=None
        An int makes the fit repeatable: on the CPU bit for bit with the same number of
        torch's threads, or with any number if the net is so small that it is trained in
        one; larger nets then differ by rounding.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, where `fit` saw names.
    history_ : list of dict
        One record per epoch of the training loop, with times in seconds. The last one
        of a fit says by its `stopped_by` which parameter has ended it: "max_epochs",
        "n_iter_no_change", "callbacks" or "optimizer", where nothing is left to gain.
    latent_density_ : object
        The fitted `latent_density`, where there is one.
    loss_ : float
        Objective on the training rows in the last epoch, or in the epoch whose
        weights early stopping has kept. It is a mean over rows of sums over features,
        in the units of the loss.
    loss_curve_ : list of float
        Objective on the training rows in each epoch.
    loss_terms_ : dict of str to list of float
        The terms that `loss_curve_` is the sum of, by name.
    n_features_in_ : int
        Number of columns of X.
    n_iter_ : int
        Number of epochs trained.
    pretraining_curves_ : list of list of float
        Loss in each epoch of each layer's pretraining, where there was one: the layer's
        objective, or of "rbm" the squared error of a reconstruction.
    validation_scores_ : list of float or None
        Negative objective on the held-out rows after each epoch, with early stopping.
    """

    # Attributes that parameters which a class has removed would have brought.
    _absent_attributes: ClassVar[tuple[str, ...]] = ()
    # Those of its parameters that do not say what its net is.
    _apart_from_net: ClassVar[frozenset[str]] = TRAINING

    _parameter_constraints = {
        "n_components": [_POSITIVE_INTEGER],
        "hidden_layer_sizes": ["array-like", _POSITIVE_INTEGER],
        "activation": [_ACTIVATION],
        "code_activation": [_ACTIVATION],
        "output_activation": [StrOptions({"auto", *ACTIVATIONS})],
        "architecture": [StrOptions(set(ARCHITECTURES)), Architecture, tuple],
        "tied_weights": ["boolean"],
        "loss": [StrOptions(set(LOSSES)), Loss],
        "initialization": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "optimizer": [StrOptions({"adam", "sgd", "rmsprop", "lbfgs"}), callable],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "learning_rate_schedule": [
            StrOptions({"cosine", "exponential", "plateau"}),
            callable,
            None,
        ],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), _POSITIVE_INTEGER],
        "max_epochs": [Interval(Integral, 0, None, closed="left")],
        "pretraining": [StrOptions({"greedy", "rbm"}), None],
        "pretraining_epochs": [_POSITIVE_INTEGER],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [_POSITIVE_INTEGER],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "warm_start": ["boolean"],
        "callbacks": [list, tuple, None],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    n_components: int = field(default=2, kw_only=False)
    hidden_layer_sizes: tuple[int, ...] | int = (256, 128)
    activation: str = "relu"
    code_activation: str = "identity"
    output_activation: str = "auto"
    architecture: str | Architecture | tuple[Callable[..., Any], ...] = "dense"
    tied_weights: bool = False
    loss: str | Loss = "squared_error"
    pretraining: str | None = None
    pretraining_epochs: int = 20
    initialization: str | float = "auto"
    optimizer: str | Callable[..., Any] = "adam"
    learning_rate: float = 1e-3
    learning_rate_schedule: str | Callable[..., Any] | None = None
    weight_decay: float = 0.0
    batch_size: int | str = "auto"
    max_epochs: int = 60
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    warm_start: bool = False
    callbacks: list[Any] | None = None
    latent_density: Any = None
    device: str | torch.device = "cpu"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # What is its own, as what follows completes it.
        cls._own_constraints = cls.__dict__.get("_parameter_constraints", {})
        cls._own_documentation = cls.__doc__
        if "n_components" in cls.__dict__.get("__annotations__", {}):
            # A new default must not make the only positional parameter keyword-only.
            cls.n_components = field(default=cls.n_components, kw_only=False)
        _inherit_fields(cls)
        dataclass(cls, eq=False, repr=False, kw_only=True)
        names = [f.name for f in dataclasses.fields(cls) if f.init]
        bases = [base for base in cls.__mro__ if issubclass(base, Parameters)]
        constraints: dict[str, list[Any]] = {}
        for base in reversed(bases):
            constraints |= base._own_constraints
        cls._parameter_constraints = {name: constraints[name] for name in names}
        documentation = [base._own_documentation for base in bases]
        cls.__doc__ = merge_docstrings(documentation, names, cls._absent_attributes)
        cls.__signature__ = ShortSignature.of(cls.__init__)
        if cls.__module__.startswith("sklearn_ae.") and cls.__name__[:4] != "Base":
            CLASSES[cls.__name__] = cls

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of specs, as in `loss__delta=2`.

        A name is replaced by a spec of its own where a parameter of the spec is set.

        Parameters
        ----------
        **params : dict

        Returns
        -------
        self : estimator
        """
        super().set_params(**{k: v for k, v in params.items() if "__" not in k})
        nested = {k: v for k, v in params.items() if "__" in k}
        asked = {key.partition("__")[0] for key in nested}
        for name in asked & set(self.get_params(deep=False)):
            value = getattr(self, name)
            if name not in SPECS:
                if not hasattr(value, "set_params"):
                    key = next(key for key in nested if key.startswith(f"{name}__"))
                    raise ValueError(
                        f"Invalid parameter {key!r} for estimator {self}: "
                        f"{name}={value!r} has none. Set {name} as a whole."
                    )
                continue
            is_name = isinstance(value, str) and value in SPECS[name]
            # A copy, not a clone: an object that was fitted stays so.
            spec = self._spec(name) if is_name else copy.deepcopy(value)
            setattr(self, name, spec)
        try:
            return super().set_params(**nested)
        except ValueError as error:
            hints = {hint_on_spec(*key.split("__", 1)) for key in nested}
            raise ValueError(f"{error}{''.join(hints)}") from None

    def _spec(self, name: str) -> Any:
        """Answer the spec that a parameter is, or stands for."""
        return resolve_spec(name, getattr(self, name))

    def _check_parameters(self) -> None:
        """Refuse parameters that `fit` would refuse."""
        self._validate_params()
        self._checked_hidden_layer_sizes()

    def _checked_hidden_layer_sizes(
        self, name: str = "hidden_layer_sizes"
    ) -> tuple[int, ...]:
        return checked_widths(getattr(self, name), name, type(self).__name__)


Parameters._own_constraints = Parameters._parameter_constraints
Parameters._own_documentation = Parameters.__doc__


def _inherit_fields(cls: type[Parameters]) -> None:
    """Let a class of several bases have each field of the first that declares it.

    To `dataclass` a base declares all that it has, whatever it has it from.
    """
    inherited = {}
    for base in reversed(cls.__mro__[1:]):
        if "__dataclass_fields__" in base.__dict__:
            # Not class variables, which are among those as well.
            inherited |= {f.name: f for f in dataclasses.fields(base)}
    own = cls.__dict__.get("__annotations__", {})
    for name in inherited.keys() - own.keys():
        owner = next(b for b in cls.__mro__ if name in _declared_by(b))
        found = owner.__dataclass_fields__[name]
        if found is not inherited[name]:
            cls.__annotations__ = cls.__dict__.get("__annotations__", {}) | {
                name: found.type
            }
            declared = field(
                default=found.default, init=found.init, kw_only=found.kw_only
            )
            setattr(cls, name, declared)


def _declared_by(cls: type) -> dict[str, Any]:
    return cls.__dict__.get("__annotations__", {})
