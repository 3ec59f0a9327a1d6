"""Messages: what is wrong, with the value, and what to do, whatever the class."""

from __future__ import annotations

import inspect
import re
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.utils._param_validation import InvalidParameterError, StrOptions
from torch import nn

import sklearn_ae
from contract.table import ROWS, SPECS, every_class, weights
from sklearn_ae import DivergenceError

# What a parameter is called elsewhere.
WRONG_NAMES = {
    "lr": "learning_rate",
    "learning_rate_init": "learning_rate",
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "max_iter": "max_epochs",
    "encoding_dim": "n_components",
    "latent_dim": "n_components",
    "n_latent": "n_components",
    "z_dim": "n_components",
    "n_hidden": "hidden_layer_sizes",
    "hidden_dims": "hidden_layer_sizes",
    "hidden_neuron_list": "hidden_layer_sizes",
    "solver": "optimizer",
    "patience": "n_iter_no_change",
    "validation_split": "validation_fraction",
    "seed": "random_state",
    "criterion": "loss",
    "l2_reg": "weight_decay",
    "scheduler": "learning_rate_schedule",
    "hidden_activation": "activation",
    "kld_weight": "beta",
    "sparsity_target": "rho",
    "noise_factor": "noise_level",
}
# What a value is called elsewhere, by parameter.
WRONG_VALUES = {
    "activation": {
        "sigmoid": "logistic",
        "linear": "identity",
        None: "identity",
        "swish": "silu",
        "LeakyReLU": "leaky_relu",
        nn.Tanh: "tanh",
    },
    "code_activation": {"sigmoid": "logistic"},
    "output_activation": {nn.Sigmoid(): "logistic"},
    "loss": {
        "mse": "squared_error",
        nn.MSELoss(): "squared_error",
        "mean_absolute_error": "absolute_error",
        "binary_crossentropy": "binary_cross_entropy",
    },
    "optimizer": {"adamw": "adam", "SGD": "sgd", "L-BFGS": "lbfgs"},
    "architecture": {"cnn": "convolutional", "mlp": "dense", "rnn": "lstm"},
    "learning_rate_schedule": {"reduce_on_plateau": "plateau"},
    "initialization": {"xavier": "auto", "he_uniform": "auto"},
    "pretraining": {"layer-wise": "greedy", "dbn": "rbm"},
    "noise": {"dropout": "masking", "normal": "gaussian"},
    "penalty": {"KL": "kl", "lasso": "l1", "topk": "top_k"},
    "prior": {"gaussian": "normal", "vampprior": "vamp"},
    "likelihood": {"normal": "gaussian", "bce": "bernoulli"},
    "noise_variance": {"per_feature": "learned_per_feature"},
}


def misspelt(name):
    """Answer a name that lacks a letter."""
    return name[:2] + name[3:]


def parameters_of(cls):
    return [*inspect.signature(cls).parameters]


@every_class
def test_parameters_by_other_names(row):
    """Whatever these are called elsewhere, and however they are spelt."""
    own = parameters_of(row.cls)
    wrong = WRONG_NAMES | {misspelt(name): name for name in own if len(name) > 3}
    asked = {name: meant for name, meant in wrong.items() if meant in own}
    assert len(asked) > 20
    for name, meant in asked.items():
        hint = rf"'{name}'.* Did you mean .*'{meant}'"
        with pytest.raises(TypeError, match=rf"^{row.name}.__init__\(\) got .*{hint}"):
            row.cls(**{name: 1})
        with pytest.raises(ValueError, match=f"Invalid parameter {hint}"):
            row.cls().set_params(**{name: 1})


@every_class
def test_parameters_of_no_name(row):
    """What there is no other name for is listed, or has a class that it is of."""
    with pytest.raises(TypeError, match="'qqqq'. It takes n_components, .* by name"):
        row.cls(qqqq=1)
    with pytest.raises(TypeError, match="too many .* It takes n_components, .* by"):
        row.cls(64, 2)
    with pytest.raises(TypeError, match="'dropout'.*DenoisingAutoencoder"):
        row.cls(dropout=0.5)
    for other in ROWS:
        for name in set(parameters_of(other.cls)) - set(parameters_of(row.cls)):
            with pytest.raises(TypeError, match=f"{name}.* is a parameter of "):
                row.cls(**{name: 1})


