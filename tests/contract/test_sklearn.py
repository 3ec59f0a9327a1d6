"""Promises 1 to 3: scikit-learn's own checks, and what a constructor may do."""

from __future__ import annotations

import inspect
from contextlib import nullcontext, suppress
from functools import partial
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import estimator_checks_generator

from contract.subprocesses import run_python
from contract.table import (
    ROWS,
    SPECS,
    assert_same_model,
    every_case,
    every_class,
    labels,
)
from sklearn_ae import Huber

# What scikit-learn runs on itself only.
PRIVATE_CHECKS = [
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_dataframe_column_names_consistency",
    "check_readonly_memmap_input",
    "check_inplace_ensure_writeable",
    "check_estimators_partial_fit_n_features",
]

# Values that no parameter of that name may have, and what the message says is allowed.
BAD_VALUES = {
    "n_components": (0, r"an int in the range \[1, inf\)"),
    "hidden_layer_sizes": ((8, 0), r"integers of at least 1|int"),
    "activation": ("sigmoid", "a str among .*'logistic'"),
    "code_activation": ("sigmoid", "a str among .*'logistic'"),
    "output_activation": ("sigmoid", "a str among .*'auto'"),
    "architecture": ("lstm2", "a str among .*'dense'"),
    "tied_weights": ("yes", "an instance of 'bool'"),
    "loss": ("hinge", "a str among .*'squared_error'"),
    "initialization": (-1.0, r"a float in the range \(0.0, inf\)"),
    "optimizer": ("adamw", "a str among .*'adam'"),
    "learning_rate": (0.0, r"a float in the range \(0.0, inf\)"),
    "learning_rate_schedule": ("linear", "a str among .*'cosine'"),
    "weight_decay": (-1.0, r"a float in the range \[0.0, inf\)"),
    "batch_size": (0, r"an int in the range \[1, inf\)"),
    "max_epochs": (-1, r"an int in the range \[0, inf\)"),
    "pretraining": ("layers", "a str among .*'greedy'"),
    "pretraining_epochs": (0, r"an int in the range \[1, inf\)"),
    "penalty": ("l0", "a str among .*'kl'"),
    "alpha": (-1.0, r"a float in the range \[0.0, inf\)"),
    "rho": (1.0, r"a float in the range \(0.0, 1.0\)"),
    "k": (0, r"an int in the range \[1, inf\)"),
    "sparse_output": ("yes", "an instance of 'bool'"),
    "n_projections": (0, r"an int in the range \[1, inf\)"),
    "noise": ("salt", "a str among .*'masking'"),
    "prior": ("gauss", "a str among .*'normal'"),
    "discriminator_hidden_layer_sizes": ((8, 0), "integers of at least 1"),
    "learning_rate_ratio": (0.0, r"a float in the range \(0.0, inf\)"),
    "gradient_penalty": (-1.0, r"a float in the range \[0.0, inf\)"),
    "conditional_prior": ("yes", "an instance of 'bool'"),
    "label_conditioned": ("yes", "an instance of 'bool'"),
    "noise_level": (-0.1, r"a float in the range \[0.0, inf\)"),
    "kernel_width": (0.0, r"a float in the range \(0.0, inf\)"),
    "likelihood": ("poisson", "a str among .*'bernoulli'"),
    "noise_variance": (0.0, r"a float in the range \(0.0, inf\)"),
    "beta": (-1.0, r"a float in the range \[0.0, inf\)"),
    "n_latent_samples": (0, r"an int in the range \[1, inf\)"),
    "mmd_weight": (-1.0, r"a float in the range \[0.0, inf\)"),
    "kl_warmup_epochs": (-1, r"an int in the range \[0, inf\)"),
    "free_bits": (-1.0, r"a float in the range \[0.0, inf\)"),
    "tol": (-1.0, r"a float in the range \[0.0, inf\)"),
    "n_iter_no_change": (0, r"an int in the range \[1, inf\)"),
    "early_stopping": ("no", "an instance of 'bool'"),
    "validation_fraction": (1.0, r"a float in the range \(0.0, 1.0\)"),
    "warm_start": ("no", "an instance of 'bool'"),
    "callbacks": ([3], "callbacks?"),
    "latent_density": ("kde", "an object implementing 'fit' and 'sample'"),
    "device": (0, "an instance of 'str'"),
    "random_state": (-1, r"an int in the range \[0, 4294967295\]"),
    "verbose": (-1, r"an int in the range \[0, inf\)"),
}


