"""The measures of sample quality, by hand and by a closed form."""

import numpy as np
import pytest
from theory.claims import check_identity

from benchmarks.measures.sample_quality import Judge, mmd


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_discrepancy_of_two_normals(width):
    """The MMD that the claims are about is the one of the closed form."""
    random, shift = np.random.RandomState(0), 2.0
    measured = np.mean(
        [
            mmd(*draws, widths=[width])
            for draws in random.normal([[[0]], [[shift]]], 1, (5, 2, 1500, 1))
        ]
    )

    def check(square):
        height = 2 * np.sqrt(square / (square + 2))
        expected = height * (1 - np.exp(-(shift**2) / (2 * (square + 2))))
        assert measured == pytest.approx(expected, rel=0.03)

    # Among the wrong ones, the kernel without its factor of a half.
    check_identity(check, width**2, width**2 / 2, 2 * width**2)


def test_discrepancy_of_rows_far_from_zero():
    drawn, real = np.random.RandomState(0).normal(size=(2, 30, 3))
    shifted = mmd(drawn + 1e6, real + 1e6)
    assert shifted == pytest.approx(mmd(drawn, real), abs=1e-8)


def test_shares():
    """Of a line of training rows, and held-out ones between them."""
    train = np.arange(10.0)[:, None]
    test = train + 0.3
    judge = Judge.of(train, test)
    assert judge.near == pytest.approx(0.3)
    # Copies; rows at the radius; rows far off.
    assert judge.fidelity(train) == judge.copies(train) == 1
    assert judge.fidelity(train + 0.29) == 1
    assert judge.copies(train + 0.29) == 0
    assert judge.fidelity(train + 100) == 0
    # The fifth nearest of the tenth row is 5 off, and 3 off of one in the middle.
    assert judge.coverage(test[-1:] - 3.5) == 0.7
    assert judge.coverage(train + 100) == 0
