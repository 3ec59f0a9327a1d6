"""Scores that compare fitted transformers: autoencoders, PCA, whole pipelines.

Everything here takes any fitted object with `transform` (and `inverse_transform` where
rows are rebuilt), or with `sample` where rows are drawn, so that different families are
measured by the same ruler.
"""

import math
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orth, svdvals
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError

from sklearn_ae._compute.arguments import (
    check_choice,
    check_methods,
    check_number,
    with_known_arguments,
)
from sklearn_ae._objective.noise import Noise
from sklearn_ae.metrics._measures import (
    check_digits,
    check_noise,
    check_pair,
    check_width,
    decoder_directions,
    denoising_r2,
    dense,
    distance_blocks,
    nearest,
    parts_of,
    probe_accuracy,
    r2,
    rank,
    simplest_within_error,
)
from sklearn_ae.metrics._samples import MEASURES, sample_score
from sklearn_ae.metrics._sizes import difference, exponent_of

__all__ = [
    "continuity",
    "make_denoising_scorer",
    "make_probe_scorer",
    "make_sample_scorer",
    "neighborhood_preservation",
    "one_standard_error",
    "pca_alignment",
    "reconstruction_r2",
    "sparsity_score",
]


@with_known_arguments
def reconstruction_r2(estimator: BaseEstimator, X: ArrayLike, y: Any = None) -> float:
    """Return the share of the variance of X that a transformer reconstructs.

    ``R2 = 1 - sum ||x - x_hat||^2 / sum ||x - mean(X)||^2`` with
    ``x_hat = inverse_transform(transform(x))``. The mean is that of the X passed in:
    held-out rows are measured against their own mean, whatever the family; a pipeline
    is compared in the units of its input. The function is itself the scorer,
    ``scoring=reconstruction_r2``. For PCA on its training rows it is the share of
    variance explained. (Jolliffe, Principal Component Analysis, 2002, section 6.1.)

    Parameters
    ----------
    estimator : fitted transformer with `inverse_transform`
    X : array, frame or sparse matrix of shape (n_samples, n_features)
        Finite; made dense and float64 in slices of rows.
    y : ignored

    Returns
    -------
    float
        1 is perfect, 0 is "always the mean of X". If all rows of X are equal: 1 if
        `x_hat` is exactly X, else 0, as in `sklearn.metrics.r2_score`.

    Raises
    ------
    ValueError
        If X or its reconstruction is not finite, or their widths differ.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> round(reconstruction_r2(PCA(n_components=2).fit(X), X), 4)
    0.9777
    """
    return r2(estimator, X)


@with_known_arguments
def make_denoising_scorer(
    noise: str | Noise | Callable[..., ArrayLike] = "gaussian",
    noise_level: float = 0.1,
    *,
    random_state: int = 0,
) -> Callable[..., float]:
    """Make a scorer for how much of the clean rows is rebuilt from noisy ones.

    ``1 - sum ||x - g(f(x_noisy))||^2 / sum ||x - mean(X)||^2``, f being `transform`, g
    `inverse_transform`. The same X always gets the same noise. (Noises of Vincent et
    al., Stacked denoising autoencoders, JMLR 11, 2010.)

    Parameters
    ----------
    noise : str, noise object or callable, default="gaussian"
        As for `DenoisingAutoencoder`: "masking" sets entries to the feature's mean,
        "salt_and_pepper" to its least or largest value, half each, of the X scored. A
        function ``noise(X, random_state)`` of float64 rows and a seeded `RandomState`.
    noise_level : float, default=0.1
        Of "gaussian": the standard deviation, one for all features, in units of
        ``sqrt(sum ||x - mean(X)||^2 / X.size)``, so that rescaling X changes nothing.
        Of the others the share of entries drawn (a callable does not see it).
    random_state : int, default=0
        Seed of the noise.

    Returns
    -------
    callable
        ``scorer(estimator, X, y=None)``, like `reconstruction_r2`; it can be pickled.

    Raises
    ------
    ValueError
        For an unknown noise or a level out of range.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X = load_digits().data
    >>> scorer = make_denoising_scorer("gaussian", noise_level=1.0)
    >>> [round(scorer(PCA(k).fit(X), X), 2) for k in (2, 8, 32)]
    [0.25, 0.55, 0.47]
    """
    check_noise(noise, noise_level)
    check_random_state(random_state)
    settings = {"noise": noise, "noise_level": noise_level}
    return partial(denoising_r2, **settings, random_state=random_state)


