"""Architectures: geometry, initial weights, rows with a shape, nets of one's own."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

import sklearn_ae
from sklearn_ae import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    GaussianNoise,
    RobustAutoencoder,
    SparseAutoencoder,
)
from sklearn_ae.architectures import (
    ARCHITECTURES,
    LSTM,
    Architecture,
    Convolutional,
    Dense,
    Residual,
)
from sklearn_ae.architectures._convolutional import (
    ConvolutionalLayer,
    Step,
    TransposedConvolutionalLayer,
)


@pytest.fixture(scope="module")
def X():
    return load_digits().data[:200]


def layers(step, n_outer=1, n_inner=1, seed=0):
    """Answer a convolution and its transpose, linear, with the same weights."""
    generator = torch.Generator().manual_seed(seed)
    down = ConvolutionalLayer(n_outer, n_inner, step, "identity").double()
    up = TransposedConvolutionalLayer(n_inner, n_outer, step, "identity").double()
    with torch.no_grad():
        down.weight.normal_(generator=generator)
        up.weight.copy_(down.weight)
    return down, up


GEOMETRIES = [
    Step(sizes, kernel_size, stride)
    for sizes in [(1,), (2,), (7,), (8,), (1, 1), (5, 8), (1, 6)]
    for kernel_size in (1, 2, 3, 4, 5)
    for stride in (1, 2, 3)
]


@pytest.mark.parametrize("step", GEOMETRIES, ids=str)
def test_transpose_is_the_adjoint(step):
    """E3: <C x, y> = <x, C' y>, and the sizes are restored exactly."""
    down, up = layers(step, 2, 3)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 2, *step.sizes, generator=generator, dtype=torch.float64)
    y = torch.randn(4, 3, *step.reduced, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        assert down(x).shape == y.shape
        assert up(y).shape == x.shape
        assert_allclose((down(x) * y).sum(), (x * up(y)).sum(), rtol=1e-9)


@pytest.mark.parametrize("sizes", [(1,), (2,), (3,), (1, 9), (28, 28)])
def test_axes_never_vanish(sizes):
    for kernel_size in (1, 2, 3, 8):
        for stride in (1, 2, 5):
            step = Step(sizes, kernel_size, stride)
            for n, reduced, own in zip(sizes, step.reduced, step.strides, strict=True):
                assert own == (stride if n >= stride else 1)
                assert reduced == math.ceil(n / own) >= 1


def explicit_matrix(kernel):
    """Answer the 4 x 16 matrix of a 3 x 3 kernel that stays inside a 4 x 4 map."""
    matrix = np.zeros((4, 16))
    for row, (i, j) in enumerate(np.ndindex(2, 2)):
        picture = np.zeros((4, 4))
        picture[i : i + 3, j : j + 3] = kernel
        matrix[row] = picture.ravel()
    return matrix


# Where the kernel stays inside.
INTERIOR = [5, 6, 9, 10]


def test_convolution_is_a_sparse_toeplitz_matrix():
    """E2: from 4 x 4 to the 2 x 2 places at which no zeros are added."""
    down, _ = layers(Step((4, 4), 3, 1))
    with torch.no_grad():
        pictures = torch.eye(16, dtype=torch.float64).reshape(16, 1, 4, 4)
        matrix = down(pictures).reshape(16, 16).T
    expected = explicit_matrix(down.weight[0, 0].detach())
    assert (expected == 0).sum() == 4 * 7
    assert_allclose(matrix[INTERIOR], expected, atol=1e-5)


def test_transposed_convolution_is_its_transpose():
    """E3: from the 2 x 2 places to 4 x 4, which copying entries is not."""
    _, up = layers(Step((4, 4), 3, 1))
    y = torch.randn(
        2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    padded = nn.functional.pad(y, (1, 1, 1, 1))
    with torch.no_grad():
        x = up(padded[None, None]).ravel()
    expected = explicit_matrix(up.weight[0, 0].detach()).T @ y.ravel().numpy()
    assert_allclose(x, expected, atol=1e-5)
    copied = nn.functional.interpolate(y[None, None], size=(4, 4)).ravel()
    assert np.abs(copied.numpy() - expected).max() > 0.1


def test_maps_move_with_what_they_show():
    """E1: those of stride 1, away from the edges."""
    spec = Convolutional(input_shape=(16, 16), stride=1)
    encoder, _ = built(spec, 256, hidden_layer_sizes=(4, 4))
    maps = encoder[:3]
    x = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    moved = torch.roll(x, (2, -1), (1, 2))
    with torch.no_grad():
        h, other = maps(x.flatten(1)), maps(moved.flatten(1))
    expected = torch.roll(h, (2, -1), (2, 3))
    inside = (..., slice(4, 12), slice(4, 12))
    assert_allclose(other[inside], expected[inside], atol=1e-4)
    assert float(expected[inside].std()) > 1e-3


def built(spec, n_features, n_components=2, **params):
    """Build the two parts of a net."""
    defaults = {
        "hidden_layer_sizes": (3, 5),
        "activation": "relu",
        "code_activation": "identity",
        "tied_weights": False,
        "initialization": "auto",
        "seed": 0,
    }
    return spec.build(n_features, n_components, **(defaults | params))


SPECS = {
    "convolutional": Convolutional(),
    "one axis": Convolutional(dimensions=1),
    "even kernel": Convolutional(kernel_size=4),
    "long strides": Convolutional(kernel_size=1, stride=5),
    "normalised": Convolutional(normalization="layer"),
    "residual": Residual(),
    "two blocks": Residual(n_blocks=2, normalization="layer"),
    "even residual": Residual(kernel_size=2, stride=3),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("n_features", [1, 2, 3, 5, 15, 16, 17, 25, 64])
def test_every_width_is_restored(spec, n_features):
    for hidden in ((), (3,), (3, 2, 4, 2)):
        parts = built(spec, n_features, hidden_layer_sizes=hidden)
        encoder, decoder = (part.double() for part in parts)
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(4, n_features, generator=generator, dtype=torch.float64)
        z = encoder(x)
        assert z.shape == (4, 2)
        assert decoder(z).shape == x.shape
        # A row is computed with by itself.
        assert_allclose(encoder(x[:1]).detach(), z[:1].detach(), atol=1e-9)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_activations_keep_their_size(spec):
    """With the initial weights, and the output is not normalised."""
    encoder, decoder = built(
        spec, 256, 16, hidden_layer_sizes=(32, 32), activation="tanh"
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200, 256, generator=generator)
    with torch.no_grad():
        assert 0.1 < float(encoder(x).std()) < 2
        z = torch.randn(200, 16, generator=generator)
        deviations = decoder(z).std(dim=1)
        assert 0.02 < float(deviations.mean()) < 2
        assert float(deviations.std()) > 1e-3


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_outer_weights_do_not_depend_on_what_is_inside(spec):
    shallow, deep = (
        built(spec, 64, hidden_layer_sizes=sizes)[0] for sizes in ((4,), (4, 3))
    )
    first, other = (
        [p for name, p in part.named_parameters() if name.startswith("1.")]
        for part in (shallow, deep)
    )
    assert len(first) == len(other) > 1
    for one, same in zip(first, other, strict=True):
        assert torch.equal(one, same)


@pytest.mark.parametrize(
    ("spec", "n_features", "expected"),
    [
        (Convolutional(), 64, (8, 8)),
        (Convolutional(), 9, (9,)),
        (Convolutional(dimensions=2), 9, (3, 3)),
        (Convolutional(dimensions=1), 64, (64,)),
        (Convolutional(), 63, (63,)),
        (Convolutional((4, 16)), 64, (4, 16)),
        (Convolutional([1, 4, 16]), 64, (1, 4, 16)),
        (Convolutional((4, 16), dimensions=1), 64, (4, 16)),
        (Dense(), 64, None),
    ],
    ids=str,
)
def test_shape_of_a_row(spec, n_features, expected):
    assert spec.row_shape(n_features) == expected


@pytest.mark.parametrize(
    ("input_shape", "dimensions", "channels"),
    [
        ((64,), None, 1),
        ((8, 8), None, 1),
        ((4, 4, 4), None, 4),
        ((2, 32), 1, 2),
        ((64,), 1, 1),
    ],
)
def test_channels(input_shape, dimensions, channels):
    spec = Convolutional(input_shape, dimensions=dimensions)
    encoder, decoder = built(spec, 64)
    assert encoder[1].weight.shape[1] == channels
    assert encoder[1].weight.ndim == 2 + (dimensions or min(len(input_shape), 2))
    assert decoder(encoder(torch.rand(2, 64))).shape == (2, 64)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (Convolutional((8, 9)), r"X has 64 features, but input_shape=\(8, 9\) has 72"),
        (Convolutional((1, 2, 4, 8)), "must be 1 to 3 integers"),
        (Convolutional((4, 4, 4), dimensions=1), "must be 1 to 2 integers"),
        (Convolutional((64,), dimensions=2), "must be 2 to 3 integers"),
        (Convolutional((8.0, 8)), "integers"),
        (Convolutional(()), "must be 1 to 3 integers"),
        (Convolutional(kernel_size=0), "'kernel_size' parameter of Convolutional"),
        (Convolutional(stride=0), "'stride' parameter of Convolutional"),
        (Convolutional(dimensions=3), "'dimensions' parameter of Convolutional"),
        (Convolutional(normalization="batch"), "'normalization' parameter"),
        (Residual(n_blocks=0), "'n_blocks' parameter of Residual"),
    ],
    ids=str,
)
def test_mistakes_in_a_spec(spec, says, X):
    with pytest.raises(ValueError, match=says):
        Autoencoder(architecture=spec, max_epochs=1).fit(X)


def test_no_square_number(X):
    with pytest.raises(ValueError, match="dimensions=2 needs input_shape for X with"):
        Autoencoder(architecture=Convolutional(dimensions=2)).fit(X[:, :50])


def small(estimator=Autoencoder, architecture="convolutional", **params):
    defaults = {"hidden_layer_sizes": (3, 5), "max_epochs": 2, "random_state": 0}
    return estimator(architecture=architecture, **(defaults | params))


@pytest.mark.parametrize(
    "make", [np.asarray, torch.from_numpy, np.ndarray.tolist, np.asfortranarray]
)
def test_rows_that_are_images(X, make):
    images = X.reshape(-1, 8, 8)
    flat, shaped = small().fit(X), small().fit(make(images))
    for estimator in (flat, shaped):
        assert_allclose(estimator.transform(make(images)), flat.transform(X), rtol=0)
        assert estimator.reconstruct(make(images)).shape == images.shape
        assert estimator.reconstruct(X).shape == X.shape
        assert estimator.score(make(images)) == flat.score(X)
        assert_allclose(
            estimator.reconstruction_error(make(images)), flat.reconstruction_error(X)
        )
    Z = flat.transform(X)
    assert flat.inverse_transform(Z).shape == X.shape
    assert shaped.inverse_transform(Z).shape == images.shape
    assert_allclose(shaped.inverse_transform(Z), flat.reconstruct(images), rtol=1e-9)
    assert shaped.n_features_in_ == 64


def test_partial_fit_and_a_density_know_the_shape(X):
    from sklearn.mixture import GaussianMixture

    images = X.reshape(-1, 8, 8)
    estimator = small(latent_density=GaussianMixture(2)).partial_fit(images)
    estimator.partial_fit(images)
    assert estimator.sample(3, 0).shape == (3, 8, 8)
    assert estimator.fit(X).sample(3, 0).shape == (3, 64)


def test_the_shape_goes_along(X, tmp_path):
    images = X.reshape(-1, 8, 8)
    estimator = small(architecture=Residual(kernel_size=2)).fit(images)
    estimator.save(tmp_path / "model")
    for twin in (
        sklearn_ae.load(tmp_path / "model"),
        pickle.loads(pickle.dumps(estimator)),
    ):
        Z = twin.transform(images)
        assert_allclose(Z, estimator.transform(images), rtol=0)
        assert twin.inverse_transform(Z).shape == images.shape
        assert repr(twin) == repr(estimator)


def test_other_shapes_are_refused(X):
    with pytest.raises(ValueError, match=r"rows of shape \(4, 16\), but \(8, 8\) is"):
        small(architecture=Convolutional((8, 8))).fit(X.reshape(-1, 4, 16))
    estimator = small(architecture=Convolutional((4, 16))).fit(X.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match=r"rows of shape \(8, 8\), but \(4, 16\) is"):
        estimator.transform(X.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match="dim 3"):
        Autoencoder().fit(X.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match=r"rows of shape \(6, 6\), but \(8, 8\) is"):
        small().fit(X).transform(np.zeros((3, 6, 6)))
    with pytest.raises(ValueError, match="36 features, but .* expecting 64"):
        small().fit(X).transform(np.zeros((3, 36)))
    with pytest.raises(ValueError, match="0 feature"):
        small().fit(np.zeros((3, 8, 0)))
    for spec in (Convolutional(8), Convolutional(dimensions=3), LSTM(0)):
        with pytest.raises(InvalidParameterError, match="parameter of "):
            small(architecture=spec).fit(X.reshape(-1, 8, 8))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        small().fit(np.zeros((0, 8, 8)))
    with pytest.raises(TypeError, match="[Ss]parse"):
        small().fit(csr_array(X))
    with pytest.raises(ValueError, match="tied_weights=True does not work with arch"):
        small(tied_weights=True).fit(X)
    with pytest.raises(ValueError, match="pretraining='greedy' does not work with"):
        small(pretraining="greedy").fit(X)


def test_denoised_images_are_images(X):
    images = X.reshape(-1, 8, 8).copy()
    spoilt = images.copy()
    spoilt[3, 4, 4] = np.nan
    estimator = small(DenoisingAutoencoder, noise=GaussianNoise()).fit(spoilt)
    filled = estimator.impute(spoilt)
    assert filled.shape == images.shape
    assert np.isfinite(filled).all()
    keep = np.isfinite(spoilt)
    assert_allclose(filled[keep], images[keep], rtol=1e-6)
    assert estimator.score_function(images).shape == images.shape


def test_a_search_over_a_bare_preset(X):
    grid = {"architecture__kernel_size": [1, 3], "hidden_layer_sizes": [(2,), (3, 4)]}
    bare = ConvolutionalAutoencoder(max_epochs=2, random_state=0)
    search = GridSearchCV(bare, grid, cv=2, error_score="raise").fit(X)
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 4
    assert bare.architecture == "convolutional"
    assert len(repr(search.best_estimator_)) < 200


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "dense"])
def test_summary_adds_up(name, X):
    estimator = small(architecture=name).fit(X)
    summary = estimator.summary()
    n_parameters = sum(p.numel() for p in estimator.to_module().parameters())
    assert summary.n_parameters.sum() == n_parameters
    last = summary[summary.layer.str.startswith("encoder")].iloc[-1]
    assert (last.kind, last.output_shape) == ("DenseLayer", (2,))
    assert math.prod(summary.output_shape.iloc[-1]) == 64
    modules = dict(estimator.to_module().named_modules())
    assert set(summary.layer) <= modules.keys()


