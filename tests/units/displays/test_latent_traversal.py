"""Components of codes, one after another, drawn by LatentTraversalDisplay."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from sklearn_ae import (  # noqa: E402
    ConditionalVariationalAutoencoder,
    VariationalAutoencoder,
)
from sklearn_ae.displays import LatentTraversalDisplay  # noqa: E402
from units.displays.drawings import cut_off, overlapping  # noqa: E402

draw = LatentTraversalDisplay.from_estimator


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_each_component_goes_through_its_codes_and_the_others_rest(digits, digits_pca):
    X = digits[0]
    display = draw(digits_pca, X, n_steps=5)
    Z = digits_pca.transform(X)
    assert display.rows.shape == (5, 5, 64)
    np.testing.assert_allclose(display.probabilities, [0.01, 0.255, 0.5, 0.745, 0.99])
    for line, step in np.ndindex(5, 5):
        codes = np.median(Z, axis=0)
        codes[line] = np.quantile(Z[:, line], display.probabilities[step])
        expected = digits_pca.inverse_transform([codes])[0]
        np.testing.assert_allclose(display.rows[line, step], expected, atol=1e-8)
    assert labels_of(display.ax_.yaxis) == [f"pca{k}" for k in (4, 3, 2, 1, 0)]
    assert labels_of(display.ax_.xaxis) == ["1 %", "25.5 %", "50 %", "74.5 %", "99 %"]


def test_all_components_of_a_prior_without_rows(digits):
    model = VariationalAutoencoder(3, max_epochs=1, random_state=0).fit(digits[0])
    display = draw(make_pipeline(StandardScaler().fit(digits[0]), model))
    assert display.rows.shape == (3, 9, 64)
    # All lines meet at the medians.
    np.testing.assert_allclose(display.rows[:, 4], display.rows[[0, 0, 0], 4])
    assert display.probabilities[0] == pytest.approx(1 / 18)


def test_components_are_chosen_and_refused(digits, digits_pca):
    X = digits[0]
    both = draw(digits_pca, X, components=[3, 1])
    assert labels_of(both.ax_.yaxis) == ["pca1", "pca3"]
    np.testing.assert_array_equal(both.rows, draw(digits_pca, X).rows[[3, 1]])
    for components in ([5], [], [-1], [0.5]):
        with pytest.raises(ValueError, match=r"has 5 component\(s\), counted from 0"):
            draw(digits_pca, X, components=components)
    with pytest.raises(ValueError, match="n_steps == 1"):
        draw(digits_pca, X, n_steps=1)
    with pytest.raises(ValueError, match="PCA has no prior"):
        draw(digits_pca)
    with pytest.raises(AttributeError, match=r"^TSNE has no `inverse_transform`\.$"):
        draw(TSNE(), X)
    plt.close("all")


def test_a_label_of_choice(digits):
    X, y = digits
    model = ConditionalVariationalAutoencoder(max_epochs=1, random_state=0).fit(X, y)
    ones = draw(model, X, label=1)
    expected = model.inverse_transform(np.median(model.transform(X), 0)[None], [1])
    np.testing.assert_allclose(ones.rows[0, 4], expected[0], rtol=1e-5)
    assert not np.allclose(draw(model, X, label=2).rows, ones.rows)


def test_the_first_component_is_on_top():
    rows = np.arange(2 * 3 * 16.0).reshape(2, 3, 16)
    display = LatentTraversalDisplay(rows, np.linspace(0, 1, 3)).plot()
    array = display.artist_.get_array()
    np.testing.assert_array_equal(array[:4, :4], rows[0, 0].reshape(4, 4))
    np.testing.assert_array_equal(array[-4:, -4:], rows[1, 2].reshape(4, 4))


@pytest.mark.parametrize("n_components", [1, 2, 8, 64])
def test_names_of_lines_are_whole_and_apart(digits, n_components):
    pca = PCA(n_components).fit(digits[0])
    display = draw(pca, digits[0])
    display.component_names = [
        f"variationalautoencoder{k}" for k in range(n_components)
    ]
    display.plot()
    assert cut_off(display.figure_) == []
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        texts = [*axis.get_ticklabels(), axis.label]
        assert not overlapping([text.get_window_extent() for text in texts])
