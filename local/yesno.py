"""The yesno corpus: one speaker, sixty recordings of eight Hebrew words each, "ken" (yes) or "lo" (no)."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from cgs.base import options as base
from cgs.data.corpus import Corpus, Utterance
from cgs.data.layout import check_root, recordings, refuse

NAME = re.compile(r"[01](_[01])*")
SPEAKER = "global"
WORDS = {"0": "NO", "1": "YES"}
LEXICON = [("YES", ("K", "EH", "N")), ("NO", ("L", "OW"))]
LAYOUT_REMEDY = "give the folder waves_yesno with recordings such as 0_1_1_0_1_0_1_0.wav, see recipes/yesno/README.md"


class Options(base.Options):
    """The split."""

    dev_every: int = Field(10, ge=2, description="each n-th training recording is dev instead")


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: no recordings, or names that are not transcripts."""
    check_root(root, LAYOUT_REMEDY)
    found = recordings(_folder(root))
    problems = [f"{path.name}: the name is not a transcript of 0 and 1" for path in found if not NAME.fullmatch(path.stem)]
    if len(found) < 2 * options.dev_every:
        problems.append(f"{len(found)} recordings, too few for train, dev and test: {2 * options.dev_every} are needed")
    refuse(root, "yesno", problems, LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Read transcripts from the names; nothing is drawn at random and nothing is written."""
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for number, path in enumerate(recordings(_folder(root))):
        words = tuple(WORDS[digit] for digit in path.stem.split("_"))
        split = "test" if number % 2 else "train" if (number // 2 + 1) % options.dev_every else "dev"
        splits[split].append(Utterance(f"{SPEAKER}-{path.stem}", SPEAKER, path, words))
    return Corpus(
        splits=splits,
        lexicon=LEXICON,
        lm_text=[utterance.words for utterance in splits["train"]],
        keywords=(),
        notes={"split": f"every second recording tests, the others train (each {options.dev_every}th of them: dev); one speaker throughout"},
    )


def _folder(root: Path) -> Path:
    return root / "waves_yesno" if (root / "waves_yesno").is_dir() else root