class Encoder(nn.Sequential):
    def __init__(self, n_features, n_components):
        hidden = nn.Linear(n_features, 20)
        super().__init__(hidden, nn.Tanh(), nn.Linear(20, n_components))


class Decoder(nn.Sequential):
    def __init__(self, n_components, n_features):
        hidden = nn.Linear(n_components, 20)
        super().__init__(hidden, nn.Tanh(), nn.Linear(20, n_features))


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(),
        SparseAutoencoder(8, alpha=0.1),
        SparseAutoencoder(8, alpha=0.1, penalty="l1"),
        ContractiveAutoencoder(n_projections=1),
    ],
    ids=str,
)
def test_a_net_of_one_s_own(estimator, X):
    params = {"architecture": (Encoder, Decoder), "max_epochs": 20, "random_state": 0}
    estimator = clone(estimator).set_params(**params)
    before = torch.random.get_rng_state()
    torch.manual_seed(1)
    fitted = clone(estimator).fit(X)
    torch.manual_seed(2)
    again = clone(estimator).fit(X)
    torch.random.set_rng_state(before)
    assert_allclose(fitted.transform(X), again.transform(X), rtol=0)
    assert fitted.score(X) > 0.05
    assert "(<class" in repr(fitted)
    other = clone(estimator).set_params(random_state=1).fit(X)
    assert not np.array_equal(other.transform(X), fitted.transform(X))
    with pytest.raises(ValueError, match="architecture="):
        fitted.save("nowhere")
    twin = pickle.loads(pickle.dumps(fitted))
    assert_allclose(twin.transform(X), fitted.transform(X), rtol=0)


