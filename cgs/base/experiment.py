"""One run of a recipe: where it writes, what it was asked for, and the units its stages make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgs.base.options import Recipe, SystemOptions
from cgs.base.unit import Unit

STAGE_DIRS = ("0-corpus", "1-data", "2-lang", "3-feats", "4-align", "5-acoustic", "6-keyword", "7-pack", "8-decode", "9-hardware", "10-report")


@dataclass(frozen=True)
class Experiment:
    """A recipe, its options and its directory.

    Args:
        root: the experiment's directory, e.g. exp/fsdd.
        recipe: every option.
        corpus: the raw corpus, from --corpus; None where stage 0 downloads or makes it.
        n_jobs: processes at a time.
        device: torch device of training, "cpu" or "cuda".
        trust_code: take changed code for unchanged results.
        command: the command line, for the report.
        chosen: (system, seed) of the networks that stages work on; None for all of the recipe.
    """

    root: Path
    recipe: Recipe
    corpus: Path | None = None
    n_jobs: int = 1
    device: str = "cpu"
    trust_code: bool = False
    command: str = ""
    chosen: frozenset[tuple[str, int]] | None = None

    def unit(self, name: str, options: dict[str, Any], inputs: list[str], code: list[str]) -> Unit:
        """The unit `name` of this experiment; see `Unit`."""
        return Unit(self.root, name, options, inputs, code, self.trust_code)

    def log_dir(self, stage: int) -> Path:
        """Where the jobs of a stage write their logs."""
        return self.root / "log" / STAGE_DIRS[stage]

    def curves_dir(self, stage: int, name: str, seed: int) -> Path:
        """Where TensorBoard finds the curves of a network that a stage trains."""
        return self.log_dir(stage) / "tensorboard" / f"{name}.seed{seed}"

    def teacher_unit(self, name: str, seed: int) -> str | None:
        """Name of the unit of the network that one of a system learns from, if it does: of the same seed, or of its system's first."""
        teacher = self.recipe.systems[name].teacher
        return self._source_unit(teacher, seed) if teacher else None

    def start_dir(self, name: str, seed: int) -> Path | None:
        """Directory of the network whose weights one of a system begins with, if it does: of the same seed, or of its system's first."""
        start = self.recipe.systems[name].start_from
        return self.root / self._source_unit(start, seed) if start else None

    def source_units(self, name: str, seed: int) -> list[str]:
        """Names of the units of the networks that one of a system is trained with."""
        return [self._source_unit(source, seed) for source in self.recipe.systems[name].learns_from]

    def source_seed(self, source: str, seed: int) -> int:
        """Seed of the network of a system that another's network of a seed learns from: the same, or the system's first."""
        seeds = self.recipe.systems[source].seeds
        return seed if seed in seeds else seeds[0]

    def _source_unit(self, source: str, seed: int) -> str:
        return network_unit(self.recipe.systems[source].task, source, self.source_seed(source, seed))

    def systems(self, *tasks: str) -> Iterator[tuple[str, SystemOptions, int]]:
        """Yield (name, options, seed) of every chosen network, one for each seed, of the given tasks or of all."""
        for name, system in self.recipe.systems.items():
            if not tasks or system.task in tasks:
                for seed in system.seeds:
                    if self.chosen is None or (name, seed) in self.chosen:
                        yield name, system, seed


def network_unit(task: str, system: str, seed: int) -> str:
    """Name of the unit of a trained network: network_unit("asr", "cgs", 1) is "5-acoustic/cgs/seed1", and so is that of "cgs@bits4"."""
    return f"{'5-acoustic' if task == 'asr' else '6-keyword'}/{network_of(system)}/seed{seed}"


def network_of(system: str) -> str:
    """The system whose networks a system packs: "cgs" for "cgs@bits4", which differs from it in packing alone (see `cgs.base.sweep`)."""
    return system.partition("@")[0]


def labels_unit(labels: str) -> str:
    """Name of the unit that holds the alignment of `systems.NAME.labels`: stage 4's for "gmm", "5-acoustic/dense/alignment" for "dense"."""
    return "4-align" if labels == "gmm" else f"5-acoustic/{labels}/alignment"


def system_unit(stage_dir: str, system: str, seed: int) -> str:
    """Name of the unit a later stage makes for a network: "7-pack/cgs/seed1". A system's name belongs to one task."""
    return f"{stage_dir}/{system}/seed{seed}"
