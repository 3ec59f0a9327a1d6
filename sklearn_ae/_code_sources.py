"""Draws of codes from the parameter `prior`: specs, and objects of other libraries.

An object of another library is asked again and again, with a fresh seed each time, or
once for many codes.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array
from sklearn.utils._param_validation import InvalidParameterError
from torch import Tensor

from sklearn_ae._imposed_priors import PRIORS, ImposedPrior, draw_uniform
from sklearn_ae._priors import draw_with_components, is_seedable
from sklearn_ae._torch import derive_seed, make_generator

# Draws that are kept of a prior that cannot be asked again: without a seed of its own,
# or by the component.
_POOL = 2**14


class CodeSource(ABC):
    """Draws codes for training.

    Attributes
    ----------
    n_modes : int
        Components that can be asked for one by one; 0 if there are none.
    """

    n_modes: int = 0

    @abstractmethod
    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""


class _SpecSource(CodeSource):
    """Draws from a spec."""

    def __init__(self, spec: ImposedPrior, n_components: int) -> None:
        self.spec, self.n_components = spec, n_components
        self.n_modes = spec.n_modes

    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""
        if modes is None:
            return self.spec.draw(n, self.n_components, generator)
        return self.spec.draw_modes(modes, generator)


class _ForeignSource(CodeSource):
    """Draws from a function of (n_samples, random_state) or an object with `sample`.

    What cannot be asked again, or not for one component, is asked once for many.
    """

    def __init__(self, prior: Any, n_components: int, seed: int, by_mode: bool) -> None:
        self.prior, self.n_components = prior, n_components
        self._pool: Tensor | None = None
        self._members: list[Tensor] = []
        if not by_mode and is_seedable(prior):
            return
        codes, modes = self.ask(_POOL, seed)
        self._pool = torch.from_numpy(codes).float()
        if by_mode and modes is not None and modes.dtype.kind in "iu":
            places = (np.flatnonzero(modes == c) for c in range(modes.max() + 1))
            members = itertools.takewhile(len, places)
            self._members = [torch.from_numpy(found) for found in members]
        self.n_modes = len(self._members)

    def ask(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Draw codes, and the components that they are of, if it tells."""
        try:
            codes, modes = draw_with_components(self.prior, n, seed)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"prior={self.prior!r} could not be drawn from: {error}"
            ) from error
        codes = check_array(codes, dtype=np.float64, input_name="the prior's codes")
        if codes.shape != (n, self.n_components):
            raise ValueError(
                f"prior={self.prior!r} answers codes of shape {codes.shape}, where "
                f"{(n, self.n_components)} is expected."
            )
        return codes, modes

    def draw(
        self, n: int, generator: torch.Generator, modes: Tensor | None = None
    ) -> Tensor:
        """Draw `n` codes, of given components or of the whole."""
        device = generator.device
        if self._pool is None:
            seed = torch.randint(2**62, (), generator=generator, device=device)
            codes, _ = self.ask(n, int(seed))
            return torch.from_numpy(codes).to(device, torch.float32)
        share = draw_uniform((n,), generator).cpu()
        places = _places(share, len(self._pool))
        if modes is not None:
            asked = modes.cpu()
            for mode in asked.unique().tolist():
                is_asked, members = asked == mode, self._members[mode]
                places[is_asked] = members[_places(share[is_asked], len(members))]
        return self._pool[places].to(device)


def _places(share: Tensor, n: int) -> Tensor:
    # The product may round up to n.
    return (share * n).long().clamp(max=n - 1)


def code_source(
    prior: Any, n_components: int, seed: int, n_classes: int = 0
) -> CodeSource:
    """Answer what draws codes from the parameter `prior`.

    Parameters
    ----------
    prior : str, ImposedPrior, object with `sample` or callable
    n_components : int
    seed : int
        Where draws come from that are made once.
    n_classes : int, default=0
        How many of its components are going to be asked for one by one.

    Raises
    ------
    ValueError
        If it cannot be drawn from, has another width, or too few components.
    """
    spec = PRIORS[prior]() if isinstance(prior, str) else prior
    if isinstance(spec, type):
        raise InvalidParameterError(
            "The 'prior' parameter must be a name, an object or a function. "
            f"Got the class {spec.__name__} instead; call it to get an object."
        )
    if isinstance(spec, ImposedPrior):
        spec.check(n_components)
        source = _SpecSource(spec, n_components)
    else:
        source = _ForeignSource(spec, n_components, seed, by_mode=n_classes > 0)
    if source.n_modes < n_classes:
        raise ValueError(
            "label_conditioned=True puts each class on a component of the prior, but "
            f"prior={prior!r} has {source.n_modes or 'none'} for {n_classes} classes. "
            "'gaussian_mixture', GaussianRing(n_modes=...) and a fitted "
            "GaussianMixture have components."
        )
    return source


def sample_codes(
    prior: Any,
    n: int,
    n_components: int,
    seed: int,
    pool_seed: int,
    frequencies: np.ndarray | None,
) -> np.ndarray:
    """Draw codes for new rows, of the components in these proportions if given.

    What training has drawn once, by `pool_seed`, is drawn the same again.
    """
    n_classes = 0 if frequencies is None else len(frequencies)
    source = code_source(prior, n_components, pool_seed, n_classes)
    if isinstance(source, _ForeignSource) and not n_classes:
        # As many as are asked for, where training may have to do with a pool.
        codes, _ = source.ask(n, derive_seed(seed, "codes"))
        return codes
    generator, modes = make_generator(seed, "codes"), None
    if n_classes:
        weights = torch.from_numpy(frequencies).double()
        modes = torch.multinomial(weights, n, replacement=True, generator=generator)
    return source.draw(n, generator, modes).double().numpy()