@every_class
def test_parameters_of_specs(row):
    own = parameters_of(row.cls)
    for kind, spec, name in [
        ("architecture", "Convolutional", "kernel_size"),
        ("loss", "Huber", "delta"),
        ("noise", "MaskingNoise", "fill"),
    ]:
        if kind in own:
            hint = rf"{kind}={spec}\({name}=...\)"
            with pytest.raises(TypeError, match=hint):
                row.cls(**{name: 1})
            value = {"architecture": "lstm", "loss": "absolute_error"}.get(kind)
            estimator = row.cls(**{kind: value or "gaussian"})
            with pytest.raises(ValueError, match=hint):
                estimator.set_params(**{f"{kind}__{name}": 1})


@every_class
def test_parameters_of_values_that_have_none(row):
    for name in ("optimizer", "latent_density", "random_state"):
        if name in parameters_of(row.cls):
            said = f"Invalid parameter '{name}__lr' .* has none. Set {name} as a whole"
            with pytest.raises(ValueError, match=said):
                row.cls().set_params(**{f"{name}__lr": 0.1})


@pytest.mark.parametrize("spec", SPECS)
def test_specs(spec):
    own = parameters_of(spec)
    with pytest.raises(TypeError, match=rf"^{spec.__name__}.__init__\(\) .*\. \w+ "):
        spec(qqqq=1)
    for name in own:
        with pytest.raises(TypeError, match=f"Did you mean '{name}'"):
            spec(**{name.upper(): 1})
        with pytest.raises(ValueError, match=f"Did you mean '{name}'"):
            spec().set_params(**{name.upper(): 1})


def options_of(cls, name):
    constraints = cls._parameter_constraints[name]
    found = [c.options for c in constraints if isinstance(c, StrOptions)]
    return set().union(*found)


@every_class
def test_values_by_other_names(row, X, y):
    """Those of every parameter whose values have names."""
    checked = row.cls._parameter_constraints
    own = {name: options_of(row.cls, name) for name in checked}
    wrong = {
        **{(name, o.upper()): o for name, options in own.items() for o in options},
        **{
            (name, value): meant
            for name, values in WRONG_VALUES.items()
            for value, meant in values.items()
            if meant in own.get(name, ())
        },
    }
    for (name, value), meant in wrong.items():
        hint = f"The '{name}' parameter of {row.name} .* Did you mean .*'{meant}'"
        with pytest.raises(InvalidParameterError, match=hint):
            row.make(**{name: value}).fit(X, y)


@every_class
def test_classes_for_objects(row, X, y):
    """A spec's class is no spec."""
    own = parameters_of(row.cls)
    for name, spec in [
        ("architecture", sklearn_ae.architectures.Dense),
        ("loss", sklearn_ae.Huber),
    ]:
        if name in own:
            hint = rf"Call the class to get an object, as in {spec.__name__}\(\)"
            with pytest.raises(InvalidParameterError, match=hint):
                row.make(**{name: spec}).fit(X, y)


@every_class
def test_arguments_of_methods(row, X):
    """The class is named, whoever has defined the method."""
    estimator = row.make()
    names = [name for name in dir(row.cls) if name[0] != "_" and name != "set_params"]
    bound = {name: getattr(estimator, name, None) for name in names}
    methods = {
        name: method
        for name, method in bound.items()
        if inspect.ismethod(method) and method.__module__.startswith("sklearn_ae")
    }
    assert {"fit", "to_module"} <= {*methods}
    for name, method in methods.items():
        with pytest.raises(TypeError, match=rf"^{row.name}.{name}\(\) .*'qqqq'\. It"):
            method(qqqq=1)
    hint = rf"{row.name}.fit\(\) .*'epochs'. It is set .*{row.name}\(max_epochs=...\)"
    with pytest.raises(TypeError, match=hint):
        estimator.fit(X, epochs=3)
    with pytest.raises(TypeError, match=rf"{row.name}.fit\(\) missing .*'X'"):
        estimator.fit()


