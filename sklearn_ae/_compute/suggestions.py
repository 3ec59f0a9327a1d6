"""What was probably meant by a name that there is not."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Collection, Iterable
from functools import lru_cache
from typing import Any, ClassVar, Self

from sklearn.utils._param_validation import InvalidParameterError, StrOptions

# Names of parameters, of their values and of methods, and what these are called in
# scikit-learn, Keras, PyTorch, skorch, UMAP, PyOD, pythae and scvi-tools, without
# underscores. One that has several meanings means what there is to be meant.
_ELSEWHERE = {
    # Parameters
    "n_components": """latentdim latentdims latentsize nlatent nlatents encodingdim
        encodingsize codesize codedim codelength embeddingdim embeddingsize nembedding
        bottleneck bottleneckdim bottlenecksize zdim zsize nz ndim ndims dim dims
        ncodes nhidden hiddendim hiddensize nfeaturesout k latentdimension dimensions
        latentdimensions encodingdimension outputdim ncomponent""",
    "hidden_layer_sizes": """hiddenlayers hiddenlayer layersizes layers nlayers
        numlayers nhidden hiddendim hiddendims hiddensize hiddensizes hiddenunits units
        nunits hidden encoderlayers decoderlayers encoderdims hiddenneurons
        hiddenneuronlist encoderneurons decoderneurons filters channels widths width
        hiddenlayersizes""",
    "discriminator_hidden_layer_sizes": "discriminatorlayers discriminatorunits",
    "activation": """hiddenactivation activationfunction activationfn nonlinearity
        hiddenactivationname act""",
    "code_activation": "latentactivation encodingactivation bottleneckactivation",
    "output_activation": "outactivation outputactivationname finalactivation",
    "architecture": "network net model module modeltype arch backbone encoder decoder",
    "tied_weights": "tied tieweights tieweight sharedweights weighttying tyingweights",
    "likelihood": """loss lossfn lossfunction criterion reconstructionloss
        genelikelihood datalikelihood""",
    "loss": """lossfn lossfunction criterion reconstructionloss reconstructioncost
        objective likelihood""",
    "pretraining": "pretrain pretrained pretrainingmethod",
    "pretraining_epochs": "pretrainepochs nepochspretrain pretrainingiter",
    "initialization": """init initializer weightinit kernelinitializer initstd
        initscale weightinitialization""",
    "optimizer": "solver optim optimizername optimiser algorithm svdsolver",
    "learning_rate": "lr learningrateinit eta eta0 stepsize encoderlr alpha0 rate",
    "learning_rate_schedule": """scheduler lrscheduler schedule lrschedule
        schedulercls learningratescheduler lrdecay""",
    "weight_decay": """l2 l2reg l2regularizer l2regularization kernelregularizer
        regularization alpha decay weightdecayrate wd""",
    "batch_size": "batch batchsize minibatchsize perdevicetrainbatchsize nbatch",
    "max_epochs": """epochs epoch nepochs numepochs epochnum maxiter niter nepoch
        iterations maxepoch trainingepochs numiter maxiterations trainepochs""",
    "tol": "tolerance epsilon mindelta threshold",
    "n_iter_no_change": "patience earlystoppingpatience earlystoppingrounds",
    "early_stopping": "earlystop stopearly",
    "validation_fraction": "validationsplit valsplit testsize valfraction trainsize",
    "warm_start": "continuetraining resume",
    "callbacks": "callback",
    "latent_density": "density latentdistribution latentmodel prior sampler gmm",
    "device": "usegpu usecuda cuda gpu accelerator",
    "random_state": "seed randomseed randomstateseed generator rng",
    "verbose": "verbosity progressbar progress silent",
    "noise": "corruption noisetype corruptiontype",
    "noise_level": """noisefactor noisestd noiseamount sigma corruptionlevel
        corruptionrate maskprobability dropout dropoutrate noisevariance std p""",
    "noise_variance": "variance sigma2 sigma scale outputvariance noiselevel",
    "alpha": """beta lam lambda lambd lambda1 penaltyweight regularization l1 l1reg
        l1ratio sparsityweight contraction gamma reg advweight adversarialweight""",
    "penalty": "sparsity regularizer sparsitytype",
    "rho": "sparsitytarget sparsity sparsitylevel targetsparsity p",
    "k": "topk nactive nnonzero l0 sparsity",
    "n_projections": "nsamples nprobes",
    "kernel_width": "bandwidth sigma gamma delta kernelbandwidth width",
    "beta": """klweight kldweight kl alpha gamma betakl maxklweight reglambda
        regularization kldivweight""",
    "kl_warmup_epochs": "klwarmup warmup warmupepochs klannealing annealing",
    "mmd_weight": "mmd lambda lambd lbd infovae",
    "n_latent_samples": "l nsamples mcsamples nmcsamples",
    "prior": "latentprior priordistribution latentdensity",
    "label_conditioned": "conditional supervised conditioned semisupervised",
    "conditional_prior": "classprior labelprior",
    "learning_rate_ratio": "discriminatorlearningrate dlr discriminatorlr ttur",
    "gradient_penalty": "gp r1 gradientpenaltyweight lambdagp",
    # Those of specs
    "input_shape": "shape imagesize imageshape inputdim inputsize size",
    "kernel_size": "kernel filtersize kernels ksize",
    "stride": "strides step subsample",
    "normalization": "batchnorm layernorm norm batchnormalization usebatchnorm",
    "dimensions": "ndim dim ndims",
    "n_steps": "timesteps nsteps seqlen sequencelength steps length",
    "bidirectional": "bi twoway",
    "n_modes": "ncomponents nclusters nmodes k nclasses",
    "n_pseudo_inputs": "ncomponents npseudoinputs k pseudoinputs",
    "delta": "threshold epsilon",
    # Values of parameters
    "identity": "linear none no lin",
    "logistic": "sigmoid expit sigm hardsigmoid logisticsigmoid",
    "leaky_relu": "lrelu prelu",
    "silu": "swish hardswish hardsilu",
    "gelu": "mish softplus",
    "binary": "step heaviside sign threshold hardlimit",
    "dense": "mlp fc linear fullyconnected feedforward ffnn",
    "convolutional": "cnn conv conv2d conv1d convnet convolution unet",
    "residual": "resnet resblock resnets skip",
    "lstm": "rnn gru recurrent sequence seq2seq",
    "squared_error": "mse mseloss meansquarederror l2 squaredloss sse quadratic",
    "absolute_error": "mae l1 l1loss meanabsoluteerror absoluteloss laplace",
    "huber": "smoothl1 huberloss smoothl1loss logcosh",
    "correntropy": "mcc maximumcorrentropy correntropyloss welsch",
    "binary_cross_entropy": """bce bceloss crossentropy crossentropyloss logloss
        binarycrossentropy bcewithlogits bcewithlogitsloss bernoulli""",
    "multinomial": """categoricalcrossentropy softmax poisson counts categorical
        poissonnllloss sparsecategoricalcrossentropy""",
    "greedy": "layerwise greedylayerwise stacked layerbylayer true unsupervised",
    "rbm": "dbn boltzmann restrictedboltzmann contrastivedivergence cd",
    "auto": """xavier glorot he kaiming glorotuniform glorotnormal heuniform henormal
        xavieruniform lecunnormal random default scale""",
    "adam": "adamw nadam radam adamax adabelief lamb",
    "sgd": "momentum nesterov gd stochasticgradientdescent",
    "rmsprop": "adagrad adadelta",
    "lbfgs": "bfgs lbfgsb newton",
    "alternating": "als svd pca auto full randomized arpack",
    "cosine": "cosineannealing cosineannealinglr cosineannealingwarmrestarts onecycle",
    "exponential": "exp exponentiallr step steplr invscaling exponentialdecay linear",
    "plateau": "reducelronplateau reduceonplateau adaptive",
    "masking": "mask zero zeros dropout blank masked",
    "gaussian": "normal gauss awgn additive mse squarederror",
    "salt_and_pepper": "saltpepper sp impulse snp saltnpepper",
    "normal": "gaussian standardnormal stdnormal gauss standard n01",
    "uniform": "box flat",
    "swiss_roll": "roll spiral",
    "gaussian_ring": "ring mixture gaussianmixture gmm mog",
    "gaussian_mixture": "gmm mixture mog gaussianmixtures ring gaussianring",
    "vamp": "vampprior",
    "flow": "normalizingflow realnvp maf iaf flows",
    "bernoulli": "bce binary binarycrossentropy logistic",
    "learned": "learn auto fitted estimate true",
    "learned_per_feature": "perfeature diagonal diag featurewise",
    "kl": "kullbackleibler kld kldivergence kldiv",
    "l1": "lasso absolute laplace",
    "top_k": "ksparse topk l0",
    "cuda": "gpu nvidia",
    "fidelity": "precision quality",
    "coverage": "recall diversity density",
    "copies": "memorization duplicates",
    "mmd": "fid kid maximummeandiscrepancy",
    "layer": "batch batchnorm layernorm true",
    "mean": "average",
    # Methods, and what they and the displays take
    "transform": "encode embed embedding codes project latent encodings",
    "inverse_transform": "decode decoder generatefrom",
    "reconstruct": "predict forward reconstruction denoise",
    "sample": "generate draw samples rvs",
    "reconstruction_error": "error anomalyscore reconstructionerrors mse",
    "score_samples": "decisionfunction logprob logdensity",
    "log_likelihood": "loglik loglikelihood logp",
    "fit": "train",
    "fit_transform": "fitpredict fitencode",
    "partial_fit": "partialtrain update trainonbatch",
    "to_module": "encoder model net module statedict parameters network",
    "loss_curve_": "losses history losshistory traininglosses trainloss",
    "history_": "history",
    "n_samples": "n size num numsamples",
    "X": "x data rows images",
    "y": "target targets labels label Y classes",
}
_BY_WRONG_NAME: dict[str, list[str]] = {}
for _name, _others in _ELSEWHERE.items():
    for _other in _others.lower().replace("_", "").split():
        _BY_WRONG_NAME.setdefault(_other, []).append(_name)

# What is no parameter anywhere here, and what takes its place.
_ADVICE = {
    "dropout dropoutrate": (
        "No net here drops units: weight_decay, early_stopping=True and the noise of "
        "DenoisingAutoencoder keep a net from learning rows by heart."
    ),
    "batchnorm usebatchnorm batchnormalization layernorm": (
        "Dense nets have no normalization, and no net has one by batches: "
        "architecture=Residual(normalization='layer') has one."
    ),
    "shuffle": "fit shuffles rows in each epoch, and partial_fit takes them in order.",
    "momentum nesterov nesterovsmomentum betas beta1 beta2 amsgrad": (
        "It goes with the optimizer, as in "
        "optimizer=functools.partial(torch.optim.SGD, momentum=0.8)."
    ),
    "njobs numworkers nthreads": "Threads are torch's: torch.set_num_threads(n).",
    "inputdim inputsize nfeatures nfeaturesin nin nvisible": (
        "fit learns the number of features from X."
    ),
    "contamination": "Outliers are rows whose score_samples is low.",
    "sampleweight classweight": "All rows weigh the same.",
}
_ADVICE_ON = {name: text for names, text in _ADVICE.items() for name in names.split()}


def _plain(name: str) -> str:
    """Answer letters and digits of a name, so that ways to write it are alike."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _name_of(value: Any) -> str:
    """Answer what a value is called that was passed where a name is expected."""
    if value is None or isinstance(value, (str, bool)):
        return str(value)
    # Classes of Keras and PyTorch, and their objects, have such names too.
    return getattr(value, "__name__", type(value).__name__)


