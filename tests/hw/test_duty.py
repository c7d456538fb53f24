"""Time between frames, and the supply of least energy, against exhaustive search and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from cgs.base.errors import ConfigError
from cgs.hw import duty
from cgs.hw.chips import KEYWORD, SPEECH
from cgs.hw.costs import frame_energy, leakage, max_clock
from cgs.hw.technology import load_technology

TECH = load_technology("40nm")
COUNTS = KEYWORD.counts()


def energies(tech=TECH, supply_v=0.8, rate=100.0):
    return duty.frame_energies(COUNTS, tech, supply_v, rate)


def test_free_sleep_costs_as_much_as_no_pause_and_gated_waiting_as_a_slow_clock():
    free = energies(TECH.with_values(sleep_memory=0.0, sleep_logic=0.0, wake_cycles=0.0, idle_clock=0.0))
    assert free["sleep"] == pytest.approx(free["flat_out"])
    assert free["idle"] == pytest.approx(free["slow"])
    assert free["flat_out"] < free["slow"]


def test_what_is_paid_between_frames_by_hand():
    tech, rate, supply_v = TECH, 100.0, 0.8
    clock, moved, leaks = max_clock(COUNTS, supply_v, tech), frame_energy(COUNTS, tech), leakage(COUNTS, tech, supply_v)
    busy = COUNTS.cycles / clock
    rest = 1 / rate - busy
    dynamic = sum(moved.values()) * supply_v**2
    assert energies()["slow"] == pytest.approx(dynamic + sum(leaks.values()) / rate)
    assert energies()["idle"] - energies()["slow"] == pytest.approx(0.1 * moved["clock"] * supply_v**2 / COUNTS.cycles * clock * rest)
    asleep = 0.5 * leaks["memory_leakage"] + 0.05 * leaks["logic_leakage"]
    assert energies()["sleep"] == pytest.approx(dynamic * (1 + 200 / COUNTS.cycles) + sum(leaks.values()) * busy + asleep * rest)


def test_sleep_pays_where_leakage_is_high_and_not_where_it_is_low():
    assert energies(supply_v=1.2)["sleep"] < energies(supply_v=1.2)["slow"]
    assert energies(supply_v=0.6)["sleep"] > energies(supply_v=0.6)["slow"]


def test_too_slow_a_supply_is_always_at_work():
    rate = 2 * max_clock(COUNTS, 0.5, TECH) / COUNTS.cycles
    assert duty.duty_cycle(COUNTS, TECH, 0.5, rate) == pytest.approx(2)
    assert energies(supply_v=0.5, rate=rate)["idle"] == pytest.approx(energies(supply_v=0.5, rate=rate)["slow"])


@pytest.mark.parametrize("mode", duty.MODES)
@pytest.mark.parametrize(("chip", "rate"), [(KEYWORD, 1.0), (KEYWORD, 100.0), (SPEECH, 100.0)])
@pytest.mark.parametrize("sram_leakage", [1.0, 300.0])
def test_the_minimum_is_that_of_an_exhaustive_search(mode, chip, rate, sram_leakage):
    tech, counts = TECH.with_values(sram_leakage=sram_leakage), chip.counts()
    found = duty.minimum_energy(counts, tech, rate, mode, (0.2, 1.2))
    supplies = np.arange(0.2, 1.2001, 0.0002)
    fast = supplies[(max_clock(counts, supplies, tech) >= counts.cycles * rate) | (mode == "flat_out")]
    searched = duty.frame_energies(counts, tech, fast, rate)[mode]
    assert found.energy_j == pytest.approx(searched.min(), rel=2e-3)
    assert found.supply_v == pytest.approx(fast[np.argmin(searched)], abs=2e-3)


def test_a_minimum_says_what_limits_it():
    textbook = duty.minimum_energy(COUNTS, TECH, 100.0, "flat_out", duty.TEXTBOOK_RANGE_V)
    assert textbook.limit == "" and 0.2 < textbook.supply_v < 0.5
    held = duty.minimum_energy(SPEECH.counts(), TECH, 100.0)
    assert held.limit == "clock"
    assert max_clock(SPEECH.counts(), held.supply_v, TECH) == pytest.approx(SPEECH.counts().cycles * 100.0)
    assert duty.minimum_energy(COUNTS, TECH, 1.0).limit == "supply"
    with pytest.raises(ConfigError, match=r"MHz needed for real time, .* possible at 1.2 V"):
        duty.minimum_energy(COUNTS, TECH, 1e6)


def test_more_leakage_moves_the_minimum_up():
    supplies = [duty.minimum_energy(COUNTS, TECH.with_values(sram_leakage=x), 100.0, "flat_out", (0.2, 1.2)).supply_v for x in (1.0, 10.0, 100.0)]
    assert supplies[0] < supplies[1] < supplies[2]
