"""Odd types get errors of this package, which say what is needed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from sklearn_ae import Autoencoder, GaussianNoise, displays, metrics
from sklearn_ae.model_selection import regularization_path

X = np.random.default_rng(0).normal(size=(40, 5))
Y = np.arange(40) % 2
PCA_2 = PCA(2).fit(X)
SCORERS = {
    "reconstruction_r2": metrics.reconstruction_r2,
    "sparsity_score": metrics.sparsity_score,
    "pca_alignment": metrics.pca_alignment,
    "denoising": metrics.make_denoising_scorer(),
    "samples": metrics.make_sample_scorer(),
    "probe": lambda estimator, X: metrics.make_probe_scorer(n_labels=9)(
        estimator, X, Y
    ),
}
REFUSED = {
    "make_denoising_scorer": [
        ({"noise": 3}, "noise must be a noise object, a callable or in"),
        ({"noise": "gauss"}, "Did you mean 'gaussian'"),
        ({"noise": GaussianNoise}, "got the class GaussianNoise: call it"),
        ({"noise_level": "a"}, "noise_level must be a number, got 'a'"),
        ({"noise_level": None}, "noise_level must be a number, got None"),
        ({"level": 1.0}, r"make_denoising_scorer\(\) .* It takes noise, noise_level"),
    ],
    "make_probe_scorer": [
        ({"n_labels": "a"}, r"n_labels must be an int in the range \[1, inf\)"),
        ({"n_labels": 2.5}, "n_labels must be an int"),
        ({"n_labels": True}, "n_labels must be an int"),
        ({"classifier": "svc"}, "`fit` and `predict` is needed, got a str"),
        ({"classifier": GaussianMixture}, "got the class GaussianMixture: make one"),
        ({"labels": 3}, "Did you mean 'n_labels'"),
    ],
    "make_sample_scorer": [
        ({"measure": 3}, "measure must be in"),
        ({"measure": ["mmd"]}, "measure must be in"),
        ({"n_samples": "a"}, "n_samples must be an int"),
        ({"n_samples": True}, "n_samples must be an int"),
    ],
    "one_standard_error": [
        ({"metric": None}, "metric must be a name, got None"),
        ({"parameter": ["a"]}, r"parameter must be a name, got \['a'\]"),
    ],
}


@pytest.mark.parametrize("name", SCORERS)
def test_what_is_no_estimator(name):
    score = SCORERS[name]
    for wrong, said in [
        (None, "got a NoneType"),
        ("pca", "got a str"),
        (X, "got a ndarray: an estimator comes first, then X"),
        (PCA, r"got the class PCA: make one, PCA\(\)"),
    ]:
        with pytest.raises(TypeError, match=f"An object with `.*{said}"):
            score(wrong, X)


def test_estimators_that_lack_a_method():
    with pytest.raises(AttributeError, match="GaussianMixture has no `transform`"):
        metrics.reconstruction_r2(GaussianMixture().fit(X), X)
    reason = "Autoencoder has no `sample`: .* latent_density before fit"
    with pytest.raises(AttributeError, match=reason):
        metrics.make_sample_scorer()(Autoencoder(), X)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    for arguments, message in REFUSED[name]:
        with pytest.raises(TypeError, match=message):
            getattr(metrics, name)(**arguments)


@pytest.mark.parametrize("threshold", ["a", None, [1]])
def test_thresholds(threshold):
    said = re.escape(f"threshold must be a number, got {threshold!r}")
    with pytest.raises(TypeError, match=said):
        metrics.sparsity_score(PCA_2, X, threshold=threshold)


@pytest.mark.parametrize("name", ["continuity", "neighborhood_preservation"])
def test_neighbours(name):
    score = getattr(metrics, name)
    for wrong in ("a", None, 2.5, True):
        with pytest.raises(TypeError, match="n_neighbors must be an integer"):
            score(X, X, n_neighbors=wrong)
    with pytest.raises(TypeError, match=r"X_embedded are codes, got PCA: pass what"):
        score(X, PCA_2)
    with pytest.raises(TypeError, match=rf"{name}\(\) .*'k'. It takes X, X_embedded"):
        score(X, X, k=3)


def test_rules_of_searches():
    with pytest.raises(TypeError, match="cv_results must be the dict of a search"):
        metrics.one_standard_error()(None)


def test_paths():
    model = Autoencoder(max_epochs=1)
    for arguments, said in [
        ((None, X, "weight_decay", [0.1]), "must be an autoencoder of this package"),
        ((Autoencoder, X, "weight_decay", [0.1]), "not fitted, such as Sparse"),
        ((model, X, None, [0.1]), "param_name must be a name, got None"),
        ((model, X, "weight_decay", 0.1), "param_range must be numbers, got 0.1"),
        ((model, X, "weight_decay", "a"), "param_range must be numbers, got 'a'"),
    ]:
        with pytest.raises(TypeError, match=said):
            regularization_path(*arguments)


@pytest.mark.parametrize("wrong", [None, "pca", X, PCA])
def test_displays(wrong):
    pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match="An object with `transform`"):
        displays.InterpolationDisplay.from_estimator(wrong, X, X)
    with pytest.raises(TypeError, match="An object with `inverse_transform`"):
        displays.LatentManifoldDisplay.from_estimator(wrong)


@pytest.mark.parametrize("components", ["a", 0.5, (0, 1, 2)])
def test_components(components):
    pytest.importorskip("matplotlib")
    with pytest.raises(TypeError, match="components must be one or two integers"):
        displays.LatentSpaceDisplay.from_estimator(PCA_2, X, components=components)
