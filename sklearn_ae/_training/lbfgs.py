"""L-BFGS: an epoch is one step on the objective of all rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sklearn_ae._training.batches import Batches, TermSums


def search_epoch(net: Any, batches: Batches, sums: TermSums) -> bool:
    """Take one step, of at most 20 iterations; answer whether nothing is left to gain.

    Parameters
    ----------
    net : AutoencoderNet
        With `torch.optim.LBFGS` as its optimizer.
    batches : Batches
        All rows, in slices.
    sums : TermSums
        Gets the terms at the point where the step has ended.
    """
    vector, streams = net.flat_.vector, net.streams_
    n_rows, states = len(batches.source), net.streams_.states()

    def closure() -> Tensor:
        total, loss = torch.zeros_like(vector), 0.0
        # The same noise throughout the step: the line search compares.
        streams.restore(states)
        for pair in batches:
            batch = streams.batch(*pair, batches.source.has_missing)
            share = len(batch.x) / n_rows
            terms = net.gradient_(batch)
            sums.keep_first(terms)
            loss = loss + share * sum(terms.values())
            total.add_(vector.grad, alpha=share)
        vector.grad.copy_(total)
        return loss

    net.module_.train()
    before = vector.detach().clone()
    group = net.optimizer_.param_groups[0]
    state = net.optimizer_.state[group["params"][0]]
    used = state.get("n_iter", 0), state.get("func_evals", 0)
    try:
        net.optimizer_.step(closure)
        streams.restore(states)
        net.sum_terms(batches, streams, sums)
    except KeyboardInterrupt:
        # The line search may have been at a point that it would have left. Where it has
        # ended, the rows so far say what the objective is there.
        if not any(sums.n_rows):
            vector.data.copy_(before)
        raise
    # It stopped for neither of its limits, so there is nothing left to gain.
    return (
        state["n_iter"] - used[0] < group["max_iter"]
        and state["func_evals"] - used[1] < group["max_eval"]
    )