def meant_by(wrong: Any, names: Iterable[str]) -> list[str]:
    """List the names that were probably meant by a wrong one, if any.

    Parameters
    ----------
    wrong : object
        A string; of other objects, the name of their class counts.
    names : iterable of str
        All that there are.
    """
    known = {_plain(name): name for name in names}
    key = _plain(_name_of(wrong))
    if key in known:
        return [known[key]]
    others = known_elsewhere(key, known.values())
    if others or not isinstance(wrong, str):
        return others
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return [known[name] for name in close]


def known_elsewhere(wrong: str, names: Collection[str]) -> list[str]:
    """List the names of what other libraries call so."""
    return [name for name in _BY_WRONG_NAME.get(_plain(wrong), ()) if name in names]


def did_you_mean(wrong: Any, names: Iterable[str]) -> str:
    """Ask whether another name was meant, behind a message; "" where none is near."""
    meant = " or ".join(map(repr, meant_by(wrong, names)))
    return f" Did you mean {meant}?" if meant else ""


# Of all classes, it would keep those alive that nobody has any more.
_signature = lru_cache(maxsize=1024)(inspect.signature)


def check_arguments(
    called: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    hint_on: Callable[[str, Collection[str]], str],
) -> None:
    """Refuse arguments that a method does not have, or lacks.

    Parameters
    ----------
    called : str
        The method, as a message names it.
    function : callable
        It; a method has `self` as its first argument.
    args, kwargs
        What it is called with, without `self`.
    hint_on : callable
        Answers what is to be said of a wrong name, beside those that there are.

    Raises
    ------
    TypeError
        In Python's words, and what was probably meant.
    """
    signature = _signature(function)
    is_method = next(iter(signature.parameters), "") == "self"
    try:
        signature.bind(*([None] if is_method else []), *args, **kwargs)
    except TypeError as error:
        others = [*signature.parameters.values()][is_method:]
        names = [p.name for p in others]
        wrong = next((name for name in kwargs if name not in names), None)
        by_name = [p.name for p in others if p.kind is p.KEYWORD_ONLY]
        what, hint = str(error), ""
        if wrong is not None:
            # It may be what is said to be missing.
            what = f"got an unexpected keyword argument {wrong!r}"
            hint = hint_on(wrong, names)
        if not hint:
            hint = f" It takes {', '.join(names) or 'nothing'}"
            hint += f", from {by_name[0]} on by name only." if by_name else "."
        raise TypeError(f"{called}() {what}.{hint}") from None


