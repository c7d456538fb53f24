"""GMM-HMM training: monophones from a flat start, then triphones over our own decision tree.

Owns the schedules and the checkpoints. The arithmetic is in `em` and `tree`, the corpus in `workers`."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgs.base.errors import TrainError
from cgs.base.files import write_json
from cgs.base.log import LOG
from cgs.base.options import AlignOptions
from cgs.gmm import em, questions, transitions, tree, tree_format, tree_stats
from cgs.gmm.gaussians import from_moments
from cgs.gmm.model import AcousticGmm
from cgs.gmm.workers import Workers
from cgs.lang.lang import Lang
from cgs.lang.topology import topology_text

FIRST_MIN_OCCUPANCY = 3.0
"""Of the first monophone pass, when every pdf is the same Gaussian."""
SPLITTING = 0.75
"""Share of the passes after which no more Gaussians are added."""
MONO_FRAMES = 400_000
"""Monophones need no more: of a longer corpus they see every second, third, ... utterance."""
TREE_LIMITS = {"min_gain": 200.0, "min_count": 50.0}


@dataclass
class TrainState:
    """Where training stands; what a checkpoint holds.

    Args:
        phase: "mono", "tri" or "done".
        iteration: pass to make next, from 0.
        model: as the pass finds it; None before the flat start.
        history: log-likelihood a frame of each pass so far, by phase.
        tree_gain: log-likelihood the tree's splits won, a frame.
    """

    phase: str = "mono"
    iteration: int = 0
    model: AcousticGmm | None = None
    history: dict[str, list[float]] = field(default_factory=lambda: {"mono": [], "tri": []})
    tree_gain: float = 0.0

    @property
    def fitted(self) -> AcousticGmm:
        """The model. Raises: TrainError: before the flat start."""
        if self.model is None:
            raise TrainError("no model yet", "report a bug")
        return self.model


class Checkpoints:
    """The newest `TrainState` in a directory; one is written only where the next pass realigns, so that no alignment needs keeping."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, state: TrainState) -> None:
        """Replace the checkpoint; a kill at any moment leaves the old or the new one."""
        name = f"{state.phase}-{state.iteration:03d}"
        target, aside = self.directory / name, self.directory / f".{name}.part"
        if target.exists():
            return
        shutil.rmtree(aside, ignore_errors=True)
        state.fitted.save(aside)
        write_json(aside / "state.json", {"phase": state.phase, "iteration": state.iteration, "history": state.history, "tree_gain": state.tree_gain})
        aside.rename(target)
        for path in self.directory.iterdir():
            if path != target:
                shutil.rmtree(path)

    def newest(self) -> TrainState:
        """The last state saved, or a fresh one."""
        if not self.directory.is_dir():
            return TrainState()
        states = []
        for path in sorted(self.directory.iterdir()):
            if not path.name.startswith("."):
                kept = json.loads((path / "state.json").read_text(encoding="utf-8"))
                states.append(TrainState(kept["phase"], kept["iteration"], AcousticGmm.load(path), kept["history"], kept["tree_gain"]))
        return max(states, key=lambda state: (("mono", "tri", "done").index(state.phase), state.iteration), default=TrainState())

    def clear(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.directory, ignore_errors=True)


def mono_realignments(n_passes: int) -> list[int]:
    """Passes, from 0, that realign monophones: each of the first ten, then every second, after twenty every third; 0 is the flat start."""
    return [p for p in range(1, n_passes) if p <= 10 or (p <= 20 and p % 2 == 0) or (p > 20 and p % 3 == 2)]


def tri_realignments(n_passes: int) -> list[int]:
    """Passes that realign triphones: after two, four and six sevenths; pass 0 uses the monophones' alignment."""
    return sorted({p for p in (round(n_passes * part / 7) for part in (2, 4, 6)) if 0 < p < n_passes})


