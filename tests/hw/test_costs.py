"""The laws: what must hold whatever the figures are, and the measurements that they were fitted to."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cgs.hw import costs, logic, supply
from cgs.hw.chips import KEYWORD, LAIKA, SPEECH
from cgs.hw.counts import Counts, Engine, Memory
from cgs.hw.logic import Work
from cgs.hw.sram import macro
from cgs.hw.technology import load_technology


@pytest.fixture(params=("40nm", "65nm"))
def tech(request):
    return load_technology(request.param)


def made(**memories: Memory) -> Counts:
    empty = {name: Memory(16) for name in ("weights", "index", "bias", "table", "activations")}
    return Counts(Engine(n_macs=4, bank_bytes=8192), macs=1000, macs_by_bits={4: 600, 6: 400}, mac_cycles=250, cycles=300, memories=empty | memories)


def test_dynamic_energy_goes_with_the_square_of_the_supply(tech):
    low, high = (costs.power(KEYWORD.counts(), tech, v, 100.0) for v in (0.6, 1.2))
    for name in costs.DYNAMIC:
        assert high[name] == pytest.approx(4 * low[name])
    assert tuple(low) == costs.COMPONENTS


def test_the_components_of_a_planted_count_by_hand():
    """Every term of a small count, written out."""
    tech = load_technology("40nm").with_values(overhead=1.0, model_error=1.0)
    weights = Memory(64, n_words=2048, reads=100, writes=7)
    parts = costs.frame_energy(made(weights=weights), tech)
    counts = made(weights=weights)
    core = logic.energy(logic.core_of(counts), Work(300, 250, 0, 0, 0, 0, 0.54))
    assert parts["mac"] == pytest.approx(0.889 * 1.9 * (core["mac"] + core["operands"]))
    assert parts["clock"] == pytest.approx(0.889 * 1.5 * core["clock"])
    assert [parts[name] for name in ("control", "output")] == pytest.approx([0.889 * core[name] for name in ("control", "output")])
    bank = macro(40, 8192, 64)  # 16 KB in two banks
    wires = 64 * math.sqrt(2 * bank.area_m2) * 0.2e-9 * 0.25
    assert parts["weight_memory"] == pytest.approx(100 * (bank.read_j / 1.06**2 + wires) + 7 * (bank.write_j / 1.06**2 + wires))
    assert parts["activation_memory"] == parts["index_bias_memory"] == 0


def test_what_a_network_says_of_its_products_goes_before_the_table(tech):
    counts = KEYWORD.counts()
    few, many = (costs.core_energy(replace(counts, nonzero=share), tech) for share in (0.2, 0.9))
    assert few["mac"] < costs.core_energy(counts, tech)["mac"] < many["mac"] and few["clock"] == many["clock"]


def test_leakage_falls_and_delay_rises_monotonically_as_the_supply_falls(tech):
    supplies = [0.2 + 0.01 * step for step in range(100)]
    delays = [supply.relative_delay(v, tech["nominal_supply"], tech) for v in supplies]
    leakage = [costs.leakage(KEYWORD.counts(), tech, v)["memory_leakage"] for v in supplies]
    assert all(a > b for a, b in zip(delays, delays[1:], strict=False))
    assert all(a < b for a, b in zip(leakage, leakage[1:], strict=False))
    steps = [math.log(a / b) for a, b in zip(delays, delays[1:], strict=False)]
    assert max(abs(a - b) for a, b in zip(steps, steps[1:], strict=False)) < 0.02  # no kink at the threshold
    assert supply.relative_delay(0.8, 0.8, tech) == 1


def test_the_ring_oscillator_behind_delay_and_leakage_is_met():
    tech = load_technology("40nm")
    assert supply.relative_delay(0.6, 1.0, tech) == pytest.approx(18.9, rel=0.03)
    assert supply.leakage_fade(0.6, 1.0, tech) == pytest.approx(0.04, rel=0.01)


@pytest.mark.parametrize(("kelvin", "factor"), [(310, 1.616), (320, 2.541), (340, 5.82), (360, 12.19)])
def test_warm_leakage_is_that_of_cacti(kelvin, factor):
    """Subthreshold leakage of 64 KB at 40 nm over that at 300 K, CACTI 7, own runs."""
    assert supply.leakage_warmth(kelvin, load_technology("40nm")) == pytest.approx(factor, rel=0.04)


def test_leakage_of_gates_does_not_warm_and_is_a_part_of_the_memories(tech):
    counts = made(weights=Memory(64, n_words=1024))
    cold, warm = (costs.leakage(counts, tech, tech["sram_supply"], kelvin) for kelvin in (300.0, 340.0))
    bank, warmth = macro(tech.node_nm, 8192, 64), supply.leakage_warmth(340.0, tech)
    assert cold["memory_leakage"] == pytest.approx(bank.leakage_w + tech["sram_gate"] * bank.gate_leakage_w)
    assert warm["memory_leakage"] == pytest.approx(bank.leakage_w * warmth + tech["sram_gate"] * bank.gate_leakage_w)
    assert warm["logic_leakage"] == pytest.approx(warmth * cold["logic_leakage"])


def test_the_longest_stage_sets_the_clock(tech):
    small, large = made(weights=Memory(8, n_words=256)), made(weights=Memory(64, n_words=131072))
    large = Counts(Engine(bank_bytes=1 << 20), cycles=1, memories=large.memories)
    assert costs.critical_path(large, 0.8, tech)["memory"] > costs.critical_path(small, 0.8, tech)["memory"]
    for counts in (small, large):
        path = costs.critical_path(counts, 0.8, tech)
        assert costs.max_clock(counts, 0.8, tech) == 1 / max(path.values())


def test_banks_of_weights_are_powers_of_two_of_words_and_make_a_read_cheaper():
    engine = Engine(bank_bytes=8192)
    assert costs.banks("weights", Memory(64, n_words=2560), engine, 40) == (2.5, macro(40, 8192, 64))
    assert costs.banks("weights", Memory(48, n_words=2560), engine, 40) == (2.5, macro(40, 1024 * 6, 48))  # a power of two of words
    assert costs.banks("weights", Memory(64, n_words=100), engine, 40) == (1, macro(40, 800, 64))
    assert costs.banks("activations", Memory(64, n_words=2560), engine, 40) == (1, macro(40, 20480, 64))
    tech = load_technology("40nm")
    counts = SPEECH.counts()
    coarse = Counts(**{**vars(counts), "engine": Engine(n_macs=8, bank_bytes=262144)})
    assert costs.frame_energy(counts, tech)["weight_memory"] < costs.frame_energy(coarse, tech)["weight_memory"]


def test_arrays_give_what_single_numbers_give(tech):
    draws, counts, supplies = tech.drawn(20, seed=5), SPEECH.counts(), np.linspace(0.5, 1.2, 20)
    parts, clocks, areas = costs.power(counts, draws, supplies, 50.0, 320.0), costs.max_clock(counts, supplies, draws), costs.area(counts, draws)
    for index in (0, 7, 19):
        one = tech.with_values(**{name: float(values[index]) for name, values in draws.values.items()})
        single = costs.power(counts, one, float(supplies[index]), 50.0, 320.0)
        assert {name: float(np.broadcast_to(value, 20)[index]) for name, value in parts.items()} == pytest.approx(single)
        assert clocks[index] == pytest.approx(costs.max_clock(counts, float(supplies[index]), one))
        assert sum(areas.values())[index] == pytest.approx(sum(costs.area(counts, one).values()))


def test_cells_cost_gates_energy_memories_and_a_longer_path():
    """Laika's network with cells, and as matrix products alone."""
    tech = load_technology("65nm").with_values(overhead=1.0, model_error=1.0)
    with_cells, products = LAIKA.counts(), replace(LAIKA, lstm=False).counts()
    assert (with_cells.cells, products.cells) == (128, 0)
    assert with_cells.cycles == products.cycles + 2 * 128
    control = logic.gates(logic.core_of(with_cells))
    assert costs.n_gates(with_cells, tech) == pytest.approx(2900 + sum(control.values()))
    found = logic.energy(logic.core_of(with_cells), logic.work_of(with_cells, 0.54))
    parts = costs.core_energy(with_cells, tech)
    assert parts["output"] == pytest.approx(1.444 * (found["output"] + 1.9 * 128 * 8e-12))
    assert costs.critical_path(with_cells, 1.2, tech)["logic"] == pytest.approx(2.05 * costs.critical_path(products, 1.2, tech)["logic"])
    idle = {name: replace(part, reads=0, writes=0) for name, part in with_cells.memories.items() if name in ("gates", "cells", "state")}
    quiet = replace(with_cells, memories=with_cells.memories | idle)
    assert costs.frame_energy(quiet, tech)["activation_memory"] < costs.frame_energy(with_cells, tech)["activation_memory"]
    assert {"gates", "cells", "state"} == set(costs.area(with_cells, tech)) - set(costs.area(products, tech))
