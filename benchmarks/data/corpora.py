"""Documents as counts of words: rows stay sparse, topics are for measuring only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse
from sklearn.datasets import fetch_20newsgroups
from sklearn.feature_extraction.text import CountVectorizer

from benchmarks.common import BenchmarkError

# Documents drawn at a time.
_SLICE = 500


@dataclass(frozen=True)
class Corpus:
    """Counts of training and test documents, with a topic number for each."""

    name: str
    X_train: scipy.sparse.csr_array
    X_test: scipy.sparse.csr_array
    y_train: np.ndarray
    y_test: np.ndarray
    topics: tuple[str, ...]


def load_reuters(data_home: Path | None, seed: int, n_words: int) -> Corpus:
    """Read ``reuters.npz``: the CSR parts, ``y``, ``train`` and ``topics``."""
    if data_home is None:
        raise BenchmarkError("reuters has no download here: give --data-home")
    for path in (data_home / "reuters.npz", data_home / "reuters" / "reuters.npz"):
        if path.is_file():
            return read_counts(path)
    raise BenchmarkError(f"there is no reuters.npz in {data_home}")


def read_counts(path: Path) -> Corpus:
    """Read a file of counts, with its own training and test rows."""
    with np.load(path) as arrays:
        missing = {"data", "indices", "indptr", "shape", "y", "train"} - set(arrays)
        if missing:
            raise BenchmarkError(f"{path} lacks {', '.join(sorted(missing))}")
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        X = scipy.sparse.csr_array(parts, shape=tuple(arrays["shape"]))
        y, train = arrays["y"].astype(int), arrays["train"].astype(bool)
        topics = arrays["topics"] if "topics" in arrays else np.unique(y)
    X = X.astype(np.float32)
    topics = tuple(str(topic) for topic in topics)
    return Corpus(path.stem, X[train], X[~train], y[train], y[~train], topics)


def load_newsgroups(data_home: Path | None, seed: int, n_words: int) -> Corpus:
    """Download the 20 newsgroups; count the words of most training documents."""
    bunches = []
    for subset in ("train", "test"):
        try:
            bunch = fetch_20newsgroups(
                data_home=None if data_home is None else str(data_home),
                subset=subset,
                remove=("headers", "footers", "quotes"),
            )
        except OSError as error:
            raise BenchmarkError(
                f"20newsgroups could not be downloaded ({error})"
            ) from error
        bunches.append(bunch)
    return count_words(bunches, n_words)


def count_words(bunches: list, n_words: int) -> Corpus:
    """Turn training and test documents into counts; empty ones are left out."""
    train, test = bunches
    counter = CountVectorizer(
        max_features=n_words, stop_words="english", min_df=2, dtype=np.float32
    )
    parts = []
    for bunch, count in ((train, counter.fit_transform), (test, counter.transform)):
        X = scipy.sparse.csr_array(count(bunch.data))
        kept = np.diff(X.indptr) > 0
        parts.append((X[kept], np.asarray(bunch.target)[kept]))
    (X_train, y_train), (X_test, y_test) = parts
    topics = tuple(train.target_names)
    return Corpus("20newsgroups", X_train, X_test, y_train, y_test, topics)


def make_corpus(data_home: Path | None, seed: int, n_words: int) -> Corpus:
    """Draw documents from 20 topics, each mostly about one of them.

    A topic is a Dirichlet(0.05) distribution over the words, a document a
    Dirichlet(0.05) mixture of topics and 40 to 150 words long.
    """
    rng = np.random.default_rng(seed)
    n_topics, n_rows = 20, 4000
    words = rng.dirichlet(np.full(n_words, 0.05), n_topics)
    shares = rng.dirichlet(np.full(n_topics, 0.05), n_rows)
    lengths = rng.integers(40, 151, n_rows)
    slices = [slice(i, i + _SLICE) for i in range(0, n_rows, _SLICE)]
    parts = [rng.multinomial(lengths[rows], shares[rows] @ words) for rows in slices]
    X = scipy.sparse.vstack(
        [scipy.sparse.csr_array(part.astype(np.float32)) for part in parts],
        format="csr",
    )
    y, cut = shares.argmax(axis=1), 3 * n_rows // 4
    topics = tuple(f"topic {i}" for i in range(n_topics))
    return Corpus("synthetic", X[:cut], X[cut:], y[:cut], y[cut:], topics)


CORPORA = {
    "reuters": load_reuters,
    "20newsgroups": load_newsgroups,
    "synthetic": make_corpus,
}