def gaussians_at(iteration: int, n_passes: int, first: int, last: int) -> int:
    """How many Gaussians a pass ends with: a straight line from `first` to `last`, reached at `SPLITTING` of the passes."""
    ramp = max(1, round(SPLITTING * n_passes))
    return first + (last - first) * min(iteration + 1, ramp) // ramp


def train(workers: Workers, lang: Lang, options: AlignOptions, seed: int, checkpoints: Checkpoints) -> TrainState:
    """Train on the workers' utterances, from the newest checkpoint on.

    Args:
        workers: the training corpus.
        lang: phones and topology.
        options: [align].
        seed: of the flat start and of splitting.
        checkpoints: where to keep them.
    Returns: the finished state.
    Raises: TrainError: nothing could be aligned.
    """
    state = checkpoints.newest()
    if state.model is not None:
        LOG.info("  going on from %s, pass %d", state.phase, state.iteration)
    if state.phase == "mono":
        _train_mono(workers, lang, options, seed, state, checkpoints)
        state.phase, state.iteration = ("tri", 0) if options.triphone else ("done", 0)
        checkpoints.save(state)
    if state.phase == "tri":
        _train_tri(workers, lang, options, seed, state, checkpoints)
        state.phase, state.iteration = "done", 0
        checkpoints.save(state)
    return state


def _train_mono(workers: Workers, lang: Lang, options: AlignOptions, seed: int, state: TrainState, checkpoints: Checkpoints) -> None:
    n_passes, realigned = options.mono_iterations, mono_realignments(options.mono_iterations)
    n_frames = sum(count for count, *_ in workers.call("moments"))
    workers.call("use_every", max(1, math.ceil(n_frames / MONO_FRAMES)))
    if state.model is None:
        state.model = flat_start(workers, lang)
        _take_transitions(state, workers.call("equal_alignment", state.model, seed))
    n_first = state.model.n_pdfs
    while state.iteration < n_passes:
        if state.iteration in realigned:
            checkpoints.save(state)
            _realign(workers, options, state)
        limit = FIRST_MIN_OCCUPANCY if state.iteration == 0 else em.MIN_OCCUPANCY
        _pass(workers, state, gaussians_at(state.iteration, n_passes, n_first, max(options.mono_gaussians, n_first)), seed, limit)


def _train_tri(workers: Workers, lang: Lang, options: AlignOptions, seed: int, state: TrainState, checkpoints: Checkpoints) -> None:
    n_passes, realigned = options.tri_iterations, tri_realignments(options.tri_iterations)
    workers.call("use_every", 1)
    if state.iteration == 0:
        counts = _realign(workers, options, state)
        mono = state.fitted
        state.model, gain = triphone_start(workers, lang, options, mono)
        transitions.estimate(state.model.transition_model, transitions.counts_by_phone(mono.transitions, counts, state.model.transitions))
        state.tree_gain = gain / max(float(counts.sum()), 1.0)
        workers.call("convert", state.model)
        LOG.info("  tree: %d leaves, gain %.3f a frame", state.model.n_pdfs, state.tree_gain)
    n_first = state.fitted.n_pdfs
    while state.iteration < n_passes:
        if state.iteration in realigned:
            checkpoints.save(state)
            _realign(workers, options, state)
        _pass(workers, state, gaussians_at(state.iteration, n_passes, n_first, max(options.tri_gaussians, n_first)), seed, em.MIN_OCCUPANCY)


def _pass(workers: Workers, state: TrainState, n_gaussians: int, seed: int, min_occupancy: float) -> None:
    model = state.fitted
    sums = em.add(workers.call("accumulate", model.gmms))
    if not sums.n_frames:
        raise TrainError("no utterance could be aligned", "check transcripts, lexicon and sample rate; listen to a few recordings")
    gmms = em.update(model.gmms, sums, min_occupancy)
    gmms = em.split(gmms, em.pdf_occupancy(sums, model.gmms), n_gaussians, seed + state.iteration)
    state.history[state.phase].append(sums.log_likelihood / sums.n_frames)
    LOG.info("  %s pass %d: log-likelihood %.3f a frame, %d Gaussians", state.phase, state.iteration + 1, state.history[state.phase][-1], gmms.n_gaussians)
    state.model = model.with_gmms(gmms)
    state.iteration += 1


