"""Promises 4 and 5: inside scikit-learn's other objects, and with frames."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_ae
from contract.table import (
    answers,
    assert_same_model,
    every_case,
    every_case_and,
    every_class,
)
from sklearn_ae.displays import (
    InterpolationDisplay,
    LatentSpaceDisplay,
    ReconstructionDisplay,
)
from sklearn_ae.metrics import make_denoising_scorer, reconstruction_r2
from sklearn_ae.metrics._measures import decoder_directions

NAMES = list("abcdef")


@pytest.fixture
def y(X):
    return (X[:, 0] > np.median(X[:, 0])).astype(int)


@every_case
def test_y_changes_nothing(row, params, X, y):
    """4: whatever it is, in every method that takes one, where it is not needed."""
    if row.needs_y:
        return
    expected = row.make(**params).fit(X)
    assert_same_model(row.make(**params).fit(X, pd.Series(y.astype(str))), expected)
    estimator = row.make(**params)
    codes = estimator.fit_transform(X, y)
    np.testing.assert_array_equal(codes, expected.transform(X))
    assert estimator.score(X, y) == expected.score(X)
    if hasattr(estimator, "partial_fit") and not estimator.early_stopping:
        one = row.make(**params).partial_fit(X)
        assert_same_model(row.make(**params).partial_fit(X, y), one)


@every_case
def test_labels_that_are_needed(row, params, X, y):
    """4: training asks for them; other ones change the model, other names do not."""
    if row.supervised is None or (params and not row.needs_y):
        return
    params = {**params, **row.supervised}
    named = pd.Series(y.astype(str))
    methods = ["fit"]
    if hasattr(row.make(**params), "partial_fit") and not params.get("early_stopping"):
        methods.append("partial_fit")
    for method in methods:
        with pytest.raises(ValueError, match="requires y to be passed"):
            getattr(row.make(**params), method)(X)
        one, same, other = (
            getattr(row.make(**params), method)(X, labels)
            for labels in (y, named, y[::-1])
        )
        assert_same_model(same, one)
        with pytest.raises(AssertionError):
            assert_same_model(other, one)
    with pytest.raises(ValueError, match="requires y to be passed"):
        row.make(**params).fit_transform(X)
    estimator = row.make(**params)
    codes = estimator.fit_transform(X, y)
    np.testing.assert_array_equal(codes, estimator.transform(X))
    assert estimator.score(X, y) == estimator.score(X)


@every_class
def test_pipeline_with_memory(row, X, y, tmp_path):
    """4: a cached step gives the codes of a fresh one."""
    steps = [("scale", StandardScaler()), ("reduce", row.make())]
    steps.append(("classify", LogisticRegression()))
    plain = Pipeline(steps).fit(X, y)
    cached = Pipeline(steps, memory=str(tmp_path)).fit(X, y)
    n_files = len(list(tmp_path.rglob("*.pkl")))
    again = Pipeline(steps, memory=str(tmp_path)).fit(X, y)
    assert len(list(tmp_path.rglob("*.pkl"))) == n_files > 0
    for pipeline in (cached, again):
        assert_same_model(pipeline["reduce"], plain["reduce"])
        np.testing.assert_array_equal(pipeline.predict_proba(X), plain.predict_proba(X))


@every_class
def test_pipeline_inverse_transform(row, X, y):
    """4: back to the rows' own units, through the scaler."""
    pipeline = make_pipeline(StandardScaler(), row.make()).fit(X, y)
    codes = pipeline[1].transform(pipeline[0].transform(X))
    expected = pipeline[0].inverse_transform(pipeline[1].inverse_transform(codes))
    back = pipeline.inverse_transform(pipeline.transform(X))
    assert back.shape == X.shape
    np.testing.assert_allclose(back, expected, rtol=1e-9)
    assert isinstance(pipeline.score(X), float)


@every_class
def test_column_transformer_and_feature_union(row, X, y):
    """4: prefixed names tell whose column is whose."""
    frame = pd.DataFrame(X, columns=NAMES, index=range(5, 65))
    columns = ColumnTransformer(
        [("left", row.make(), NAMES[:3]), ("right", row.make(3), NAMES[3:])]
    ).set_output(transform="pandas")
    codes = columns.fit_transform(frame, y)
    prefix = row.name.lower()
    expected = [f"left__{prefix}0", f"left__{prefix}1"]
    expected += [f"right__{prefix}{i}" for i in range(3)]
    assert list(codes.columns) == expected
    assert codes.index.equals(frame.index)
    left = row.make().fit(frame[NAMES[:3]], y).transform(frame[NAMES[:3]])
    np.testing.assert_array_equal(codes.iloc[:, :2], left)
    union = FeatureUnion([("two", row.make()), ("three", row.make(3))])
    np.testing.assert_array_equal(
        union.fit_transform(X, y)[:, :2], row.make().fit_transform(X, y)
    )
    names = [f"two__{prefix}{i}" for i in range(2)]
    names += [f"three__{prefix}{i}" for i in range(3)]
    assert list(union.get_feature_names_out()) == names


