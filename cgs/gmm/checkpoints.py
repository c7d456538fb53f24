"""What a killed training goes on from: its state on disk, replaced as a whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from cgs.base.errors import TrainError
from cgs.base.files import write_json, writing
from cgs.gmm.model import AcousticGmm

PHASES = ("mono", "tri", "lda_mllt", "sat")
"""Steps of the ladder, as `align.model` names them; each starts from the alignment of the one before."""
STEPS_DIR = "steps"
"""Inside what stage 4 made: the finished model of each step below `align.model`."""


@dataclass
class TrainState:
    """Where training stands; what a checkpoint holds.

    Args:
        phase: one of PHASES, or "done".
        iteration: pass to make next, from 0.
        model: as the pass finds it; None before the flat start.
        fmllr: {speaker: (D, D + 1)} transforms in use; empty before the speaker-adapted step.
        unadapted: the finished speaker-adapted model refitted to features that are not adapted; else None.
        history: log-likelihood a frame of each pass so far, by phase; comparable within a phase only.
        tree_gain: log-likelihood the last tree's splits won, a frame.
    """

    phase: str = "mono"
    iteration: int = 0
    model: AcousticGmm | None = None
    fmllr: dict[str, np.ndarray] = field(default_factory=dict)
    unadapted: AcousticGmm | None = None
    history: dict[str, list[float]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    tree_gain: float = 0.0

    @property
    def fitted(self) -> AcousticGmm:
        """The model. Raises: TrainError: before the flat start."""
        if self.model is None:
            raise TrainError("no model yet", "report a bug")
        return self.model


class Checkpoints:
    """The newest `TrainState` in a directory; one is written only where the next pass realigns, so that no alignment needs keeping."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, state: TrainState) -> None:
        """Replace the checkpoint; a kill at any moment leaves the old or the new one."""
        name = f"{state.phase}-{state.iteration:03d}"
        target, aside = self.directory / name, self.directory / f".{name}.part"
        if target.exists():
            return
        shutil.rmtree(aside, ignore_errors=True)
        state.fitted.save(aside)
        if state.unadapted is not None:
            state.unadapted.save(aside / "unadapted")
        with writing(aside / "fmllr.safetensors", "wb") as stream:
            stream.write(save(state.fmllr))
        write_json(aside / "state.json", {"phase": state.phase, "iteration": state.iteration, "history": state.history, "tree_gain": state.tree_gain})
        aside.rename(target)
        for path in self.directory.iterdir():
            if path != target:
                shutil.rmtree(path)

    def newest(self) -> TrainState:
        """The last state saved, or a fresh one."""
        if not self.directory.is_dir():
            return TrainState()
        found = [_read(path) for path in sorted(self.directory.iterdir()) if not path.name.startswith(".")]
        return max(found, key=lambda state: ((*PHASES, "done").index(state.phase), state.iteration), default=TrainState())

    def clear(self) -> None:
        """Remove them all."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _read(path: Path) -> TrainState:
    kept = json.loads((path / "state.json").read_text(encoding="utf-8"))
    unadapted = AcousticGmm.load(path / "unadapted") if (path / "unadapted").is_dir() else None
    fmllr = load((path / "fmllr.safetensors").read_bytes())
    return TrainState(kept["phase"], kept["iteration"], AcousticGmm.load(path), fmllr, unadapted, kept["history"], kept["tree_gain"])
