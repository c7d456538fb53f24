"""Stage 8's adaptation: the transforms of every speaker of dev and the test splits, several groups of speakers at a time."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cgs.base.experiment import Experiment
from cgs.base.files import write_json
from cgs.base.jobs import run_jobs
from cgs.stages.decode_material import PARTS, recogniser_of, test_splits
from cgs.stages.decode_units import ADAPT_UNIT, adapt_unit

if TYPE_CHECKING:
    from cgs.decode.adaptation import Adapted

ADAPT_PARTS = 8
"""Groups, at most, that a split's speakers are adapted to in."""


def make_adaptation(exp: Experiment) -> None:
    """The transforms of every speaker of dev and the test splits, several groups of speakers at a time."""
    from cgs.feats.load import read_utt2spk
    from cgs.gmm.adapted import write_fmllr

    with adapt_unit(exp).writing() as out:
        splits = ["dev", *test_splits(exp)]
        usual_phone = _usual_phone(exp)
        n_speakers = {split: len(set(read_utt2spk(exp.root / "3-feats" / f"utt2spk_{split}").values())) for split in splits}
        items = [(exp, out / PARTS, split, part, usual_phone) for split in splits for part in range(min(ADAPT_PARTS, n_speakers[split]))]
        told = run_jobs(_adapt_part, items, [f"adapt-{split}.{part}" for _, _, split, part, _ in items], exp.n_jobs, exp.log_dir(8))
        spent: dict[str, float] = {}
        lengths: dict[str, dict[str, float]] = {}
        for split in splits:
            parts = [part for (_, _, of, *_), part in zip(items, told, strict=True) if of == split]
            write_fmllr(out, split, {speaker: matrix for part in parts for speaker, matrix in part.fmllr.items()}, exp.root / ADAPT_UNIT)
            spent[split] = sum(part.seconds for part in parts)
            lengths[split] = {speaker: length for part in parts for speaker, length in part.phone_length.items()}
        write_json(out / "adapt.json", {"processor_seconds": spent, "usual_phone_length": usual_phone, "phone_length": lengths})
        shutil.rmtree(out / PARTS)


def _adapt_part(item: tuple[Experiment, Path, str, int, float]) -> Adapted:
    """Adapt to some of a split's speakers, or read what a killed run had finished."""
    from cgs.decode.adaptation import Adapted, estimate_fmllr
    from cgs.gmm.adapted import UNADAPTED_DIR, AdaptedFeatures
    from cgs.gmm.model import AcousticGmm
    from cgs.lang.lang import load_lang
    from cgs.score.evaluation import read_split

    exp, parts, name, part, usual_phone = item
    kept = parts / f"{name}.{part}.safetensors"
    if kept.exists():
        return Adapted.read(kept)
    align = exp.root / "4-align"
    model, unadapted = AcousticGmm.load(align), AcousticGmm.load(align / UNADAPTED_DIR)
    split = read_split(exp.root / "1-data", exp.root / "3-feats", name, "mfcc", "speaker", AdaptedFeatures(model, None, {}))
    speakers = sorted({utterance.speaker for utterance in split.utterances.values()})[part::ADAPT_PARTS]
    recogniser = recogniser_of(exp, exp.recipe.lang.vocabularies[0], 0.0)
    silence, options = load_lang(exp.root / "2-lang").silence_phones, exp.recipe.decode
    voices = split.of_speakers(speakers).items
    found = estimate_fmllr(voices, model, unadapted, silence, recogniser, options.adaptation_scale, usual_phone, options.rate_exponent)
    found.write(kept)
    return found


def _usual_phone(exp: Experiment) -> float:
    """Frames a phone of a typical training speaker."""
    from cgs.decode.rate import usual_phone_length
    from cgs.feats.load import read_utt2spk
    from cgs.feats.rate import read_rates

    ctm, feats = exp.root / "4-align" / "train.phones.ctm", exp.root / "3-feats"
    return usual_phone_length(ctm, read_utt2spk(feats / "utt2spk_train"), exp.recipe.feats.frame_shift, read_rates(feats, "train"))
