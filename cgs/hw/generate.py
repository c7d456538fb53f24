"""A directory that a hardware engineer can run without Python: RTL, memory images, frames with their results, a bench, a Makefile."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from cgs.base.errors import ShapeError
from cgs.hw.counts import GATE_COLUMNS, Counts, Memory
from cgs.hw.design import MEMORIES, Design, count_model, images, input_words, result_bits
from cgs.hw.logic import address_bits
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedModel

RTL = Path(__file__).with_name("rtl")


def write_rtl(design: Design, out: Path) -> None:
    """The parts of the engine, the benches, the Makefile, and the parameters: a package, and a script for Yosys.

    Args:
        design: the engine.
        out: a directory, made if need be.
    """
    for source in sorted([*RTL.glob("*.sv"), RTL / "Makefile", RTL / "cgs_toggles.cpp", *RTL.glob("benches/*.sv")]):
        target = out / source.relative_to(RTL)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    (out / "cgs_chip_pkg.sv").write_text(package(design), encoding="utf-8")
    (out / "cgs_core.ys").write_text(core_script(design), encoding="utf-8")


def package(design: Design) -> str:
    """Text of `cgs_chip_pkg.sv`."""
    parameters = design.parameters()
    widths = {name: bits for name, bits in design.word_bits.items() if name != "values"}
    words = (design.weight_words, design.index_words, design.bias_words, design.table_words)
    derived = {
        "ValueWordBits": design.word_bits["values"],
        "ValueAddressBits": address_bits(max(design.even_words, design.odd_words)),
        "LoadBits": max(widths.values()),
        "LoadAddressBits": address_bits(max(words)),
    }
    lines = [f"  parameter int unsigned {name} = {value};" for name, value in (parameters | derived).items()]
    return "\n".join(
        [
            "// Made from a packed model: the parameters of its engine.",
            "package cgs_chip_pkg;",
            *lines,
            f"  parameter bit Cells = 1'b{int(design.gate_words > 0)};",
            f"  parameter bit ClockGating = 1'b{int(design.engine.clock_gating)};",
            "endpackage",
            "",
        ]
    )


def core_script(design: Design) -> str:
    """Text of `cgs_core.ys`, which gives `cgs_core` its parameters in Yosys."""
    words = {"Table": design.table_words, "Weight": design.weight_words, "Index": design.index_words, "Bias": design.bias_words}
    words |= {"Value": max(design.even_words, design.odd_words), "Gate": design.gate_words, "State": design.state_words}
    parameters = {name: value for name, value in design.parameters().items() if not name.endswith("Words")}
    parameters |= {f"{name}AddressBits": address_bits(number) for name, number in words.items()}
    set_each = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    flags = f"-set Cells 1'b{int(design.gate_words > 0)} -set ClockGating 1'b{int(design.engine.clock_gating)}"
    return f"# Made from a packed model: the parameters of its engine's core.\nchparam {set_each} {flags} cgs_core\n"


def write_images(model: PackedModel, design: Design, spliced: np.ndarray, out: Path) -> int:
    """Images of the memories, frames, and what the integer engine makes of them.

    Args:
        model: one that the engine was designed for.
        design: the engine.
        spliced: (T, n_in) float, normalised and spliced features; one utterance, from whose first frame on a model with cells remembers.
        out: a directory, made if need be: weights.hex, index.hex, bias.hex, table.hex, inputs.hex, results.hex, expected.txt.
    Returns: cycles of a frame.
    Raises: ShapeError: no frame, or another width. DataError: a value that is not finite.
    """
    integers = IntegerEngine(model).integers(spliced)
    if not len(integers[-1]):
        raise ShapeError("no frames to simulate", "give a recording that is longer than one frame")
    out.mkdir(parents=True, exist_ok=True)
    for name, words in images(model, design).items():
        _write_hex(out / f"{name}.hex", words, design.word_bits[name])
    frames = input_words(model, integers[0], design)
    _write_hex(out / "inputs.hex", [word for frame in frames for word in frame], design.word_bits["values"])
    _write_hex(out / "results.hex", result_bits(integers[-1], design).ravel().tolist(), design.acc_bits)
    counts = count_model(model, design.engine)
    numbers = [len(frames), len(frames[0]), model.n_out, counts.cycles, *_accesses(counts, len(frames[0]))]
    (out / "expected.txt").write_text(" ".join(map(str, numbers)) + "\n", encoding="utf-8")
    return counts.cycles


def _accesses(counts: Counts, n_input_words: int) -> list[int]:
    """Accesses a frame, as the bits of `access_o` from the highest: four reads, inputs written, activations read and written, reads and writes of gates (all
    columns are read at once), c and h."""
    activations, none = counts.memories["activations"], Memory(0)
    told = [*(counts.memories[name].reads for name in MEMORIES), n_input_words, activations.reads, activations.writes - n_input_words]
    gates, cells, state = (counts.memories.get(name, none) for name in ("gates", "cells", "state"))
    return [*told, gates.reads // GATE_COLUMNS, gates.writes, cells.reads, cells.writes, state.reads, state.writes]


def _write_hex(path: Path, words: list[int], bits: int) -> None:
    digits = -(-bits // 4)
    path.write_text("".join(f"{word:0{digits}x}\n" for word in words), encoding="utf-8")
