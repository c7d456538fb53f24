"""What could have been said instead: a graph of all phone sequences, and its sum over paths, for sequence training without lattices.

States are HMM states of phones in context, each with one pdf; a path is any sequence of phones whose triples occur in the
training alignments. Owns the graph and the forward-backward passes over it, for a minibatch of utterances at a time."""

from __future__ import annotations

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch.autograd.function import once_differentiable

from cgs.base.errors import TrainError
from cgs.gmm.model import AcousticGmm
from cgs.gmm.tree_stats import BOUNDARY

SMALLEST = 1e-30
"""Keeps a division by a probability that vanished finite."""
LARGEST = 1e30
"""Bounds what a state promises of the frames after it: one that no path has come to may promise any amount."""


class Workspace:
    """Memory for one large tensor, kept between calls: the system takes as long to hand out fresh pages as the sums take to fill them."""

    def __init__(self) -> None:
        self._kept = torch.empty(0)

    def take(self, *shape: int) -> torch.Tensor:
        """A tensor of any content, valid until the next call."""
        n = math.prod(shape)
        if self._kept.numel() < n:
            self._kept = torch.empty(0)
            self._kept = torch.empty(n)
        return self._kept[:n].view(shape)


@dataclass(frozen=True)
class Denominator:
    """An HMM over all phone sequences; S states, A arcs.

    Args:
        pdfs: (S,) int64 pdf of each state.
        initial, final: (S,) float32 probability to begin in a state, and to end after it.
        sources, targets: (A,) int64.
        probabilities: (A,) float32.
        n_pdfs: P.
    """

    pdfs: torch.Tensor
    initial: torch.Tensor
    final: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor
    probabilities: torch.Tensor
    n_pdfs: int

    def __getstate__(self) -> dict[str, Any]:
        """Without the matrices made of it, which are made again in another process."""
        return {name: value for name, value in vars(self).items() if name not in ("forward", "backward", "pooling", "workspace")}

    @cached_property
    def forward(self) -> torch.Tensor:
        """(S, S) sparse, from the probabilities of states at one frame to those at the next."""
        return _csr(self.targets, self.sources, self.probabilities, (len(self.pdfs), len(self.pdfs)))

    @cached_property
    def backward(self) -> torch.Tensor:
        """Its transpose."""
        return _csr(self.sources, self.targets, self.probabilities, (len(self.pdfs), len(self.pdfs)))

    @cached_property
    def pooling(self) -> torch.Tensor:
        """(P, S) sparse, adds up the states of each pdf."""
        states = torch.arange(len(self.pdfs))
        return _csr(self.pdfs, states, torch.ones(len(states)), (self.n_pdfs, len(states)))

    @cached_property
    def workspace(self) -> Workspace:
        """Memory of the forward pass."""
        return Workspace()

    def log_sum(self, scores: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Logarithm of the summed probability of all paths, with its gradient.

        Args:
            scores: (N, T, P) float32 log-likelihoods.
            lengths: (N,) int64 frames of each utterance, 1 to T; scores after them do not count.
        Returns: (N,) float32.
        """
        total: torch.Tensor = _LogSum.apply(scores, lengths, self)
        return total


class _LogSum(torch.autograd.Function):
    """Forward-backward in probabilities that are scaled at every frame; the gradient of the logarithm is the occupancy of each pdf."""

    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, lengths: torch.Tensor, graph: Denominator) -> torch.Tensor:
        """See `Denominator.log_sum`."""
        with torch.no_grad():
            total, occupancy = forward_backward(graph, scores.detach(), lengths)
        ctx.save_for_backward(occupancy)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """Each pdf's occupancy at each frame."""
        (occupancy,) = ctx.saved_tensors
        return occupancy * grad[:, None, None], None, None


def forward_backward(graph: Denominator, scores: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(N,) log of the sum over paths, and (N, T, P) posterior probability of each pdf; arguments as for `Denominator.log_sum`."""
    highest = scores.max(dim=2).values
    emitted = (scores - highest[:, :, None]).exp_().permute(1, 2, 0).contiguous()
    n_frames, _, n = emitted.shape
    alphas, total = graph.workspace.take(n_frames, len(graph.pdfs), n), torch.zeros(n)
    before, states = graph.initial[:, None].repeat(1, n), torch.empty(len(graph.pdfs), n)
    for frame in range(n_frames):
        if frame:
            before.addmm_(graph.forward, alphas[frame - 1], beta=0)
        torch.mul(before, torch.index_select(emitted[frame], 0, graph.pdfs, out=states), out=alphas[frame])
        sums = alphas[frame].sum(dim=0) + SMALLEST
        total += torch.where(lengths > frame, sums.log() + highest[:, frame], 0.0)
        ending = (alphas[frame] * graph.final[:, None]).sum(dim=0) / sums if (lengths == frame + 1).any() else sums
        total += torch.where(lengths == frame + 1, (ending + SMALLEST).log(), 0.0)
        emitted[frame + 1 :][:1] /= sums  # what scales the next frame, at a pdf rather than at each of its states
    occupancy, beta, pooled = torch.empty_like(emitted), torch.zeros(len(graph.pdfs), n), torch.empty(graph.n_pdfs, n)
    for frame in range(n_frames - 1, -1, -1):
        if frame + 1 < n_frames:
            after = torch.index_select(emitted[frame + 1], 0, graph.pdfs, out=states).mul_(beta)
            beta.addmm_(graph.backward, after, beta=0).clamp_(max=LARGEST)
        beta = torch.where(lengths == frame + 1, graph.final[:, None], beta) if (lengths == frame + 1).any() else beta
        pooled.addmm_(graph.pooling, torch.mul(alphas[frame], beta, out=states), beta=0)
        torch.div(pooled, pooled.sum(dim=0) + SMALLEST, out=occupancy[frame])
    return total, occupancy.permute(2, 0, 1)


def denominator_graph(model: AcousticGmm, phone_strings: Iterable[Sequence[int]]) -> Denominator:
    """The graph of all sequences whose phone triples occur.

    Args:
        model: its tree and transitions.
        phone_strings: phones of each training utterance, silence included.
    Returns: the HMM of an unsmoothed phone trigram model. Phones in context that share their pdfs from some state on share those states.
    Raises: TrainError: no phones.
    Source: Povey and others 2016, Purely sequence-trained neural networks for ASR based on lattice-free MMI. Differs: the HMM topology and the
        tree of the GMM, at every frame; trigrams in place of pruned 4-grams.
    """
    triples = Counter(triple for phones in phone_strings for triple in _triples(phones))
    if not triples:
        raise TrainError("no phone in the training alignments", "run stage 4 again")
    after = Counter[tuple[int, int]]()
    for (left, phone, _), count in triples.items():
        after[left, phone] += count
    builder = _Builder(model)
    entries: defaultdict[tuple[int, int], defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    for (left, phone, right), count in triples.items():
        entries[left, phone][builder.first_state(left, phone, right)] += count / after[left, phone]
    arcs: defaultdict[tuple[int, int], float] = defaultdict(float, builder.arcs)
    initial, final = np.zeros((2, len(builder.pdfs)), dtype=np.float32)
    for (phone, right), exits in builder.exits.items():
        for state, probability in exits:
            if right == BOUNDARY:
                final[state] += probability
            for entry, share in entries[phone, right].items() if right != BOUNDARY else ():
                arcs[state, entry] += probability * share
    for (left, phone), count in after.items():
        if left == BOUNDARY:
            for entry, share in entries[left, phone].items():
                initial[entry] += share * count
    initial /= initial.sum()
    places = torch.tensor(list(arcs), dtype=torch.int64)
    probabilities = torch.tensor(list(arcs.values()), dtype=torch.float32)
    pdfs = torch.tensor(builder.pdfs)
    return Denominator(pdfs, torch.from_numpy(initial), torch.from_numpy(final), places[:, 0], places[:, 1], probabilities, model.n_pdfs)


class _Builder:
    """States of phones in context, made when first asked for.

    Attributes:
        pdfs: of each state.
        arcs: {(state, state of the same phone): probability}.
        exits: {(phone, phone after it): [(state, probability to leave the phone)]}.
    """

    def __init__(self, model: AcousticGmm) -> None:
        self.pdfs: list[int] = []
        self.arcs: dict[tuple[int, int], float] = {}
        self.exits: defaultdict[tuple[int, int], list[tuple[int, float]]] = defaultdict(list)
        self._tree, self._topology, self._known = model.tree, model.transition_model.topo, {}  # type: ignore[var-annotated]
        table, log_probs = model.transitions, model.transition_model.log_probs
        keys = zip(table.phone.tolist(), table.pdf_class.tolist(), table.pdf.tolist(), table.arc.tolist(), strict=True)
        self._probability = {key: float(np.exp(log_probs[tid])) for tid, key in enumerate(keys) if tid}

    def first_state(self, left: int, phone: int, right: int) -> int:
        """The state that a phone in context begins with."""
        hmm = [state for state in self._topology.topology_for_phone(phone) if state.transitions]
        pdfs = tuple(self._tree.compute([left, phone, right], state.forward_pdf_class)[1] for state in hmm)
        return self._state(phone, right, pdfs, 0, hmm)

    def _state(self, phone: int, right: int, pdfs: tuple[int, ...], position: int, hmm: list[Any]) -> int:
        onward = all(target >= position for state in hmm[position:] for target, _ in state.transitions)
        key = (phone, right, position, pdfs[position:] if onward else pdfs)
        if key in self._known:
            return self._known[key]
        index = self._known[key] = len(self.pdfs)
        self.pdfs.append(pdfs[position])
        for arc, (target, _) in enumerate(hmm[position].transitions):
            probability = self._probability[phone, hmm[position].forward_pdf_class, pdfs[position], arc]
            if target == len(hmm):
                self.exits[phone, right].append((index, probability))
            else:
                self.arcs[index, self._state(phone, right, pdfs, target, hmm)] = probability
        return index


def _triples(phones: Sequence[int]) -> Iterable[tuple[int, int, int]]:
    around = [BOUNDARY, *phones, BOUNDARY]
    return zip(around, around[1:], around[2:], strict=False)


def _csr(rows: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    matrix = sparse.coo_matrix((values.numpy(), (rows.numpy(), columns.numpy())), shape=shape).tocsr()
    pointers, places = torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks are implicitly)")
        return torch.sparse_csr_tensor(pointers, places, torch.from_numpy(matrix.data), shape, check_invariants=True)
