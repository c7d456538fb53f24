"""What bits, scales, levels and storage forms do to one trained network of an experiment.

    PYTHONPATH=. .venv/bin/python benchmarks/quantisation.py speech_commands exp/speech_commands cgs [--epochs 1]

Reads the experiment, writes nothing to it. Held-out losses are those of frames; models are rounded, and fine-tuned
where --epochs is above 0. "pruned" is the network's dense system with three of four weights set to zero by
magnitude, wherever they are or in every group of four."""

from __future__ import annotations

import argparse
import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from cgs.base.experiment import labels_unit, network_unit
from cgs.base.options import PackOptions, Recipe, SystemOptions
from cgs.base.recipe import load_recipe
from cgs.nn.examples import examples_for
from cgs.nn.network import Network, load_network
from cgs.nn.system import view_of
from cgs.nn.train import Examples
from cgs.quant.binary import binary_study
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.finetune import calibration_frames, pack_network, tuning_options
from cgs.quant.packed import encode
from cgs.quant.scales import KINDS, scale_study
from cgs.quant.sizes import sizes

PARTS = ["storage", "scales", "binary", "bits", "mixed"]


class Study:
    """One network, its frames, and what packing it with some options gives."""

    def __init__(self, recipe: Recipe, root: Path, name: str, seed: int, epochs: int) -> None:
        self.system: SystemOptions = recipe.systems[name]
        self.network, facts = load_network(root / network_unit(self.system.task, name, seed))
        self.training = recipe.nn if self.system.task == "asr" else recipe.kws
        self.options, self.seed = recipe.pack.model_copy(update={"epochs": epochs}), seed
        self.context = facts["features"]["left"], facts["features"]["right"]
        tuning = tuning_options(self.training, self.options, *self.context)
        self.examples: Examples = examples_for(root, tuning, view_of(self.system, tuning), labels_unit(self.system.labels))

    def pack(self, bits: int | list[int], **changes: object) -> tuple[float, float, list[int], dict]:
        """Held-out loss when rounded and when packed, bits of each layer, and sizes."""
        options: PackOptions = self.options.model_copy(update=changes)
        tuning = tuning_options(self.training, options, *self.context)
        with tempfile.TemporaryDirectory() as folder:
            packing = pack_network(self.network, self.examples, bits, options, tuning, self.seed, Path(folder))
        told = sizes(replace(packing.model, storage="smallest"))
        told |= {"mixed_bytes": len(encode(replace(packing.model, storage="mixed"))), "blocks": packing.block_bits and packing.block_bits.told()}
        return packing.held_out["post_training"]["loss"], packing.held_out[packing.chosen]["loss"], told["bits_by_layer"], told


def pruned(network: Network, group: int) -> Network:
    """A dense network that keeps the largest quarter of its weights: of each matrix (group 0), or of each `group` inputs of an output."""
    network = copy.deepcopy(network)
    for layer in network.each_layer():
        size = layer.weight.abs().detach()
        whole = size.shape[1] // group * group if group else 0
        parts = size[:, :whole].reshape(-1, group) if group else size.reshape(1, -1)
        least = parts.topk(parts.shape[1] // 4, dim=1).values[:, -1:]
        keep = torch.ones_like(size, dtype=torch.bool)
        keep[:, : whole or size.shape[1]] = (parts >= least).reshape(len(size), -1)
        layer.weight.data *= keep
    return network


def print_storage(study: Study, network: Network, what: str, widths: list[int]) -> None:
    """File sizes by form."""
    activations = sample_activations(network, calibration_frames(study.examples.training))
    for bits in widths:
        model = quantise(network, choose_formats(network, activations, bits, study.options), {})
        plain, small = sizes(model), sizes(replace(model, storage="smallest"))
        forms, by_form = [form["weights"] for form in small["forms"]], small["bytes_by_form"]["weights"]
        files = f"file {plain['file_bytes']} plain, {small['file_bytes']} smallest, {small['entropy_bytes']} at the entropy"
        print(f"  {what}, {bits} bits: {files}; weights {by_form}; {forms}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("experiment", type=Path)
    parser.add_argument("system")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=0, help="of fine-tuning")
    parser.add_argument("--bits", type=int, nargs="*", default=[2, 3, 4, 5, 6, 8])
    parser.add_argument("--targets", type=float, nargs="*", default=[5.0, 4.5, 4.0, 3.5, 3.0], help="mean bits that mixing comes down to")
    parser.add_argument("--dense", default="dense", help="dense system to prune")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change an option of the recipe")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = load_recipe(args.recipe, changes=args.set)
    study = Study(recipe, args.experiment, args.system, args.seed, args.epochs)
    if "storage" in args.parts:
        print("storage")
        print_storage(study, study.network, args.system, args.bits)
        if args.dense in recipe.systems:
            dense = load_network(args.experiment / network_unit(study.system.task, args.dense, args.seed))[0]
            for what, group in (("pruned, any pattern", 0), ("pruned, one of four", 4)):
                print_storage(study, pruned(dense, group), what, args.bits)
    if "scales" in args.parts:
        print("scales: squared error of weights (largest of any layer), held-out loss with float activations")
        for bits in args.bits:
            told = scale_study(study.network, study.examples, bits)
            print(f"  {bits} bits: " + "; ".join(f"{kind} {max(told[kind]['noise']):.2%}, {told[kind]['loss']:.4f}" for kind in KINDS))
    if "binary" in args.parts:
        print("binary: held-out loss rounded, fine-tuned; one scale for each")
        with tempfile.TemporaryDirectory() as folder:
            tuning = tuning_options(study.training, study.options, *study.context)
            told = binary_study(study.network, study.examples, study.options, tuning, args.seed, Path(folder))
        for shared_by, losses in told.items():
            print(f"  {shared_by}: " + ", ".join(f"{loss:.4f}" for loss in losses))
    if "bits" in args.parts:
        print("bits: held-out loss rounded, packed; bytes in the smallest form")
        for bits in args.bits:
            for levels in ("full", "symmetric") if bits < 5 else ("full",):
                rounded, packed, _, told = study.pack(bits, levels=levels)
                print(f"  {bits} bits {levels}: {rounded:.4f}, {packed:.4f}, {told['file_bytes']}")
    if "mixed" in args.parts:
        print("mixed: held-out loss rounded, packed; bits of each layer; bytes plain or with two precisions, in the smallest form")
        for target in args.targets:
            for by in ("layer", "block"):
                rounded, packed, widths, told = study.pack(6, mixed_bits=target, mixed_by=by)
                print(f"  from 6 to {target:g} by {by}: {rounded:.4f}, {packed:.4f}, {widths}, {told['mixed_bytes']}, {told['file_bytes']}; {told['blocks']}")


if __name__ == "__main__":
    main()
