"""Gates and switching energy of the engine's core, its memories left out: closed forms in its parameters, fitted to runs of the tools.

Owns the forms and their fits. Gates: designs of random parameters, synthesised with Yosys (logic_gates.tsv). Energy: networks at gate level, each
net's changes counted while they compute frames of speech (logic_energy.tsv). Flip-flops are counted exactly. What is fitted:

    gates       mac: MACs, MACs x weight bits x operand bits, MACs x accumulator bits; operands, control, output: see `_gate_terms`
    energy      mac: products that are not zero, by weight bits x operand bits and by accumulator bits, and the sums that begin anew with a pass;
                operands: cycles; control: cycles with products and without; output: outputs and passes; clock: flip-flops x cycles

Energies hold at 1 V and the node of the library, without wires and glitches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from cgs.hw.counts import Counts
from cgs.hw.sram import HELD_OUT_PARTS, FitErrors

GATES = Path(__file__).with_name("logic_gates.tsv")
ENERGY = Path(__file__).with_name("logic_energy.tsv")
CHECK = Path(__file__).with_name("logic_check.tsv")
"""Networks on recorded speech, and gated clocks, as ENERGY; nothing is fitted to them."""
PARTS = ("mac", "operands", "control", "output")
LIBRARY = "nangate45_typ"
"""Of the rows that are fitted; the others compare."""
LAYER_FLOPS, STATE_FLOPS = 19, 6
"""Flags, shifts and widths of a layer; the state, and what the next product is."""
CELL_FLOPS, CELL_STATE_FLOPS = 9, 4
"""A tanh that waits to be multiplied; the half of h, the first frame, the second cycle of a cell, where the next operand is from."""
GATE_FLOPS = 2
"""What the clock takes in a gate that lets nothing pass, in flip-flops' clock pins."""


@dataclass(frozen=True)
class Core:
    """What the core's size depends on.

    Args:
        n_macs: multiply-accumulate units.
        weight_bits, value_bits, acc_bits: of a weight, of an activation, of an accumulator.
        size_bits: of the counters of inputs, outputs and blocks.
        index_bits: of a block index.
        values_per_word, groups_per_word: values of an activation word, cycles that a weight word lasts.
        address_bits: of the table and the biases, and twice those of the indices, together.
        weight_address_bits: of the weights.
        clock_gating: whether registers that seldom change have gated clocks.
        cell_bits: which gate of which cell is next, and where the layer's h is kept; 0 where no layer has cells.
    """

    n_macs: int
    weight_bits: int
    value_bits: int
    acc_bits: int
    size_bits: int
    index_bits: int
    values_per_word: int
    groups_per_word: int
    address_bits: int
    weight_address_bits: int
    clock_gating: bool = False
    cell_bits: int = 0


@dataclass(frozen=True)
class Work:
    """What a frame asks of it.

    Args:
        cycles: all of them.
        mac_cycles: those in which products are formed.
        outputs, passes: values computed, and groups of at most as many as there are MACs.
        visits, layers: kept blocks in all passes, and layers.
        nonzero: share of the products that are not zero; a number, or one number a draw.
        cells: of an LSTM, each of which is computed once.
    """

    cycles: float
    mac_cycles: float
    outputs: float
    passes: float
    visits: float
    layers: float
    nonzero: Any
    cells: float = 0.0


def address_bits(words: int) -> int:
    """Bits of an address of so many words, at least 1."""
    return max(1, (words - 1).bit_length())


