"""29: what is private elsewhere and used here stands in one table, and is there."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
import sklearn
import torch
from sklearn.utils.fixes import parse_version

import sklearn_ae

ROOT = Path(sklearn_ae.__file__).parent

# Of scikit-learn's searches, what its one file has a use for.
SEARCHES = [
    "sklearn.metrics._scorer._MultimetricScorer",
    "sklearn.metrics._scorer._MultimetricScorer._scorers",
    "sklearn.model_selection._search.BaseSearchCV",
    "sklearn.model_selection._search.BaseSearchCV._check_refit_for_multimetric",
    "sklearn.model_selection._search.BaseSearchCV._format_results",
    "sklearn.model_selection._search.BaseSearchCV._get_routed_params_for_fit",
    "sklearn.model_selection._search.BaseSearchCV._get_scorers",
    "sklearn.model_selection._search.BaseSearchCV._run_search",
    "sklearn.model_selection._search.BaseSearchCV._select_best_index",
    "sklearn.model_selection._validation._insert_error_scores",
    "sklearn.model_selection._validation._score",
    "sklearn.model_selection._validation._warn_or_raise_about_fit_failures",
    "sklearn.utils.metaestimators._safe_split",
    "sklearn.utils.validation._check_method_params",
]
# Names that no library promises to keep, by what they are imported from, or by the
# class or module that has them.
PRIVATE = [
    *SEARCHES,
    # Python
    "multiprocessing.process.BaseProcess._identity",
    "sys._getframe",
    # scikit-learn: estimators
    "sklearn.base.BaseEstimator._validate_params",
    "sklearn.base._fit_context",
    "sklearn.utils._param_validation.HasMethods",
    "sklearn.utils._param_validation.Interval",
    "sklearn.utils._param_validation.InvalidParameterError",
    "sklearn.utils._param_validation.StrOptions",
    "sklearn.utils._safe_indexing",
    "sklearn.utils._set_output._auto_wrap_is_configured",
    "sklearn.utils._set_output._get_container_adapter",
    "sklearn.utils.validation._check_feature_names_in",
    "sklearn.utils.validation._num_samples",
    # skorch
    "skorch.net.NeuralNet._default_callbacks",
    # torch
    "torch._C._are_functorch_transforms_active",
    "torch._C._autograd._pop_saved_tensors_default_hooks",
    "torch._C._autograd._push_saved_tensors_default_hooks",
    "torch._C._autograd._top_saved_tensors_default_hooks",
    "torch._C._get_fp32_precision_getter",
    "torch._C._is_any_autocast_enabled",
    "torch._C._len_torch_dispatch_stack",
    "torch._C._len_torch_function_stack",
    "torch._fused_adam_",
    "torch.nn.modules.batchnorm._BatchNorm",
    "torch.nn.modules.dropout._DropoutNd",
    "torch.optim.lr_scheduler.LRScheduler._opt_called",
    "torch.overrides._pop_mode",
    "torch.overrides._push_mode",
    "torch.utils._python_dispatch._disable_current_modes",
]
# What only newer versions have; it is asked for before it is used.
SINCE = {
    "sklearn.callback._callback_support.CallbackSupportMixin._init_callback_context": (
        "1.9"
    ),
    "sklearn.callback._callback_support.CallbackSupportMixin._skl_callbacks": "1.9",
}
# Derivatives that torch computes in its own backward passes.
DERIVATIVES = {
    *("elu_backward", "gelu_backward", "leaky_relu_backward"),
    *("mse_loss_backward", "sigmoid_backward", "silu_backward", "tanh_backward"),
    "threshold_backward",
}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


NODES_OF = {
    path.relative_to(ROOT).as_posix(): list(ast.walk(ast.parse(path.read_bytes())))
    for path in sorted(ROOT.rglob("*.py"))
}
NODES = [node for nodes in NODES_OF.values() for node in nodes]
TABLE = [*PRIVATE, *SINCE]


def own_names() -> set[str]:
    """Answer what the package itself defines, or stores in an object."""
    names = {path.stem for path in ROOT.rglob("*.py")}
    for node in NODES:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) in ("self", "cls"):
                names.add(node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def imported() -> set[str]:
    """Answer what is imported by a dotted name of which a part is private."""
    found = set()
    for node in NODES:
        if isinstance(node, ast.ImportFrom) and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {
        name
        for name in found
        if any(map(is_private, name.split("."))) and name.split(".")[0] != ROOT.name
    }


def attributes() -> set[str]:
    """Answer the private attributes that are asked for, by node or by text."""
    found = {node.attr for node in NODES if isinstance(node, ast.Attribute)}
    asking = {"getattr", "hasattr", "setattr", "delattr"}
    for node in NODES:
        if not isinstance(node, ast.Call):
            continue
        if getattr(node.func, "id", "") in asking:
            found.update(getattr(arg, "value", "") for arg in node.args[1:2])
        elif re.fullmatch(r"vars\(.*\)\.get", ast.unparse(node.func)):
            found.update(getattr(arg, "value", "") for arg in node.args[:1])
    found = {name for name in found if isinstance(name, str)}
    return set(filter(is_private, found))


def overridden() -> set[str]:
    """Answer the private names of other libraries' classes that classes here define."""
    found = set()
    for module in pkgutil.walk_packages([str(ROOT)], f"{ROOT.name}."):
        for _, cls in inspect.getmembers(importlib.import_module(module.name)):
            if not (inspect.isclass(cls) and cls.__module__.startswith(ROOT.name)):
                continue
            foreign = [b for b in cls.__mro__ if not b.__module__.startswith(ROOT.name)]
            for name in filter(is_private, vars(cls)):
                found.update(name for base in foreign if name in vars(base))
    # What the libraries write into every class is no doing of this one. Constraints are
    # what scikit-learn tells the writers of estimators to define.
    return (found & own_names()) - {"_parameter_constraints"}


