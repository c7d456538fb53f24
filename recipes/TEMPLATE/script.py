"""NAME: what the corpus is, and what is peculiar about it.

As it stands it reads DIR/train, DIR/dev and DIR/test, each with recordings <speaker>/<recording>.wav and a file
transcripts.txt whose lines read "<speaker>/<recording>.wav the words that are said", and makes each letter a phone."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from cgs.base import options as base
from cgs.base.errors import DataError
from cgs.base.files import read_lines
from cgs.data.corpus import Corpus, Utterance
from cgs.data.graphemes import letters_of, words_of
from cgs.data.layout import check_root, find_recording, refuse

SPLITS = ("train", "dev", "test")
LAYOUT_REMEDY = "give the folder that holds train, dev and test, see recipes/NAME/README.md"


class Options(base.Options):
    """The [local] table of recipe.toml: whatever your corpus leaves open."""

    leave_out: list[str] = Field([], description="recordings not to use, as transcripts.txt names them")


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: says at once what is missing, before anything runs."""
    check_root(root, LAYOUT_REMEDY)
    refuse(root, "NAME", [f"{split}/transcripts.txt is missing" for split in SPLITS if not (root / split / "transcripts.txt").is_file()], LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Turn the raw tree into utterances, a lexicon and language-model text; a script that cuts or joins audio writes it under `audio_dir`."""
    splits = {split: _utterances(root / split, options) for split in SPLITS}
    words = sorted({word for utterances in splits.values() for utterance in utterances for word in utterance.words})
    return Corpus(
        splits=splits,  # further ones named "test_..." are decoded too
        lexicon=[(word, letters_of(word)) for word in words],  # (word, phones), a word once for each pronunciation
        lm_text=[utterance.words for utterance in splits["train"]],  # never of dev or test
        keywords=(),  # the words to spot, for systems with task = "kws"
        notes={"split": "the corpus's own"},  # for the report
        unseen_speakers=("dev", "test"),  # refuse speakers of these who are in training too
    )


def _utterances(folder: Path, options: Options) -> list[Utterance]:
    """Utterances of a split; an id begins with its speaker, and "-" follows, so that sorting by either agrees."""
    found = []
    for number, line in enumerate(read_lines(folder / "transcripts.txt"), start=1):
        place, _, text = line.partition(" ")
        speaker, slash, recording = place.partition("/")
        if not slash:
            raise DataError(f"{folder / 'transcripts.txt'}:{number}: {line!r} is not: speaker/recording.wav words", "mend the line")
        if place not in options.leave_out:
            found.append(Utterance(f"{speaker}-{Path(recording).stem}", speaker, find_recording(folder / place), words_of(text)))
    return found
