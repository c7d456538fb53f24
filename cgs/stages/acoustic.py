"""Stage 5: acoustic networks, one for each asr system and seed, trained on the alignments of stage 4 or of an earlier network."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from cgs.base.experiment import Experiment
from cgs.base.jobs import run_jobs
from cgs.base.unit import Unit
from cgs.stages import acoustic_training, realign
from cgs.stages.acoustic_training import train

__all__ = ["TITLE", "run", "train", "units", "waiting", "writing"]

TITLE = "acoustic networks"


def units(exp: Experiment) -> list[Unit]:
    """One unit for each asr system and seed, and one for each alignment by a network."""
    networks = [acoustic_training.unit(exp, name, system, seed) for name, system, seed in exp.systems("asr")]
    return networks + [realign.unit(exp, labels) for wave in _waves(exp) for labels in wave if labels != "gmm"]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time, those that learn from others' alignments after these."""
    for wave in _waves(exp):
        for labels in wave:
            realign.make(exp, labels)
        todo = waiting(exp, [name for names in wave.values() for name in names])
        run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(5))


def waiting(exp: Experiment, names: Collection[str] | None = None) -> list[tuple[str, int]]:
    """System and seed of each network, of these systems or of all, that is not up to date."""
    chosen = [(name, system, seed) for name, system, seed in exp.systems("asr") if names is None or name in names]
    return [(name, seed) for name, system, seed in chosen if not acoustic_training.unit(exp, name, system, seed).up_to_date()]


def writing(exp: Experiment, name: str, seed: int) -> AbstractContextManager[Path]:
    """The directory that a network is trained in, and its stamp in the end; see `Unit.writing`. What it learns from is made first."""
    system = exp.recipe.systems[name]
    realign.make(exp, system.labels)
    return acoustic_training.unit(exp, name, system, seed).writing()


def _train(job: tuple[Experiment, str, int]) -> None:
    with writing(*job) as out:
        train(*job, out)


def _waves(exp: Experiment) -> list[dict[str, list[str]]]:
    """{labels: systems} of the systems that can be trained at the same time, then of those that learn from these, and so on."""
    systems = {name: system for name, system in exp.recipe.systems.items() if system.task == "asr"}
    waves: list[dict[str, list[str]]] = []
    known = {"gmm"}
    while left := {name: system for name, system in systems.items() if name not in known}:
        ready = {name: system.labels for name, system in left.items() if {system.labels, *system.learns_from} <= known}
        waves.append({labels: [name for name in ready if ready[name] == labels] for labels in ready.values()})
        known |= ready.keys()
    return waves
