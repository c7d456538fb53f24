"""Stage 9: cycles, memory, power and area of every packed model, and its RTL simulated on frames of the test split where
`hardware.simulate_frames` asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cgs.base.experiment import Experiment, system_unit
from cgs.base.files import write_json
from cgs.base.log import LOG
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.quant.model import PackedModel

TITLE = "hardware estimate"
PIECE_FRAMES = 2000
"""Frames simulated at a time: their images are text."""


def units(exp: Experiment) -> list[Unit]:
    """One unit a network."""
    return [unit for unit, _ in _pairs(exp)]


def run(exp: Experiment) -> None:
    """Estimate every model; each takes a fraction of a second."""
    for unit, source in _pairs(exp):
        if unit.up_to_date():
            continue
        from cgs.hw.estimate import estimate
        from cgs.quant.packed import read_packed

        with unit.writing() as out:
            packed = read_packed(exp.root / source / "model.cgs")
            result = estimate(packed, exp.recipe.hardware)
            write_json(out / "hardware.json", result)
            if exp.recipe.hardware.simulate_frames:
                write_json(out / "simulation.json", _simulate(exp, packed, unit.name))
        for warning in result["warnings"]:
            LOG.warning("  %s: %s", unit.name, warning)


def _simulate(exp: Experiment, packed: PackedModel, name: str) -> dict[str, Any]:
    """Simulate the model's RTL; what the bench checked, or why there is none of it."""
    from cgs.hw.design import design_engine
    from cgs.hw.simulate import simulate_frames

    if any(layer.offsets != (0,) for layer in packed.layers[1:]):
        LOG.warning("  %s: not simulated, in the RTL the first layer alone reads several frames", name)
        return {"simulated": False}
    done = simulate_frames(packed, design_engine([packed], exp.recipe.hardware.n_macs), _frames(exp, packed))
    LOG.info("  %s: RTL simulated, %d frames bit for bit, each in %d cycles", name, done.frames, done.cycles)
    return {"simulated": True} | vars(done)


def _frames(exp: Experiment, packed: PackedModel) -> Iterator[np.ndarray]:
    """Frames of the test split as the network takes them, in pieces, as many as are asked for; of one that remembers, a piece is one utterance."""
    from cgs.quant.engine import network_input
    from cgs.stages.decode_material import split_of

    features, left = packed.meta["features"], exp.recipe.hardware.simulate_frames
    waiting: list[np.ndarray] = []
    for _, matrix in split_of(exp, "test", features["kind"], features["cmvn"]).items():
        waiting.append(network_input(packed, matrix[:left], features["left"], features["right"]))
        left -= len(matrix[:left])
        if left == 0 or packed.remembers or sum(map(len, waiting)) >= PIECE_FRAMES:
            yield np.concatenate(waiting)
            waiting = []
        if left == 0:
            return
    if waiting:
        yield np.concatenate(waiting)


def _pairs(exp: Experiment) -> Iterator[tuple[Unit, str]]:
    from cgs.hw.technology import table_digest

    options = {"hardware": exp.recipe.hardware.model_dump(), "table": table_digest()}
    for system, _, seed in exp.systems():
        source = system_unit("7-pack", system, seed)
        yield exp.unit(system_unit("9-hardware", system, seed), options, [source], ["cgs.stages.hardware"]), source