def test_a_spec_of_one_s_own(X):
    class Linear(Architecture):
        def build(self, n_features, n_components, *, seed, **widths):
            torch.random.manual_seed(seed)
            return nn.Linear(n_features, n_components), nn.Linear(
                n_components, n_features
            )

    with torch.random.fork_rng(devices=[]):
        estimator = small(architecture=Linear(), learning_rate=0.01, max_epochs=30)
        estimator.fit(X)
    assert estimator.score(X) > 0.1
    assert list(estimator.summary().kind) == ["Linear", "Linear"]


class Skipping(Dense):
    has_skips = True


@pytest.mark.parametrize("cls", [Autoencoder, RobustAutoencoder])
def test_skips_carry_the_row_around_the_code(cls, X):
    fitted = cls(hidden_layer_sizes=(4,), max_epochs=1).fit(X)
    codes = fitted.transform(X)
    fitted.set_params(architecture=Skipping())
    with pytest.raises(ValueError, match="architecture=Skipping.* around the code"):
        fitted.fit(X)
    np.testing.assert_array_equal(
        fitted.set_params(architecture="dense").transform(X), codes
    )


LINEAR = (nn.Linear(64, 2), nn.Linear(2, 64))


@pytest.mark.parametrize("pair", [(Encoder,), (Encoder, 3), (Encoder,) * 3, LINEAR])
def test_no_pair(pair, X):
    with pytest.raises(ValueError, match="'architecture' parameter must be a name"):
        Autoencoder(architecture=pair).fit(X)