@every_class
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_search(row, X, y, n_jobs):
    """4: with a score of its own, and the same in workers."""
    grid = {"n_components": [1, 3]}
    search = GridSearchCV(row.make(), grid, cv=2, n_jobs=n_jobs, error_score="raise")
    search.fit(X, y)
    expected = [
        cross_val_score(row.make(**params), X, y, cv=search.cv).mean()
        for params in search.cv_results_["params"]
    ]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert_same_model(search.best_estimator_, row.make(**search.best_params_).fit(X, y))
    np.testing.assert_array_equal(
        search.transform(X), search.best_estimator_.transform(X)
    )


@every_class
def test_a_search_through_a_pipeline_that_ends_in_a_classifier(row, X, y):
    """4."""
    pipeline = Pipeline([("reduce", row.make()), ("classify", LogisticRegression())])
    grid = {"reduce__n_components": [1, 4]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.best_score_ > 0.6
    best = pipeline.set_params(**search.best_params_)
    score = cross_val_score(best, X, y, cv=3, error_score="raise").mean()
    assert score == search.best_score_


@every_class
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(row, X, y, library):
    """5: names and index; `inverse_transform` takes the frame."""
    index = [f"row {i}" for i in range(len(X))]
    if library == "pandas":
        frame = pd.DataFrame(X, columns=NAMES, index=index)
    else:
        frame = pl.DataFrame(X, schema=NAMES)
    plain = row.make().fit(frame, y)
    estimator = row.make().set_output(transform=library)
    codes = estimator.fit_transform(frame, y)
    assert type(codes).__module__.startswith(library)
    assert list(codes.columns) == list(estimator.get_feature_names_out())
    assert list(codes.columns) == [f"{row.name.lower()}{i}" for i in range(2)]
    if library == "pandas":
        assert list(codes.index) == index
        assert list(estimator.transform(frame[::-1]).index) == index[::-1]
    np.testing.assert_array_equal(codes.to_numpy(), plain.transform(frame))
    np.testing.assert_array_equal(estimator.feature_names_in_, NAMES)
    # Decoders that know labels answer an average where they are told none.
    told = (y,) if row.needs_y else ()
    back = estimator.inverse_transform(codes, *told)
    np.testing.assert_allclose(back, plain.reconstruct(frame, *told), rtol=1e-9)
    reordered = codes[list(codes.columns)[::-1]]
    np.testing.assert_array_equal(
        estimator.inverse_transform(reordered),
        estimator.inverse_transform(reordered.to_numpy()),
    )


@every_class
def test_global_set_output(row, X, y):
    """5: the setting reaches what answers frames, and no number changes."""
    plain = row.make().fit(X, y)
    with config_context(transform_output="pandas"):
        estimator = row.make().fit(X, y)
        assert isinstance(estimator.transform(X), pd.DataFrame)
        assert isinstance(estimator.reconstruct(X), pd.DataFrame)
        found = answers(estimator, X)
    for name, expected in answers(plain, X).items():
        np.testing.assert_array_equal(found[name], expected)


def rows_answered(estimator, X, Z, y):
    """Answer what methods answer rows of the units of X, by their names."""
    calls = {
        "reconstruct": lambda: estimator.reconstruct(X, *y),
        "inverse_transform": lambda: estimator.inverse_transform(Z, *y),
        "impute": lambda: estimator.impute(X),
        "score_function": lambda: estimator.score_function(X),
        "sample": lambda: estimator.sample(7, random_state=0),
    }
    return {name: call() for name, call in calls.items() if hasattr(estimator, name)}


def codes_answered(estimator, X):
    """Answer what methods answer codes, by their names."""
    answered = {"transform": estimator.transform(X)}
    if hasattr(estimator, "encode_distribution"):
        both = estimator.encode_distribution(X)
        answered |= dict(zip(("mean", "deviation"), both, strict=True))
    if hasattr(estimator, "layer_codes"):
        *inner, answered["layer_codes"] = estimator.layer_codes(X)
        answered |= {f"layer{i}": codes for i, codes in enumerate(inner, start=1)}
    return answered


def assert_frames(found, expected, library, columns):
    """Assert that answers are frames of these numbers; columns are by name."""
    assert found.keys() == expected.keys()
    for name, frame in found.items():
        assert type(expected[name]) is np.ndarray, name
        assert type(frame).__module__.split(".")[0] == library, name
        assert list(frame.columns) == list(columns(name)), name
        numbers = frame.to_numpy()
        assert numbers.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(numbers, expected[name])


@every_case_and("library", ["pandas", "polars"])
def test_rows_and_codes_are_frames(row, params, X, y, library):
    """27: with the columns of training and the index of X; numbers are the same."""
    if not row.generative:
        params = {"latent_density": GaussianMixture(1, random_state=0), **params}
    frame = pd.DataFrame(X, columns=NAMES, index=range(5, 65))
    given = frame if library == "pandas" else pl.DataFrame(X, schema=NAMES)
    estimator = row.make(**params).fit(given, y)
    told = (y,) if row.needs_y else ()
    Z = pd.DataFrame(estimator.transform(given), index=[f"row {i}" for i in range(60)])
    rows = rows_answered(estimator, given, Z, told)
    codes = codes_answered(estimator, given)
    estimator.set_output(transform=library)
    framed = rows_answered(estimator, given, Z, told)
    assert_frames(framed, rows, library, lambda name: NAMES)
    names = estimator.get_feature_names_out()

    def columns(name):
        if not name.startswith("layer") or name == "layer_codes":
            return names
        return [f"{name}_{i}" for i in range(codes[name].shape[1])]

    framed_codes = codes_answered(estimator, given)
    assert_frames(framed_codes, codes, library, columns)
    if library == "pandas":
        assert framed.pop("inverse_transform").index.equals(Z.index)
        assert list(framed.pop("sample").index) == list(range(7))
        for name, answer in {**framed, **framed_codes}.items():
            assert answer.index.equals(frame.index), name
    with config_context(transform_output=library):
        estimator.set_output(transform="default")
        for name, answer in rows_answered(estimator, given, Z, told).items():
            assert type(answer) is np.ndarray, name


@every_class
@pytest.mark.parametrize(
    ("library", "dtype"), [("pandas", np.float32), ("polars", np.float64)]
)
def test_frames_of_rows_without_names(row, X, y, library, dtype):
    """27: columns are named as scikit-learn names them; the precision is that of X."""
    estimator = row.make().fit(X.astype(dtype), y)
    Z = estimator.transform(X.astype(dtype))
    told = (y,) if row.needs_y else ()
    rows = rows_answered(estimator, X.astype(dtype), Z, told)
    with config_context(transform_output=library):
        framed = rows_answered(estimator, X.astype(dtype), Z, told)
    assert_frames(framed, rows, library, lambda name: [f"x{i}" for i in range(6)])


@every_class
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_keep_their_dtypes(row, X, y, library):
    """27: floats of each precision; what is not missing is as it was, of any dtype."""
    given = pd.DataFrame(X, columns=NAMES).astype({NAMES[0]: np.float32})
    given[NAMES[1]] = np.arange(60) % 7
    given[NAMES[2]] = np.arange(60) % 2 == 0
    is_missing = hasattr(row.cls, "impute")
    if is_missing:
        given.loc[3, NAMES[0]] = given.loc[4, NAMES[3]] = np.nan
    given = given if library == "pandas" else pl.from_pandas(given)
    estimator = row.make().set_output(transform=library).fit(given, y)
    dtypes = list(given.dtypes)
    floats = [d if i not in (1, 2) else dtypes[-1] for i, d in enumerate(dtypes)]
    assert list(estimator.reconstruct(given).dtypes) == floats
    if hasattr(estimator, "impute"):
        filled = estimator.impute(given)
        assert list(filled.dtypes) == dtypes
        for i in (1, 2, 4):
            ours, theirs = (np.asarray(frame)[:, i] for frame in (filled, given))
            assert list(ours) == list(theirs)
        assert np.isfinite(np.asarray(filled, dtype=float)).all()


@every_class
def test_frames_of_sparse_rows(row, X, y):
    """27: what is sparse has no index, and comes back dense."""
    if not row.sparse:
        return
    estimator = row.make().fit(scipy.sparse.csr_array(X), y)
    plain = estimator.reconstruct(scipy.sparse.csr_array(X))
    estimator.set_output(transform="pandas")
    framed = estimator.reconstruct(scipy.sparse.csr_array(X))
    np.testing.assert_array_equal(framed.to_numpy(), plain)
    assert list(framed.index) == list(range(60))


@every_class
def test_rows_of_several_axes_stay_arrays(row, X, y):
    """27: frames have two axes; rows that are given as vectors come back as frames."""
    if not row.shaped:
        return
    cubes = X.reshape(-1, 3, 2)
    estimator = row.make().fit(cubes, y).set_output(transform="pandas")
    codes = estimator.transform(cubes)
    assert isinstance(codes, pd.DataFrame)
    for answer in (estimator.reconstruct(cubes), estimator.inverse_transform(codes)):
        assert type(answer) is np.ndarray
        assert answer.shape == cubes.shape
    assert isinstance(estimator.reconstruct(X), pd.DataFrame)


@every_class
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_through_a_pipeline(row, X, y, library):
    """27: both ways, whether codes go back through a scaler or from one to another."""
    frame = pd.DataFrame(X, columns=NAMES, index=range(5, 65))
    if library == "polars":
        frame = pl.DataFrame(X, schema=NAMES)
    plain = make_pipeline(StandardScaler(), row.make()).fit(frame.to_numpy(), y)
    expected = plain.inverse_transform(plain.transform(frame.to_numpy()))
    pipeline = make_pipeline(StandardScaler(), row.make())
    pipeline.set_output(transform=library).fit(frame, y)
    codes = pipeline.transform(frame)
    assert type(codes).__module__.startswith(library)
    # What the scaler answers is an array, of the frame that it gets.
    back = pipeline[1].inverse_transform(codes)
    assert list(back.columns) == NAMES
    np.testing.assert_allclose(pipeline.inverse_transform(codes), expected, rtol=1e-9)
    score = reconstruction_r2(plain, frame.to_numpy())
    assert reconstruction_r2(pipeline, frame) == pytest.approx(score, rel=1e-9)
    chain = make_pipeline(row.make(4), row.make(3)).set_output(transform=library)
    back = chain.fit(frame, y).inverse_transform(chain.transform(frame))
    assert type(back).__module__.startswith(library)
    assert list(back.columns) == NAMES
    if library == "pandas":
        assert back.index.equals(frame.index)


def measures(estimator, X):
    """Answer what is computed of a fitted estimator's rows elsewhere."""
    plt = pytest.importorskip("matplotlib.pyplot")
    denoising = make_denoising_scorer("gaussian", 0.1)
    pictures = ReconstructionDisplay.from_estimator(estimator, X[:3])
    paths = InterpolationDisplay.from_estimator(estimator, X[:2], X[2:4])
    codes = LatentSpaceDisplay.from_estimator(estimator, X)
    plt.close("all")
    return [
        *(score(estimator, X) for score in (reconstruction_r2, denoising)),
        *(estimator.score(X), estimator.reconstruction_error(X)),
        decoder_directions(estimator, X),
        *(*pictures.reconstructions.values(), paths.rows, codes.Z),
    ]


@every_class
def test_frames_leave_other_methods_as_they_were(row, X, y, tmp_path):
    """27: what computes with rows gets the same numbers, and files keep the setting."""
    plain = row.make().fit(X, y)
    expected = measures(plain, X)
    for library in ("pandas", "polars"):
        with config_context(transform_output=library):
            found = measures(plain, X)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
    frame = pd.DataFrame(X, columns=NAMES, index=range(5, 65))
    estimator = row.make().set_output(transform="pandas").fit(frame, y)
    estimator.save(tmp_path / "estimator")
    loaded = sklearn_ae.load(tmp_path / "estimator")
    for same in (loaded, pickle.loads(pickle.dumps(estimator))):
        pd.testing.assert_frame_equal(
            same.reconstruct(frame), estimator.reconstruct(frame)
        )


@every_class
def test_a_class_without_containers(row, X, y):
    """27: of a class that is never to answer frames, there are none."""
    silent = type("Silent", (type(row.make()),), {}, auto_wrap_output_keys=None)
    estimator = silent(**row.make().get_params(deep=False)).fit(X, y)
    with config_context(transform_output="pandas"):
        codes = estimator.transform(X)
        found = (codes, estimator.reconstruct(X), estimator.inverse_transform(codes))
    assert all(type(answer) is np.ndarray for answer in found)


@every_class
def test_feature_names_out(row, X, y):
    """5: as many as components, whatever the input's names."""
    estimator = row.make(4).fit(X, y)
    names = [f"{row.name.lower()}{i}" for i in range(4)]
    assert list(estimator.get_feature_names_out()) == names
    assert list(estimator.get_feature_names_out(NAMES)) == names
