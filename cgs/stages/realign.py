"""Stage 5's alignments: the training speech and its copies at other speeds aligned by a trained network, for systems with `labels`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cgs.base.experiment import Experiment, labels_unit, network_unit
from cgs.base.files import read_json, write_json
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.gmm.align import Alignment

PARTS = 8
"""Pieces of a split, at most, each one job."""


def unit(exp: Experiment, labels: str) -> Unit:
    """The unit of the alignment by the asr system `labels`."""
    system = exp.recipe.systems[labels]
    align = exp.recipe.align
    options = {"beam": align.beam, "retry_beam": align.retry_beam, "max_failed_fraction": align.max_failed_fraction, "speeds": exp.recipe.feats.speeds}
    options |= {"features": exp.recipe.nn.features, "cmvn": exp.recipe.nn.cmvn, "frame_shift": exp.recipe.feats.frame_shift}
    inputs = ["1-data", "2-lang", "3-feats", "4-align", network_unit("asr", labels, system.seeds[0])]
    return exp.unit(labels_unit(labels), options, inputs, ["cgs.stages.realign"])


def make(exp: Experiment, labels: str) -> None:
    """Align the training speech by the network of a system, unless that has been done; nothing for "gmm", whose alignment is stage 4's."""
    from cgs.data.copies import SPEED_SPLIT
    from cgs.feats.extract import MIN_PIECE
    from cgs.feats.load import read_utt2spk
    from cgs.feats.rate import read_rates
    from cgs.gmm.align import check_failed, summary, write_alignments
    from cgs.lang.lang import load_lang

    if labels == "gmm" or (made := unit(exp, labels)).up_to_date():
        return
    lang, splits = load_lang(exp.root / "2-lang"), ["train", *([SPEED_SPLIT] if exp.recipe.feats.speeds else [])]
    n_pdfs = int(read_json(exp.root / "4-align" / "align.json")["n_pdfs"])
    with made.writing() as out:
        report = {}
        for split in splits:
            n_parts = min(PARTS, math.ceil(len(read_utt2spk(exp.root / "3-feats" / f"utt2spk_{split}")) / MIN_PIECE))
            items = [(exp, labels, split, part, n_parts) for part in range(n_parts)]
            told = run_jobs(_align_part, items, [f"align-{labels}-{split}.{part}" for part in range(n_parts)], exp.n_jobs, exp.log_dir(5))
            aligned = [alignment for part, _ in told for alignment in part]
            failed = [name for _, names in told for name in names]
            check_failed(split, failed, len(aligned) + len(failed), exp.recipe.align.max_failed_fraction)
            write_alignments(out, split, aligned, lang, exp.recipe.feats.frame_shift, read_rates(exp.root / "3-feats", split), made.path)
            report[split] = {"utterances": len(aligned), "failed_utterances": failed} | summary(aligned, n_pdfs, lang.silence_phone)
            LOG.info("  %s: %d utterances aligned by %s, %d failed", split, len(aligned), labels, len(failed))
        write_json(out / "align.json", report)


def _align_part(item: tuple[Experiment, str, str, int, int]) -> tuple[list[Alignment], list[str]]:
    """Align one piece of a split. Returns: alignments in the order of the corpus, and the ids of utterances that have none."""
    from cgs.data.copies import SPEED_SPLIT, speed_copies
    from cgs.data.datadir import read_data_dir
    from cgs.decode.realign import Realigner
    from cgs.decode.scores import NetworkScores
    from cgs.nn.examples import acoustic_features

    exp, labels, split, part, n_parts = item
    transcripts = read_data_dir(exp.root / "1-data" / "train")
    if split == SPEED_SPLIT:
        transcripts = speed_copies(transcripts, exp.recipe.feats.speeds)
    features = acoustic_features(exp.root, split, exp.recipe.nn)
    network = exp.root / network_unit("asr", labels, exp.recipe.systems[labels].seeds[0])
    scores = NetworkScores("float", network, exp.root)
    realigner = Realigner(exp.root / "2-lang", exp.root / "4-align", exp.recipe.align.beam, exp.recipe.align.retry_beam)
    names = list(features)
    names = names[part * len(names) // n_parts : (part + 1) * len(names) // n_parts]
    found = {name: realigner.align(name, transcripts[name].words, scores.log_likelihoods(features[name])) for name in names}
    return [alignment for alignment in found.values() if alignment], [name for name, alignment in found.items() if alignment is None]
