"""Stage 5: acoustic networks, one for each asr system and seed, trained on the alignments of stage 4."""

from __future__ import annotations

from cgs.base.experiment import Experiment, network_unit
from cgs.base.jobs import run_jobs
from cgs.base.options import SystemOptions
from cgs.base.unit import Unit

TITLE = "acoustic networks"


def units(exp: Experiment) -> list[Unit]:
    """One unit for each asr system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems("asr")]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time."""
    todo = [(name, seed) for name, system, seed in exp.systems("asr") if not _unit(exp, name, system, seed).up_to_date()]
    run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(5))


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    options = {"nn": exp.recipe.nn.model_dump(), "system": system.model_dump(exclude={"seeds", "bits"}), "seed": seed, "device": exp.device}
    return exp.unit(network_unit("asr", name, seed), options, ["3-feats", "4-align"], ["cgs.stages.acoustic"])


def _train(job: tuple[Experiment, str, int]) -> None:
    from cgs.nn.examples import acoustic_cmvn, acoustic_examples
    from cgs.nn.system import network_spec, train_network, view_of

    exp, name, seed = job
    system, options = exp.recipe.systems[name], exp.recipe.nn
    with _unit(exp, name, system, seed).writing() as out:
        examples, prior = acoustic_examples(exp.root, options, view_of(system, options))
        spec = network_spec(system, options, examples.training.features.shape[1], len(prior), seed)
        meta = {"task": "asr", "system": name, "features": {"cmvn": acoustic_cmvn(options)}, "classes": None, "log_prior": prior.tolist()}
        train_network(spec, examples, options, meta, out, exp.device)
