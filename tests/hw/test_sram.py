"""The closed form of an SRAM's costs: recovered from planted data, near CACTI, sound outside its range, and CACTI itself where it is there."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import ConfigError, ToolError
from cgs.hw import cacti, sram

SAMPLE = ((40, 16384, 64), (45, 65536, 8), (65, 2048, 32))


def test_a_planted_law_is_recovered():
    grid = sram.read_grid()
    rows = grid[grid[:, 0] == 40].copy()
    planted = np.random.default_rng(0).normal(size=(7, 6))
    size, width = np.log2(rows[:, 1] / 65536), np.log2(rows[:, 2] / 64)
    for column in range(6):
        c = planted[:, column]
        rows[:, 3 + column] = np.exp(c[0] + c[1] * size + c[2] * width + c[3] * size**2 + c[4] * size * width + c[5] * width**2 + c[6] * size * width**2)
    np.testing.assert_allclose(sram.fit(rows), planted, atol=1e-9)


def test_the_grid_is_whole_and_the_form_is_near_it():
    grid = sram.read_grid()
    assert sorted(map(tuple, grid[:, :3])) == sorted((n, 1024 * kb, w) for n in cacti.NODES_NM for kb in cacti.KILOBYTES for w in cacti.WIDTHS)
    assert (grid[:, 3:] > 0).all()
    for name, errors in sram.fit_errors().items():
        assert errors.median <= 0.15 and errors.largest <= 0.30, name
        assert errors.held_out_median <= 0.15 and errors.largest <= errors.held_out_largest <= 0.30, name
        assert errors.between_median <= 0.15 and errors.between_largest <= 0.30, name


def test_errors_are_those_of_the_costs_that_are_used():
    """The slow way: every point of the grid through `macro`."""
    ends = []
    for path in (sram.GRID, sram.CHECK):
        off = np.array([np.abs(np.array(astuple(sram.macro(int(row[0]), row[1], row[2]))) / row[3:] - 1) for row in sram.read_grid(path)])
        ends += [np.median(off, axis=0), off.max(axis=0)]
    for column, errors in enumerate(sram.fit_errors().values()):
        told = (errors.median, errors.largest, errors.between_median, errors.between_largest)
        assert told == pytest.approx([end[column] for end in ends])


def test_no_checked_memory_is_one_that_was_fitted():
    fitted = set(map(tuple, sram.read_grid()[:, :3]))
    assert not fitted & set(map(tuple, sram.read_grid(sram.CHECK)[:, :3]))


def test_costs_grow_with_the_size_at_every_node_and_width():
    for node in cacti.NODES_NM:
        for width in (8, 24, 64):
            costs = np.array([astuple(sram.macro(node, 2048 * 2**step, width)) for step in range(10)])
            assert (np.diff(costs, axis=0) > 0).all()


def test_a_wide_word_is_several_memories_side_by_side():
    wide, narrow = sram.macro(40, 65536, 256), sram.macro(40, 16384, 64)
    assert (wide.read_j, wide.write_j, wide.leakage_w, wide.area_m2) == pytest.approx(
        tuple(4 * value for value in (narrow.read_j, narrow.write_j, narrow.leakage_w, narrow.area_m2))
    )
    assert wide.access_s == narrow.access_s


def test_outside_its_range_a_memory_leaks_in_proportion_and_reads_as_at_the_end():
    small, end = sram.macro(65, 512, 16), sram.macro(65, 2048, 16)
    assert (small.read_j, small.access_s) == (end.read_j, end.access_s)
    assert small.leakage_w == pytest.approx(end.leakage_w / 4) and small.area_m2 == pytest.approx(end.area_m2 / 4)
    assert sram.macro(65, 1 << 22, 32).leakage_w == pytest.approx(4 * sram.macro(65, 1 << 20, 32).leakage_w)
    assert sram.macro(65, 4096, 5) == sram.macro(65, 4096, 8)


def test_an_unknown_node_and_no_size_are_errors():
    with pytest.raises(ConfigError, match=r"SRAM at 28 nm: no CACTI runs \(nodes: 40, 45, 65 nm\)"):
        sram.macro(28, 4096, 32)
    with pytest.raises(ConfigError, match="positive size"):
        sram.macro(40, 0, 32)


def test_a_missing_or_silent_program_is_an_error(tmp_path):
    with pytest.raises(ToolError, match="name the folder of a CACTI 7 build"):
        cacti.run(tmp_path, 40, 4096, 32)
    (tmp_path / "cacti").write_text("#!/bin/sh\necho ERROR: no valid data array organizations found\n")
    (tmp_path / "cacti").chmod(0o755)
    with pytest.raises(ToolError, match="no valid data array"):
        cacti.run(tmp_path, 40, 4096, 32)


def _cacti_folder() -> Path | None:
    if named := os.environ.get("CGS_CACTI"):
        return Path(named)
    spec = importlib.util.find_spec("zigzag")
    folders = [Path(place) / "cacti" / "cacti_master" for place in (spec.submodule_search_locations or [])] if spec else []
    return next((folder for folder in folders if (folder / "cacti").exists()), None)


@pytest.mark.skipif(_cacti_folder() is None, reason="no CACTI 7: name its folder in CGS_CACTI")
@pytest.mark.parametrize(("node", "n_bytes", "word_bits"), SAMPLE)
def test_cacti_gives_what_the_grid_holds(node, n_bytes, word_bits):
    folder = _cacti_folder()
    assert folder is not None
    row = next(row for row in sram.read_grid() if tuple(row[:3]) == (node, n_bytes, word_bits))
    costs = cacti.run(folder, node, n_bytes, word_bits)
    assert [costs[name] for name in sram.COSTS] == pytest.approx(list(row[3:]), rel=1e-4)
