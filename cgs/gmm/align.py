"""Final alignments: pdf and word of every frame, words and phones with their times, and which utterances failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgs.base.errors import TrainError
from cgs.base.files import writing
from cgs.feats.archive import write_archive
from cgs.gmm import segments
from cgs.gmm.chunk import AlignedUtterance
from cgs.gmm.model import AcousticGmm
from cgs.gmm.train import adapt
from cgs.gmm.workers import Workers
from cgs.lang.lang import Lang, load_lang

MAX_NAMED = 10


@dataclass(frozen=True)
class Alignment:
    """One aligned utterance.

    Args:
        id: its name.
        pdfs: (T,) int32.
        words: (T,) int32, number of the word of each frame; 0 where there is silence.
        word_segments, phone_segments: with times in frames.
    """

    id: str
    pdfs: np.ndarray
    words: np.ndarray
    word_segments: list[segments.Segment]
    phone_segments: list[segments.Segment]


def read_alignment(utterance: str, alignment: np.ndarray, words: Sequence[str], model: AcousticGmm, lang: Lang) -> Alignment:
    """Read pdfs, phones and words off transition-ids (T,)."""
    phones = segments.phone_segments(alignment, model.transitions)
    numbers = lang.word_ids(words)
    ways = [[tuple(lang.phones[phone] for phone in pronunciation) for pronunciation in lang.lexicon[lang.word_names[number]]] for number in numbers]
    spoken = segments.word_segments(phones, numbers, ways, lang.silence_phone)
    return Alignment(utterance, model.transitions.pdf[alignment].astype(np.int32), segments.frame_labels(spoken, len(alignment)), spoken, phones)


def align_features(
    model: AcousticGmm,
    lang_dir: Path,
    utterances: Sequence[AlignedUtterance],
    beam: float,
    retry_beam: float,
    n_jobs: int,
    log_dir: Path,
    unadapted: AcousticGmm | None = None,
) -> tuple[list[Alignment], list[str], dict[str, np.ndarray]]:
    """Align utterances with a finished model.

    Args:
        unadapted: of a speaker-adapted model; the speakers are then adapted to, by their transcripts, first.
    Returns: as `align_with`, and each speaker's transform (D, D + 1) where there was adaptation.
    """
    fmllr: dict[str, np.ndarray] = {}
    with Workers(lang_dir, utterances, n_jobs, log_dir) as workers:
        workers.call("use_features", model.projection)
        if unadapted is not None:
            lang = load_lang(lang_dir)
            workers.call("align", unadapted, beam, retry_beam)
            adapt(workers, model, lang, fmllr, unadapted)
            workers.call("align", model, beam, retry_beam)
            adapt(workers, model, lang, fmllr)
        return *align_with(workers, model, lang_dir, beam, retry_beam), fmllr


def align_with(workers: Workers, model: AcousticGmm, lang_dir: Path, beam: float, retry_beam: float) -> tuple[list[Alignment], list[str]]:
    """Align the utterances that workers hold.

    Returns: alignments in the order of the corpus, and the ids of utterances that have none.
    """
    lang = load_lang(lang_dir)
    workers.call("use_every", 1)
    failed = [name for result in workers.call("align", model, beam, retry_beam) for name in result.failed]
    found = [item for part in workers.call("alignments") for item in part]
    return [read_alignment(name, alignment, words, model, lang) for name, alignment, words in found], failed


def write_alignments(
    directory: Path, split: str, alignments: Sequence[Alignment], lang: Lang, frame_shift: float, rates: Mapping[str, float], final_dir: Path
) -> None:
    """Write a split's alignments: `pdf_<split>` and `word_<split>` as Kaldi archives of one number a frame, words and phones as CTM.

    Args:
        directory, final_dir: where the files are written, and where they will lie in the end.
        split: e.g. "train".
        alignments: of its utterances.
        lang: names of words and phones.
        frame_shift: s, of a frame as computed.
        rates: {utterance: rate}, 1 where one is absent; see `cgs.feats.rate`.
    """
    write_archive(directory, f"pdf_{split}", [(a.id, a.pdfs) for a in alignments], final_dir)
    write_archive(directory, f"word_{split}", [(a.id, a.words) for a in alignments], final_dir)
    with writing(directory / f"{split}.ctm") as words, writing(directory / f"{split}.phones.ctm") as phones:
        for alignment in alignments:
            shift = frame_shift / rates.get(alignment.id, 1.0)
            words.writelines(segments.ctm_lines(alignment.id, alignment.word_segments, lang.word_names, shift))
            phones.writelines(segments.ctm_lines(alignment.id, alignment.phone_segments, lang.phone_names, shift))


def check_failed(split: str, failed: Sequence[str], n_utterances: int, limit: float) -> None:
    """Raises: TrainError: more than `limit` of the utterances failed; names them."""
    if len(failed) > limit * n_utterances:
        named = ", ".join(failed[:MAX_NAMED]) + (f" and {len(failed) - MAX_NAMED} more" if len(failed) > MAX_NAMED else "")
        raise TrainError(
            f"{split}: {len(failed)} of {n_utterances} utterances failed to align, above align.max_failed_fraction = {limit:g}: {named}",
            "check their transcripts and recordings, or raise align.retry_beam",
        )


def summary(alignments: Sequence[Alignment], n_pdfs: int, silence: int) -> dict[str, float]:
    """Figures that show at a glance whether an alignment is sane: share of silence, mean word length in frames, share of pdfs seen."""
    n_frames = sum(len(alignment.pdfs) for alignment in alignments)
    silent = sum(s.end - s.start for alignment in alignments for s in alignment.phone_segments if s.label == silence)
    words = [s.end - s.start for alignment in alignments for s in alignment.word_segments]
    seen = np.unique(np.concatenate([alignment.pdfs for alignment in alignments])) if alignments else np.zeros(0)
    return {
        "frames": n_frames,
        "silence_fraction": silent / max(n_frames, 1),
        "mean_word_frames": float(np.mean(words)) if words else 0.0,
        "pdfs_seen_fraction": len(seen) / n_pdfs,
    }
