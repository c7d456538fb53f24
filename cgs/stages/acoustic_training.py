"""Stage 5's networks: what each one is made from, and its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cgs.base.experiment import Experiment, labels_unit, network_unit
from cgs.base.options import UNSTAMPED, SystemOptions
from cgs.base.unit import Unit


def unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    """The unit of one network."""
    options = {"nn": exp.recipe.nn.model_dump(exclude=UNSTAMPED | system.unread), "system": system.of_network(), "seed": seed, "device": exp.device}
    inputs = [*dict.fromkeys(["3-feats", "4-align", labels_unit(system.labels)]), *exp.source_units(name, seed)]
    return exp.unit(network_unit("asr", name, seed), options, inputs, ["cgs.stages.acoustic_training"])


def train(exp: Experiment, name: str, seed: int, out: Path) -> None:
    """Train one network in a directory."""
    from cgs.nn.distil import Distillation
    from cgs.nn.examples import acoustic_cmvn, acoustic_examples, acoustic_material, sequence_examples
    from cgs.nn.system import Sequel, network_spec, train_network, view_of

    system, options = exp.recipe.systems[name], exp.recipe.nn
    material, view = acoustic_material(exp.root, options, labels_unit(system.labels)), view_of(system, options)
    examples, prior = acoustic_examples(material, options, view), material.prior
    spec = network_spec(system, options, examples.training.features.shape[1], len(prior), seed)
    if teacher := exp.teacher_unit(name, seed):
        examples = replace(examples, objective=Distillation.of(exp.root / teacher, system.teacher_weight, len(prior), options.matmul))
    meta = {"task": "asr", "system": name, "features": {"cmvn": acoustic_cmvn(options)}, "classes": None, "log_prior": prior.tolist()}
    sequel = Sequel(lambda: sequence_examples(exp.root, material, options, view), options.for_sequences()) if options.sequence.epochs else None
    train_network(spec, examples, options, meta, out, exp.device, exp.curves_dir(5, name, seed), sequel, exp.start_dir(name, seed))
