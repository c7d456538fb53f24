"""The engine's cells of an LSTM in RTL against the integer engine, bit for bit and frame after frame, and against the counts."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cgs.base.errors import CgsError, ConfigError, ShapeError
from cgs.cli.main import main
from cgs.hw import logic
from cgs.hw.counts import Engine
from cgs.hw.design import Design, count_model, design_engine
from cgs.hw.estimate import count_packed
from cgs.hw.frames import made_frames
from cgs.hw.generate import RTL, write_images, write_rtl
from cgs.hw.simulate import simulate
from cgs.hw.synthesis import synthesise
from cgs.quant.cells import TANH
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedModel

N_FRAMES = 60


def lstm(
    made: ModuleType,
    seed: int,
    cells: tuple[int, ...] = (16, 8),
    n_below: int = 9,
    block: int = 0,
    n_kept: int = 2,
    block_in: int = 0,
    bits: int = 6,
    activation_bits: int = 8,
    fraction_bits: int = 0,
    weight_fraction_bits: int = 5,
    offsets: tuple[int, ...] = (0,),
) -> PackedModel:
    """Layers of cells and a dense output layer; h has one fraction bit less than bits where none are given."""
    random, layers, of_h = np.random.default_rng(seed), [], fraction_bits or activation_bits - 1
    inputs = {"input_bits": activation_bits, "input_signed": True}
    outputs = {"output_bits": activation_bits, "output_fraction_bits": of_h, "output_signed": True, "cells": True}
    below, fraction = n_below, 6
    for n_cells in cells:
        more = inputs | outputs | {"input_fraction_bits": fraction, "weight_fraction_bits": weight_fraction_bits}
        n_in = n_cells + below * (len(offsets) if not layers else 1)
        layer = made.random_layer(random, n_in, 4 * n_cells, block, n_kept, bits, False, block_in, offsets=(0,) if layers else offsets, **more)
        layers.append(layer)
        below, fraction = n_cells, of_h
    layers.append(made.random_layer(random, below, 5, bits=bits, relu=False, **inputs, input_fraction_bits=of_h, output_fraction_bits=of_h + bits - 1))
    return PackedModel(tuple(layers), {"features": {"left": -offsets[0], "right": offsets[-1]}})


def hierarchical(made: ModuleType, seed: int) -> PackedModel:
    """Blocks of 8 that are kept, and in each of them blocks of 2, alike in every block of a row of blocks: stored as blocks of 2."""
    model, random = lstm(made, seed, cells=(16, 16), n_below=16, block=2, n_kept=4), np.random.default_rng(seed)
    layers = []
    for layer in model.layers[:-1]:
        rows = []
        for _ in range(layer.n_out // 8):
            outer = np.sort(random.permutation(layer.n_in // 8)[:2])
            rows += [np.sort(np.concatenate([4 * column + random.permutation(4)[:2] for column in outer])) for _ in range(4)]
        layers.append(replace(layer, kept=np.array(rows, dtype=np.int32)))
    return replace(model, layers=(*layers, model.layers[-1]))


def models_of(made: ModuleType) -> list[PackedModel]:
    """Dense, in square and rectangular blocks and hierarchical; one layer and two; saturated sums, c and h; a spliced first layer; no cells at all."""
    saturated = lstm(made, 5, cells=(8, 8), bits=8, weight_fraction_bits=3)
    saturated = replace(saturated, layers=tuple(replace(layer, bias=layer.bias * 40) for layer in saturated.layers))
    holding = saturated.layers[0]  # i, f and o open, g at its end: c grows to its highest and lowest
    open_gates = np.concatenate([np.full(24, 8000), np.tile([9000, -9000], 4)]).astype(np.int32)
    holding = replace(holding, bias=open_gates, weights=holding.weights // 16)
    return [
        lstm(made, 0, cells=(16,)),
        lstm(made, 1),
        lstm(made, 2, cells=(8, 16), n_below=13, block=4, n_kept=3),
        lstm(made, 3, cells=(24,), n_below=7, block=8, n_kept=2, block_in=3, bits=3),
        lstm(made, 4, cells=(16, 8, 8), n_below=5, block=3, n_kept=3, block_in=4, bits=8),
        hierarchical(made, 5),
        saturated,
        replace(saturated, layers=(holding, *saturated.layers[1:])),
        lstm(made, 6, cells=(8,), n_below=4, offsets=(-2, 0, 1)),
        made.random_model(0, (13, 10, 9, 5), block=4, n_kept=2),
    ]


def test_results_cycles_and_accesses_are_those_of_the_integer_engine_and_the_counts(engine: tuple[Design, Path], made: ModuleType):
    design, directory = engine
    for number, model in enumerate(models_of(made)):
        here = directory / f"images{number}"
        write_images(model, design, made_frames(model, N_FRAMES, seed=number) * 2, here)
        done = simulate(directory, here)
        assert (done.frames, done.results) == (N_FRAMES - 3 * (model.layers[0].offsets != (0,)), model.n_out)
        assert done.cycles == count_model(model, design.engine).cycles


def test_an_utterance_begins_anew(made: ModuleType, tmp_path: Path, verilator: str):
    """Frames of one recording give the same results whether another one was computed before: the bench forgets with its first frame alone."""
    model = lstm(made, 1)
    design = design_engine([model], n_macs=4)
    write_rtl(design, tmp_path)
    frames = made_frames(model, 12, seed=3)
    write_images(model, design, np.concatenate([frames, frames]), tmp_path / "images")
    bench = tmp_path / "cgs_bench.sv"
    text = bench.read_text(encoding="utf-8")
    assert "first = frame == 0;" in text
    bench.write_text(text.replace("first = frame == 0;", "first = frame % 12 == 0;"), encoding="utf-8")
    with pytest.raises(CgsError, match="frame 12, result"):
        simulate(tmp_path, tmp_path / "images")
    alone = IntegerEngine(model).integers(frames)[-1]
    results = tmp_path / "images" / "results.hex"
    digits = results.read_text(encoding="utf-8").splitlines()[: alone.size]
    results.write_text("\n".join(digits + digits) + "\n", encoding="utf-8")
    assert simulate(tmp_path, tmp_path / "images").frames == 24


@pytest.mark.parametrize(("activation_bits", "fraction_bits", "word_bits"), [(13, 12, 64), (16, 15, 64), (8, 5, 16), (5, 7, 20), (4, 3, 8)])
def test_h_of_other_formats(made: ModuleType, tmp_path: Path, verilator: str, activation_bits: int, fraction_bits: int, word_bits: int):
    """Wider than a gate's sum, narrower, with fraction bits to spare and with so many that h saturates."""
    model = lstm(made, 7, cells=(8, 8), block=4, n_kept=3, activation_bits=activation_bits, fraction_bits=fraction_bits)
    design = design_engine([model], n_macs=4, word_bits=word_bits, clock_gating=True)
    write_rtl(design, tmp_path)
    write_images(model, design, made_frames(model, N_FRAMES), tmp_path / "images")
    assert simulate(tmp_path, tmp_path / "images").frames == N_FRAMES


