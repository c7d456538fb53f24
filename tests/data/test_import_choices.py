"""What --new chooses for surveys planted with so many speakers and so much speech of each."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cgs.base.options import DataOptions, Recipe
from cgs.cli.new import decisions
from cgs.cli.new_text import Plan, recipe_text
from cgs.data.corpus import Utterance
from cgs.data.import_choices import ladder
from cgs.data.imports import Options
from cgs.data.survey import Survey


def planted(speakers: dict[str, int], seconds: dict[str, float], known: bool = True) -> Survey:
    """Ten utterances a speaker, of `seconds` in all, in each split."""
    splits, lengths = {}, {}
    for split, n_speakers in speakers.items():
        ids = [f"{split}{speaker:03d}-{number}" for speaker in range(n_speakers) for number in range(10)]
        splits[split] = [Utterance(name, name.partition("-")[0] if known else name, Path("a.wav"), ("go", "left")) for name in ids]
        lengths |= {name: seconds[split] / 10 for name in ids}
    return Survey(splits, lengths)


MANY = {"train": 60, "dev": 5, "test": 5}
TALKATIVE = {"train": 90.0, "dev": 60.0, "test": 60.0}


@pytest.mark.parametrize(
    ("found", "keywords", "expected"),
    [
        (planted(MANY, TALKATIVE), False, ("sat", "60 speakers, 90 s of each (median)")),
        (planted(MANY, TALKATIVE), True, ("tri", "")),
        (planted(MANY, TALKATIVE, known=False), False, ("lda_mllt", "too few speakers, or unknown ones, to adapt to")),
        (planted({**MANY, "train": 9}, {**TALKATIVE, "train": 900.0}), False, ("lda_mllt", "too few speakers, or unknown ones, to adapt to")),
        (planted(MANY, {**TALKATIVE, "test": 12.0}), False, ("lda_mllt", "half of the speakers of test say no more than 12 s: too little to adapt to")),
        (planted(MANY, {**TALKATIVE, "train": 30.0}), False, ("tri", "")),
        (planted(MANY, {**TALKATIVE, "train": 6.0}), False, ("mono", "too little speech for triphones")),
    ],
    ids=["many voices", "keywords", "unknown voices", "few voices", "silent testers", "half an hour", "minutes"],
)
def test_ladder(found: Survey, keywords: bool, expected: tuple[str, str]) -> None:
    hours = found.split_seconds("train") / 3600
    assert ladder(found, hours, keywords) == expected
    plan = Plan("planted", Options(shape="manifest", keywords=["go"] if keywords else []), DataOptions(), found, "drawn")
    recipe = Recipe(**tomllib.loads(recipe_text(plan)))  # fmllr and mel_warp together would be refused
    assert recipe.align.model == expected[0]
    assert recipe.nn.features == ("fmllr" if expected[0] == "sat" else "fbank")
    assert any("nn.features" in line for line in decisions(plan, None)) == (expected[0] == "sat")
