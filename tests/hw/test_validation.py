"""Predictions beside published figures: what a hit is, what was aimed at, and that the documentation says what the code says."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from pathlib import Path

import pytest

from cgs.base.errors import FormatError
from cgs.hw import calibration, chips, validation, validation_text
from cgs.hw.costs import power
from cgs.hw.technology import load_technology
from cgs.hw.validation import Row, rows

DOCS = Path(__file__).resolve().parents[2] / "docs" / "hardware.md"


@pytest.fixture(scope="module")
def told():
    return {row.name: row for row in rows()}


def test_what_a_hit_and_an_aim_are():
    row = Row("made", "uW", 10.0, 16.0, 9.0, 30.0, 1.5, "")
    assert row.hit and row.off == 1.6 and not row.within_aim
    assert not replace(row, published=8.9).hit and not replace(row, published=30.1).hit
    assert replace(row, predicted=7.0).within_aim and not replace(row, predicted=6.6).within_aim
    assert replace(row, aim=0.0).within_aim


def test_speech_is_predicted_from_keyword(told):
    """By hand: the counts, the frozen constant, nothing else."""
    tech, speech, keyword = load_technology("40nm"), chips.SPEECH.counts(), chips.KEYWORD.counts()
    watts = sum(power(speech, tech, 0.6, 100.0).values())
    assert told["ICCAD16 speech, power"].predicted == pytest.approx(1e6 * watts)
    assert told["ICCAD16 speech over keyword, energy per MAC"].predicted == pytest.approx(watts / speech.macs / (7e-6 / keyword.macs), rel=1e-3)
    assert told["ICCAD16 speech, power"].within_aim


def test_published_values_lie_inside_at_least_four_intervals_of_five(told):
    assert sum(row.hit for row in told.values()) >= 0.8 * len(told)
    assert all(row.low < row.predicted < row.high for row in told.values())


def test_a_chip_does_not_widen_its_own_interval(monkeypatch):
    """Its published figure may be anything: what is added for another architecture comes from the others alone."""
    before = {paper: validation.spread_without(paper) for paper in ("HCGS", "Laika")}
    changed = tuple(replace(other, published=100 * other.published) if other.paper == "Laika" else other for other in validation._OTHERS)
    monkeypatch.setattr(validation, "_OTHERS", changed)
    assert validation.spread_without("Laika") == before["Laika"]
    assert validation.spread_without("HCGS") > before["HCGS"]


def test_the_spread_of_planted_errors(monkeypatch):
    """Errors of e, e^2 and e^3 (one paper twice): the root mean square over papers."""

    def planted(paper, *powers):
        return [validation._Other(paper, chips.LAIKA, "", "1", math.exp(-power), 0.0, lambda case: 1.0) for power in powers]

    monkeypatch.setattr(validation, "_OTHERS", (*planted("a", 1, 2), *planted("b", 3), *planted("c", -50)))
    assert validation.spread_without("c") == pytest.approx(math.sqrt(((1 + 4) / 2 + 9) / 2))


def test_the_calibration_sees_the_keyword_chip_alone():
    source = inspect.getsource(calibration)
    assert not any(name in source for name in ("SPEECH", "HCGS", "CHIPMUNK", "DELTAKWS", "LAIKA", "validation"))


def test_misses_are_printed(told):
    text = validation_text.between_markers()
    for row in told.values():
        line = next(line for line in text.splitlines() if line.startswith(f"| {row.name} |"))
        assert ("**miss**" in line) is not row.hit and f"x{row.off:.3g}" in line
    assert "36 uW | 552 uW" in text and "7 uW | 103 uW" in text


def test_docs_hold_what_the_code_prints_today(tmp_path):
    copy = tmp_path / "hardware.md"
    copy.write_text(DOCS.read_text(encoding="utf-8"), encoding="utf-8")
    validation_text.write(copy)
    assert copy.read_text(encoding="utf-8") == DOCS.read_text(encoding="utf-8"), "run: python -m cgs.hw.validation_text docs/hardware.md"


def test_a_text_without_markers_is_an_error(tmp_path):
    (tmp_path / "other.md").write_text("nothing\n")
    with pytest.raises(FormatError, match="no markers"):
        validation_text.write(tmp_path / "other.md")
