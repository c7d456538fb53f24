"""The calibrated constant: exact for every draw, frozen, and noticed when anything under it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cgs.base.errors import FormatError
from cgs.hw import calibration, chips
from cgs.hw.costs import power
from cgs.hw.technology import CALIBRATION, load_technology


def keyword_power(tech):
    counts = chips.KEYWORD.counts()
    return sum(power(counts, tech, 0.6, 100.0).values())


def test_the_keyword_chip_takes_its_published_power():
    assert keyword_power(load_technology("40nm")) == pytest.approx(7e-6, rel=1e-4)
    tech = load_technology("40nm", calibration=None)
    assert keyword_power(tech.with_values(overhead=calibration.calibrate(tech, 36e-6))) == pytest.approx(36e-6)


def test_every_draw_is_calibrated():
    """What is unknown in common with the calibrated chip cancels: its power spreads by its own two factors alone."""
    draws = calibration.drawn("40nm")
    spread = keyword_power(draws.with_values(model_error=1.0)) / draws["calibration_error"]
    np.testing.assert_allclose(spread, 7e-6, rtol=1e-9)
    assert np.percentile(draws["overhead"], 95) > 1.5 * np.percentile(draws["overhead"], 5)


def test_both_nodes_are_calibrated_on_the_one_chip():
    np.testing.assert_array_equal(calibration.drawn("40nm")["overhead"], calibration.drawn("65nm")["overhead"])


def test_the_frozen_file_is_what_calibrating_gives_today():
    calibration.check()


def test_another_file_another_chip_and_other_counts_are_noticed(tmp_path, monkeypatch):
    path = tmp_path / "calibration.toml"
    path.write_text(CALIBRATION.read_text(encoding="utf-8").replace("value = ", "value = 1"), encoding="utf-8")
    with pytest.raises(FormatError, match="python -m cgs.hw.calibration"):
        calibration.check(path)
    before = calibration.assumptions_digest()
    monkeypatch.setattr(calibration, "KEYWORD", replace(chips.KEYWORD, density=0.3))
    assert calibration.assumptions_digest() != before
    with pytest.raises(FormatError, match="not what the table, the assumed chip and its counts give today"):
        calibration.check()