def name_of(check):
    while isinstance(check, partial):
        check = check.func
    return check.__name__


# As `parametrize_with_checks` does, which in 1.7 has a generator.
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{row.name}-{name_of(check)}")
        for row in ROWS
        for estimator, check in estimator_checks_generator(row.make(max_epochs=1))
    ],
)
def test_check_estimator(estimator, check):
    """1: strictly, with no expected failure; only the array API may be out of reach."""
    with suppress(SkipTest) if "array_api" in name_of(check) else nullcontext():
        check(estimator)


@pytest.mark.slow
@every_class
def test_check_estimator_at_defaults_with_the_array_api(row):
    """1: as they are trained when nothing is said, with no check that is skipped."""
    code = f"""if True:
        from sklearn.utils.estimator_checks import check_estimator
        from sklearn_ae import {row.name}
        results = check_estimator({row.name}(), on_skip=None)
        print({{result["status"] for result in results}})
    """
    # Of the blobs of some checks labels tell all that a code could.
    quiet = ("-W", "ignore:No component is active")
    assert run_python(*quiet, "-c", code, SCIPY_ARRAY_API="1") == "{'passed'}\n"


# The checks pass arrays to what was fitted on frames.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@every_class
@pytest.mark.parametrize("name", PRIVATE_CHECKS)
def test_checks_that_sklearn_runs_on_itself(row, name):
    """1."""
    check = getattr(estimator_checks, name, None)
    if check is None:
        pytest.skip(f"{name} is not in this scikit-learn")
    check(row.name, row.make(max_epochs=1))


@every_class
def test_tags_are_at_their_defaults(row):
    """1: no check is switched off by a tag."""
    fitted = row.make().fit(np.eye(4), labels(np.eye(4)))
    for estimator in (row.cls(), row.make(), fitted):
        tags = get_tags(estimator)
        assert tags.input_tags.two_d_array
        assert not tags.no_validation
        assert not tags.non_deterministic
        assert not tags._skip_test
        assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
        assert tags.input_tags.sparse == row.sparse
        assert tags.requires_fit
        assert tags.target_tags.required == row.needs_y


@every_class
def test_the_constructor_only_stores(row):
    """2: whatever it gets, unchanged, unchecked, and nothing else."""
    values = {name: object() for name in row.cls().get_params(deep=False)}
    estimator = row.cls(**values)
    assert {name: getattr(estimator, name) for name in values} == values
    own = {name for name in vars(estimator) if name not in values}
    defaults = vars(row.cls())
    assert all(vars(estimator)[name] == defaults[name] for name in own)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(row, name, id=f"{row.name}-{name}")
        for row in ROWS
        for name in row.cls().get_params()
    ],
)
def test_bad_values_are_reported_by_fit(row, name, X, y):
    """2: an InvalidParameterError names parameter, what is allowed, and the value."""
    value, allowed = BAD_VALUES[name]
    estimator = row.make().set_params(**{name: value})
    for method in ("fit", "partial_fit", "fit_transform"):
        if not hasattr(estimator, method):
            continue
        with pytest.raises(InvalidParameterError, match=f"{name}.* must .*{allowed}"):
            getattr(estimator, method)(X, y)
        with pytest.raises(InvalidParameterError, match="(?i)got "):
            getattr(estimator, method)(X, y)


@every_class
def test_bad_values_inside_specs_are_reported_by_fit(row, X, y):
    """2."""
    with pytest.raises(ValueError, match="Invalid parameter 'widths' for estimator"):
        row.make().set_params(widths=3)
    if "architecture" in row.cls().get_params():
        with pytest.raises(ValueError, match="Invalid parameter 'colour' for "):
            row.make().set_params(architecture__colour=3)
    if "loss" in row.cls().get_params():
        with pytest.raises(InvalidParameterError, match="'delta' parameter of Huber"):
            row.make(loss=Huber(delta=-1)).fit(X, y)
        with pytest.raises(ValueError, match="Invalid parameter 'slope' for .*Huber"):
            row.make(loss="huber").set_params(loss__slope=1)