@with_known_arguments
def make_probe_scorer(
    classifier: BaseEstimator | None = None,
    n_labels: int = 100,
    *,
    random_state: int = 0,
) -> Callable[..., float]:
    """Make a scorer for what a classifier learns from the codes of a few rows.

    ``mean(c(transform(x)) == y)`` over the rows that the probe c was not trained on; it
    saw the codes of `n_labels` rows, drawn in the class shares of y. (Alain and Bengio,
    Understanding intermediate layers using linear classifier probes, 2016.)

    Parameters
    ----------
    classifier : classifier, default=None
        Cloned for each score. None is logistic regression on standardised codes.
    n_labels : int, default=100
        Rows that the probe is trained on.
    random_state : int, default=0
        Seed of the draw: the same y always gives the same rows.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``, the accuracy in [0, 1]; it can be pickled. Raises
        `ValueError` unless y labels at least two classes and `n_labels` both trains and
        leaves as many rows as there are classes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> scorer = make_probe_scorer(n_labels=200)
    >>> [round(scorer(PCA(k).fit(X), X, y), 1) for k in (2, 16)]
    [0.6, 0.9]
    """
    check_number("n_labels", n_labels, Interval(Integral, 1, None, closed="left"))
    if classifier is not None:
        check_methods(classifier, "fit", "predict")
    check_random_state(random_state)
    settings = {"classifier": classifier, "n_labels": n_labels}
    return partial(probe_accuracy, **settings, random_state=random_state)


@with_known_arguments
def make_sample_scorer(
    measure: str = "mmd", *, n_samples: int | None = None, random_state: int = 0
) -> Callable[..., float]:
    r"""Make a scorer for how like the rows of X those are that an estimator draws.

    With rows x of X, draws x' of `sample`, N_k(x) the k-th nearest other row of X to x,
    and NN the nearest of X or of the draws:

    - "mmd": ``-(E k(x, y) - 2 E k(x, x') + E k(x', y'))``, each mean over pairs of
      different rows, and ``k(a, b) = sum_w exp(-||a - b||^2 / (2 w^2 m^2))`` with w in
      (0.5, 1, 2) and m the median distance of two rows of X; 0 is best, and draws of
      the same distribution are above it as often as below. (Gretton et al., A kernel
      two-sample test, JMLR 13, 2012.)
    - "fidelity": ``mean [||x' - NN_X(x')|| <= q]``, the share of draws that are as near
      to a row of X as 95 % of these are to another one, which q tells. (After
      Kynkäänniemi et al., Improved precision and recall metric for assessing generative
      models, 2019.)
    - "coverage": ``mean [||x - NN_draws(x)|| <= ||x - N_5(x)||]``, the share of rows of
      X that have a draw among their neighbours. (Naeem et al., Reliable fidelity and
      diversity metrics for generative models, 2020.)
    - "copies": ``-mean [||x' - NN_X(x')|| <= sqrt(v) / 1000]``, minus the share of
      draws that are rows of X, where v is the mean squared distance of its rows from
      their mean. What was copied are training rows: these are the X to score.

    None of them is enough: a mean has fidelity and no coverage, and a model that
    repeats its training rows has both.

    Parameters
    ----------
    measure : {"mmd", "fidelity", "coverage", "copies"}, default="mmd"
        All but "mmd" are shares of rows; none depends on the unit of X.
    n_samples : int, default=None
        Draws; None is as many as X has rows.
    random_state : int, default=0
        Seed of the draws.

    Returns
    -------
    callable
        ``scorer(estimator, X, y=None)`` for anything with `sample`, a `GaussianMixture`
        too; higher is better, and it can be pickled. It raises `ValueError` where X has
        fewer than two rows, or draws have another width.

    Raises
    ------
    ValueError
        For an unknown measure, or less than two draws.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> X = load_iris().data
    >>> scorer = make_sample_scorer("mmd")
    >>> one, three = (GaussianMixture(k, random_state=0).fit(X) for k in (1, 3))
    >>> scorer(three, X) > scorer(one, X)
    True
    """
    check_choice("measure", measure, MEASURES)
    if n_samples is not None:
        check_number("n_samples", n_samples, Interval(Integral, 2, None, closed="left"))
    check_random_state(random_state)
    settings = {"measure": measure, "n_samples": n_samples}
    return partial(sample_score, **settings, random_state=random_state)


