"""Stage 5: acoustic networks, one for each asr system and seed, trained on the alignments of stage 4."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from cgs.base.experiment import Experiment, network_unit
from cgs.base.jobs import run_jobs
from cgs.base.options import UNSTAMPED, SystemOptions
from cgs.base.unit import Unit

TITLE = "acoustic networks"


def units(exp: Experiment) -> list[Unit]:
    """One unit for each asr system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems("asr")]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time."""
    todo = waiting(exp)
    run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(5))


def waiting(exp: Experiment) -> list[tuple[str, int]]:
    """System and seed of each network that is not up to date."""
    return [(name, seed) for name, system, seed in exp.systems("asr") if not _unit(exp, name, system, seed).up_to_date()]


def writing(exp: Experiment, name: str, seed: int) -> AbstractContextManager[Path]:
    """The directory that a network is trained in, and its stamp in the end; see `Unit.writing`."""
    return _unit(exp, name, exp.recipe.systems[name], seed).writing()


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    options = {"nn": exp.recipe.nn.model_dump(exclude=UNSTAMPED | system.unread), "system": system.of_network(), "seed": seed, "device": exp.device}
    return exp.unit(network_unit("asr", name, seed), options, ["3-feats", "4-align"], ["cgs.stages.acoustic"])


def _train(job: tuple[Experiment, str, int]) -> None:
    with writing(*job) as out:
        train(*job, out)


def train(exp: Experiment, name: str, seed: int, out: Path) -> None:
    """Train one network in a directory."""
    from cgs.nn.examples import acoustic_cmvn, acoustic_examples, acoustic_material, sequence_examples
    from cgs.nn.system import Sequel, network_spec, train_network, view_of

    system, options = exp.recipe.systems[name], exp.recipe.nn
    material, view = acoustic_material(exp.root, options), view_of(system, options)
    examples, prior = acoustic_examples(material, options, view), material.prior
    spec = network_spec(system, options, examples.training.features.shape[1], len(prior), seed)
    meta = {"task": "asr", "system": name, "features": {"cmvn": acoustic_cmvn(options)}, "classes": None, "log_prior": prior.tolist()}
    sequel = Sequel(lambda: sequence_examples(exp.root, material, options, view), options.for_sequences()) if options.sequence.epochs else None
    train_network(spec, examples, options, meta, out, exp.device, exp.curves_dir(5, name, seed), sequel)