@every_class
def test_the_signature(row):
    """3: n_components is the only positional parameter."""
    parameters = list(inspect.signature(row.cls).parameters.values())
    assert parameters[0].name == "n_components"
    assert parameters[0].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert {p.kind for p in parameters[1:]} == {inspect.Parameter.KEYWORD_ONLY}
    assert all(p.default is not inspect.Parameter.empty for p in parameters)
    assert row.cls(5).n_components == 5
    with pytest.raises(TypeError):
        row.cls(5, (8,))


@every_case
def test_clone_and_get_params_round_trip(row, params, X, y):
    """3: clones are unfitted, have equal parameters, and train to the same model."""
    estimator = row.make(**params)
    copied = clone(estimator.fit(X, y))
    assert not copied.__sklearn_is_fitted__()
    assert repr(copied) == repr(estimator)
    assert_same_model(copied.fit(X, y), estimator)
    rebuilt = row.cls().set_params(**estimator.get_params())
    assert_same_model(rebuilt.fit(X, y), estimator)


@every_case
def test_fitting_changes_no_parameter(row, params, X, y):
    """3: neither the objects nor what is in them."""
    density = KernelDensity()
    estimator = row.make(**params, **row.sampling(density))
    before = {
        name: (value, repr(value)) for name, value in estimator.get_params().items()
    }
    estimator.fit(X, y)
    after = estimator.get_params()
    assert after.keys() == before.keys()
    for name, (value, text) in before.items():
        assert after[name] is value, name
        assert repr(after[name]) == text, name
    assert not hasattr(density, "tree_")


@every_class
def test_nested_parameters_on_bare_names(row, X, y):
    """3: a name is replaced by a spec when a parameter of the spec is set."""
    estimator = row.make(**row.sampling(GaussianMixture(2)))
    if row.takes_density:
        estimator.set_params(latent_density__n_components=3)
        assert estimator.fit(X, y).latent_density_.n_components == 3
    if "loss" not in estimator.get_params():
        return
    estimator.set_params(loss="huber", loss__delta=2.0)
    assert repr(estimator.loss) == "Huber(delta=2.0)"
    assert estimator.get_params()["loss__delta"] == 2.0
    assert clone(estimator).fit(X, y).loss.delta == 2.0
    other = row.make(loss="huber").set_params(loss__delta=2.0)
    assert other.loss is not estimator.loss
    assert_same_model(
        clone(other).set_params(loss__delta=2).fit(X, y),
        row.make(loss=Huber(delta=2)).fit(X, y),
    )


@every_class
def test_a_search_over_nested_parameters(row, X, y):
    """3, 4."""
    density = GaussianMixture(random_state=0)
    estimator = row.make(**row.sampling(density))
    grid = {"latent_density__n_components": [1, 2]} if row.takes_density else {}
    if "loss" in estimator.get_params():
        estimator.set_params(loss="huber")
        grid["loss__delta"] = [0.01, 10.0]
    search = GridSearchCV(estimator, grid, cv=2, error_score="raise").fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(np.unique(scores)) == len(grid.get("loss__delta", [1]))
    assert density.n_components == 1


@every_class
def test_estimators_share_no_state(row, X, y):
    """3: setting a spec's parameter on one estimator leaves every other one alone."""
    density = KernelDensity(bandwidth=1.0)
    params = row.sampling(density)
    one, other = row.make(**params), row.make(**params)
    if row.takes_density:
        assert clone(one).latent_density is not density
        assert one.fit(X, y).latent_density_ is not density
    if "loss" not in one.get_params():
        return
    spec = Huber(delta=1.0)
    one.set_params(loss=spec)
    other.set_params(loss=spec)
    one.set_params(loss__delta=3.0)
    assert (one.loss.delta, other.loss.delta, spec.delta) == (3.0, 1.0, 1.0)


@every_class
def test_defaults_are_immutable(row):
    """3: what two estimators have at their defaults, neither can change."""
    simple = (str, int, float, bool, tuple, type(None))
    for value in row.cls().get_params().values():
        assert isinstance(value, simple)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_specs_are_estimators_with_parameters(spec):
    """3."""
    made = spec()
    assert repr(clone(made)) == repr(made) == f"{spec.__name__}()"
    assert clone(made).get_params() == made.get_params()
    assert set(made.get_params()) == set(spec._parameter_constraints)