class _Checked:
    """Refuses parameters of a constructor that it does not have."""

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Check the parameters before the constructor does."""
        called = f"{cls.__name__}.__init__"
        check_arguments(called, cls.__init__, args, params, cls._hint_on_parameter)
        return super().__new__(cls)


class Described:
    """Lets scikit-learn's picture of an estimator or a spec describe its parameters."""

    # It does so where it has a link to follow: one within the page, as long as there
    # are no pages elsewhere.
    _doc_link_module = "sklearn_ae"
    _doc_link_template = "#{estimator_name}"


class Suggestions(Described, _Checked):
    """Lets an estimator or a spec say what was meant by a wrong name or value."""

    # Values of parameters that have no names, as they are written.
    _examples: ClassVar[dict[str, str]] = {}

    # Beside `__new__`, the signature of classes that have no parameters.
    def __init__(self) -> None:
        pass

    def set_params(self, **params: Any) -> Self:
        """Set parameters, as scikit-learn does."""
        try:
            return super().set_params(**params)
        except ValueError as error:
            names = self.get_params(deep=False)
            wrong = {name.partition("__")[0] for name in params} - {*names}
            if not wrong:
                raise
            name = wrong.pop()
            hint = self._hint_on_parameter(name, names)
            raise ValueError(f"{error}{hint}") from None

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            for name, constraints in self._parameter_constraints.items():
                if f"{name!r} parameter" in str(error):
                    hint = self._hint_on_value(name, getattr(self, name), constraints)
                    raise InvalidParameterError(f"{error}{hint}") from None
            raise
        for name, constraints in self._parameter_constraints.items():
            value = getattr(self, name)
            # It may have all the methods that are asked for.
            if isinstance(value, type) and callable not in constraints:
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(self).__name__} must be an "
                    f"object. Got the class {value.__name__} instead."
                    f"{_call_it(value)}"
                )

    # Hooks.

    @classmethod
    def _hint_on_parameter(cls, name: str, names: Collection[str]) -> str:
        """Say what is to be done about a name that is none of the parameters."""
        advice = _ADVICE_ON.get(_plain(name))
        return did_you_mean(name, names) + (f" {advice}" if advice else "")

    def _hint_on_argument(self, name: str, names: Collection[str]) -> str:
        """Say what is to be done about a name that is none of a method's arguments."""
        hint, own = did_you_mean(name, names), self.get_params(deep=False)
        meant = [name] if name in own else meant_by(name, own)
        if hint or not meant:
            return hint
        return f" It is set before: {type(self).__name__}({meant[0]}=...)."

    def _hint_on_value(self, name: str, value: Any, constraints: list[Any]) -> str:
        """Say what was probably meant by a value that its constraints refuse."""
        kinds = [kind for kind in constraints if isinstance(kind, type)]
        if isinstance(value, type) and issubclass(value, tuple(kinds)):
            return _call_it(value)
        options = [c.options for c in constraints if isinstance(c, StrOptions)]
        hint = did_you_mean(value, sorted(set().union(*options)))
        example = self._examples.get(name)
        return hint or (f" As in {name}={example}." if example else "")


def _call_it(cls: type) -> str:
    return f" Call the class to get an object, as in {cls.__name__}()."


def check_takes(parameter: str, function: Callable[..., Any], *names: str) -> None:
    """Refuse a function that cannot be called with what it will be called with.

    Raises
    ------
    TypeError
    """
    try:
        inspect.signature(function).bind(*names)
    except TypeError as error:
        raise TypeError(
            f"The {parameter!r} parameter is called as {parameter}({', '.join(names)})."
            f" Got {function!r}: {error}."
        ) from None
    except ValueError:
        # Functions in C may not tell.
        return