@with_known_arguments
def sparsity_score(
    estimator: BaseEstimator, X: ArrayLike, y: Any = None, *, threshold: float = 0.0
) -> float:
    """Return the share of code entries that are zero, or as good as zero.

    ``mean over rows and units of [|h| <= threshold]`` with ``h = transform(x)``; itself
    a scorer, higher is sparser. (Hurley and Rickard, Comparing measures of sparsity,
    IEEE Transactions on Information Theory 55, 2009: l0 with a threshold.)

    Parameters
    ----------
    estimator : fitted transformer, to dense or sparse codes
    X : array, frame or sparse matrix of shape (n_samples, n_features)
    y : ignored
    threshold : float, default=0.0
        In the units of the code, not negative.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the threshold is negative or the codes are not finite.

    Examples
    --------
    >>> from sklearn.preprocessing import Binarizer
    >>> X = [[0.0, 3.0], [1.0, 1.0]]
    >>> sparsity_score(Binarizer(threshold=2.0).fit(X), X)
    0.75
    """
    check_methods(estimator, "transform")
    if not isinstance(threshold, Real):
        raise InvalidParameterError(f"threshold must be a number, got {threshold!r}.")
    if not threshold >= 0:
        raise ValueError(f"threshold must not be negative, got {threshold}.")
    active = total = 0
    for _, rows in parts_of(X):
        codes = check_array(estimator.transform(rows), accept_sparse="csr")
        active += int((abs(codes) > threshold).sum())
        total += math.prod(codes.shape)
    return 1 - active / total


@with_known_arguments
def one_standard_error(
    metric: str = "score", parameter: str | None = None
) -> Callable[[dict[str, Any]], int]:
    """Make a `refit` rule: the largest penalty within one error of the best score.

    ``argmax parameter where mean >= mean* - std* / sqrt(n_splits)``, the star marking
    the best candidate, over its splits (the deviation is the one in `cv_results_`).
    (Breiman et al., Classification and Regression Trees, 1984, section 3.4.3; Hastie et
    al., The Elements of Statistical Learning, 2009, section 7.10.)

    Parameters
    ----------
    metric : str, default="score"
        "score", or a name in the `scoring` of the search.
    parameter : str, default=None
        A searched number, larger meaning simpler, such as "autoencoder__alpha"; None is
        the only one searched. Among equal values the better score wins. A candidate
        without it (another grid) is chosen if it is best and no other within its error.

    Returns
    -------
    callable
        ``refit(cv_results) -> int`` for `GridSearchCV(refit=...)`; it can be pickled.
        It raises `ValueError` for a metric or parameter that is not there (listing
        what is), values that are no numbers, or if all candidates failed (scored NaN).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> rule = one_standard_error("score", "alpha")
    >>> search = GridSearchCV(Ridge(), {"alpha": [0.01, 0.1, 1.0]}, refit=rule)
    >>> search.fit(*load_diabetes(return_X_y=True)).best_params_
    {'alpha': 0.1}
    """
    for name, value in {"metric": metric, "parameter": parameter}.items():
        if not isinstance(value, str) and (name, value) != ("parameter", None):
            raise InvalidParameterError(f"{name} must be a name, got {value!r}.")
    return partial(simplest_within_error, metric=metric, parameter=parameter)


