"""The closed forms of the core's logic against the runs they are fitted to, and against what they were not."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from cgs.hw import logic
from cgs.hw.design import count_model, design_engine
from cgs.hw.logic import Core, Work

CORE = Core(
    n_macs=8, weight_bits=5, value_bits=8, acc_bits=20, size_bits=10, index_bits=4,
    values_per_word=8, groups_per_word=1, address_bits=26, weight_address_bits=14,
)  # fmt: skip
WORK = Work(cycles=1000, mac_cycles=900, outputs=80, passes=10, visits=40, layers=3, nonzero=0.5)


def test_flip_flops_are_counted_exactly():
    for row in logic.read_rows(logic.GATES):
        assert row.found["flops"] == logic.flip_flops(row.core), row


def test_gated_clocks_reach_what_changes():
    gated = replace(CORE, clock_gating=True)
    assert logic.flip_flops(gated) == logic.flip_flops(CORE)
    assert logic.clocked(CORE, WORK) == WORK.cycles * logic.flip_flops(CORE)
    sums, output, layer, held = 900 * 8 * 20, 80 * 56, 3 * 69, 140 * (26 + 40 + 3 + 1)
    always, gates = 1000 * (14 + 10 + 3 + 6), 1000 * 2 * 11
    assert logic.clocked(gated, WORK) == sums + output + layer + held + always + gates
    ours, other = logic.energy(CORE, WORK), logic.energy(gated, WORK)
    assert other["clock"] < 0.7 * ours["clock"] and {**other, "clock": 0} == {**ours, "clock": 0}


def test_gates_and_energy_meet_the_runs_left_out_of_the_fit():
    gates, energy = logic.gate_errors(), logic.energy_errors()
    assert gates["all"].held_out_median < 0.03 and gates["all"].held_out_largest < 0.08
    assert energy["all"].held_out_largest < 0.10  # a whole network is left out at a time
    assert energy["clock"].held_out_largest < 0.01
    assert len(logic.check_errors()) >= 4 and max(logic.check_errors().values()) < 0.10  # recorded speech, gated clocks
    for found in (*gates.values(), *energy.values()):
        assert found.median <= found.largest and found.median > 0  # a form of a few terms cannot meet every run


def test_libraries_agree():
    """NAND2 equivalents of the same designs in other libraries, whole cores."""
    other = logic.library_ratios()
    assert set(other) == {"nangate45_typ", "sky130hd_tt", "sg13g2", "osu018_stdcells"}
    assert np.abs(np.array(other["sg13g2"]) - 1).max() < 0.05
    assert max(abs(np.mean(ratios) - 1) for ratios in other.values()) < 0.10


@pytest.mark.parametrize("field", ["n_macs", "weight_bits", "acc_bits", "size_bits", "values_per_word", "groups_per_word"])
def test_more_of_anything_takes_more_gates_and_energy(field):
    more = replace(CORE, **{field: getattr(CORE, field) + 1})
    assert sum(logic.gates(more).values()) > sum(logic.gates(CORE).values())
    assert sum(logic.energy(more, WORK).values()) > sum(logic.energy(CORE, WORK).values())
    assert logic.flip_flops(more) >= logic.flip_flops(CORE)


@pytest.mark.parametrize("field", ["cycles", "mac_cycles", "outputs", "passes", "nonzero"])
def test_more_work_takes_more_energy_and_draws_are_taken_one_by_one(field):
    shares = np.array([getattr(WORK, field), 1.5 * getattr(WORK, field)])
    totals = sum(logic.energy(CORE, replace(WORK, **{field: shares})).values())
    assert totals[1] > totals[0] == pytest.approx(sum(logic.energy(CORE, WORK).values()))


def test_a_planted_law_is_found():
    """Rows that follow the form exactly are fitted exactly."""
    rows = list(logic.read_rows(logic.ENERGY))
    prices = {part: np.arange(1.0, 1.0 + len(terms)) * 1e-15 for part, terms in logic._terms(rows[0]).items()}
    planted = [replace(row, found=logic._priced(logic._terms(row), prices)) for row in rows]
    for part, fit in logic._fits(planted).items():
        np.testing.assert_allclose(fit, prices[part], rtol=1e-6)


def test_a_counted_network_has_the_core_of_its_design(made: ModuleType):
    model = made.random_model(2, widths=(40, 24, 8), bits=4)
    design = design_engine([model], n_macs=3, word_bits=32)
    assert replace(logic.core_of(count_model(model, design.engine)), acc_bits=design.acc_bits) == design.core
