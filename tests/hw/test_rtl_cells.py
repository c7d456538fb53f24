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

from cgs.base.errors import ConfigError, ShapeError
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
from cgs.quant.packed import write_packed

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


ENGINES = {
    "8 macs": {"n_macs": 8},
    "3 macs, small words and banks, asleep between frames": {"n_macs": 3, "word_bits": 32, "bank_bytes": 64, "wake_cycles": 3},
    "1 mac, a value a word, gated clocks": {"n_macs": 1, "word_bits": 8, "wake_cycles": 1, "clock_gating": True},
}


@pytest.fixture(scope="module", params=ENGINES.values(), ids=list(ENGINES))
def engine(request: pytest.FixtureRequest, made: ModuleType, tmp_path_factory: pytest.TempPathFactory, verilator: str) -> tuple[Design, Path]:
    """An engine for all models, and the directory of its RTL, in which the bench is built once."""
    design = design_engine(models_of(made), **request.param)
    directory = tmp_path_factory.mktemp("rtl")
    write_rtl(design, directory)
    return design, directory


def test_results_cycles_and_accesses_are_those_of_the_integer_engine_and_the_counts(engine: tuple[Design, Path], made: ModuleType):
    design, directory = engine
    for number, model in enumerate(models_of(made)):
        here = directory / f"images{number}"
        write_images(model, design, made_frames(model, N_FRAMES, seed=number) * 2, here)
        done = simulate(directory, here)
        assert (done.frames, done.results) == (N_FRAMES - 3 * (model.layers[0].offsets != (0,)), model.n_out)
        assert done.cycles == count_model(model, design.engine).cycles
