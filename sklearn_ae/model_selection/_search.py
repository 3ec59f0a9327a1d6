"""Searches like scikit-learn's, in which candidates train in groups."""

from __future__ import annotations

from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from sklearn_ae.model_selection._scikit_learn import (
    WORKING_MEMORY,
    BatchedSearchMixin,
    with_working_memory,
)


class BatchedGridSearchCV(BatchedSearchMixin, GridSearchCV):
    """Grid search that trains candidates and folds together.

    Candidates that differ in numbers only (penalty weights, noise level, learning rate,
    seed and so on) become, on all folds, a group of nets: one operation computes all of
    them. Their scores are those of :class:`sklearn.model_selection.GridSearchCV`, to
    rounding. Of a Pipeline the steps before the autoencoder are fitted once for each
    fold of a group, those behind it once for each candidate and fold. Each net keeps
    its own early stopping and schedule; one that diverges scores `error_score`. Layers
    are pretrained net by net.

    What cannot be batched is fitted as by scikit-learn's search: recurrent nets and
    modules of one's own, `AdversarialAutoencoder`, `optimizer="lbfgs"`, "alternating"
    (the default of `LinearAutoencoder`) or a class, callbacks that look at batches or
    keep copies of weights, scikit-learn's callbacks on the estimator itself,
    `warm_start`, and nets so large that nothing is gained.

    Parameters
    ----------
    estimator : estimator
        One of this package, or a Pipeline with one of them at any step; the first of
        them is batched. Others are fitted as by scikit-learn's search.
    param_grid : dict or list of dict
        Values to try, by parameter.
    n_jobs : int, default=None
        For groups the number of threads, for the rest of processes; within
        `joblib.parallel_config` for both what its backend has. `mean_fit_time` is a
        group's time over the number of its nets.
    working_memory : float, default=None
        Most memory, in MiB, that the nets of a group may take; None is
        ``sklearn.get_config()["working_memory"]``.

    See Also
    --------
    regularization_path : The fitted models along one weight.
    sklearn_ae.metrics.one_standard_error : For `refit`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import MinMaxScaler
    >>> from sklearn_ae import SparseAutoencoder
    >>> from sklearn_ae.model_selection import BatchedGridSearchCV
    >>> X, y = load_digits(return_X_y=True)
    >>> sparse = SparseAutoencoder(32, penalty="l1", max_epochs=10, random_state=0)
    >>> pipeline = make_pipeline(
    ...     MinMaxScaler(), sparse, LogisticRegression(max_iter=1000)
    ... )
    >>> grid = {"sparseautoencoder__alpha": [0.01, 0.1, 1.0]}
    >>> search = BatchedGridSearchCV(pipeline, grid, cv=3).fit(X, y)
    >>> search.cv_results_["mean_test_score"].shape
    (3,)
    """

    _parameter_constraints = GridSearchCV._parameter_constraints | WORKING_MEMORY
    __init__ = with_working_memory(GridSearchCV.__init__)


class BatchedRandomizedSearchCV(BatchedSearchMixin, RandomizedSearchCV):
    """Randomized search that trains candidates and folds together.

    It is to :class:`sklearn.model_selection.RandomizedSearchCV` what
    :class:`BatchedGridSearchCV` is to `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
        As in :class:`BatchedGridSearchCV`.
    param_distributions : dict or list of dict
        Distributions with `rvs`, or lists of values, by parameter.
    n_iter : int, default=10
        Number of candidates.
    n_jobs : int, default=None
        As in :class:`BatchedGridSearchCV`.
    random_state : int, RandomState instance or None, default=None
        Of the candidates.
    working_memory : float, default=None
        As in :class:`BatchedGridSearchCV`.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_ae import DenoisingAutoencoder
    >>> from sklearn_ae.metrics import make_denoising_scorer
    >>> from sklearn_ae.model_selection import BatchedRandomizedSearchCV
    >>> search = BatchedRandomizedSearchCV(
    ...     DenoisingAutoencoder(2, noise="gaussian", max_epochs=20, random_state=0),
    ...     {"noise_level": loguniform(0.01, 1.0)},
    ...     n_iter=4,
    ...     scoring=make_denoising_scorer(),
    ...     random_state=0,
    ... )
    >>> len(search.fit(load_iris().data).cv_results_["params"])
    4
    """

    _parameter_constraints = RandomizedSearchCV._parameter_constraints | WORKING_MEMORY
    __init__ = with_working_memory(RandomizedSearchCV.__init__)
