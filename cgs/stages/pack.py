"""Stage 7: packed models, one for each network: fixed point, fine-tuned in it, and the exact size of the file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment, labels_unit, network_unit, system_unit
from cgs.base.files import write_json
from cgs.base.jobs import run_jobs
from cgs.base.options import UNSTAMPED, KwsOptions, NnOptions, PackOptions, SystemOptions
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.quant.finetune import Packing

TITLE = "packed fixed-point models"
DESCRIPTION = ("task", "system", "method", "seed", "features", "classes")
"""What the file says of a network, out of its model.json; and the share of its products that are not zero."""
UNUSED = {"epochs", "learning_rate", "min_learning_rate", "patience", "dropout", "left_context", "right_context", "smooth_frames", "window_frames", "average"}
"""Training options that fine-tuning does not read: it has its own, or they are the network's."""


def units(exp: Experiment) -> list[Unit]:
    """One unit for each system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems()]


def run(exp: Experiment) -> None:
    """Pack the networks that are not up to date, several at a time."""
    todo = [(name, seed) for name, system, seed in exp.systems() if not _unit(exp, name, system, seed).up_to_date()]
    run_jobs(_pack, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(7))


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    training = _training(exp, system).model_dump(exclude=UNUSED | UNSTAMPED | system.unread)
    options: dict[str, Any] = {"pack": system.packing(exp.recipe.pack).model_dump(), "bits": system.bits, "training": training, "device": exp.device}
    labels = [*dict.fromkeys(["3-feats", "4-align", labels_unit(system.labels)])] if system.task == "asr" else ["1-data", "2-lang", "3-feats", "4-align"]
    teacher = exp.teacher_unit(name, seed)
    inputs = [network_unit(system.task, name, seed), *labels, *([teacher] if teacher else [])]
    return exp.unit(system_unit("7-pack", name, seed), options, inputs, ["cgs.stages.pack"])


def _training(exp: Experiment, system: SystemOptions) -> NnOptions | KwsOptions:
    return exp.recipe.nn if system.task == "asr" else exp.recipe.kws


def _mixed(options: PackOptions, packing: Packing) -> dict[str, Any]:
    by_block, by = packing.block_bits, "layer" if packing.lowered else options.mixed_by  # networks of factors or cells are mixed by layer
    return {"target": options.mixed_bits, "by": by} | (by_block.told() if by_block else {"steps": [asdict(step) for step in packing.lowered]})


def _pack(job: tuple[Experiment, str, int]) -> None:
    from dataclasses import replace

    from cgs.nn.distil import Distillation
    from cgs.nn.examples import examples_for
    from cgs.nn.network import load_network
    from cgs.nn.step import frame_loss
    from cgs.nn.system import view_of
    from cgs.quant.finetune import engine_difference, held_out_nonzero, pack_network, tuning_options
    from cgs.quant.packed import read_packed, write_packed
    from cgs.quant.sizes import sizes

    exp, name, seed = job
    system = exp.recipe.systems[name]
    options = system.packing(exp.recipe.pack)
    with _unit(exp, name, system, seed).writing() as out:
        network, facts = load_network(exp.root / network_unit(system.task, name, seed))
        context = facts["features"]["left"], facts["features"]["right"]
        tuning = tuning_options(_training(exp, system), options, *context)
        examples = examples_for(exp.root, tuning, view_of(system, tuning), labels_unit(system.labels))
        if (teacher := exp.teacher_unit(name, seed)) and examples.objective is frame_loss:
            examples = replace(examples, objective=Distillation.of(exp.root / teacher, system.teacher_weight, network.spec.n_out, tuning.matmul))
        packing = pack_network(network, examples, system.bits_by_layer, options, tuning, seed, out, exp.device, exp.curves_dir(7, name, seed))
        told = {key: facts[key] for key in DESCRIPTION} | {"nonzero": round(held_out_nonzero(packing.model, examples), 3)}
        write_packed(out / "model.cgs", replace(packing.model, meta=told, storage=options.file_storage))
        model = read_packed(out / "model.cgs")
        found = {
            "n_weights_kept": network.n_weights_kept,  # without the weights that a pruned dense layer holds as zeros
            "chosen": packing.chosen,
            "held_out": packing.held_out,
            "fine_tuning_seconds": packing.seconds,
            "mixed_bits": _mixed(options, packing) if options.mixed_bits else None,
            "engine_difference": engine_difference(model, packing.network, examples),
        }
        write_json(out / "pack.json", {"task": system.task, "system": name, "seed": seed} | sizes(model) | found)
