"""What layer by layer training is good for: A13, F1, F3, F4, F7, M4."""

from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import entr, expit
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sklearn_ae import Autoencoder, DenoisingAutoencoder, StackedAutoencoder
from sklearn_ae._compute.threads import one_thread
from sklearn_ae._layers.dense import dense_layers
from theory.claims import (
    Claim,
    MeanPredictor,
    check_claims,
    digits_split,
    sse,
    total_variance,
)
from theory.data import curves, topics

# Trains nothing, so that the weights are those that were drawn.
UNTRAINED = {"pretraining": None, "max_epochs": 1, "learning_rate": 1e-30}


def untrained(estimator):
    """Answer the same net with its first weights."""
    return clone(estimator).set_params(**UNTRAINED)


def stage_errors(model, X):
    """Answer the squared error of each layer on its own, over its mean predictor's."""
    module = model._model.module
    up, down = dense_layers(module.encoder), dense_layers(module.decoder)[::-1]
    x = (X - X.mean(axis=0)) / float(module.reconstruction.scale)
    codes = [x, *model.layer_codes(X)]
    shares = []
    for below, above, layer, back in zip(codes, codes[1:], up, down, strict=False):
        W, c = (p.detach().double().numpy() for p in (layer.weight, back.bias))
        a = above @ W + c
        answer = a if below is x else expit(a)
        error = np.square(below - answer).sum(axis=1).mean()
        shares.append(error / total_variance(below))
    return shares


def test_each_stage_learns(request):
    """F1: every layer explains at least half of what it was given.

    The codes have the width of the data; layers that were not trained, or for one
    epoch, do not.
    """

    def figures(model, seed):
        X, *_ = digits_split(seed)
        shares = stage_errors(model.fit(X), X)
        return {f"layer {i}": share for i, share in enumerate(shares, 1)}

    stack = StackedAutoencoder(
        12,
        hidden_layer_sizes=(64, 32),
        activation="logistic",
        learning_rate=3e-3,
        max_epochs=0,
    )
    check_claims(
        request,
        figures,
        stack,
        [Claim(f"layer {i}", at_most=0.5) for i in (1, 2, 3)],
        stubs=[untrained(stack), clone(stack).set_params(pretraining_epochs=1)],
    )


def test_fine_tuning_improves_the_stack(request):
    """F3: held-out error at most .9 of what the layers reach one by one."""

    def figures(model, seed):
        X, X_test, *_ = digits_split(seed)
        stack = clone(model).set_params(max_epochs=0).fit(X)
        first = sse(stack, X_test)
        return {"share of the stack's error": sse(model.fit(X), X_test) / first}

    stack = StackedAutoencoder(
        8, hidden_layer_sizes=(64, 32), pretraining_epochs=8, max_epochs=15
    )
    check_claims(
        request,
        figures,
        stack,
        [Claim("share of the stack's error", at_most=0.9)],
        stubs=[clone(stack).set_params(max_epochs=1, learning_rate=1e-30)],
    )


def probe(Z, y, Z_test, y_test):
    return LogisticRegression(max_iter=300).fit(Z, y).score(Z_test, y_test)


@pytest.mark.slow
def test_upper_layers_keep_what_digits_are(request):
    """A13: a linear probe of layer 2 is at most a point worse than of layer 1.

    The second layer has fewer units; of random weights they lose more.
    """

    def figures(model, seed):
        X, X_test, y, y_test = digits_split(seed)
        model.fit(X)
        codes = zip(model.layer_codes(X), model.layer_codes(X_test), strict=True)
        first, second = (probe(Z, y, Z_test, y_test) for Z, Z_test in codes)
        return {"points lost": 100 * (first - second), "first": first}

    stack = DenoisingAutoencoder(
        40,
        hidden_layer_sizes=(64,),
        code_activation="relu",
        pretraining="greedy",
        max_epochs=0,
    )
    check_claims(
        request,
        figures,
        stack,
        [Claim("points lost", at_most=1), Claim("first", at_least=0.93)],
        stubs=[untrained(stack)],
    )