class Fixed(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.n_outputs = n_outputs

    def forward(self, x):
        return x[:, : self.n_outputs]


class Tuple(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        (
            (lambda n, k: nn.Linear(n, 3), Decoder),
            r"encoder answers \(2, 3\) for 2 rows",
        ),
        (
            (Encoder, lambda k, n: nn.Linear(k, 1)),
            r"decoder answers \(2, 1\) for 2 rows",
        ),
        ((Encoder, Tuple), "decoder answers tuple for 2 rows of 2 values"),
        ((Fixed, lambda k, n: nn.ZeroPad1d((0, n - k))), "no parameters to train"),
        ((Encoder, lambda k, n: 3), "an encoder and a decoder are expected"),
        (
            (
                lambda n, k: nn.Sequential(nn.Linear(n, k), nn.BatchNorm1d(k)),
                Decoder,
            ),
            "BatchNorm1d.* does not work in an autoencoder",
        ),
        (
            (Encoder, lambda k, n: nn.Sequential(nn.Dropout(), nn.Linear(k, n))),
            "Dropout.* does not work in an autoencoder",
        ),
    ],
    ids=[
        "width of the code",
        "width of the output",
        "tuple",
        "fixed",
        "number",
        "BatchNorm",
        "Dropout",
    ],
)
def test_modules_that_are_no_autoencoder(pair, says, X):
    with pytest.raises(ValueError, match=says):
        Autoencoder(architecture=pair, random_state=0).fit(X)


