"""Laws of the model, the table behind it, and the published chips."""

from __future__ import annotations

import math
import re

import pytest

from cgs.base.errors import FormatError
from cgs.base.options import HardwareOptions
from cgs.hw import model
from cgs.hw.counts import Engine, Memory
from cgs.hw.estimate import ROW_KEYS, estimate
from cgs.hw.technology import KINDS, TABLE, load_technology, table_digest

NODES = ("40nm", "65nm")


class Layer:
    n_in, n_out, block, kept, bits = 440, 1024, 0, None, 6


class Model:
    layers = [Layer()]


@pytest.fixture(params=NODES)
def tech(request):
    return load_technology(request.param)


def test_every_figure_has_value_unit_source_kind_and_interval(tech):
    for name, figure in tech.figures.items():
        assert figure.value > 0 and figure.unit and len(figure.source) > 10, name
        assert figure.kind in KINDS and figure.low <= 1 <= figure.high, name
    assert sum(figure.kind == "calibrated" for figure in tech.figures.values()) == 1


def test_a_figure_without_source_is_an_error(tmp_path):
    text = TABLE.read_text(encoding="utf-8")
    path = tmp_path / "table.toml"
    path.write_text(re.sub(r'(\[figures.utilisation\]\nvalue = 0.7\nunit = "1"\nkind = "assumed"\n)source = .*\n', r"\1", text), encoding="utf-8")
    with pytest.raises(FormatError, match=r"figure utilisation: no \['source'\]"):
        load_technology("40nm", path)
    with pytest.raises(FormatError, match="no node '28nm'"):
        load_technology("28nm")
    assert table_digest(path) != table_digest()


def test_dynamic_energy_goes_with_the_square_of_the_supply(tech):
    counts = model.published_counts("keyword")
    low, high = (model.power(counts, tech, v, 100.0) for v in (0.6, 1.2))
    for name in model.COMPONENTS[:5]:
        assert high[name] == pytest.approx(4 * low[name])
    assert set(low) == set(model.COMPONENTS)


def test_leakage_falls_and_delay_rises_monotonically_as_the_supply_falls(tech):
    counts = model.published_counts("keyword")
    supplies = [0.2 + 0.01 * step for step in range(100)]
    delays = [model.relative_delay(v, tech) for v in supplies]
    leakage = [model.power(counts, tech, v, 100.0)["memory_leakage"] for v in supplies]
    assert all(a > b for a, b in zip(delays, delays[1:], strict=False))
    assert all(a < b for a, b in zip(leakage, leakage[1:], strict=False))
    steps = [math.log(a / b) for a, b in zip(delays, delays[1:], strict=False)]
    assert max(abs(a - b) for a, b in zip(steps, steps[1:], strict=False)) < 0.02  # no kink at the threshold
    assert model.relative_delay(tech["nominal_supply"], tech) == 1


def test_the_ring_oscillator_behind_the_delay_is_met():
    tech = load_technology("40nm")
    assert model.relative_delay(0.6, tech) / model.relative_delay(1.0, tech) == pytest.approx(18.9, rel=0.03)


def test_the_sram_figures_of_the_cacti_run_are_met():
    tech = load_technology("40nm")
    read = {(kb, bits): model.access_energy(Memory(bits, kb * 8192 // bits), 1e9, 0.0, tech) * 1.06**2 for kb, bits in ((64, 64), (64, 8), (4, 64), (1024, 64))}
    assert read[64, 64] == pytest.approx(24.5e-12)
    assert read[64, 8] == pytest.approx(8.9e-12, rel=0.001)
    assert read[4, 64] == pytest.approx(3.15e-12, rel=0.001)
    assert read[1024, 64] == pytest.approx(87e-12, rel=0.001)


def test_the_calibrated_constant_is_what_the_keyword_chip_asks_for():
    tech = load_technology("40nm")
    assert tech["overhead"] == pytest.approx(model.calibrated_overhead(tech), rel=1e-3)
    keyword, speech = (sum(model.power(model.published_counts(chip), tech, 0.6, 100.0).values()) for chip in ("keyword", "speech"))
    assert keyword == pytest.approx(7e-6, rel=1e-3)
    assert 80e-6 < speech < 130e-6  # a prediction; docs/hardware.md states it
    low, high = model.power_interval(model.published_counts("speech"), tech, 0.6, 100.0)
    assert low < 103e-6 < high


def test_docs_state_the_prediction_that_the_model_makes():
    tech = load_technology("40nm")
    speech = sum(model.power(model.published_counts("speech"), tech, 0.6, 100.0).values())
    text = (TABLE.parents[2] / "docs" / "hardware.md").read_text(encoding="utf-8")
    assert f"{speech * 1e6:.0f} uW" in text


def test_a_wider_figure_widens_the_interval_and_the_interval_holds_the_power(tech):
    counts = model.published_counts("keyword")
    low, high = model.power_interval(counts, tech, 0.6, 100.0)
    assert low < sum(model.power(counts, tech, 0.6, 100.0).values()) < high


def test_estimate_flags_a_supply_that_is_too_slow():
    options = HardwareOptions(n_macs=1, supply_v=[0.5, 1.1], reference_supply_v=0.5)
    told = estimate(Model(), options)
    assert [row["real_time"] for row in told["nodes"]["40nm"]] == [False, True]
    assert len(told["warnings"]) == 2 and "hardware.n_macs" in told["warnings"][0]
    assert set(told["summary"]) == {"40nm", "65nm"} and tuple(told["summary"]["40nm"]) == ROW_KEYS
    row = told["nodes"]["40nm"][1]
    assert row["power_w"] == pytest.approx(sum(row["components_w"].values()))
    assert row["clock_hz"] == told["counts"]["cycles"] * 100 == told["frequency_needed_hz"]


def test_more_macs_need_a_slower_clock_and_more_area():
    one, eight = (estimate(Model(), HardwareOptions(n_macs=n))["reference"]["40nm"] for n in (1, 8))
    assert eight["clock_hz"] < one["clock_hz"] / 6
    assert eight["area_m2"] > one["area_m2"]


def test_banks_make_a_read_cheaper():
    tech = load_technology("40nm")
    fine, coarse = (model.frame_energy(model.published_counts("speech", Engine(bank_bytes=size)), tech)["weight_memory"] for size in (4096, 65536))
    assert fine < coarse
