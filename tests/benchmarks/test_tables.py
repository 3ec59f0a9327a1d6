"""A table of the user's own: what is read, what is taken for what, what is said."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

pytest.importorskip("rich")
pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from benchmarks import pictures
from benchmarks.__main__ import main, make_parser
from benchmarks.common import BenchmarkError
from benchmarks.data.datasets import load, load_from_options
from benchmarks.data.files import READERS

WINE = load_wine(as_frame=True)
NAMES = WINE.target.map({0: "Barolo", 1: "Grignolino", 2: "Barbera"})
GUESSED = r"^Column '{}' \(3 classes\) is taken for the label, {}, and is no feature"


def read(path, *words):
    words = ["compare", "--dataset", path, *words]
    return load_from_options(make_parser().parse_args(list(map(str, words))))


def write(path, frame, **options):
    frame.to_csv(path, **({"index": False} | options))
    return path


def with_first(name, values):
    frame = WINE.data.copy()
    frame.insert(0, name, values)
    return frame


# Each form of one table: the frame, how it is written, and what is said of the label.
SEPARATED = {"sep": ";", "decimal": ","}
FORMS = {
    "numbers, last": (WINE.data.assign(cultivar=WINE.target), {}, "by its name"),
    "words, last": (WINE.data.assign(Species=NAMES), {}, "by its name"),
    "words, first": (with_first("wine_type", NAMES), {}, "by its name"),
    "numbers, first": (with_first("Class", WINE.target + 1), {}, "by its name"),
    "unknown name": (with_first("Wine", WINE.target), {}, "alone holds a few whole"),
    "unknown words": (with_first("Wine", NAMES), {}, "alone holds words"),
    "no header": (with_first("y", WINE.target), {"header": False}, "whole numbers"),
    "index": (WINE.data.assign(target=WINE.target), {"index": True}, "by its name"),
    "semicolons": (WINE.data.assign(label=NAMES), SEPARATED, "by its name"),
    "tabs": (WINE.data.assign(label=NAMES), {"sep": "\t"}, "by its name"),
    "spaces": (WINE.data.assign(label=NAMES), {"sep": " "}, "by its name"),
    "byte order mark": (with_first("y", NAMES), {"encoding": "utf-8-sig"}, "its name"),
    "UTF-16": (with_first("y", NAMES), {"encoding": "utf-16"}, "by its name"),
    "Latin 1": (with_first("y", NAMES + "é"), {"encoding": "latin-1"}, "by its name"),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_wine(form, tmp_path):
    frame, options, reason = FORMS[form]
    wine = read(write(tmp_path / "wine.csv", frame, **options))
    np.testing.assert_allclose(wine.X, WINE.data, rtol=1e-12)
    # The classes are those of the file, by whatever names.
    found = pd.Series(wine.y)
    assert found.nunique() == len(
        pd.crosstab(found, WINE.target).stack().loc[lambda n: n > 0]
    )
    said = " ".join(wine.notes)
    assert "is taken for the label" in said
    assert reason in said
    assert "--label NAME" in said
    assert wine.standardize
    split = wine.split(0)
    assert split.X_train.dtype == np.float32
    np.testing.assert_allclose(split.X_train.std(axis=0), 1, rtol=1e-5)


def test_label_that_is_named(tmp_path, capsys):
    path = write(tmp_path / "own.csv", WINE.data.assign(a=NAMES, target=WINE.target))
    assert set(read(path, "--label", "a").y) == set(NAMES)
    assert "The label is column 'a', 3 classes." in capsys.readouterr().err
    without = read(path, "--no-label")
    assert without.y is None
    assert without.X.shape == (178, 14)
    assert load("wine").y is not None
    assert read("wine", "--no-label").y is None
    with pytest.raises(
        BenchmarkError, match=r"no column 'targe'; .*mean --label 'targ"
    ):
        read(path, "--label", "targe")


def test_label_is_never_a_feature_in_silence(tmp_path):
    rng = np.random.default_rng(0)
    two = WINE.data.assign(sex=rng.integers(0, 2, 178), rooms=rng.integers(1, 5, 178))
    own = read(write(tmp_path / "two.csv", two))
    assert own.y is None
    assert "Taken for features, though they look like labels: 'sex', 'rooms'" in str(
        own.notes
    )
    none = read(write(tmp_path / "none.csv", WINE.data))
    assert none.notes[0].startswith("No column is taken for the label")
    # The same classes under two names: one is the label, the other no feature.
    codes = WINE.data.assign(target=NAMES, code=WINE.target)
    own = read(write(tmp_path / "codes.csv", codes))
    assert own.X.shape == (178, 13)
    assert "Left out as the label in other words: 'code'." in own.notes
    # Coordinates are no label, and no secret.
    points = pd.DataFrame(rng.normal(size=(99, 2)), columns=["x", "y"])
    assert read(write(tmp_path / "points.csv", points)).y is None


def test_label_of_measured_numbers(tmp_path):
    rows = np.random.default_rng(0).normal(size=(99, 3))
    own = read(write(tmp_path / "own.csv", pd.DataFrame(rows, columns=["a", "b", "y"])))
    assert own.y.dtype == np.float64
    assert "'y' (measured numbers)" in own.notes[0]


def test_label_of_whole_numbers_that_are_measured(tmp_path, capsys):
    """No accuracy is given of labels that are hardly ever the same."""
    prices = np.random.default_rng(0).integers(100, 10_000, 178)
    path = write(tmp_path / "own.csv", WINE.data.assign(target=prices))
    words = ["--dataset", path, "--methods", "pca", "--components", 2, "--seeds", 1]
    assert main([str(word) for word in [*words, "--output", tmp_path]]) == 0
    table = (tmp_path / "own" / "table.md").read_text(encoding="utf-8")
    assert "'target' (measured numbers)" in table
    assert "accuracy" not in table


def test_labels_that_are_none(tmp_path):
    names = [f"bottle {number}" for number in range(178)]
    path = write(tmp_path / "own.csv", WINE.data.assign(label=names, same=1))
    assert read(path).y is None
    with pytest.raises(BenchmarkError, match=r"'label' is no label.*178 different"):
        read(path, "--label", "label")
    with pytest.raises(BenchmarkError, match="'same' is no label"):
        read(path, "--label", "same")


@pytest.fixture
def gaps(tmp_path):
    """Wine with 10 values missing in 9 rows, and 5 rows without a label."""
    frame = WINE.data.astype(object).assign(cultivar=NAMES)
    frame.loc[:8, "ash"] = ["?", "NA", "", "n.d.", "?", "?", "?", "?", "inf"]
    frame.loc[8, "hue"] = np.nan
    frame.loc[170:174, "cultivar"] = np.nan
    return write(tmp_path / "gaps.csv", frame)


def test_missing_values_are_filled_in(gaps):
    wine = read(gaps)
    said = " ".join(wine.notes)
    assert "1 cell(s) of 'ash' are no numbers and count as missing: 'n.d.'" in said
    assert "Rows without a label, left out: 5." in said
    assert "9 of 173 rows have missing values, 10 in all, filled in" in said
    assert "--drop-missing" in said
    raw = read(gaps, "--raw").split(0)
    ash = np.median(raw.X_train[:, 2])
    assert np.isfinite(raw.X_train).all()
    assert np.isfinite(raw.X_test).all()
    rows = np.isin(raw.X_train, WINE.data.to_numpy(dtype=np.float32)).all(axis=1)
    np.testing.assert_allclose(raw.X_train[~rows][:, 2], ash)


def test_missing_values_are_left_out(gaps, tmp_path):
    wine = read(gaps, "--drop-missing")
    assert wine.X.shape == (164, 13)
    assert len(wine.y) == 164
    assert "9 of 173 rows have missing values and are left out." in wine.notes
    frame = WINE.data.assign(hue=np.nan).mask(WINE.data.hue < 1)
    many = WINE.data.assign(hue=WINE.data.hue.where(np.arange(178) < 9))
    with pytest.raises(BenchmarkError, match=r"169 of 178.*leaves 9.*needs 60"):
        read(write(tmp_path / "many.csv", many), "--drop-missing")
    # A column without values is none.
    frame = WINE.data.assign(empty=np.nan)
    assert read(write(tmp_path / "empty.csv", frame), "--drop-missing").X.shape[1] == 13


def test_missing_values_of_arrays(tmp_path):
    X = np.random.default_rng(0).normal(size=(80, 4))
    X[-3:, 1] = np.nan
    np.savez(tmp_path / "own.npz", X_train=X[:60], X_test=X[60:])
    own = read(tmp_path / "own.npz")
    assert not own.standardize
    assert np.isfinite(own.split(0).X_test).all()
    assert len(read(tmp_path / "own.npz", "--drop-missing").split(0).X_test) == 17


def test_scale_is_said(tmp_path):
    path = write(tmp_path / "own.csv", WINE.data.iloc[:, 1:])
    scaled, raw, images = (
        read(path, *w.split()) for w in ("", "--raw", "--image-shape 3 4")
    )
    assert "mean 0 and variance 1" in scaled.notes[-1]
    assert "--raw" in scaled.notes[-1]
    assert "largest numbers count most" in raw.notes[-1]
    assert raw.split(0).X_train.max() > 1000
    # Pixels are of one unit.
    assert not images.standardize
    assert read("wine").standardize
    assert not read("wine", "--raw").standardize
    assert read("digits", "--standardize").standardize


def test_columns_that_are_no_features(tmp_path):
    frame = WINE.data.assign(
        day=pd.date_range("2020-01-01", periods=178).astype(str),
        name=[f"bottle {number}" for number in range(178)],
        t=np.arange(178),
        same=1.0,
    )
    frame.insert(0, "id", np.random.default_rng(0).permutation(178))
    own = read(write(tmp_path / "own.csv", frame))
    assert own.X.shape == (178, 14)
    said = " ".join(own.notes)
    assert "as words or dates (encode them as numbers to have them): 'day'" in said
    assert "Left out as numbers of the rows: 'id', 't'." in said
    assert "The same value in all rows, so of no use: 'same'." in said


def test_header_of_numbers(tmp_path):
    """Pixels, years and wavelengths are names; numbers without an order are a row."""
    rows = np.random.default_rng(0).normal(size=(99, 4))
    for names in (range(4), [1990, 1991, 1992, 1993], [400.5, 401, 401.5, 402]):
        path = write(tmp_path / "own.csv", pd.DataFrame(rows, columns=names))
        assert read(path).X.shape == (99, 4)
    own = read(write(tmp_path / "own.csv", pd.DataFrame(rows), header=False))
    assert own.X.shape == (99, 4)
    assert "The first line holds numbers, so it is taken for a row" in own.notes[0]


def test_more_fields_than_names(tmp_path):
    header, *lines = WINE.data.to_csv(index=False).splitlines()
    path = tmp_path / "own.csv"
    for texts in (
        [f"row{i},{line}" for i, line in enumerate(lines)],
        [f"{line}," for line in lines],
    ):
        path.write_text("\n".join([header, *texts]))
        np.testing.assert_allclose(read(path).X, WINE.data)


ROW = "1.5,2.5,3.5\n"
UNUSABLE = {
    "": "the file is empty",
    " \n\n": "the file is empty",
    "a,b,label\n": "no rows",
    "a,b\n" + "u,v\n" * 99: "no column holds numbers",
    "a,b\n" + "1,2\n" * 99: "all rows of own are the same",
    "Report\n\na,b,c\n" + ROW * 99: "different numbers of fields",
    "a,b,c\n" + ROW * 99 + "1,2,3,4\n": "different numbers of fields",
    "a,b,c\n" + ROW + "1,2,3\n": "has 2 rows; a comparison needs 60",
}


@pytest.mark.parametrize("text", UNUSABLE)
def test_unusable_tables(text, tmp_path):
    path = tmp_path / "own.csv"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=UNUSABLE[text]):
        read(path)


def test_other_files(tmp_path):
    for suffix in set(READERS) - {".npz", ".parquet"}:
        assert (
            read(write(tmp_path / f"own{suffix.upper()}", WINE.data)).X.shape[1] == 13
        )
    with pytest.raises(BenchmarkError, match=r"saved as \.csv"):
        read(tmp_path / "own.xlsx")
    with pytest.raises(BenchmarkError, match=r"did you mean digits\?"):
        read("digit")


def test_compare_on_a_table_without_an_option(tmp_path, capsys):
    """The promise of the README: a file, no option, and a table to be trusted."""
    path = write(tmp_path / "own.csv", with_first("Wine", NAMES))
    words = ["--dataset", path, "--methods", "pca", "linear", "--output", tmp_path]
    assert main([str(word) for word in words]) == 0
    shown = capsys.readouterr().out
    table = (tmp_path / "own" / "table.md").read_text(encoding="utf-8")
    for text in (
        "133 training and 45 test rows of 13 features; medians over 3 seeds",
        "Column 'Wine' (3 classes) is taken for the label",
        "mean 0 and variance 1",
        "k = 16 is left out: 133 training rows of 13 features",
    ):
        assert text in table
        assert text in " ".join(shown.split())
    runs = pd.read_csv(tmp_path / "own" / "runs.csv").set_index(["method", "seed"])
    assert (runs.knn > 0.9).all()
    assert (runs.angle < 1).all()
    assert (runs.r2 > 0.4).all()


@pytest.fixture
def figures(monkeypatch):
    """Keep the figures that are written, by their names."""
    kept = {}
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **kw: kept.setdefault(path.stem, self)
    )
    return kept


def test_pictures_say_what_they_show(tmp_path, figures):
    """Rows, seed, size of the code, the label; units of a loss, and what ended it."""
    path = write(tmp_path / "own.csv", with_first("Wine", NAMES))
    words = ["--dataset", path, "--methods", "pca", "linear", "deep", "--seeds", 1]
    words += ["--output", tmp_path, "--components", 2]
    assert main([str(word) for word in words]) == 0
    maps, losses = figures["maps"], figures["loss_curves"]
    title = maps.get_suptitle()
    assert title.startswith("own: all 133 training rows, seed 0, k = 2")
    assert maps.legends[0].get_title().get_text() == "Wine"
    assert all(ax.get_legend() is None for ax in maps.axes)
    labels = [text.get_text() for text in losses.legends[0].get_texts()]
    assert labels[0].startswith("linear autoencoder, k = 2")
    assert labels[0].endswith("epochs, ended by tol")
    assert labels[1] == "deep autoencoder, k = 2: 60 epochs, ended by max_epochs"
    (ax,) = losses.axes
    assert "share of their variance" in ax.get_ylabel()
    # The linear one ends where PCA is.
    *_, linear, _, level = [np.asarray(line.get_ydata()) for line in ax.get_lines()]
    np.testing.assert_allclose(linear[-1], level[0], rtol=1e-3)


def test_pictures_of_images_and_of_a_part(tmp_path, figures, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_POINTS", 50)
    words = ["--methods", "pca", "--seeds", 1, "--output", tmp_path]
    assert main([str(word) for word in words]) == 0
    assert "digits: 50 of 1,347 training rows, seed 0" in figures["maps"].get_suptitle()
    images = figures["reconstructions"]
    assert images.get_suptitle() == "10 of 450 test rows, seed 0"
    assert "PCA, k = 16" in [ax.get_ylabel() for ax in images.axes]


@pytest.mark.parametrize("components", [[1, 2, 16], [2], [500, 2]])
def test_sizes_of_codes_that_are_too_large(components, tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(99, 3))
    path = write(tmp_path / "own.csv", pd.DataFrame(rows, columns=["a", "b", "c"]))
    words = ["--dataset", path, "--seeds", 1, "--methods", "pca", "--output", tmp_path]
    assert main([str(word) for word in [*words, "--components", *components]]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for k in components:
        assert (f"k = {k} is left out: 74 training rows of 3 features" in said) == (
            k > 3
        )
    # One column alone leaves nothing to compare.
    path = write(tmp_path / "one.csv", pd.DataFrame(rows[:, :1], columns=["a"]))
    assert main(["--dataset", str(path), "--output", str(tmp_path)]) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_unknown_words_on_the_command_line(capsys):
    with pytest.raises(SystemExit):
        main(["wine.csv"])
    assert "--dataset wine.csv" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--labels", "kind"])
    assert "compare --help lists what there is" in capsys.readouterr().err
