"""Stage 4: GMM-HMM training and state alignments of the train and dev splits, and of the training split's copies at other speeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment
from cgs.base.files import write_json
from cgs.base.log import LOG
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.gmm.align import Alignment
    from cgs.gmm.chunk import AlignedUtterance

TITLE = "GMM-HMM training and alignment"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage."""
    recipe = exp.recipe
    options = {"align": recipe.align.model_dump(), "speeds": recipe.feats.speeds, "seed": recipe.recipe.seed, "frame_shift": recipe.feats.frame_shift}
    return [exp.unit("4-align", options=options, inputs=["1-data", "2-lang", "3-feats"], code=["cgs.stages.align"])]


def run(exp: Experiment) -> None:
    """Train, align and write what later stages read."""
    (unit,) = units(exp)
    if unit.up_to_date():
        return
    with unit.writing() as out:
        _make(exp, unit, out)


def _make(exp: Experiment, unit: Unit, out: Path) -> None:
    from cgs.data.copies import SPEED_SPLIT
    from cgs.feats.archive import write_archive
    from cgs.feats.rate import read_rates
    from cgs.gmm.adapted import UNADAPTED_DIR, write_fmllr
    from cgs.gmm.align import align_features, align_with, check_failed, summary, write_alignments
    from cgs.gmm.checkpoints import STEPS_DIR, Checkpoints
    from cgs.gmm.train import moments, train
    from cgs.gmm.workers import Workers
    from cgs.lang.lang import load_lang

    options, lang_dir, log_dir = exp.recipe.align, exp.root / "2-lang", exp.log_dir(4)
    lang, checkpoints = load_lang(lang_dir), Checkpoints(out / "checkpoints")
    report: dict[str, Any] = {"failed": {}, "failed_utterances": {}, "utterances": {}, "summary": {}}
    aligned: dict[str, list[Alignment]] = {}
    utterances = _utterances(exp, "train")
    with Workers(lang_dir, utterances, exp.n_jobs, log_dir) as workers:
        state = train(workers, lang, options, exp.recipe.recipe.seed, checkpoints, out / STEPS_DIR)
        model = state.fitted
        aligned["train"], failed = align_with(workers, model, lang_dir, options.beam, options.retry_beam)
        stats = moments(workers)
    fmllr = {"train": state.fmllr}
    for split in ["train", "dev", *([SPEED_SPLIT] if exp.recipe.feats.speeds else [])]:
        if split != "train":
            utterances = _utterances(exp, split)
            found = align_features(model, lang_dir, utterances, options.beam, options.retry_beam, exp.n_jobs, log_dir, state.unadapted)
            aligned[split], failed, fmllr[split] = found
        check_failed(split, failed, len(utterances), options.max_failed_fraction)
        report["failed"][split], report["failed_utterances"][split], report["utterances"][split] = len(failed), failed, len(utterances)
        report["summary"][split] = figures = summary(aligned[split], model.n_pdfs, lang.silence_phone)
        write_alignments(out, split, aligned[split], lang, exp.recipe.feats.frame_shift, read_rates(exp.root / "3-feats", split), unit.path)
        silence = 100 * figures["silence_fraction"]
        LOG.info("  %s: %d utterances aligned, %d failed, silence %.1f %%", split, len(aligned[split]), len(failed), silence)
    model.save(out)
    if state.unadapted is not None:
        state.unadapted.save(out / UNADAPTED_DIR)
        for split in fmllr.keys() - {"dev"}:
            write_fmllr(out, split, fmllr[split], unit.path)
        write_archive(out, "cmvn_fmllr", [("global", stats)], unit.path)
    report |= {"n_pdfs": model.n_pdfs, "n_gaussians": model.gmms.n_gaussians, "log_likelihood": state.history, "tree_gain": state.tree_gain}
    write_json(out / "align.json", report)
    checkpoints.clear()


def _utterances(exp: Experiment, split: str) -> list[AlignedUtterance]:
    from cgs.data.copies import SPEED_SPLIT, speed_copies
    from cgs.data.datadir import read_data_dir
    from cgs.feats.load import load_features
    from cgs.gmm.chunk import AlignedUtterance

    copies = split == SPEED_SPLIT
    transcripts = read_data_dir(exp.root / "1-data" / ("train" if copies else split))
    transcripts = speed_copies(transcripts, exp.recipe.feats.speeds) if copies else transcripts
    features = load_features(exp.root / "3-feats", "mfcc", split, "speaker")
    return [AlignedUtterance(name, transcripts[name].words, matrix, transcripts[name].speaker) for name, matrix in features.items()]
