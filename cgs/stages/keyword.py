"""Stage 6: keyword networks, one for each kws system and seed, trained on the word alignments of stage 4."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cgs.base.experiment import Experiment, network_unit
from cgs.base.jobs import run_jobs
from cgs.base.options import UNSTAMPED, SystemOptions
from cgs.base.unit import Unit

TITLE = "keyword networks"
DETECTION_OPTIONS = {"smooth_frames", "window_frames"}
"""Options of [kws] that training does not depend on."""


def units(exp: Experiment) -> list[Unit]:
    """One unit for each kws system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems("kws")]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time."""
    for pupils in (False, True):
        todo = [(name, seed) for name, seed in waiting(exp) if bool(exp.recipe.systems[name].learns_from) == pupils]
        run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(6))


def waiting(exp: Experiment) -> list[tuple[str, int]]:
    """System and seed of each network that is not up to date."""
    return [(name, seed) for name, system, seed in exp.systems("kws") if not _unit(exp, name, system, seed).up_to_date()]


def writing(exp: Experiment, name: str, seed: int) -> AbstractContextManager[Path]:
    """The directory that a network is trained in, and its stamp in the end; see `Unit.writing`."""
    return _unit(exp, name, exp.recipe.systems[name], seed).writing()


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    kws = exp.recipe.kws.model_dump(exclude=DETECTION_OPTIONS | UNSTAMPED | system.unread)
    options: dict[str, Any] = {"kws": kws, "system": system.of_network()}
    options |= {"seed": seed, "device": exp.device}
    inputs = ["1-data", "2-lang", "3-feats", "4-align", *exp.source_units(name, seed)]
    return exp.unit(network_unit("kws", name, seed), options, inputs, ["cgs.stages.keyword"])


def _train(job: tuple[Experiment, str, int]) -> None:
    with writing(*job) as out:
        train(*job, out)


def train(exp: Experiment, name: str, seed: int, out: Path) -> None:
    """Train one network in a directory."""
    from cgs.nn.distil import Distillation
    from cgs.nn.examples import KEYWORD_CMVN, keyword_examples
    from cgs.nn.system import network_spec, train_network, view_of

    system, options = exp.recipe.systems[name], exp.recipe.kws
    examples, classes = keyword_examples(exp.root, options, view_of(system, options))
    spec = network_spec(system, options, examples.training.features.shape[1], len(classes), seed)
    if teacher := exp.teacher_unit(name, seed):
        examples = replace(examples, objective=Distillation.of(exp.root / teacher, system.teacher_weight, len(classes), options.matmul))
    meta = {"task": "kws", "system": name, "features": {"cmvn": KEYWORD_CMVN}, "classes": classes, "log_prior": None}
    train_network(spec, examples, options, meta, out, exp.device, exp.curves_dir(6, name, seed), start_from=exp.start_dir(name, seed))
