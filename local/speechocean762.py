"""speechocean762: English read by Mandarin speakers, half of them children, with its own lexicon.

The official split is kept. Dev speakers come out of the training speakers. Every sentence of the training text occurs
once, so a language model that has seen the dev sentences would be weighted far too heavily on dev: their text is left
out of the language-model text."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import Field

from cgs.base import options as base
from cgs.base.errors import DataError
from cgs.base.files import read_lines
from cgs.data.corpus import Corpus, Utterance
from cgs.data.layout import check_root, find_recording, refuse
from local.cmudict import read_cmudict

SPLITS = ("train", "test")
FILES = ("text", "wav.scp", "utt2spk", "spk2gender", "spk2age")
ADULT_AGE = 16
LAYOUT_REMEDY = "give the folder speechocean762 with train, test, WAVE and resource inside, see recipes/speechocean762/README.md"


class Options(base.Options):
    """The dev set."""

    dev_speakers: int = Field(8, ge=2, description="training speakers kept for dev, half of them children")
    lm_from_dev: bool = Field(False, description="let the language model learn the dev sentences too: then dev must not choose its weight")


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: files missing, tables that do not agree, or recordings that are not there."""
    check_root(root, LAYOUT_REMEDY)
    needed = [f"{split}/{name}" for split in SPLITS for name in FILES] + ["resource/lexicon.txt"]
    problems = [f"{name} is missing" for name in needed if not (root / name).is_file()]
    refuse(root, "speechocean762", problems, LAYOUT_REMEDY)
    for split in SPLITS:
        text, wavs, speakers = (_table(root / split / name) for name in ("text", "wav.scp", "utt2spk"))
        odd = sorted((text.keys() | wavs.keys() | speakers.keys()) - (text.keys() & wavs.keys() & speakers.keys()))
        problems += [f"{split}: utterance {name} is not in all of text, wav.scp and utt2spk" for name in odd]
        missing = [wav for wav in wavs.values() if not find_recording(root / wav).exists()]
        if missing:
            problems.append(f"{split}: {len(missing)} of {len(wavs)} recordings are missing, the first is {missing[0]}")
    if len(_table(root / "train" / "spk2gender")) <= options.dev_speakers:
        problems.append(f"no more than {options.dev_speakers} training speakers (local.dev_speakers)")
    refuse(root, "speechocean762", problems, LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Read the corpus's tables; nothing is written."""
    official = {split: _utterances(root, split) for split in SPLITS}
    dev = _dev_speakers({name: int(age) for name, age in _table(root / "train" / "spk2age").items()}, options.dev_speakers, seed)
    train = [utterance for utterance in official["train"] if utterance.speaker not in dev]
    tuning = [utterance for utterance in official["train"] if utterance.speaker in dev]
    lexicon, note = read_cmudict(root / "resource" / "lexicon.txt")
    return Corpus(
        splits={"train": train, "dev": tuning, "test": official["test"]},
        lexicon=lexicon,
        lm_text=[utterance.words for utterance in (official["train"] if options.lm_from_dev else train)],
        keywords=(),
        notes={"split": f"official; dev: training speakers {', '.join(sorted(dev))}", "lexicon": note},
        unseen_speakers=("dev", "test"),
    )


def _dev_speakers(ages: dict[str, int], n_speakers: int, seed: int) -> set[str]:
    """Draw speakers, children and adults in equal numbers as far as there are any."""
    draw = random.Random(f"{seed} dev")
    children = sorted(name for name, age in ages.items() if age < ADULT_AGE)
    adults = sorted(ages.keys() - set(children))
    n_children = min(len(children), n_speakers // 2)
    n_adults = min(len(adults), n_speakers - n_children)
    return {*draw.sample(children, n_children), *draw.sample(adults, n_adults)}


def _utterances(root: Path, split: str) -> list[Utterance]:
    text, wavs, speakers, genders = (_table(root / split / name) for name in ("text", "wav.scp", "utt2spk", "spk2gender"))
    try:
        return [
            Utterance(f"{speakers[name]}-{name}", speakers[name], find_recording(root / wavs[name]), tuple(words.split()), gender=genders[speakers[name]])
            for name, words in sorted(text.items())
        ]
    except KeyError as error:
        raise DataError(f"{root / split}: {error.args[0]} is not in every table", LAYOUT_REMEDY) from error


def _table(path: Path) -> dict[str, str]:
    """Key and rest of each line. Raises: DataError: not UTF-8, or a key twice."""
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        key, *rest = line.split(maxsplit=1) or [""]
        if key in table:
            raise DataError(f"{path}:{number}: {key}: duplicate, listed before", "keep one")
        table[key] = rest[0].strip() if rest else ""
    return table
