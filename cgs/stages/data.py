"""Stage 1: the corpus as validated Kaldi data directories, with its lexicon, language-model text and keywords."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.base.log import LOG
from cgs.base.recipe import local_module, local_options
from cgs.base.unit import Unit
from cgs.base.units import duration

if TYPE_CHECKING:
    from cgs.data.corpus import Corpus, Utterance
    from cgs.data.screening import Screened

TITLE = "data: Kaldi data directories, lexicon, language-model text"
NAME = "1-data"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage."""
    recipe = exp.recipe
    options: dict[str, Any] = {"data": recipe.data.model_dump(), "local": local_options(recipe).model_dump(), "seed": recipe.recipe.seed}
    options |= {"lang": {"g2p": True}} if recipe.lang.g2p else {}
    return [exp.unit(NAME, options, ["0-corpus"], ["cgs.stages.data", f"local.{recipe.recipe.name}"])]


def run(exp: Experiment) -> None:
    """Let the corpus's own script read it, check everything, and write the data directories.

    Raises: ProblemsError, DataError: whatever is wrong with the data; an earlier result stays as it was.
    """
    from cgs.data.lexicon import with_silence, write_lexicon
    from cgs.data.screening import check_words, screen
    from cgs.data.text import write_sentences
    from cgs.data.validate import validate_data_dir

    unit, recipe = units(exp)[0], exp.recipe
    if unit.up_to_date():
        return
    with unit.writing() as out:
        root = Path(read_json(exp.root / "0-corpus" / "corpus.json")["root"])
        for left in out.iterdir():
            if left.is_dir():
                shutil.rmtree(left)
        corpus = local_module(recipe).prepare(root, out / "audio", local_options(recipe), recipe.recipe.seed)
        lexicon = with_silence(corpus.lexicon)
        oov = check_words(corpus, lexicon, 1.0 if recipe.lang.g2p else recipe.data.max_oov_fraction)  # stage 2 checks what it cannot guess
        screened = screen(corpus, recipe.data)
        for name, utterances in screened.splits.items():
            _write_split(out, unit.path, name, utterances, screened)
            validate_data_dir(out / name)
        write_lexicon(out / "lexicon.txt", lexicon)
        write_sentences(out / "lm.txt", corpus.lm_text)
        write_text(out / "keywords.txt", "".join(f"{word}\n" for word in corpus.keywords))
        write_json(out / "data.json", _summary(corpus, screened, recipe.data.sample_rate) | {"oov": oov})


def _write_split(out: Path, final: Path, name: str, utterances: Iterable[Utterance], screened: Screened) -> None:
    from cgs.data.datadir import write_data_dir

    def placed(wav: Path) -> Path:
        return final / wav.relative_to(out) if wav.is_relative_to(out) else wav.absolute()

    write_data_dir(out / name, [replace(utterance, wav=placed(utterance.wav)) for utterance in utterances], screened.durations)


def _summary(corpus: Corpus, screened: Screened, sample_rate: int) -> dict[str, Any]:
    splits = {}
    for name, utterances in screened.splits.items():
        seconds = sum(screened.durations[u.id] for u in utterances)
        n_speakers, n_words = len({u.speaker for u in utterances}), sum(len(u.words) for u in utterances)
        splits[name] = {"utterances": len(utterances), "speakers": n_speakers, "seconds": round(seconds, 3), "words": n_words}
        n_dropped = screened.dropped[name].total()
        LOG.info("  %s: %d utterances, %d speakers, %s%s", name, len(utterances), n_speakers, duration(seconds), f"; {n_dropped} dropped" if n_dropped else "")
    return {
        "splits": splits,
        "dropped": {name: dict(counts) for name, counts in screened.dropped.items()},
        "digest": screened.digest,
        "sample_rate": sample_rate,
        "n_pronunciations": len(corpus.lexicon),
        "n_lm_sentences": len(corpus.lm_text),
        "keywords": list(corpus.keywords),
        "notes": corpus.notes,
    }
