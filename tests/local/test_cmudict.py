"""Dictionaries in CMUdict's format, and dev speakers drawn from training speakers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgs.base.errors import DataError
from local.cmudict import read_cmudict
from local.dev_speakers import draw_dev_speakers


def test_comments_alternatives_and_stress(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    path.write_text(";;; # a comment\nA\tAH0\nA(2)  EY1\nA(3)  EY0\nread  R EH1 D # past tense\nODD\nBAD  QX\n\n # aside\n(1)  W AH1 N\n")
    lexicon, note = read_cmudict(path)
    assert lexicon == [("A", ("AH",)), ("A", ("EY",)), ("READ", ("R", "EH", "D")), ("(1)", ("W", "AH", "N"))]
    assert note == "4 pronunciations; 2 odd lines dropped, 1 merged that differ in stress only"


def test_another_file_is_refused_with_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    path.write_text("THE CAT SAT\n")
    with pytest.raises(DataError, match=r"dict:1: 'THE CAT SAT' is not a word with ARPABET phones \(give a dictionary in the format of CMUdict"):
        read_cmudict(path)
    path.write_text("")
    with pytest.raises(DataError, match="dict: holds no pronunciation"):
        read_cmudict(path)


@pytest.mark.parametrize(("n_women", "n_men", "wanted"), [(6, 6, (2, 2)), (1, 6, (1, 3)), (6, 1, (3, 1)), (0, 6, (0, 4))])
def test_dev_speakers_are_women_and_men_alike(n_women: int, n_men: int, wanted: tuple[int, int]) -> None:
    genders = {f"w{n}": "f" for n in range(n_women)} | {f"x{n}": "m" for n in range(n_men)}
    drawn = draw_dev_speakers(genders, 4, 1)
    assert (sum(name[0] == "w" for name in drawn), sum(name[0] == "x" for name in drawn)) == wanted
    assert drawn == draw_dev_speakers(dict(reversed(genders.items())), 4, 1)
    assert any(drawn != draw_dev_speakers(genders, 4, seed) for seed in range(2, 12))