def classify(module, n_codes, X, y, X_test, y_test, seed):
    """Train a net's encoder and a linear layer on top of it; answer its accuracy."""
    generator = torch.Generator().manual_seed(seed)
    head = torch.nn.Linear(n_codes, 10)
    torch.nn.init.normal_(head.weight, 0, 0.01, generator=generator)
    torch.nn.init.zeros_(head.bias)
    parameters = [*module.encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    rows, labels = torch.tensor(X).float(), torch.tensor(y)
    with one_thread():
        for _ in range(100):
            optimizer.zero_grad()
            answers = head(module.encode(rows))
            torch.nn.functional.cross_entropy(answers, labels).backward()
            optimizer.step()
        answers = head(module.encode(torch.tensor(X_test).float()))
    return float((answers.argmax(1).numpy() == y_test).mean())


@pytest.mark.slow
def test_pretraining_helps_where_labels_are_few(request):
    """M4: with 50 labels a pretrained classifier beats one from random weights.

    By two points on average over ten splits; all training rows are there unlabelled.
    """

    def figures(model, seed):
        gaps = []
        for split in range(10 * seed, 10 * seed + 10):
            X, X_test, y, y_test = digits_split(split)
            few, _ = train_test_split(
                np.arange(len(X)), train_size=50, stratify=y, random_state=split
            )
            scores = []
            for each in (clone(model), untrained(model)):
                module = each.set_params(random_state=split).fit(X).to_module()
                rows = X[few], y[few], X_test, y_test
                scores.append(classify(module, model.n_components, *rows, split))
            gaps.append(scores[0] - scores[1])
        return {"points gained": 100 * np.mean(gaps)}

    stack = Autoencoder(
        100,
        hidden_layer_sizes=(100,),
        activation="logistic",
        code_activation="logistic",
        loss="binary_cross_entropy",
        pretraining="rbm",
        max_epochs=0,
    )
    check_claims(
        request,
        figures,
        stack,
        [Claim("points gained", at_least=2)],
        stubs=[untrained(stack)],
    )


# Five hidden layers of logistic units, as in the paper, and plain gradient descent.
DEEP = {
    "hidden_layer_sizes": (400, 200, 100, 50, 25),
    "activation": "logistic",
    "loss": "binary_cross_entropy",
    "optimizer": "sgd",
    "learning_rate": 3.0,
    "batch_size": 100,
    "max_epochs": 10,
    "tol": 0.0,
}


def curves_split(seed):
    return curves(seed, 3000), curves(1000 + seed, 500)


@cache
def from_small_weights(seed):
    """Answer the error on curves of the net that was not pretrained."""
    X, X_test = curves_split(seed)
    model = Autoencoder(6, initialization=0.01, random_state=seed, **DEEP)
    return sse(model.fit(X), X_test)


def on_curves(model, seed):
    X, X_test = curves_split(seed)
    mean = sse(MeanPredictor().fit(X), X_test)
    unlucky = from_small_weights(seed)
    return {
        "share of the random start's error": sse(model.fit(X), X_test) / unlucky,
        "random start over the mean": unlucky / mean,
    }


@pytest.mark.slow
@pytest.mark.parametrize("pretraining", ["greedy", "rbm"])
def test_a_deep_net_needs_a_good_start(request, pretraining):
    """F4: 784-400-200-100-50-25-6 on curves, with the same epochs of fine-tuning.

    From small random weights it answers the average, from pretrained ones it does not.
    """
    stack = Autoencoder(6, pretraining=pretraining, pretraining_epochs=8, **DEEP)
    check_claims(
        request,
        on_curves,
        stack,
        [
            Claim("share of the random start's error", at_most=0.6),
            Claim("random start over the mean", at_least=0.95, at_most=1.05),
        ],
        stubs=[Autoencoder(6, initialization=0.01, **DEEP), MeanPredictor(6)],
    )


class LatentSemantics(TransformerMixin, BaseEstimator):
    """Latent semantic analysis: a truncated decomposition of the proportions."""

    def __init__(self, n_components=2, random_state=None):
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X, y=None):
        svd = TruncatedSVD(self.n_components, random_state=self.random_state)
        self.svd_ = svd.fit(X)
        return self

    def transform(self, X):
        return self.svd_.transform(X)


def neighbour_accuracy(Z, y):
    """Answer how often a row's nearest neighbour, itself left out, has its label."""
    nearest = KNeighborsClassifier(1).fit(Z, y).kneighbors(return_distance=False)
    return float((y[nearest[:, 0]] == y).mean())


def on_topics(model, seed, n, n_words):
    X, y = topics(seed, n, n_words=n_words)
    model.fit(X)
    latent = LatentSemantics(random_state=seed).fit(X)
    entropy = entr(X.toarray()).sum(axis=1).mean()
    gained = neighbour_accuracy(model.transform(X), y)
    return {
        "accuracy above LSA": gained - neighbour_accuracy(latent.transform(X), y),
        "nats above the entropy": getattr(model, "loss_", np.inf) - entropy,
    }


DOCUMENTS = [
    Claim("accuracy above LSA", at_least=0.15),
    Claim("nats above the entropy", never_below=0),
]


def reader(*widths, **params):
    return Autoencoder(
        2,
        hidden_layer_sizes=widths,
        activation="tanh",
        loss="multinomial",
        pretraining="greedy",
        batch_size=64,
        **params,
    )


@pytest.mark.slow
def test_codes_of_documents(request):
    """F7: two numbers tell the topic of a document, given as CSR.

    Of 2000 words and 20 topics; LSA's two numbers do not.
    """
    check_claims(
        request,
        lambda model, seed: on_topics(model, seed, 1500, 2000),
        reader(250, 125, 60, pretraining_epochs=6, max_epochs=15),
        DOCUMENTS,
        stubs=[LatentSemantics(), untrained(reader(250, 125, 60))],
    )


def test_codes_of_short_documents(request):
    """F7: of 200 words, which takes less time."""
    check_claims(
        request,
        lambda model, seed: on_topics(model, seed, 800, 200),
        reader(60, 30, pretraining_epochs=10, max_epochs=40, learning_rate=3e-3),
        DOCUMENTS,
        stubs=[LatentSemantics(), untrained(reader(60, 30))],
    )


def test_a_good_start_of_digits(request):
    """F4: the same on digits, with a net of five layers."""

    def figures(model, seed):
        X, X_test, *_ = digits_split(seed)
        unlucky = Autoencoder(6, initialization=0.01, random_state=seed, **small)
        unlucky = sse(unlucky.fit(X), X_test)
        mean = sse(MeanPredictor().fit(X), X_test)
        return {
            "share of the random start's error": sse(model.fit(X), X_test) / unlucky,
            "random start over the mean": unlucky / mean,
        }

    small = {**DEEP, "hidden_layer_sizes": (50, 40, 30, 20), "batch_size": 32}
    check_claims(
        request,
        figures,
        Autoencoder(6, pretraining="rbm", **small),
        [
            Claim("share of the random start's error", at_most=0.6),
            Claim("random start over the mean", at_least=0.95, at_most=1.05),
        ],
        stubs=[Autoencoder(6, initialization=0.01, **small), MeanPredictor(6)],
    )