def test_made_models_reach_the_ends_of_c_and_of_sums(made: ModuleType):
    """Otherwise the comparison above would not see saturation."""
    model = models_of(made)[7]
    layer, h = model.layers[0], IntegerEngine(model).integers(made_frames(model, N_FRAMES, seed=7) * 2)[1]
    assert h.max() == layer.output_format.high and h.min() <= -layer.output_format.high
    c = 0  # of open gates: its largest step a frame
    for _ in range(N_FRAMES):
        c = min((511 * c + (511 * 255 << 3) + 256) >> 9, 32767)
    assert c == 32767


def test_the_table_is_that_of_the_integer_engine():
    text = (RTL / "cgs_tanh.sv").read_text(encoding="utf-8")
    assert [int(value) for value in re.findall(r"8'd(\d+)", text)] == TANH[::-1].tolist()


def test_an_engine_without_cells_has_no_memories_of_theirs(made: ModuleType):
    model = made.random_model(0)
    design = design_engine([model])
    assert (design.gate_words, design.state_words, design.word_bits["table"]) == (0, 0, 19 + 5 * design.size_bits)
    assert set(count_model(model, design.engine).memories) == {"weights", "index", "bias", "table", "activations"}


def test_models_that_cannot_be_are_errors(made: ModuleType, tmp_path: Path):
    with pytest.raises(ConfigError, match="12 cells, and 8 values in a word"):
        design_engine([lstm(made, 0, cells=(12,))])
    assert design_engine([lstm(made, 0, cells=(12,))], word_bits=32).state_words == 3
    with pytest.raises(ConfigError, match="h of 8 bits, 7 of them fraction and of 8 bits, 5"):
        design_engine([lstm(made, 0), lstm(made, 0, fraction_bits=5)])
    late = lstm(made, 0, cells=(8, 8))
    second = replace(late.layers[1], offsets=(-1, 0), n_in=24, weights=np.zeros((32, 24), np.int8))
    with pytest.raises(ConfigError, match="several frames"):
        design_engine([replace(late, layers=(late.layers[0], second, late.layers[2]), meta={"features": {"left": 1, "right": 0}})])
    spliced = lstm(made, 0, offsets=(-2, 3))
    with pytest.raises(ShapeError, match="no frames"):
        write_images(spliced, design_engine([spliced]), made_frames(spliced, 5), tmp_path)


def test_the_estimate_counts_what_the_engine_does(made: ModuleType):
    """A first layer that reads several frames too: the front end writes them side by side."""
    for model in models_of(made)[:-1]:
        design = design_engine([model], n_macs=4)
        ours = count_packed(model, 4, Engine(bias_bits=16))
        theirs = count_model(model, design.engine)
        assert (ours.cycles, ours.memories) == (theirs.cycles, theirs.memories)


def test_the_command_simulates_an_lstm(made: ModuleType, tmp_path: Path, verilator: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("cgs.quant.packed.read_packed", lambda path: lstm(made, 2, block=4, n_kept=3))
    assert main(["hw", "rtl", str(tmp_path / "model.cgs"), "--out", str(tmp_path / "rtl"), "--n-frames", "20", "--simulate"]) == 0
    assert "20 frames bit for bit" in capsys.readouterr().out
    done = subprocess.run(["make", "-s", "lint"], cwd=tmp_path / "rtl", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("yosys"), reason="yosys is not installed")
@pytest.mark.parametrize("clock_gating", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_netlist_computes_the_same_and_its_flip_flops_are_counted(made: ModuleType, tmp_path: Path, verilator: str, clock_gating: bool):
    model = lstm(made, 8, cells=(4, 4), n_below=3, bits=3)
    design = design_engine([model], n_macs=1, word_bits=16, clock_gating=clock_gating)
    write_rtl(design, tmp_path)
    write_images(model, design, made_frames(model, 8), tmp_path / "images")
    found = synthesise(tmp_path)
    assert sum(n for name, n in found.cells.items() if name.startswith("$_DFF")) == logic.flip_flops(design.core)
    done = subprocess.run(["make", "gates"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "PASS: 8 frames" in done.stdout, done.stdout + done.stderr