def find(name: str) -> Any:
    """Answer what stands under a dotted name."""
    parts = name.split(".")
    for i in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:i]))
        except ModuleNotFoundError:
            continue
        for part in parts[i:-1]:
            found = getattr(found, part)
        last = parts[-1] if i < len(parts) else None
        if last is None or hasattr(found, last):
            return getattr(found, last) if last else found
        # What only instances have stands in the source.
        return last if f".{last} = " in inspect.getsource(found) else None
    return None


def test_what_is_imported_is_in_the_table():
    assert imported() <= set(TABLE)


def test_what_is_asked_of_objects_is_in_the_table():
    known = {part for name in TABLE for part in name.split(".")}
    assert attributes() - own_names() <= known
    assert overridden() <= known


def test_the_table_holds_nothing_else():
    used = attributes() | {part for name in imported() for part in name.split(".")}
    used |= overridden()
    for name in TABLE:
        last = next(part for part in reversed(name.split(".")) if is_private(part))
        assert last in used, name


def test_what_searches_need_stands_in_one_file():
    needed = {next(filter(is_private, reversed(name.split(".")))) for name in SEARCHES}
    attributes = needed - own_names()
    found = {
        path
        for path, nodes in NODES_OF.items()
        for node in nodes
        if (isinstance(node, ast.alias) and node.name in needed)
        or (isinstance(node, ast.Attribute) and node.attr in attributes)
    }
    assert found == {"model_selection/_scikit_learn.py"}


@pytest.mark.parametrize("name", TABLE)
def test_it_is_there(name):
    if parse_version(sklearn.__version__) < parse_version(SINCE.get(name, "0")):
        pytest.skip(f"since scikit-learn {SINCE[name]}")
    assert find(name) is not None


def test_derivatives_are_there():
    """And those in use are the ones that are listed."""
    used = {
        node.attr
        for node in NODES
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value) in ("_aten", "torch.ops.aten", "aten")
    }
    assert used == DERIVATIVES
    for name in DERIVATIVES:
        assert hasattr(torch.ops.aten, name)
