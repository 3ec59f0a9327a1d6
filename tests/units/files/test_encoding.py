"""Values that files hold come back as they were, and of the same types."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from contract.table import examples
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from sklearn_ae._compute.devices import AllocationLimit
from sklearn_ae._files.values import Decoder, Encoder

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
dtypes = st.one_of(
    arrays_of.boolean_dtypes(),
    arrays_of.integer_dtypes(endianness="?"),
    arrays_of.unsigned_integer_dtypes(endianness="?"),
    arrays_of.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    arrays_of.unicode_string_dtypes(endianness="?", max_len=4),
)
shapes = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
arrays = st.one_of(
    arrays_of.arrays(dtypes, shapes),
    st.lists(st.text() | st.integers()).map(lambda items: np.array(items, object)),
)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    plain | arrays,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=12,
)


def through_json(value):
    aside = {}
    text = json.dumps(Encoder("x", aside).encode("name", value), allow_nan=False)
    found = Decoder(aside).decode(json.loads(text))
    assert not aside
    return found


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_same(first, second)
    elif isinstance(one, dict):
        assert_same(list(one.items()), list(other.items()))
    elif isinstance(one, np.ndarray):
        assert one.shape == other.shape
        assert one.dtype.newbyteorder("=") == other.dtype.newbyteorder("=")
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, float):
        assert repr(one) == repr(other)
    else:
        assert one == other


@examples(max_examples=200)
@given(value=trees)
def test_trees_come_back(value):
    assert_same(through_json(value), value)


NUMBERS = [np.float32(0.1), np.int8(3), np.bool_(1), np.str_("a")]


@pytest.mark.parametrize("value", NUMBERS)
def test_numbers_of_numpy_become_those_of_python(value):
    found = through_json([value])[0]
    assert type(found) in (float, int, bool, str)
    assert found == value


@pytest.mark.parametrize(
    "value",
    [1j, {1, 2}, b"x", len, object(), torch.zeros(2), math, np.array([object()])],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused_by_name(value):
    for nested in (value, [value], {"key": (value,)}):
        with pytest.raises(ValueError, match=r"^name=.* cannot be written"):
            Encoder("x", {}).encode("name", nested)
    for dtype in ("c8", "M8[s]", "V3", "S2"):
        with pytest.raises(ValueError, match=r"^name=.* cannot be written"):
            Encoder("x", {}).encode("name", np.zeros(2, dtype))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: torch.nn.Linear(n, n),
        lambda n: torch.nn.LSTM(2, n),
        lambda n: torch.nn.Conv2d(n, n, 3),
        lambda n: torch.nn.BatchNorm1d(n**2),
        lambda n: torch.eye(n),
        lambda n: torch.arange(n**2),
        lambda n: torch.zeros(1).new_ones((n, n)),
        lambda n: torch.rand(n, n, generator=torch.Generator()),
        lambda n: [torch.zeros(1) for _ in range(n)],
    ],
)
def test_what_is_too_large_is_not_made(make):
    with AllocationLimit(10_000, 100):
        make(10)
    with pytest.raises(ValueError, match="larger"), AllocationLimit(10_000, 100):
        make(10**6)
