"""Copies of the training split: the same words by more voices, at more rates, in more rooms and noises than were recorded.

Owns their names: the copy of utterance u of speaker s at speed 0.9 is "sp0.9-u" of speaker "sp0.9-s", in the split "train_sp"; its
first copy in noise or in a room is "noisy1-u" of "noisy1-s" or, where a copy at another speed was drawn, "noisy1-sp0.9-u" of
"noisy1-sp0.9-s", in the split "train_noisy"."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cgs.data.corpus import Utterance

SPEED_SPLIT = "train_sp"
NOISY_SPLIT = "train_noisy"


def speed_copies(utterances: Mapping[str, Utterance], speeds: Sequence[float]) -> dict[str, Utterance]:
    """The utterances played at other speeds, by id.

    Source: Ko, Peddinti, Povey, Khudanpur 2015, Audio augmentation for speech recognition.
    """
    return _named((f"sp{speed:g}-", replace(utterance, speed=speed)) for speed in speeds for utterance in utterances.values())


def noisy_copies(utterances: Mapping[str, Utterance], speeds: Sequence[float], n_copies: int, seed: int) -> dict[str, Utterance]:
    """Copies that are to be spoken in noise or in a room, by id, each at its own speed or at one of `speeds`.

    Args:
        utterances: as recorded, by id.
        speeds: of the copies at other speeds, which lend the noisy ones their alignments.
        n_copies: of each utterance.
        seed: of the speeds; an utterance's draw depends on nothing else but its id.
    """
    at_speeds = {1.0: utterances} | {speed: speed_copies(utterances, [speed]) for speed in speeds}
    drawn = []
    for number in range(1, n_copies + 1):
        for name in utterances:
            speed = random.Random(f"speed of noisy copy {number} of {name}, seed {seed}").choice([1.0, *sorted(speeds)])
            drawn.append((f"noisy{number}-", at_speeds[speed][name if speed == 1.0 else f"sp{speed:g}-{name}"]))
    return _named(drawn)


def original(name: str) -> str:
    """The utterance or speaker that a copy was made of: the recorded one, or of a noisy copy perhaps one at another speed."""
    return name.partition("-")[2]


def _named(pairs: Iterable[tuple[str, Utterance]]) -> dict[str, Utterance]:
    return {prefix + u.id: replace(u, id=prefix + u.id, speaker=prefix + u.speaker) for prefix, u in pairs}
