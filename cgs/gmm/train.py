"""GMM-HMM training, step by step up the ladder: monophones from a flat start, triphones over our own decision tree,
triphones of LDA+MLLT features, triphones of features adapted to each speaker.

Owns the schedules; the arithmetic is in `em`, `tree` and `transforms`, the corpus in `workers`, what a kill leaves in `checkpoints`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgs.base.errors import TrainError
from cgs.base.log import LOG
from cgs.base.options import AlignOptions
from cgs.gmm import em, questions, transforms, transitions, tree, tree_format, tree_stats
from cgs.gmm.checkpoints import PHASES, Checkpoints, TrainState
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
MLLT_PASSES = FMLLR_PASSES = (2, 4, 6, 12)
"""Passes, from 0, before which LDA+MLLT is rotated again, and each speaker's transform estimated again, as in Kaldi's recipes."""


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


def train(workers: Workers, lang: Lang, options: AlignOptions, seed: int, checkpoints: Checkpoints, steps: Path | None = None) -> TrainState:
    """Train on the workers' utterances up to `options.model`, from the newest checkpoint on.

    Args:
        workers: the training corpus; they end with the features of the last model.
        lang: phones and topology.
        options: [align].
        seed: of the flat start and of splitting.
        checkpoints: where to keep them.
        steps: where to keep the finished model of each step below the last, in a directory of its name.
    Returns: the finished state.
    Raises: TrainError: nothing could be aligned.
    """
    state = checkpoints.newest()
    if state.model is not None:
        LOG.info("  going on from %s, pass %d", state.phase, state.iteration)
        workers.call("use_features", state.model.projection)
        workers.call("adapt", state.fmllr)
    ladder = PHASES[: PHASES.index(options.model) + 1]
    while state.phase != "done":
        if state.phase == "mono":
            _train_mono(workers, lang, options, seed, state, checkpoints)
        else:
            _train_triphones(workers, lang, options, seed, state, checkpoints)
        if steps is not None and state.phase != options.model:
            state.fitted.save(steps / state.phase)
        state.phase, state.iteration = (*ladder, "done")[ladder.index(state.phase) + 1], 0
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


def _train_triphones(workers: Workers, lang: Lang, options: AlignOptions, seed: int, state: TrainState, checkpoints: Checkpoints) -> None:
    n_passes, realigned = options.tri_iterations, tri_realignments(options.tri_iterations)
    if state.iteration == 0:
        _start_triphones(workers, lang, options, state)
    n_first = state.fitted.n_pdfs
    while state.iteration < n_passes:
        if state.iteration in realigned:
            checkpoints.save(state)
            _realign(workers, options, state)
        if state.phase == "lda_mllt" and state.iteration in MLLT_PASSES:
            _rotate(workers, state)
        if state.phase == "sat" and state.iteration in FMLLR_PASSES:
            adapt(workers, state.fitted, lang, state.fmllr)
        _pass(workers, state, gaussians_at(state.iteration, n_passes, n_first, max(options.tri_gaussians, n_first)), seed, em.MIN_OCCUPANCY)
    if state.phase == "sat":
        _realign(workers, options, state)
        adapt(workers, state.fitted, lang, state.fmllr)
        state.unadapted = unadapted_model(workers, state.fitted)


def _start_triphones(workers: Workers, lang: Lang, options: AlignOptions, state: TrainState) -> None:
    """Align with the model of the step before, move to the features of this one, and grow a tree on them."""
    workers.call("use_every", 1)
    counts = _realign(workers, options, state)
    before, projection = state.fitted, state.fitted.projection
    if state.phase == "lda_mllt":
        sums = transforms.add_lda(workers.call("lda_sums", options.lda_context, before.n_pdfs))
        projection = transforms.lda(sums, options.lda_dim).astype(np.float32)
        workers.call("use_features", projection)
    if state.phase == "sat":
        adapt(workers, before, lang, state.fmllr)
    model, gain = triphone_start(workers, lang, options, before.topology_text)
    state.model = model.with_gmms(model.gmms, projection=projection)
    transitions.estimate(state.model.transition_model, transitions.counts_by_phone(before.transitions, counts, state.model.transitions))
    state.tree_gain = gain / max(float(counts.sum()), 1.0)
    workers.call("convert", state.model)
    LOG.info("  %s: tree of %d leaves, gain %.3f a frame", state.phase, state.model.n_pdfs, state.tree_gain)


def _rotate(workers: Workers, state: TrainState) -> None:
    """Turn the features, and the Gaussians' means with them, so that diagonal covariances fit better."""
    model = state.fitted
    sums = transforms.add_rows(workers.call("mllt_sums", model.gmms))
    rotation = transforms.mllt(sums)
    projection = (rotation @ model.projection).astype(np.float32)
    gmms = from_moments(model.gmms.weights, model.gmms.means() @ rotation.T, 1 / model.gmms.inv_vars.astype(np.float64), model.gmms.offsets)
    state.model = model.with_gmms(gmms, projection=projection)
    workers.call("use_features", projection)


