"""Exploring designs: the front against a slow reference, every point against the estimate, and limits whose answer is planted."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from cgs.base.errors import ConfigError
from cgs.hw.costs import area, max_clock
from cgs.hw.counts import Engine
from cgs.hw.estimate import count_packed
from cgs.hw.explore import Limits, Point, Space, front, intervals, reasons, suggest, sweep
from cgs.hw.model import at_supply
from cgs.hw.technology import load_technology
from cgs.quant.packed import PackedLayer, PackedModel

SPACE = Space((1, 2, 4), (32, 64), (4096, 16384), ("40nm", "65nm"), (0.5, 0.6, 0.9))
PLAIN = Point(8, 64, 4096, "40nm", 0.6, 1e6, 2e6, 10e-6, 0.5e-6, 1e-3)


def packed():
    formats = (6, 5, 16, 5, 8, True, 4, 32, 9, False)
    return PackedModel((PackedLayer(403, 500, 0, None, np.ones((500, 403), dtype=np.int8), np.zeros(500, dtype=np.int64), *formats),), {})


def slow_front(points):
    """What is said of each pair of points, one by one."""
    kept = set()
    for one in points:
        beaten = False
        for other in points:
            pairs = list(zip(other.objectives, one.objectives, strict=True))
            beaten = beaten or (all(a <= b for a, b in pairs) and any(a < b for a, b in pairs))
        if not beaten:
            kept.add(one.objectives)
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_that_of_a_slow_search_with_ties(seed):
    values = np.random.default_rng(seed).integers(1, 9, (120, 3)).tolist()
    points = [replace(PLAIN, power_w=float(a), area_m2=float(b), latency_s=float(c)) for a, b, c in values]
    found = [point.objectives for point in front(points)]
    assert found == sorted(slow_front(points))


def test_the_front_of_a_model_is_that_of_a_slow_search():
    points = sweep(packed(), SPACE, 100.0)
    found = [point.objectives for point in front(points)]
    assert set(found) == slow_front(points) and len(set(found)) == len(found) < len(points)


def test_each_combination_is_once_there_and_costs_what_the_estimate_says():
    points = sweep(packed(), SPACE, 100.0, 330.0)
    chosen = [(point.n_macs, point.word_bits, point.bank_bytes, point.node, point.supply_v) for point in points]
    assert sorted(chosen) == sorted(itertools.product(SPACE.n_macs, SPACE.word_bits, SPACE.bank_bytes, SPACE.nodes, SPACE.supplies_v))
    for point in points:
        counts, tech = count_packed(packed(), point.n_macs, Engine(word_bits=point.word_bits, bank_bytes=point.bank_bytes)), load_technology(point.node)
        alone = at_supply(counts, tech, point.supply_v, 100.0, 330.0, with_intervals=False)
        assert point.power_w == pytest.approx(min(alone["modes_w"]["idle"], alone["modes_w"]["sleep"]))
        assert point.area_m2 == pytest.approx(sum(area(counts, tech).values()))
        assert point.max_clock_hz == pytest.approx(max_clock(counts, point.supply_v, tech)) and point.clock_hz == 100 * counts.cycles
        assert point.latency_s == pytest.approx(counts.cycles / point.max_clock_hz) and point.real_time == alone["real_time"]


def test_a_higher_supply_takes_more_power_and_less_time():
    by_supply = sweep(packed(), replace(SPACE, n_macs=(8,), word_bits=(64,), bank_bytes=(4096,), nodes=("40nm",), supplies_v=(0.6, 0.8, 1.0, 1.2)), 100.0)
    assert np.all(np.diff([point.power_w for point in by_supply]) > 0) and np.all(np.diff([point.latency_s for point in by_supply]) < 0)
    assert len({point.area_m2 for point in by_supply}) == 1 and front(by_supply) == by_supply


def test_a_looser_limit_never_costs_power():
    points = sweep(packed(), SPACE, 100.0)
    latencies = sorted(point.latency_s for point in points if point.real_time)
    powers = [suggest(points, Limits(max_latency_s=latency)).power_w for latency in latencies]
    assert powers == sorted(powers, reverse=True) and powers[0] > powers[-1]
    for latency in latencies:
        assert suggest(points, Limits(max_latency_s=latency)).latency_s <= latency


def test_least_power_among_those_that_keep_up_is_suggested():
    cheap_but_slow, dear = replace(PLAIN, power_w=1e-6, max_clock_hz=0.9e6), replace(PLAIN, power_w=12e-6)
    assert suggest([cheap_but_slow, dear, PLAIN]) is PLAIN


def test_nothing_possible_says_what_is_nearest():
    slow = replace(PLAIN, max_clock_hz=0.5e6)
    with pytest.raises(ConfigError, match=r"none of 2 points keeps up; nearest: 1 MHz needed, 500 kHz possible with 40nm, 8 MACs.*0\.6 V \(give more MACs"):
        suggest([replace(slow, n_macs=4, clock_hz=2e6), slow])
    with pytest.raises(ConfigError, match=r"none of the 1 points that keep up is within the limits; least area 0\.5 mm2, least latency 1 ms \(raise"):
        suggest([PLAIN, slow], Limits(max_area_m2=0.4e-6))


def test_reasons_tell_a_planted_story():
    below = replace(PLAIN, supply_v=0.55, max_clock_hz=0.8e6, power_w=8e-6)
    half = [replace(PLAIN, n_macs=4, supply_v=v, clock_hz=1.9e6, max_clock_hz=f, power_w=p) for v, f, p in ((0.6, 1.5e6, 9e-6), (0.65, 2e6, 13e-6))]
    twice = replace(PLAIN, n_macs=16, clock_hz=0.6e6, power_w=10.1e-6, area_m2=0.56e-6)
    quarter = replace(PLAIN, n_macs=2, power_w=99e-6)
    never = replace(PLAIN, node="65nm", max_clock_hz=0.7e6)
    told = reasons([below, PLAIN, *half, twice, quarter, never], PLAIN)
    assert told == [
        "supply: limited by the clock; real time needs 1 MHz, 800 kHz are possible at 0.55 V, 2 MHz at 0.6 V",
        "4 MACs: 1.90x the clock needed, not possible below 0.65 V: 30.0 % more power (at 0.65 V)",
        "16 MACs: 0.60x the clock needed: 1.0 % more power, 12.0 % more area (at 0.6 V)",
        "65nm: too slow even at 0.6 V, 700 kHz of 1 MHz",
    ]


def test_reasons_tell_what_limits_the_supply_and_what_limits_cost():
    below = replace(PLAIN, supply_v=0.55, power_w=8e-6, latency_s=3e-3)
    points = [below, PLAIN, replace(PLAIN, n_macs=16, area_m2=2e-6)]
    assert reasons(points, PLAIN, Limits(max_area_m2=1e-6, max_latency_s=2e-3)) == [
        "supply: limited by the latency; a frame takes 3 ms at 0.55 V",
        f"the limits cost power: without them {below.name} would do, 20.0 % less power, 200.0 % more latency",
        "16 MACs: outside the limits, at least 2 mm2 and 1 ms",
    ]
    assert reasons([below], below) == ["supply: 0.55 V is the lowest that was given"]
    assert reasons([replace(below, power_w=11e-6), PLAIN], PLAIN)[0] == "supply: a true minimum; at 0.55 V 10.0 % more power, 200.0 % more latency"


def test_an_interval_holds_its_value():
    point = suggest(sweep(packed(), SPACE, 100.0))
    told = intervals(packed(), point, 100.0)
    for name, value in (("power_interval_w", point.power_w), ("area_interval_m2", point.area_m2)):
        low, high = told[name]
        assert low < value < high < 3 * low
