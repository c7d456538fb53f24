"""What one SRAM macro costs: a closed form in its size and word, fitted to CACTI 7.

Owns the form and its fit to sram_grid.tsv. For each node and cost, with s = log2(bytes / 64 KB) and w = log2(word bits / 64),

    ln cost = c0 + c1 s + c2 w + c3 s^2 + c4 s w + c5 w^2 + c6 s w^2.

Costs hold at CACTI's own supply and 300 K; the laws of supply and temperature are in cgs.hw.supply."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from cgs.base.errors import ConfigError

GRID = Path(__file__).with_name("sram_grid.tsv")
CHECK = Path(__file__).with_name("sram_check.tsv")
"""Memories between the points of the grid; nothing is fitted to them."""
COSTS = ("read_j", "write_j", "access_s", "leakage_w", "gate_leakage_w", "area_m2")
BYTES_RANGE = (2048.0, 1048576.0)
WIDTH_RANGE = (8.0, 64.0)
REFERENCE_BYTES, REFERENCE_BITS = 65536.0, 64.0
HELD_OUT_PARTS = 5


@dataclass(frozen=True)
class Macro:
    """Costs of one memory of one word per access: reading and writing a word in J, access time in s, leakages in W, area in m2."""

    read_j: float
    write_j: float
    access_s: float
    leakage_w: float
    gate_leakage_w: float
    area_m2: float


@dataclass(frozen=True)
class FitErrors:
    """Relative errors |form / run - 1| of what is fitted: over the runs, and over those held out of the fit."""

    median: float
    largest: float
    held_out_median: float
    held_out_largest: float


@dataclass(frozen=True)
class Errors(FitErrors):
    """Those of one cost of a memory, and of memories between the points of the grid."""

    between_median: float
    between_largest: float


@lru_cache
def read_grid(path: Path = GRID) -> np.ndarray:
    """The CACTI grid: (n, 9) float, columns node in nm, bytes, word bits and COSTS in SI units."""
    return np.loadtxt(path, comments="#", skiprows=3)


def _terms(n_bytes: np.ndarray, word_bits: np.ndarray) -> np.ndarray:
    size, width = np.log2(n_bytes / REFERENCE_BYTES), np.log2(word_bits / REFERENCE_BITS)
    return np.stack([np.ones_like(size), size, width, size**2, size * width, width**2, size * width**2], axis=-1)


def fit(rows: np.ndarray) -> np.ndarray:
    """Least squares of ln cost for one node.

    Args:
        rows: (n, 9) of the grid, n at least 7.
    Returns: (7, 6) coefficients, a column for each of COSTS.
    """
    return np.linalg.lstsq(_terms(rows[:, 1], rows[:, 2]), np.log(rows[:, 3:]), rcond=None)[0]


@lru_cache
def coefficients(node_nm: int) -> np.ndarray:
    """Coefficients of one node, (7, 6). Raises: ConfigError: no CACTI runs of this node."""
    grid = read_grid()
    rows = grid[grid[:, 0] == node_nm]
    if not len(rows):
        raise ConfigError(f"SRAM at {node_nm} nm: no CACTI runs", f"nodes: {', '.join(str(int(node)) for node in np.unique(grid[:, 0]))} nm")
    return fit(rows)


@lru_cache(maxsize=4096)
def macro(node_nm: int, n_bytes: float, word_bits: float) -> Macro:
    """Costs of one memory that delivers a whole word.

    Below 2 KB and above 1 MB a memory costs energy and time as at that end, and leaks and covers in proportion to its size. A word of more than
    64 bits is divided among memories side by side, each of its share of the bytes; one of fewer than 8 is read as 8.

    Args:
        node_nm: 40, 45 or 65.
        n_bytes: size, more than 0.
        word_bits: bits of a word.
    Raises: ConfigError: no such node or no size.
    """
    if not (n_bytes > 0 and word_bits > 0):
        raise ConfigError(f"SRAM of {n_bytes:g} bytes and {word_bits:g}-bit words", "give both a positive size")
    n_beside = math.ceil(word_bits / WIDTH_RANGE[1])
    size, width = n_bytes / n_beside, max(word_bits / n_beside, WIDTH_RANGE[0])
    inside = min(max(size, BYTES_RANGE[0]), BYTES_RANGE[1])
    costs = dict(zip(COSTS, np.exp(_terms(np.array(inside), np.array(width)) @ coefficients(node_nm)).tolist(), strict=True))
    per_access = {name: n_beside * costs[name] for name in ("read_j", "write_j")}
    per_byte = {name: n_beside * costs[name] * size / inside for name in ("leakage_w", "gate_leakage_w", "area_m2")}
    return Macro(access_s=costs["access_s"], **per_access, **per_byte)


def fit_errors() -> dict[str, Errors]:
    """Errors of the form for each of COSTS over all nodes; held out is every fifth point in turn, fitted on the other four fifths."""
    grid, check = read_grid(), read_grid(CHECK)
    fitted, held_out, between = [], [], []
    for node in np.unique(grid[:, 0]):
        rows, unseen = grid[grid[:, 0] == node], check[check[:, 0] == node]
        fitted.append(_off(rows, fit(rows)))
        between.append(_off(unseen, fit(rows)))
        for part in range(HELD_OUT_PARTS):
            out = np.arange(len(rows)) % HELD_OUT_PARTS == part
            held_out.append(_off(rows[out], fit(rows[~out])))
    ends = [end for found in (fitted, held_out, between) for end in (np.median(np.concatenate(found), 0), np.concatenate(found).max(0))]
    return {name: Errors(*(float(end[column]) for end in ends)) for column, name in enumerate(COSTS)}


def _off(rows: np.ndarray, of_node: np.ndarray) -> np.ndarray:
    return np.abs(np.exp(_terms(rows[:, 1], rows[:, 2]) @ of_node) / rows[:, 3:] - 1)
