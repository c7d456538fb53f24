"""What a transition-id means, as arrays; and transition probabilities of a library model, read, set and estimated.

A transition-id is one arc of one HMM state of one pdf, numbered from 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


def make_transition_model(dependency: Any, topology: Any, log_probs: np.ndarray | None = None) -> Any:
    """The library's kaldi_hmm_gmm.TransitionModel.

    Args:
        dependency: ContextDependency of the tree.
        topology: HmmTopology.
        log_probs: (transition-ids + 1,) float32; None for the topology's own.
    """
    import kaldi_hmm_gmm as khg

    model = khg.TransitionModel(ctx_dep=dependency, hmm_topo=topology)
    if log_probs is None:
        return model
    state = list(model.__getstate__())
    state[6] = [float(value) for value in log_probs]
    state[7] = _non_self_loop(model, log_probs)
    restored = khg.TransitionModel.__new__(khg.TransitionModel)
    restored.__setstate__(tuple(state))
    return restored


def _non_self_loop(model: Any, log_probs: np.ndarray) -> list[float]:
    values = [0.0] * (model.num_transition_states + 1)
    loops = {model.id2state[tid]: tid for tid in range(1, model.num_transition_ids + 1) if model.is_self_loop(tid)}
    for state, tid in loops.items():
        values[state] = float(np.float32(math.log(max(1.0 - math.exp(float(log_probs[tid])), 1e-10))))
    return values


@dataclass(frozen=True)
class TransitionTable:
    """What each transition-id stands for; every array has one entry a transition-id, and entry 0 is unused.

    Args:
        pdf: int32.
        phone: int32.
        pdf_class: int32, HMM position of the state.
        arc: int32, which transition of the HMM state.
        self_loop: bool.
        final: bool, leaves the phone.
    """

    pdf: np.ndarray
    phone: np.ndarray
    pdf_class: np.ndarray
    arc: np.ndarray
    self_loop: np.ndarray
    final: np.ndarray


def transition_table(model: Any) -> TransitionTable:
    """Read the table out of a library transition model."""
    n_ids = model.num_transition_ids
    columns = np.zeros((6, n_ids + 1), dtype=np.int32)
    states, firsts = model.id2state, model.state2id
    tuples = [None, *(entry.__getstate__() for entry in model.tuples)]
    classes: dict[tuple[int, int], int] = {}
    for tid in range(1, n_ids + 1):
        phone, hmm_state, forward_pdf, loop_pdf = tuples[states[tid]]  # type: ignore[misc]
        if (phone, hmm_state) not in classes:
            classes[phone, hmm_state] = model.topo.topology_for_phone(phone)[hmm_state].forward_pdf_class
        loop = model.is_self_loop(tid)
        columns[:, tid] = (loop_pdf if loop else forward_pdf, phone, classes[phone, hmm_state], tid - firsts[states[tid]], loop, model.is_final(tid))
    pdf, phone_column, pdf_class, arc, self_loop, final = columns
    return TransitionTable(pdf, phone_column, pdf_class, arc, self_loop.astype(bool), final.astype(bool))


def estimate(model: Any, counts: np.ndarray) -> None:
    """Set the probabilities of a library model, in place, from how often each transition-id was taken, (ids + 1,)."""
    import kaldi_hmm_gmm as khg

    model.mle_update(np.asarray(counts, dtype=np.float64), khg.MleTransitionUpdateConfig())


def counts_by_phone(source: TransitionTable, counts: np.ndarray, target: TransitionTable) -> np.ndarray:
    """Counts for another tree's transition-ids: those of the same phone, HMM position and arc, whatever the pdf."""

    def keys(table: TransitionTable) -> np.ndarray:
        return (table.phone.astype(np.int64) * 64 + table.pdf_class) * 64 + table.arc

    size = int(max(keys(source).max(), keys(target).max())) + 1
    pooled = np.bincount(keys(source)[1:], weights=counts[1:], minlength=size)
    return np.concatenate([[0.0], pooled[keys(target)[1:]]])