class Recurrent(nn.Module):
    """A layer that answers a tuple."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.cell = nn.GRU(8, 5, batch_first=True)
        self.code = nn.Linear(5, n_components)

    def forward(self, x):
        return self.code(self.cell(x.unflatten(-1, (-1, 8)))[1][-1])


class Mirrored(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.weight = encoder.weight
        self.bias = nn.Parameter(torch.zeros(encoder.in_features))

    def forward(self, z):
        return z @ self.weight + self.bias


class Shared(Architecture):
    """Encoder and decoder have one parameter in common."""

    def build(self, n_features, n_components, **others):
        encoder = nn.Linear(n_features, n_components)
        return encoder, Mirrored(encoder)


@pytest.mark.parametrize(
    "architecture", [(Recurrent, Decoder), Shared()], ids=["recurrent", "shared"]
)
def test_unusual_modules(architecture, X):
    model = small(architecture=architecture, warm_start=True).fit(X)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_allclose(twin.transform(X), model.transform(X), rtol=0)
        module = twin.to_module()
        n_parameters = sum(p.numel() for p in model.to_module().parameters())
        assert sum(p.numel() for p in module.parameters()) == n_parameters
        assert twin.summary().n_parameters.sum() == n_parameters
        names = dict(module.named_modules())
        assert set(twin.summary().layer) <= names.keys()
        assert np.isfinite(twin.fit(X).score(X))


def test_a_changed_parameter_does_not_reach_a_fitted_model(X):
    images = X.reshape(-1, 8, 8)
    model = small(warm_start=True).fit(images)
    Z = model.transform(images)
    model.set_params(architecture__input_shape=(4, 16))
    assert_allclose(model.transform(images), Z, rtol=0)
    with pytest.raises(ValueError, match=r"rows of shape \(4, 16\)"):
        model.transform(X.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match="shape of the net has changed"):
        model.fit(X)
    model.set_params(architecture="dense")
    assert_allclose(model.transform(images), Z, rtol=0)


def test_a_map_of_one_number_is_not_normalised(X):
    spec = Convolutional(normalization="layer")
    for rows, hidden in ((X[:, 2:4], (1,)), (X, (8, 8, 1)), (X[:1], (8, 8, 8, 8))):
        model = small(
            architecture=spec, hidden_layer_sizes=hidden, activation="tanh"
        ).fit(rows)
        assert np.isfinite(model.transform(rows)).all()
        assert len(rows) == 1 or model.transform(rows).std() > 1e-4


def test_first_answers_from_several_threads(X):
    """Nobody measures the net while others use it."""
    model, other = (small(hidden_layer_sizes=(8, 4)).fit(X) for _ in range(2))
    width = model._model.module.width
    rows = np.tile(X, (20, 1)).astype("f4")
    expected = other.transform(rows)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(model.transform, [rows] * 8):
            assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert model._model._twin(torch.float32).width == width == 128


def test_l1_needs_directions(X):
    class Odd(nn.Conv1d):
        def __init__(self, n_inputs, n_outputs):
            super().__init__(n_inputs, n_outputs, 1)

        def forward(self, z):
            return super().forward(z.unsqueeze(-1)).squeeze(-1)

    estimator = SparseAutoencoder(penalty="l1", architecture=(Encoder, Odd))
    with pytest.raises(ValueError, match="has no directions"):
        estimator.fit(X)


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(4),
        SparseAutoencoder(16, alpha=0.1),
        SparseAutoencoder(16, alpha=0.1, penalty="l1"),
        SparseAutoencoder(16, penalty="top_k", k=2),
        ContractiveAutoencoder(4),
        ContractiveAutoencoder(4, n_projections=2),
        DenoisingAutoencoder(4),
        RobustAutoencoder(4),
        Autoencoder(4, optimizer="lbfgs", weight_decay=1e-4),
        Autoencoder(4, loss="binary_cross_entropy"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "dense"])
def test_every_objective_with_every_architecture(estimator, name, X, tmp_path):
    """It trains, and its terms are there; they are what autograd makes of them."""
    rows = X[:100] / 16
    estimator = clone(estimator).set_params(
        architecture=name, hidden_layer_sizes=(3, 5), random_state=0, max_epochs=3
    )
    estimator.fit(rows)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]
    assert all(np.isfinite(curve).all() for curve in estimator.loss_terms_.values())
    estimator.save(tmp_path / "model")
    loaded = sklearn_ae.load(tmp_path / "model")
    assert_allclose(loaded.transform(rows), estimator.transform(rows), rtol=0)


@pytest.mark.cuda
@pytest.mark.parametrize("spec", [Dense(), Convolutional(), Residual(), LSTM()])
def test_weights_are_drawn_alike_on_every_device(spec):
    options = {
        "hidden_layer_sizes": (8,),
        "activation": "relu",
        "code_activation": "identity",
        "tied_weights": False,
        "initialization": "auto",
        "seed": 0,
    }
    here = spec.build(64, 2, **options)
    with torch.device("cuda"):
        there = spec.build(64, 2, **options)
    for one, other in zip(here, there, strict=True):
        for name, parameter in one.named_parameters():
            found = other.get_parameter(name).detach().cpu()
            assert_allclose(found, parameter.detach())