def core_of(counts: Counts) -> Core:
    """The core of a counted engine."""
    engine, memories = counts.engine, counts.memories
    bits = {name: address_bits(memory.n_words) for name, memory in memories.items()}
    weight_bits = max(engine.weight_bits, *counts.macs_by_bits)
    return Core(
        engine.n_macs, weight_bits, engine.activation_bits, counts.acc_bits, counts.size_bits, memories["index"].word_bits,
        engine.values_per_word, engine.groups_per_word(weight_bits), bits["table"] + bits["bias"] + 2 * bits["index"], bits["weights"],
        engine.clock_gating, cell_bits(counts.size_bits, memories["state"].n_words // 2) if counts.cells else 0,
    )  # fmt: skip


def cell_bits(size_bits: int, state_words: int) -> int:
    """Bits of `Core.cell_bits`, of an engine that has cells with so many words of h."""
    return 2 + size_bits + address_bits(state_words)


def work_of(counts: Counts, share: Any) -> Work:
    """What a frame asks of the core; the share of the products that are not zero may be an array of draws."""
    outputs, layers = counts.memories["bias"].reads, counts.memories["table"].reads
    return Work(counts.cycles, counts.mac_cycles, outputs, counts.passes, counts.visits, layers, share, counts.cells)


def flip_flops(core: Core) -> int:
    """Flip-flops, all that Yosys finds: sums, output word, the layer's row of the table, counters, addresses."""
    return sum(bits for bits, _ in _registers(core, Work(0, 0, 0, 0, 0, 0, 0)).values())


def clocked(core: Core, work: Work) -> Any:
    """Times in a frame that a flip-flop is clocked, all of them together; a clock gate (of each MAC, output, layer, held; three of cells) counts
    as GATE_FLOPS."""
    registers = _registers(core, work)
    if not core.clock_gating:
        return work.cycles * sum(bits for bits, _ in registers.values())
    return sum(bits * cycles for bits, cycles in registers.values()) + work.cycles * GATE_FLOPS * (core.n_macs + (6 if core.cell_bits else 3))


def _registers(core: Core, work: Work) -> dict[str, tuple[int, Any]]:
    """Flip-flops by what they are for, and the cycles in which a gated clock reaches them."""
    always = core.weight_address_bits + core.size_bits + (core.values_per_word - 1).bit_length() + 2 * (core.groups_per_word - 1).bit_length() + STATE_FLOPS
    cells = {
        "cell": (CELL_FLOPS, 2 * work.cells),
        "cell layer": (1, work.layers),
        "cell held": (core.cell_bits, work.outputs),
        "cell always": (CELL_STATE_FLOPS, work.cycles),
    }
    return (cells if core.cell_bits else {}) | {
        "sums": (core.n_macs * core.acc_bits, work.mac_cycles),
        "output": ((core.values_per_word - 1) * core.value_bits, work.outputs),
        "layer": (5 * core.size_bits + LAYER_FLOPS, work.layers),
        "held": (core.address_bits + 4 * core.size_bits + address_bits(core.n_macs) + 1, work.cycles - work.mac_cycles + work.visits),
        "always": (always, work.cycles),
    }


def gates(core: Core) -> dict[str, float]:
    """NAND2 equivalents of each of PARTS."""
    return _priced(_gate_terms(core), _fitted_gates())


def energy(core: Core, work: Work) -> dict[str, Any]:
    """Energy of a frame, J, at 1 V, of each of PARTS and of the clock."""
    return _priced(_energy_terms(core, work), _fitted_energy())


def _priced(terms: Mapping[str, Sequence[Any]], fits: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {part: sum(term * price for term, price in zip(terms[part], fit.tolist(), strict=True)) for part, fit in fits.items()}


def _gate_terms(core: Core) -> dict[str, list[float]]:
    n, acc, size = core.n_macs, core.acc_bits, core.size_bits
    return {
        "mac": [n, n * core.weight_bits * (core.value_bits + 1), n * acc],
        "operands": [n * acc, core.values_per_word * core.value_bits, n * core.weight_bits * (core.groups_per_word - 1)],
        "control": [1, size, size * core.index_bits, n],
        "output": [1, acc, core.values_per_word * core.value_bits],
    }


def _energy_terms(core: Core, work: Work) -> dict[str, list[float]]:
    products = work.mac_cycles * core.n_macs * work.nonzero
    return {
        "mac": [products * core.weight_bits * (core.value_bits + 1), products * core.acc_bits, work.passes * core.n_macs * core.acc_bits],
        "operands": [work.cycles * core.value_bits],
        "control": [work.mac_cycles * core.size_bits, (work.cycles - work.mac_cycles) * core.size_bits],
        "output": [work.outputs * core.acc_bits, work.passes * core.acc_bits],
        "clock": [clocked(core, work)],
    }


@dataclass(frozen=True)
class Row:
    """One run of a table: its library or network, the core, the frame's work where it computed any, and what was found, by part."""

    name: str
    core: Core
    work: Work | None
    found: dict[str, float]


@lru_cache
def read_rows(path: Path) -> tuple[Row, ...]:
    """Rows of GATES or ENERGY; the columns are named after the fields of `Core` and `Work`, but for what no row has, and after the parts."""
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    rows = []
    for cells in lines[1:]:
        entry = dict(zip(lines[0], cells, strict=True))
        name = entry.pop("name")
        numbers: dict[str, Any] = {field.name: int(entry.pop(field.name)) for field in fields(Core) if field.name in entry}
        core = Core(**numbers | {"clock_gating": bool(numbers["clock_gating"])})
        work = Work(**{field.name: float(entry.pop(field.name)) for field in fields(Work) if field.name in entry}) if "cycles" in entry else None
        rows.append(Row(name, core, work, {part: float(value) for part, value in entry.items()}))
    return tuple(rows)


def _fit(terms: list[list[float]], found: list[float]) -> np.ndarray:
    """Coefficients of the least relative error."""
    matrix = np.array(terms) / np.array(found)[:, None]
    return np.linalg.lstsq(matrix, np.ones(len(found)), rcond=None)[0]


def _fits(rows: list[Row]) -> dict[str, np.ndarray]:
    """Coefficients of each part."""
    terms = [_terms(row) for row in rows]
    return {part: _fit([term[part] for term in terms], [row.found[part] for row in rows]) for part in terms[0]}


def _terms(row: Row) -> dict[str, list[float]]:
    return _energy_terms(row.core, row.work) if row.work else _gate_terms(row.core)


def _fitted_designs() -> list[Row]:
    return [row for row in read_rows(GATES) if row.name == LIBRARY]


@lru_cache
def _fitted_gates() -> dict[str, np.ndarray]:
    return _fits(_fitted_designs())


@lru_cache
def _fitted_energy() -> dict[str, np.ndarray]:
    return _fits(list(read_rows(ENERGY)))


def gate_errors() -> dict[str, FitErrors]:
    """Of PARTS and of all gates together; a fifth of the designs is held out at a time."""
    rows = _fitted_designs()
    return _errors(rows, [part % HELD_OUT_PARTS for part in range(len(rows))])


def library_ratios() -> dict[str, list[float]]:
    """Gates of whole cores in each library, over those of the same designs in the one that is fitted."""
    totals = [(row.name, row.core, sum(row.found[part] for part in PARTS)) for row in read_rows(GATES)]
    ours = {core: total for name, core, total in totals if name == LIBRARY}
    return {library: [total / ours[core] for name, core, total in totals if name == library] for library, _, _ in totals}


def energy_errors() -> dict[str, FitErrors]:
    """Of PARTS, the clock and all together; the runs of one network are held out at a time."""
    rows = list(read_rows(ENERGY))
    names = sorted({row.name for row in rows})
    return _errors(rows, [names.index(row.name) for row in rows])


def check_errors() -> dict[str, float]:
    """Relative errors of the energy of all parts together, of each run of CHECK."""
    rows = list(read_rows(CHECK))
    names = [f"{row.name}, {row.core.n_macs} MACs{', gated clocks' if row.core.clock_gating else ''}" for row in rows]
    return dict(zip(names, _off(rows, _fitted_energy())["all"], strict=True))


def _errors(rows: list[Row], folds: list[int]) -> dict[str, FitErrors]:
    fitted = _off(rows, _fits(rows))
    held_out: dict[str, list[float]] = {part: [] for part in fitted}
    for fold in sorted(set(folds)):
        inside, outside = ([row for row, its in zip(rows, folds, strict=True) if (its == fold) == out] for out in (False, True))
        for part, errors in _off(outside, _fits(inside)).items():
            held_out[part] += errors
    ends = {part: [end for errors in (fitted[part], held_out[part]) for end in (np.median(errors), max(errors))] for part in fitted}
    return {part: FitErrors(*map(float, found)) for part, found in ends.items()}


def _off(rows: list[Row], fits: dict[str, np.ndarray]) -> dict[str, list[float]]:
    off: dict[str, list[float]] = {part: [] for part in (*fits, "all")}
    for row in rows:
        told = _priced(_terms(row), fits)
        for part in fits:
            off[part].append(abs(told[part] / row.found[part] - 1))
        off["all"].append(abs(sum(told.values()) / sum(row.found[part] for part in fits) - 1))
    return off