def adapt(workers: Workers, model: AcousticGmm, lang: Lang, fmllr: dict[str, np.ndarray], sharing: AcousticGmm | None = None) -> None:
    """Estimate each speaker's transform under the workers' present alignment, and use it.

    Args:
        workers: hold the utterances.
        model: to adapt to.
        lang: tells silence, which says nothing about a voice.
        fmllr: {speaker: (D, D + 1)}, set here.
        sharing: the model of features that are not adapted, where the present ones are not.
    """
    parts = workers.call("fmllr_sums", model.gmms, model.pdfs_of(lang.silence_phones), sharing.gmms if sharing else None)
    fmllr.clear()
    for speaker in sorted({speaker for part in parts for speaker in part}):
        fmllr[speaker] = transforms.fmllr(transforms.add_rows([part[speaker] for part in parts if speaker in part]))
    workers.call("adapt", fmllr)


def unadapted_model(workers: Workers, adapted: AcousticGmm) -> AcousticGmm:
    """The model's Gaussians fitted to features that are not adapted, for the first decoding of an unknown voice.

    Source: Kaldi's alignment model (gmm-acc-stats-twofeats).
    """
    sums = em.add(workers.call("accumulate_unadapted", adapted.gmms))
    return adapted.with_gmms(em.update(adapted.gmms, sums, remove=False))


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


def moments(workers: Workers) -> np.ndarray:
    """(2, D + 1) float64 statistics of the workers' present features, as CMVN has them: sums and frames, then sums of squares and a zero."""
    return np.sum([np.stack([np.append(first, count), np.append(second, 0.0)]) for count, first, second in workers.call("moments")], axis=0)


def global_gaussian(workers: Workers) -> np.ndarray:
    """(2, D) mean and variance of all frames. Raises: TrainError: there are none."""
    stats = moments(workers)
    count = stats[0, -1]
    if not count:
        raise TrainError("no frames to train on", "check stage 3")
    first, second = stats[:, :-1] / count
    return np.stack([first, np.maximum(second - np.square(first), em.MIN_VARIANCE)])


def triphone_start(workers: Workers, lang: Lang, options: AlignOptions, topology: str) -> tuple[AcousticGmm, float]:
    """Grow the tree on the workers' features and alignment and give each leaf one Gaussian.

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
    return AcousticGmm(tree_format.tree_bytes(grown), topology, gmms), grown.gain


def _positions(lang: Lang) -> list[tuple[int, ...]]:
    """Sets of phones that share a place in the word, where the lexicon marks it."""
    sets: dict[str, list[int]] = {}
    for phones in lang.phone_sets:
        if len(phones) > 1:
            for phone in phones:
                sets.setdefault(lang.phone_names[phone][-2:], []).append(phone)
    return [tuple(sorted(phones)) for phones in sets.values()]
