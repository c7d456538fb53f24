"""Free Spoken Digit Dataset: isolated digits joined to strings of one to seven.

A string holds recordings of one speaker and of one split only, with gaps, lead-in and lead-out of low noise whose
level follows the quietest edge of the neighbouring recordings."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from cgs.base import options as base
from cgs.base.errors import DataError
from cgs.data.corpus import Corpus, Utterance
from cgs.data.layout import check_root, recordings, refuse

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 8000
NAME = re.compile(r"(?P<digit>[0-9])_(?P<speaker>[^_]+)_(?P<index>[0-9]+)")
OFFICIAL_TEST = range(5)
"""Recordings 0 to 4 of every digit and speaker are the test set, says the corpus."""
LAYOUT_REMEDY = "give the folder that holds recordings/{digit}_{speaker}_{index}.wav, see recipes/fsdd/README.md"
WORDS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
PRONUNCIATIONS = (
    ("ZERO", "Z IH R OW"), ("ZERO", "Z IY R OW"), ("ONE", "W AH N"), ("TWO", "T UW"), ("THREE", "TH R IY"), ("FOUR", "F AO R"),
    ("FIVE", "F AY V"), ("SIX", "S IH K S"), ("SEVEN", "S EH V AH N"), ("EIGHT", "EY T"), ("NINE", "N AY N"),
)  # fmt: skip
EDGE_SECONDS = 0.03
FRAME_SECONDS = 0.01
FADE_SECONDS = 0.005
LOWEST_LEVEL = 1 / 32768
HIGHEST_LEVEL = 0.003


class Options(base.Options):
    """Splits and strings."""

    dev_indices: list[Annotated[int, Field(ge=0)]] = Field([5, 6, 7], min_length=1, description="recordings of each digit and speaker kept for dev")
    test_speakers: list[str] = Field([], description="speakers left out of training and dev, tested on all their recordings; empty for the official split")
    max_digits: int = Field(7, ge=1, description="digits of a string, at most; lengths are drawn evenly from 1 to this")
    train_passes: int = Field(3, ge=1, description="different strings in which each training recording occurs")
    eval_passes: int = Field(1, ge=1, description="the same for dev and test; more than one repeats recordings and makes intervals too narrow")
    gap_seconds: tuple[float, float] = Field((0.05, 0.4), description="shortest and longest gap between two digits, s")
    edge_seconds: tuple[float, float] = Field((0.2, 0.4), description="shortest and longest lead-in and lead-out, s")

    @field_validator("gap_seconds", "edge_seconds")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1]:
            raise ValueError("write [shortest, longest], both 0 or more")
        return value


@dataclass(frozen=True)
class Digit:
    """One recording of the corpus."""

    path: Path
    digit: int
    speaker: str
    index: int


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: no recordings, names of another form, digits or split that some speaker lacks."""
    check_root(root, LAYOUT_REMEDY)
    found = recordings(_folder(root))
    problems = [f"{path.name}: not {{digit}}_{{speaker}}_{{index}}" for path in found if not NAME.fullmatch(path.stem)]
    digits = [_digit(path) for path in found if NAME.fullmatch(path.stem)]
    if not digits:
        problems.insert(0, f"no recordings in {_folder(root)}")
    speakers = sorted({digit.speaker for digit in digits})
    problems += [f"no speaker {name!r} (there are: {', '.join(speakers)})" for name in options.test_speakers if name not in speakers]
    present = {(digit.speaker, _split(digit, options), digit.digit) for digit in digits}
    for speaker in speakers:
        for split in ("test",) if speaker in options.test_speakers else ("train", "dev") if options.test_speakers else ("train", "dev", "test"):
            lacking = [str(digit) for digit in range(10) if (speaker, split, digit) not in present]
            if lacking:
                problems.append(f"speaker {speaker} has no {split} recording of digit {', '.join(lacking)}")
    refuse(root, "fsdd", problems, LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Join the digits of each speaker and split to strings and write them under `audio_dir`."""
    pools: dict[str, list[Digit]] = {"train": [], "dev": [], "test": []}
    for path in recordings(_folder(root)):
        digit = _digit(path)
        pools[_split(digit, options)].append(digit)
    splits: dict[str, list[Utterance]] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for split, pool in pools.items():
        passes = options.train_passes if split == "train" else options.eval_passes
        splits[split] = [_write(string, name, audio_dir / split, options, seed, sources) for name, string in _strings(pool, split, passes, options, seed)]
    isolated = [(f"{d.speaker}-isolated-{d.digit}-{d.index:02d}", [d]) for d in sorted(pools["test"], key=lambda d: (d.speaker, d.digit, d.index))]
    splits["test_isolated"] = [_write(string, name, audio_dir / "test_isolated", options, seed, sources) for name, string in isolated]
    unseen = ", ".join(options.test_speakers)
    split_note = f"test speakers {unseen} unseen in training" if unseen else "official: recordings 0-4 are the test set"
    return Corpus(
        splits=splits,
        lexicon=[(word, tuple(phones.split())) for word, phones in PRONUNCIATIONS],
        lm_text=[utterance.words for utterance in splits["train"]],
        keywords=WORDS,
        notes={"split": split_note, "gaps": "made: low white noise at the level of the quietest edges"},
        sources=sources,
        unseen_speakers=("test", "test_isolated") if options.test_speakers else (),
    )


def _folder(root: Path) -> Path:
    return root / "recordings" if (root / "recordings").is_dir() else root


def _digit(path: Path) -> Digit:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise DataError(f"{path}: not {{digit}}_{{speaker}}_{{index}}", LAYOUT_REMEDY)
    return Digit(path, int(match["digit"]), match["speaker"], int(match["index"]))


def _split(digit: Digit, options: Options) -> str:
    if digit.speaker in options.test_speakers:
        return "test"
    if not options.test_speakers and digit.index in OFFICIAL_TEST:
        return "test"
    return "dev" if digit.index in options.dev_indices else "train"


def _strings(pool: list[Digit], split: str, passes: int, options: Options, seed: int) -> Iterator[tuple[str, list[Digit]]]:
    """Yield (utterance id, recordings): every recording once in each pass, speaker by speaker."""
    for speaker in sorted({digit.speaker for digit in pool}):
        draw = random.Random(f"{seed} {split} {speaker}")
        own = sorted((digit for digit in pool if digit.speaker == speaker), key=lambda d: (d.digit, d.index))
        number = 0
        for _ in range(passes):
            order = draw.sample(own, len(own))
            while order:
                length = draw.randint(1, options.max_digits)
                string, order = order[:length], order[length:]
                yield f"{speaker}-{split}-{number:04d}", string
                number += 1


def _write(string: list[Digit], name: str, folder: Path, options: Options, seed: int, sources: dict[str, tuple[str, ...]]) -> Utterance:
    from cgs.data.audio import read_audio, write_wav

    path = folder / f"{name}.wav"
    write_wav(path, joined([read_audio(digit.path, SAMPLE_RATE) for digit in string], options, f"{seed} {name}"), SAMPLE_RATE)
    sources[name] = tuple(digit.path.name for digit in string)
    return Utterance(name, string[0].speaker, path, tuple(WORDS[digit.digit] for digit in string))


def joined(parts: list[np.ndarray], options: Options, seed: str) -> np.ndarray:
    """Join recordings with gaps of low noise.

    Args:
        parts: (n_samples,) float each.
        options: lengths of gaps, lead-in and lead-out.
        seed: of their lengths and their noise.
    Returns: (n_samples,) float64. The recordings themselves are unchanged but for fades of a few ms at their ends.
    """
    import numpy as np

    draw = random.Random(seed)
    noise = np.random.default_rng(draw.getrandbits(63))
    levels = [_edge_level(part) for part in parts]
    pieces = []
    for number in range(len(parts) + 1):
        before, after = levels[max(number - 1, 0)], levels[min(number, len(parts) - 1)]
        n_samples = round(draw.uniform(*(options.gap_seconds if 0 < number < len(parts) else options.edge_seconds)) * SAMPLE_RATE)
        pieces.append(noise.standard_normal(n_samples) * np.linspace(before, after, n_samples))
        if number < len(parts):
            pieces.append(_faded(parts[number]))
    return np.concatenate(pieces)


def _edge_level(samples: np.ndarray) -> float:
    """RMS of the quietest 10 ms at the begin or end of a recording, kept between one 16-bit step and -50 dB."""
    import numpy as np

    edge, frame = round(EDGE_SECONDS * SAMPLE_RATE), round(FRAME_SECONDS * SAMPLE_RATE)
    frames = [part[at : at + frame] for part in (samples[:edge], samples[-edge:]) for at in range(0, edge, frame)]
    quietest = min(float(np.sqrt(np.mean(np.square(f, dtype=np.float64)))) for f in frames if len(f))
    return min(max(quietest, LOWEST_LEVEL), HIGHEST_LEVEL)


def _faded(samples: np.ndarray) -> np.ndarray:
    import numpy as np

    n_fade = min(round(FADE_SECONDS * SAMPLE_RATE), len(samples) // 2)
    window = np.ones(len(samples))
    window[:n_fade] = np.linspace(0, 1, n_fade, endpoint=False)
    window[len(samples) - n_fade :] = window[:n_fade][::-1]
    return samples * window