@with_known_arguments
def pca_alignment(estimator: BaseEstimator, X: ArrayLike) -> np.ndarray:
    """Return the principal angles between what a decoder spans and the span of PCA.

    ``cos(theta_i) = sigma_i(Q^T V_k)``, Q an orthonormal basis of the decoder's span,
    V_k the first k principal axes of X; order and signs of components play no part.
    (Baldi and Hornik, Neural networks and principal component analysis, 1989; Björck
    and Golub, Numerical methods for computing angles between linear subspaces, 1973.)

    Parameters
    ----------
    estimator : fitted transformer
        Its `components_` are the span, if it has them. Otherwise `inverse_transform` is
        measured by differences from the mean code, one root mean square deviation of
        the codes apart: exact where it is affine (whole pipelines, too), else a secant.
    X : array, frame or sparse matrix of shape (n_samples, n_features)
        The rows for PCA, dense in float64. Their k-th and (k + 1)-th variance must
        differ, or the span of PCA is not unique.

    Returns
    -------
    array of shape (k,)
        Radians in [0, pi / 2], largest first; k is the number of units, at most
        `min(X.shape)`. A dimension that the decoder's span lacks counts as pi / 2.

    Raises
    ------
    ValueError
        If the decoder's output is not as wide as X.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import TruncatedSVD
    >>> X = load_iris().data
    >>> pca_alignment(TruncatedSVD(n_components=2).fit(X), X).round(3)
    array([0.113, 0.   ])
    """
    if not hasattr(estimator, "components_"):
        check_methods(estimator, "transform", "inverse_transform")
    check_digits(X)
    rows, directions = dense(X), decoder_directions(estimator, X)
    check_width("The decoder", directions, rows)
    k = min(len(directions), *rows.shape)
    # Not the covariance solver: it squares the condition and cancels on large means.
    moved = difference(rows, rows[0], exponent_of([rows]))
    axes = PCA(k, svd_solver="full").fit(moved).components_
    basis = orth(directions.T, rcond=1e-9)
    aligned = basis.T @ axes.T
    # Sine and cosine together are exact at both ends; scipy's `subspace_angles` is off
    # by 1e-8 at small angles when there are large ones beside them.
    sines, cosines = svdvals(axes.T - basis @ aligned), np.zeros(k)
    cosines[: min(aligned.shape)] = svdvals(aligned)
    return np.arctan2(sines, cosines[::-1])


@with_known_arguments
def continuity(
    X: ArrayLike,
    X_embedded: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str | Callable[..., float] = "euclidean",
) -> float:
    """Return how far neighbours in X stay neighbours in the embedding.

    ``1 - 2 / (n k (2n - 3k - 1)) sum_i sum_{j in N_k(i)} max(0, r(i, j) - k)``, N_k(i)
    the k nearest rows to i in X, r(i, j) the rank of j by distance from i in the
    embedding: `sklearn.manifold.trustworthiness` with the spaces exchanged, ties ranked
    by row number in both. Time grows with n^2, memory does not. (Venna and Kaski,
    Neighborhood preservation in nonlinear projection methods, 2001.)

    Parameters
    ----------
    X : array, frame or sparse matrix of shape (n_samples, n_features)
        Or images and the like, of more axes; or distances, of shape (n_samples,
        n_samples), with ``metric="precomputed"``.
    X_embedded : array or frame of shape (n_samples, n_components)
        Its distances are Euclidean.
    n_neighbors : int, default=5
        k, less than ``n_samples / 2``.
    metric : str or callable, default="euclidean"
        The distance in X, as for `sklearn.metrics.pairwise_distances`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        If `n_neighbors` is out of range or the inputs differ in length.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> round(continuity(X, X[:, 2:]), 3), continuity(X, X)
    (0.952, 1.0)
    """
    X, X_embedded = check_pair(X, X_embedded, metric, n_neighbors, 2)
    n_samples, k, penalty = len(X_embedded), n_neighbors, 0
    for original, embedded in distance_blocks(X, X_embedded, metric):
        neighbors = np.nonzero(nearest(original, k))[1].reshape(-1, k)
        for target in neighbors.T:
            penalty += int(np.maximum(rank(embedded, target) - k, 0).sum())
    return 1 - 2 * penalty / (n_samples * k * (2 * n_samples - 3 * k - 1))


@with_known_arguments
def neighborhood_preservation(
    X: ArrayLike,
    X_embedded: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str | Callable[..., float] = "euclidean",
) -> float:
    """Return the share of the nearest neighbours in X that are so in the embedding.

    ``1 / (n k) sum_i |N_k(i) in X and in the embedding|``, N_k(i) the k nearest rows to
    i; k / (n - 1) is chance. Ties and blocks as in `continuity`. (Lee and Verleysen,
    Quality assessment of dimensionality reduction, Neurocomputing 72, 2009: Q_NX.)

    Parameters
    ----------
    X, X_embedded, metric
        As for `continuity`.
    n_neighbors : int, default=5
        k, less than `n_samples`.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        If `n_neighbors` is out of range or the inputs differ in length.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris().data
    >>> round(neighborhood_preservation(X, X[:, 2:]), 2)
    0.34
    """
    X, X_embedded = check_pair(X, X_embedded, metric, n_neighbors, 1)
    kept = 0
    for original, embedded in distance_blocks(X, X_embedded, metric):
        both = nearest(original, n_neighbors) & nearest(embedded, n_neighbors)
        kept += int(both.sum())
    return kept / (len(X_embedded) * n_neighbors)
