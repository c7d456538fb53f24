"""Stage 3: MFCC and log-mel archives of every split, with CMVN statistics.

Makes 3-feats/<kind>/<split>.{ark,scp}, <kind>/cmvn_<split>.{ark,scp} by speaker, <kind>/cmvn_global.{ark,scp} of the training
split, utt2spk_<split>, feats.json and, where feats.rate asks for frames spaced by how fast a speaker speaks, rate_<split>. The split
train_sp holds copies of train at other speeds, if feats.speeds asks for them, and train_noisy copies in noise and rooms, if
feats.noise does. Frame t of n samples lies around (t + 1/2) * shift; there are round(n / shift) of them before they are spaced. A
killed run goes on with the pieces that it had not finished."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.data.corpus import Utterance
    from cgs.feats.corrupt import Corruption
    from cgs.feats.extract import Piece, Statistics

TITLE = "features"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage; noise recordings and rooms that changed in name or size make it stale."""
    from cgs.data.noises import sources_digest

    feats, data = exp.recipe.feats, exp.recipe.data
    options: dict[str, Any] = {"feats": feats.model_dump(), "data": {"sample_rate": data.sample_rate, "resample": data.resample}}
    if feats.noise.wanted:
        options |= {"seed": exp.recipe.recipe.seed, "noise_digest": sources_digest([*feats.noise.noises, *feats.noise.rooms], _corpus_root(exp))}
    return [exp.unit("3-feats", options, inputs=["1-data"], code=["cgs.stages.feats"])]


def run(exp: Experiment) -> None:
    """Compute the features of all splits, in pieces."""
    from cgs.data.copies import NOISY_SPLIT
    from cgs.feats.extract import Piece, extract_piece, join_pieces, piece_size

    (unit,) = units(exp)
    if unit.up_to_date():
        return
    recipe, corruption = exp.recipe, _corruption(exp)
    with unit.writing() as out:
        parts = out / "pieces"
        pieces: list[Piece] = []
        for split, utterances in _sets(exp).items():
            names, how = sorted(utterances), corruption if split == NOISY_SPLIT else None
            size = piece_size(len(names), exp.n_jobs)
            for index, first in enumerate(range(0, len(names), size)):
                chosen = tuple(utterances[name] for name in names[first : first + size])
                pieces.append(Piece(split, index, chosen, recipe.feats, recipe.data.sample_rate, recipe.data.resample, parts, how))
        names = [f"{piece.split}.{piece.index}" for piece in pieces]
        statistics = run_jobs(extract_piece, pieces, names, exp.n_jobs, exp.log_dir(3))
        by_split = {split: [index for index, piece in enumerate(pieces) if piece.split == split] for split in sorted({piece.split for piece in pieces})}
        made = {split: ([pieces[i] for i in indices], [statistics[i] for i in indices]) for split, indices in by_split.items()}
        rates = _rates(made) if recipe.feats.rate == "speaker" else {}
        counts = {split: join_pieces(*parts, out, unit.path, rates.get(split)) for split, parts in made.items()}
        write_json(out / "feats.json", {"splits": counts, "frames_per_s": 1 / recipe.feats.frame_shift, "sample_rate": recipe.data.sample_rate})
        shutil.rmtree(parts)


def _sets(exp: Experiment) -> dict[str, dict[str, Utterance]]:
    """Utterances by split, copies included."""
    from cgs.data.copies import NOISY_SPLIT, SPEED_SPLIT, noisy_copies, speed_copies
    from cgs.data.datadir import read_data_dir

    data_dir, feats = exp.root / "1-data", exp.recipe.feats
    sets = {split: read_data_dir(data_dir / split) for split in sorted(read_json(data_dir / "data.json")["splits"])}
    if feats.speeds:
        sets[SPEED_SPLIT] = speed_copies(sets["train"], feats.speeds)
    if feats.noise.wanted:
        sets[NOISY_SPLIT] = noisy_copies(sets["train"], feats.speeds, feats.noise.copies, exp.recipe.recipe.seed)
    return sets


def _rates(made: Mapping[str, tuple[list[Piece], list[Statistics]]]) -> dict[str, dict[str, float]]:
    """{split: {speaker: rate}}; a copy has the rate of whom it was made of, so that copies at other speeds stay faster and slower."""
    from cgs.data.copies import NOISY_SPLIT, SPEED_SPLIT, original
    from cgs.feats.extract import correlation_times
    from cgs.feats.rate import rates, usual_time

    times = {split: correlation_times(*parts) for split, parts in made.items() if split not in (SPEED_SPLIT, NOISY_SPLIT)}
    usual = usual_time(times["train"].values())
    found = {split: rates(mine, usual) for split, mine in times.items()}
    for split in made.keys() - found.keys():
        names = {utterance.speaker for piece in made[split][0] for utterance in piece.utterances}
        found[split] = {name: found["train"].get(original(name)) or found["train"][original(original(name))] for name in names}
    for split in times:
        LOG.info("  %s: frames at %.2f to %.2f times their number", split, min(found[split].values()), max(found[split].values()))
    return found


def _corruption(exp: Experiment) -> Corruption | None:
    """What the noisy copies are drawn from, if there are to be any."""
    from cgs.data.noises import find_sources
    from cgs.feats.corrupt import Corruption

    noise, rate = exp.recipe.feats.noise, exp.recipe.data.sample_rate
    if not noise.wanted:
        return None
    found = {name: find_sources(f"feats.noise.{name}", getattr(noise, name), _corpus_root(exp), rate) for name in ("noises", "rooms")}
    return Corruption(found["noises"], found["rooms"], noise.snr_db, noise.room_fraction, exp.recipe.recipe.seed)


def _corpus_root(exp: Experiment) -> Path:
    """The corpus's root, as stage 0 found it; before that, what --corpus says."""
    told = exp.root / "0-corpus" / "corpus.json"
    return Path(read_json(told)["root"]) if told.exists() else (exp.corpus or Path()).absolute()
