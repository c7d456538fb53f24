"""One network at one supply: intervals, and the estimate that stage 9 writes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cgs.base.errors import ConfigError
from cgs.base.options import HardwareOptions
from cgs.hw import model
from cgs.hw.calibration import drawn
from cgs.hw.chips import KEYWORD, SPEECH
from cgs.hw.costs import area, max_clock, power
from cgs.hw.counts import Engine
from cgs.hw.duty import MODES
from cgs.hw.estimate import ROW_KEYS, estimate
from cgs.hw.technology import load_technology


class Layer:
    n_in, n_out, block, kept, bits = 440, 1024, 0, None, 6


class Model:
    layers = [Layer()]


@pytest.fixture(params=("40nm", "65nm"))
def tech(request):
    return load_technology(request.param)


def test_the_interval_of_planted_draws():
    assert model.interval(np.arange(101.0)) == pytest.approx([5, 95])
    assert model.interval(np.arange(101.0), 0.5) == pytest.approx([25, 75])


def test_intervals_hold_the_value_and_are_those_of_the_draws_one_by_one(tech):
    """The slow way: every draw as a table of its own."""
    counts, draws = KEYWORD.counts(), drawn(tech.node)
    told = model.at_supply(counts, tech, 0.7, 100.0)
    values = []
    for index in range(0, 1000, 4):
        one = tech.with_values(**{name: float(np.broadcast_to(drawn_values, 1000)[index]) for name, drawn_values in draws.values.items()})
        values.append((sum(power(counts, one, 0.7, 100.0).values()), max_clock(counts, 0.7, one), sum(area(counts, one).values())))
    keys = {"power_w": "power_interval_w", "max_clock_hz": "max_clock_interval_hz", "area_m2": "area_interval_m2"}
    for (name, key), column in zip(keys.items(), zip(*values, strict=True), strict=True):
        low, high = told[key]
        assert low < told[name] < high
        inside = np.mean([low <= value <= high for value in column])
        assert 0.84 < inside < 0.96, name


def test_intervals_are_the_same_every_time_and_fast(tech):
    first = model.at_supply(SPEECH.counts(), tech, 0.6, 100.0)
    start = time.perf_counter()
    assert model.at_supply(SPEECH.counts(), tech, 0.6, 100.0) == first
    assert time.perf_counter() - start < 0.5
    bare = model.at_supply(SPEECH.counts(), tech, 0.6, 100.0, with_intervals=False)
    assert bare == {name: value for name, value in first.items() if "interval" not in name}


def test_a_hot_chip_leaks_more_and_is_as_fast(tech):
    cool, hot = (model.at_supply(KEYWORD.counts(), tech, 1.0, 100.0, kelvin) for kelvin in (300.0, 360.0))
    assert hot["components_w"]["memory_leakage"] > 2 * cool["components_w"]["memory_leakage"]
    assert hot["components_w"]["mac"] == cool["components_w"]["mac"] and hot["max_clock_hz"] == cool["max_clock_hz"]


def test_curves_go_through_the_entries(tech):
    counts, curve = KEYWORD.counts(), model.curves(KEYWORD.counts(), tech, 100.0)
    at = model.at_supply(counts, tech, 0.6, 100.0)
    index = int(np.argmin(np.abs(curve["supply_v"] - 0.6)))
    assert curve["supply_v"][index] == pytest.approx(0.6)
    assert {name: curve[name][index] for name in at["components_w"]} == pytest.approx(at["components_w"])
    assert {mode: 100 * curve[mode][index] for mode in MODES} == pytest.approx(at["modes_w"])
    assert bool(curve["real_time"][index]) is at["real_time"]


def test_estimate_flags_a_supply_that_is_too_slow():
    options = HardwareOptions(n_macs=1, supply_v=[0.5, 1.1], reference_supply_v=0.5)
    told = estimate(Model(), options)
    assert [row["real_time"] for row in told["nodes"]["40nm"]] == [False, True]
    assert [row["duty_cycle"] < 1 for row in told["nodes"]["40nm"]] == [False, True]
    assert len(told["warnings"]) == 2 and "hardware.n_macs" in told["warnings"][0]
    assert set(told["summary"]) == {"40nm", "65nm"} and tuple(told["summary"]["40nm"]) == ROW_KEYS
    row = told["nodes"]["40nm"][1]
    assert row["power_w"] == pytest.approx(sum(row["components_w"].values())) == pytest.approx(row["modes_w"]["slow"])
    assert row["clock_hz"] == told["counts"]["cycles"] * 100 == told["frequency_needed_hz"]
    assert tuple(told["minimum"]["40nm"]) == MODES


def test_an_engine_too_slow_at_any_supply_has_no_minimum():
    told = estimate(Model(), HardwareOptions(n_macs=1, frames_per_s=1e5, supply_v=[1.2]))
    assert told["minimum"] == {"40nm": None, "65nm": None}


def test_more_macs_need_a_slower_clock_and_more_area():
    one, eight = (estimate(Model(), HardwareOptions(n_macs=n))["reference"]["40nm"] for n in (1, 8))
    assert eight["clock_hz"] < one["clock_hz"] / 6
    assert eight["area_m2"] > one["area_m2"]


def test_the_engine_may_be_chosen_and_a_model_without_layers_is_an_error():
    told = estimate(Model(), HardwareOptions(n_macs=4), Engine(bank_bytes=4096))
    assert (told["engine"]["n_macs"], told["engine"]["bank_bytes"]) == (4, 4096)
    empty = type("Empty", (), {"layers": []})()
    with pytest.raises(ConfigError, match="without layers"):
        estimate(empty, HardwareOptions())