@every_class
@pytest.mark.parametrize(
    "name", ["hidden_layer_sizes", "discriminator_hidden_layer_sizes"]
)
def test_a_single_width(row, name, X, y):
    """An integer is one layer; the parameter stays what it was."""
    if name not in parameters_of(row.cls):
        pytest.skip(f"has no {name}")
    one = row.make(**{name: 7}).fit(X, y)
    assert one.get_params()[name] == 7
    many = weights(row.make(**{name: (7,)}).fit(X, y))
    for key, weight in weights(one).items():
        np.testing.assert_array_equal(weight, many[key])
    for wrong in (0, -3, 2.5, True, "7", [[7]], (7, "8")):
        with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of"):
            row.make(**{name: wrong}).fit(X, y)


# Columns that have no numbers, and what is said of them.
COLUMNS = {
    "strings": (["red", "green"], "strings in column 'b', such as 'red'.*OneHotEnc"),
    "categories": (
        pd.Categorical(["red", "green"]),
        "strings in column 'b', such as 'red'.*OneHotEncoder",
    ),
    "dates": (
        pd.date_range("2020-01-01", periods=2),
        "dates in column 'b', such as 2020-01-01.*days",
    ),
    "durations": (
        pd.to_timedelta([1, 2], unit="s"),
        "durations in column 'b'.*seconds",
    ),
    "objects": ([[1, 2], [3, 4]], r"objects in column 'b', such as \[1, 2\]"),
    "complex": ([1j, 2j], "complex numbers in column 'b'.*real and imaginary"),
}


