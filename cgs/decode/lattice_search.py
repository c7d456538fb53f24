"""A search that keeps every path within a beam of the best: frame scores in, a raw lattice out.

Owns the token passing and the pruning, both over whole frames at a time. The decoders of the library keep no lattice, or have no
limit of active states; this one has the limits of `cgs.decode.search`, so that the best paths of the two are the same."""

from __future__ import annotations

from dataclasses import dataclass

import kaldifst
import numpy as np

from cgs.decode.graph_arrays import GraphArrays, graph_arrays
from cgs.decode.raw_lattice import RawLattice

BEAM_DELTA = 0.5
"""Added to the beam that a limit of active states left, for the frame after."""


@dataclass
class Frame:
    """Tokens after some frames, and how they were reached.

    Args:
        states: (K,) graph states.
        alpha: (K,) cost of the best path to each.
        inner: (token, arc, state) of the arcs without input between them, three (E,) arrays.
        outer: (token, arc, state, acoustic cost) of the arcs into the next frame, four arrays; none after the last.
    """

    states: np.ndarray
    alpha: np.ndarray
    inner: tuple[np.ndarray, ...]
    outer: tuple[np.ndarray, ...] = ()


class LatticeSearch:
    """A beam search over one decoding graph that keeps alternatives.

    Args:
        graph: HCLG, transition-ids in, word ids out; no cycle of arcs without input.
        pdf: (n_transition_ids,) int, pdf of each transition-id from 1.
        beam, max_active, min_active: as in the search of best paths.
        lattice_beam: paths that are worse than the best by more than this are left out of the lattice.
    Source: Povey and others 2012, "Generating exact lattices in the WFST framework", section 3.
    Differs: pruning runs once, at the end of the utterance.
    """

    def __init__(self, graph: kaldifst.StdConstFst, pdf: np.ndarray, beam: float, max_active: int, min_active: int, lattice_beam: float) -> None:
        arrays = graph_arrays(graph)
        reads = arrays.ilabel > 0
        self._emitting, self._silent = arrays.select(reads), arrays.select(~reads)
        self._pdf = np.concatenate([[0], pdf])[self._emitting.ilabel]
        self._depth = _depths(self._silent)
        self.beam, self.max_active, self.min_active, self.lattice_beam = beam, max_active, min_active, lattice_beam
        self._cost = np.full(len(arrays.final), np.inf)
        self._position = np.full(len(arrays.final), -1)

    def search(self, scores: np.ndarray) -> RawLattice | None:
        """The lattice of one utterance, (T, P) scaled log-likelihoods; None where no path survives."""
        beam, frames = self.beam, []
        states, alpha = np.array([self._emitting.start]), np.zeros(1)
        for acoustic in [*-scores.astype(np.float64), None]:
            frame = self._close(states, alpha, beam)
            frames.append(frame)
            if acoustic is not None:
                states, alpha, beam = self._advance(frame, acoustic)
                if not len(states):
                    return None
        return self._pruned(frames)

    def _close(self, states: np.ndarray, alpha: np.ndarray, beam: float) -> Frame:
        """Follow the arcs without input until no path gets better."""
        cost, limit = self._cost, alpha.min() + beam
        cost[states] = alpha
        known, changed = [states], states
        while len(changed):
            which, arc = self._silent.leaving(changed)
            reached, through = self._silent.target[arc], cost[changed][which] + self._silent.weight[arc]
            better = (through < cost[reached]) & (through < limit)
            reached, through = reached[better], through[better]
            fresh = reached[np.isinf(cost[reached])]
            np.minimum.at(cost, reached, through)
            changed = _distinct(reached, self._position)
            known.append(_distinct(fresh, self._position))
        states = np.concatenate(known)
        states = states[np.argsort(self._depth[states], kind="stable")]
        alpha = cost[states]
        which, arc = self._silent.leaving(states)
        target = self._silent.target[arc]
        kept = np.isfinite(cost[target])
        cost[states] = np.inf
        return Frame(states, alpha, (which[kept], arc[kept], target[kept]))

    def _advance(self, frame: Frame, acoustic: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Read one frame: the states reached, their costs, and the beam that the limit of active states left."""
        limit, beam = self._limit(frame.alpha)
        active = np.flatnonzero(frame.alpha <= limit)
        which, arc = self._emitting.leaving(frame.states[active])
        spent = acoustic[self._pdf[arc]]
        through = frame.alpha[active][which] + self._emitting.weight[arc] + spent
        if not len(through):
            return np.zeros(0, dtype=np.int64), np.zeros(0), beam
        kept = through <= through.min() + beam
        target = self._emitting.target[arc[kept]]
        frame.outer = (active[which[kept]], arc[kept], target, spent[kept])
        np.minimum.at(self._cost, target, through[kept])
        states = _distinct(target, self._position)
        alpha = self._cost[states]
        self._cost[states] = np.inf
        return states, alpha, beam

    def _limit(self, alpha: np.ndarray) -> tuple[float, float]:
        """The cost up to which tokens go on, and the beam for the next frame."""
        best = alpha.min()
        limit = best + self.beam
        if len(alpha) > self.max_active:
            worst = np.partition(alpha, self.max_active)[self.max_active]
            if worst < limit:
                return worst, worst - best + BEAM_DELTA
        if len(alpha) > self.min_active:
            least = np.partition(alpha, self.min_active)[self.min_active]
            if least > limit:
                return least, least - best + BEAM_DELTA
            return limit, self.beam
        return np.inf, self.beam

    def _pruned(self, frames: list[Frame]) -> RawLattice:
        """Go back from the end and keep what lies on a path within the lattice beam."""
        final = self._emitting.final[frames[-1].states].astype(np.float64)
        complete = bool(np.isfinite(final).any())
        if not complete:
            final = np.zeros(len(final))
        best = float((frames[-1].alpha + final).min())
        limit = best + self.lattice_beam + 1e-9 * abs(best)
        parts = _Parts()
        following, beta = np.zeros(0, dtype=np.int64), np.zeros(0)
        for index in range(len(frames) - 1, -1, -1):
            frame = frames[index]
            ends = final if index == len(frames) - 1 else np.full(len(frame.states), np.inf)
            own, outer = ends.copy(), ()
            if frame.outer:
                self._position[following] = np.arange(len(following))
                token, arc, state, spent = frame.outer
                place = self._position[state]
                cost = self._emitting.weight[arc] + spent + np.where(place >= 0, beta[place], np.inf)
                kept = frame.alpha[token] + cost <= limit
                outer = tuple(column[kept] for column in (token, arc, place, spent))
                np.minimum.at(own, token[kept], cost[kept])
                self._position[following] = -1
            inner = self._inner(frame, own, limit)
            alive = np.flatnonzero(frame.alpha + own <= limit)
            parts.add((frame.alpha[alive], own[alive], ends[alive], self._depth[frame.states[alive]]), alive, inner, outer)
            following, beta = frame.states[alive], own[alive]
        return parts.joined(self._emitting, self._silent, complete)

    def _inner(self, frame: Frame, beta: np.ndarray, limit: float) -> tuple[np.ndarray, ...]:
        """Arcs without input that survive, with their targets as tokens; completes `beta` in place, deepest tokens first."""
        token, arc, state = frame.inner
        if not len(token):
            return token, arc, state
        self._position[frame.states] = np.arange(len(frame.states))
        place, weight = self._position[state], self._silent.weight[arc]
        self._position[frame.states] = -1
        depth = self._depth[frame.states[token]]
        for level in np.unique(depth)[::-1]:
            here = depth == level
            np.minimum.at(beta, token[here], weight[here] + beta[place[here]])
        kept = frame.alpha[token] + weight + beta[place] <= limit
        return token[kept], arc[kept], place[kept]


class _Parts:
    """What survives of each frame, last frame first."""

    def __init__(self) -> None:
        self._frames: list[tuple] = []

    def add(self, tokens: tuple[np.ndarray, ...], alive: np.ndarray, inner: tuple[np.ndarray, ...], outer: tuple[np.ndarray, ...]) -> None:
        """Take what survives of a frame.

        Args:
            tokens: alpha, beta, final cost and depth of each surviving token.
            alive: their numbers before, by which the arcs call them, but that outer targets are numbers after.
            inner, outer: surviving arcs, as `Frame` has them.
        """
        number = np.full(alive[-1] + 1, -1)
        number[alive] = np.arange(len(alive))
        inside = (number[inner[0]], inner[1], number[inner[2]])
        self._frames.append((tokens, inside, (number[outer[0]], *outer[1:]) if outer else ()))

    def joined(self, emitting: GraphArrays, silent: GraphArrays, complete: bool) -> RawLattice:
        """The lattice of all frames."""
        frames = self._frames[::-1]
        begins = np.concatenate([[0], np.cumsum([len(tokens[0]) for tokens, *_ in frames])])
        columns: list[tuple[np.ndarray, ...]] = []
        for index, (_, (token, arc, place), outer) in enumerate(frames):
            nothing = np.zeros(len(arc))
            columns.append((begins[index] + token, begins[index] + place, nothing, silent.olabel[arc], silent.weight[arc], nothing))
            if outer:
                token, arc, place, spent = outer
                columns.append((begins[index] + token, begins[index + 1] + place, emitting.ilabel[arc], emitting.olabel[arc], emitting.weight[arc], spent))
        source, target, transition_id, word, graph, acoustic = (np.concatenate(column) for column in zip(*columns, strict=True))
        order = np.argsort(source, kind="stable")
        alpha, beta, final, depth = (np.concatenate(column) for column in zip(*(tokens for tokens, *_ in frames), strict=True))
        where = np.repeat(np.arange(len(frames), dtype=np.int32), np.diff(begins))
        level = np.cumsum(np.diff(where * (depth.max() + 1) + depth, prepend=0) > 0)
        labels = (transition_id[order].astype(np.int32), word[order].astype(np.int32))
        costs = (graph[order].astype(np.float64), acoustic[order].astype(np.float64))
        return RawLattice(where, alpha, beta, final, level, source[order], target[order], *labels, *costs, complete)


def _depths(silent: GraphArrays) -> np.ndarray:
    """(N,) the most arcs without input on a way to each state, so that these arcs lead to deeper states."""
    depth = np.zeros(len(silent.final), dtype=np.int64)
    changed = np.flatnonzero(np.diff(silent.first))
    while len(changed):
        which, arc = silent.leaving(changed)
        target, through = silent.target[arc], depth[changed][which] + 1
        deeper = through > depth[target]
        np.maximum.at(depth, target[deeper], through[deeper])
        changed = np.unique(target[deeper])
    return depth


def _distinct(states: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Each state once, by a scratch array of -1 that is left as it was."""
    position[states] = np.arange(len(states))
    once = states[position[states] == np.arange(len(states))]
    position[states] = -1
    return once