def _realign(workers: Workers, options: AlignOptions, state: TrainState) -> np.ndarray:
    return _take_transitions(state, workers.call("align", state.fitted, options.beam, options.retry_beam))


def _take_transitions(state: TrainState, results: Sequence) -> np.ndarray:
    model = state.fitted
    counts = np.sum([result.transition_counts for result in results], axis=0)
    failed = [name for result in results for name in result.failed]
    if failed:
        LOG.info("  %d utterance(s) without alignment in this pass, e.g. %s", len(failed), failed[0])
    transitions.estimate(model.transition_model, counts)
    return counts


def roots(lang: Lang) -> list[tuple[list[int], int]]:
    """Roots of the tree: each phone set at each HMM position."""
    classes = lang.topology().get_phone_to_num_pdf_classes()
    return [(phones, pdf_class) for phones in lang.phone_sets for pdf_class in range(classes[phones[0]])]


def lang_topology(lang: Lang) -> str:
    """The topology of every phone as Kaldi's text."""
    return topology_text(lang.speech_phones, lang.silence_phones)


def flat_start(workers: Workers, lang: Lang) -> AcousticGmm:
    """Monophones that all are the Gaussian of the whole corpus."""
    monophones = tree.monophone_tree(roots(lang))
    mean, variance = global_gaussian(workers)
    gmms = from_moments(
        np.ones(monophones.n_pdfs), np.tile(mean, (monophones.n_pdfs, 1)), np.tile(variance, (monophones.n_pdfs, 1)), np.arange(monophones.n_pdfs + 1)
    )
    return AcousticGmm(tree_format.tree_bytes(monophones), lang_topology(lang), gmms)


def global_gaussian(workers: Workers) -> np.ndarray:
    """(2, D) mean and variance of all frames. Raises: TrainError: there are none."""
    parts = workers.call("moments")
    count = sum(part[0] for part in parts)
    if not count:
        raise TrainError("no frames to train on", "check stage 3")
    first, second = sum(part[1] for part in parts) / count, sum(part[2] for part in parts) / count
    return np.stack([first, np.maximum(second - np.square(first), em.MIN_VARIANCE)])


def triphone_start(workers: Workers, lang: Lang, options: AlignOptions, mono: AcousticGmm) -> tuple[AcousticGmm, float]:
    """Grow the tree on the monophones' alignment and give each leaf one Gaussian.

    Returns: the model, and the log-likelihood that the tree's splits won.
    """
    stats = tree_stats.without_context(tree_stats.add(workers.call("tree_stats")), lang.silence_phones)
    asked = questions.phone_questions(stats, lang.phone_sets)
    asked += [phones for phones in _positions(lang) if phones not in asked]
    grown = tree.grow(stats, roots(lang), lang.silence_phones, asked, tree.TreeOptions(options.n_leaves, **TREE_LIMITS))
    leaf = grown.pdfs(stats.contexts)
    counts = np.bincount(leaf, weights=stats.counts, minlength=grown.n_pdfs)
    first, second = (np.zeros((grown.n_pdfs, stats.first.shape[1])) for _ in range(2))
    np.add.at(first, leaf, stats.first)
    np.add.at(second, leaf, stats.second)
    gmms = em.single_gaussians(counts, first, second, global_gaussian(workers))
    return AcousticGmm(tree_format.tree_bytes(grown), mono.topology_text, gmms), grown.gain


def _positions(lang: Lang) -> list[tuple[int, ...]]:
    """Sets of phones that share a place in the word, where the lexicon marks it."""
    sets: dict[str, list[int]] = {}
    for phones in lang.phone_sets:
        if len(phones) > 1:
            for phone in phones:
                sets.setdefault(lang.phone_names[phone][-2:], []).append(phone)
    return [tuple(sorted(phones)) for phones in sets.values()]