@every_class
@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_without_numbers(row, kind, X, y):
    """They are named, with a cure, in training and afterwards."""
    values, message = COLUMNS[kind]
    good = pd.DataFrame(X, columns=list("acdefg"))
    bad = good.rename(columns={"c": "b"}).assign(b=list(values) * (len(X) // 2))
    bad = bad.astype({"b": "category"}) if kind == "categories" else bad
    with pytest.raises((TypeError, ValueError), match=f"(?s){message}"):
        row.make().fit(bad, y)
    if kind == "strings":
        estimator = row.make().fit(good.rename(columns={"c": "b"}), y)
        method = next(
            n for n in ("transform", "predict", "score") if hasattr(row.cls, n)
        )
        for frame in (bad, pl.DataFrame(bad.to_dict("list"))):
            with pytest.raises(ValueError, match=message):
                getattr(estimator, method)(frame)


@every_class
def test_missing_entries(row, X, y):
    """Where they are refused, the class that takes them is named, and the column."""
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame.loc[3, "c"] = np.nan
    if not row.missing:
        message = "(?s)Input X contains NaN.*DenoisingAutoencoder"
        column = ".*" if row.sequences else ".*column 'c'.*"
        with pytest.raises(ValueError, match=message):
            row.make().fit(frame, y)
        with pytest.raises(ValueError, match=f"(?s){column}DenoisingAutoencoder"):
            row.make().fit(frame, y)
    frame.loc[3, "c"] = np.inf
    with pytest.raises(ValueError, match="infinity.*column 'c'.*DenoisingAutoencoder"):
        row.make().fit(frame, y)


NO_TABLES = {
    "a path": ("data.csv", r"pandas.read_csv"),
    "a dict": ({"a": [1, 2]}, r"pandas.DataFrame\(X\)"),
    "records": ([{"a": 1}, {"a": 2}], r"pandas.DataFrame\(X\)"),
    "a generator": ((i for i in range(3)), r"np.stack"),
    "lists of two lengths": ([[1.0, 2.0], [3.0]], "as many numbers|padded"),
    "too large": (np.full((3, 2), 1e39), "column 0 there is 1e\\+39: divide X by"),
}


@every_class
@pytest.mark.parametrize("kind", NO_TABLES)
def test_what_is_no_table(row, kind):
    value, message = NO_TABLES[kind]
    with pytest.raises((TypeError, ValueError), match=f"(?s){message}"):
        row.make().fit(value, row.targets(np.zeros((3, 2))))


# What makes a fit diverge, by parameter, and what else it takes.
FAULTS = {
    "initialization": (1e20, {}),
    "weight_decay": (1e20, {}),
    "alpha": (1e30, {"penalty": "l1"}),
    "beta": (1e20, {}),
    "mmd_weight": (1e20, {}),
    "free_bits": (1e300, {}),
    "noise_level": (1e30, {"noise": "gaussian"}),
    "kernel_width": (1e20, {}),
    "learning_rate_ratio": (1e20, {}),
    "gradient_penalty": (1e300, {}),
    "learning_rate": (1e30, {}),
}


@every_class
def test_divergence_names_what_is_at_fault(row, X, y):
    own = parameters_of(row.cls)
    for name, (value, others) in FAULTS.items():
        if name in own:
            params = {"optimizer": "sgd", "max_epochs": 20, name: value}
            params |= {key: other for key, other in others.items() if key in own}
            with pytest.raises(DivergenceError) as caught:
                row.make(**params).fit(X, y)
            said = str(caught.value)
            culprit = re.escape(f"{name}={value:g}")
            assert re.search(rf"epoch \d+: .*(Lower|Change) .*{culprit}", said), said
            if name != "learning_rate":
                assert "learning_rate=" not in said


def test_divergence_of_an_optimizer_of_one_s_own(X):
    """Where its own rate is what counts, or a schedule has raised it."""
    optimizer = partial(torch.optim.SGD, lr=1e8)
    fast = {"hidden_layer_sizes": (8,), "max_epochs": 20, "batch_size": 16}
    with pytest.raises(DivergenceError, match=r"Lower lr=1e\+08 of the optimizer"):
        sklearn_ae.Autoencoder(optimizer=optimizer, **fast).fit(X)
    rising = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=1e3)
    with pytest.raises(DivergenceError, match="learning_rate_schedule, which has"):
        sklearn_ae.Autoencoder(
            optimizer="sgd", learning_rate_schedule=rising, **fast
        ).fit(X)


@every_class
def test_attributes_that_are_not_there(row, X, y):
    """Why, where these are, what they are called here, or which class has them."""
    estimator = row.make()
    if row.takes_density:
        with pytest.raises(AttributeError, match=r"'sample': .* latent_density before"):
            _ = estimator.sample
        assert not hasattr(estimator, "sample")
        assert hasattr(row.make(latent_density=GaussianMixture()), "sample")
    with pytest.raises(AttributeError, match="'n_iter_': call fit first"):
        _ = estimator.n_iter_
    estimator.fit(X, y)
    if hasattr(row.cls, "transform"):
        for name, meant in {
            "encode": "transform",
            "decode": "inverse_transform",
        }.items():
            with pytest.raises(AttributeError, match=f"'{name}': here it is {meant}"):
                getattr(estimator, name)
    if not hasattr(row.cls, "impute"):
        with pytest.raises(AttributeError, match="DenoisingAutoencoder has it"):
            estimator.impute(X)
    if "components_" not in vars(estimator):
        with pytest.raises(AttributeError, match="LinearAutoencoder has it"):
            _ = estimator.components_
    with pytest.raises(AttributeError, match="has no attribute 'qqqq'$"):
        _ = estimator.qqqq
    if row.cls().get_params().get("optimizer") != "alternating":
        whole = row.make(optimizer="lbfgs")
        with pytest.raises(AttributeError, match="takes all rows at once. Set opt"):
            _ = whole.partial_fit


def test_methods_that_some_parameters_bring():
    with pytest.raises(AttributeError, match="'layer_codes': only nets of arch.*dense"):
        _ = sklearn_ae.LSTMAutoencoder().layer_codes
    with pytest.raises(AttributeError, match="'score_function': .* noise='gaussian'"):
        _ = sklearn_ae.DenoisingAutoencoder().score_function
