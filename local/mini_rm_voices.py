"""The synthetic speakers of mini_rm: which voices each split may use, and how a speaker is drawn.

Owns the partition of espeak-ng's voice variants: no variant speaks in two splits. Standard library only."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from cgs.base.errors import ConfigError

ACCENTS = ("en-us", "en-us", "en-us", "en-us-nyc", "en", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
"""espeak-ng language voices to draw from; American English counts three times, British twice."""

VARIANTS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "m": (
            "m1", "m3", "m4", "m6", "m7", "Alex", "Andy", "Denis", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Mario", "Michael",
            "Mike", "adam", "antonio", "benjamin", "caleb", "ed", "gustave", "ian", "iven", "marcelo", "michel", "miguel", "norbert", "paul",
            "pedro", "robert",
        ),  # fmt: skip
        "f": ("f1", "f2", "f4", "Alicia", "anika", "belinda", "grandma", "linda", "steph"),
    },
    "dev": {
        "m": ("m2", "Diogo", "david", "max"),
        "f": ("f5", "Annie"),
    },
    "test": {
        "m": ("m5", "m8", "Nguyen", "Reed", "boris", "edward", "john", "pablo", "quincy", "sandro", "victor"),
        "f": ("f3", "Andrea", "aunty", "shelby"),
    },
}
"""Voice variants by split and gender; variants that are near copies of each other share a split."""

SPEAKER_PREFIX = {"train": "trn", "dev": "dev", "test": "tst", "test_natural": "nat"}
"""Equally long, so that sorting utterances and sorting speakers agree."""
NATURAL = "natural"
"""In place of a variant: the Piper voice."""
RESAMPLING = 441
"""Formants are shifted by resampling with a ratio n / 441, as 16 kHz / 22.05 kHz = 320 / 441."""


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    Args:
        speaker: its name in the corpus.
        gender: "m" or "f".
        accent: espeak-ng language voice.
        variant: espeak-ng voice variant, or NATURAL.
        rate_wpm: speaking rate, words a minute, before the formant shift.
        pitch, pitch_range: espeak-ng parameters, 0 to 99; 50 is the variant's own.
        shift_441: formants, pitch and tempo are multiplied by shift_441 / 441.
    """

    speaker: str
    gender: str
    accent: str
    variant: str
    rate_wpm: int
    pitch: int
    pitch_range: int
    shift_441: int

    @property
    def formant_shift(self) -> float:
        """Factor on the formant frequencies."""
        return self.shift_441 / RESAMPLING


def draw_voices(split: str, count: int, rate_wpm: tuple[float, float], formant_shift: tuple[float, float], seed: int) -> list[Voice]:
    """Speakers of one split, women and men in turn, every variant of a gender once before any comes again.

    Args:
        split: "train", "dev" or "test".
        count: speakers wanted.
        rate_wpm: slowest and fastest speaking rate, words a minute.
        formant_shift: smallest and largest factor on the formants.
        seed: the same arguments give the same speakers.
    Raises: ConfigError: no such split.
    """
    if split not in VARIANTS:
        raise ConfigError(f"mini_rm: no voices for split {split!r}", f"splits: {', '.join(VARIANTS)}")
    generator = random.Random(f"mini_rm voices {split} {seed}")
    variants = {gender: _rounds(names, generator) for gender, names in VARIANTS[split].items()}
    voices = []
    for index in range(count):
        gender = "fm"[index % 2]
        shift = generator.uniform(*formant_shift)
        voices.append(
            Voice(
                speaker=f"{SPEAKER_PREFIX[split]}{index:03d}",
                gender=gender,
                accent=generator.choice(ACCENTS),
                variant=next(variants[gender]),
                rate_wpm=round(generator.uniform(*rate_wpm) / shift),
                pitch=generator.randint(35, 65),
                pitch_range=generator.randint(30, 70),
                shift_441=round(RESAMPLING * shift),
            )
        )
    return voices


def natural_voice(split: str) -> Voice:
    """The one natural speaker; Piper gives it pace and intonation."""
    return Voice(f"{SPEAKER_PREFIX[split]}n00", "m", "en-us", NATURAL, 160, 50, 50, RESAMPLING)



def _rounds(names: tuple[str, ...], generator: random.Random) -> Iterator[str]:
    while True:
        order = list(names)
        generator.shuffle(order)
        yield from order
