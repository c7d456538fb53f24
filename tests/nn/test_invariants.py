"""What every method promises of every kind of network: a weight that was dropped never exists, whatever is done with the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cgs.base.options import BLOCK_METHODS, CAN_BE_UNBALANCED, NnOptions, PackOptions, SystemOptions
from cgs.nn import train as train_module
from cgs.nn.network import Network, build_network, load_network, save_network
from cgs.nn.system import make_examples, network_spec, view_of
from cgs.nn.train import Examples, train
from cgs.quant.finetune import pack_network, tuning_options
from cgs.quant.packed import decode, encode
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.masked import MaskedLinear

torch.set_num_threads(1)
OPTIONS = NnOptions(
    epochs=4, minibatch=40, learning_rate=5e-3, dropout=0.1, matmul="float32", left_context=1, right_context=2, average=2, max_gradient_norm=1.0,
    weight_decay=0.01, chunk_frames=20, warmup_frames=3,
)  # fmt: skip
BLOCKS: dict[str, Any] = {"density": 0.25, "block": 4}
SINGLE: dict[str, Any] = {"density": 0.25}
METHODS: dict[str, dict[str, Any]] = {
    "cgs": BLOCKS,
    "hcgs": BLOCKS | {"coarse": 8, "coarse_density": 0.5},
    **{method: BLOCKS for method in BLOCK_METHODS},
    "magnitude": SINGLE,
    "nm": BLOCKS,
    "mpd": SINGLE,
}
MODELS: dict[str, dict[str, Any]] = {
    "feedforward": {"hidden": [32, 32]},
    "tdnn": {"hidden": [32, 32], "offsets": [[-1, 0, 1, 2], [-2, 0]]},
    "lstm": {"hidden": [32], "offsets": [[-1, 0, 1, 2]], "label_delay": 1},
}
ALL = [(model, method, True) for model in MODELS for method in METHODS if model != "lstm" or method in ("cgs", "hcgs", *BLOCK_METHODS)]
ALL += [("feedforward", method, False) for method in CAN_BE_UNBALANCED]
EVERY = pytest.mark.parametrize(("model", "method", "balanced"), ALL, ids=[f"{a}-{b}{'' if c else '-anywhere'}" for a, b, c in ALL])


def system(model: str, method: str, balanced: bool) -> SystemOptions:
    return SystemOptions(task="asr", model=model, method=method, balanced=balanced, dense_output=True, **MODELS[model], **METHODS[method])


def examples(of: SystemOptions) -> Examples:
    """Utterances of eight classes that differ by their mean."""
    random = np.random.default_rng(0)
    labels = {f"u{index}": np.repeat(random.integers(0, 8, 8), 6).astype(np.int32) for index in range(8)}
    means = 2 * random.standard_normal((8, 8))
    features = {name: (means[target] + random.standard_normal((48, 8))).astype(np.float32) for name, target in labels.items()}
    return make_examples(features, labels, {"u3", "u7"}, "fbank", OPTIONS, view=view_of(of, OPTIONS))


def dropped(network: Network) -> list[torch.Tensor]:
    """(n_out, n_in) bool of every sparse matrix, True where no weight is; checked to be so."""
    told = []
    for layer, mask in zip(network.each_layer(), network.masks, strict=True):
        if isinstance(layer, BlockSparseLinear):
            whole, gone = layer.to_dense(), ~torch.from_numpy(mask.to_dense())
            assert int((layer.weight != 0).sum()) <= mask.n_weights_kept, "padding is no weight either"
        elif isinstance(layer, MaskedLinear):
            whole, gone = layer.weight.detach(), ~layer.kept
        else:
            continue
        assert not whole[gone].any()
        told.append(gone)
    return told


@EVERY
def test_a_dropped_weight_never_exists(model: str, method: str, balanced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every step, in the mean of epochs, as blocks, saved, loaded, fine-tuned in fixed point, packed and read."""
    of = system(model, method, balanced)
    data, network, steps = examples(of), build_network(network_spec(of, OPTIONS, 8, 8, 1)), []
    after_step, losses = train_module.Pruner.after_step, iter([4.0, 3.0, 2.0, 1.5, 1.0])

    def watched(self: train_module.Pruner) -> None:
        after_step(self)
        steps.append(dropped(network))

    monkeypatch.setattr(train_module.Pruner, "after_step", watched)
    monkeypatch.setattr(train_module, "evaluate", lambda *args: (next(losses), 0.5))
    progress = train(network, data, OPTIONS, 1, tmp_path)
    monkeypatch.undo()
    assert progress.averaged == 2, "the mean of two epochs is what is kept"
    gone = dropped(network)
    assert len(gone) == 2 and all(torch.equal(a, b) for a, b in zip(gone, steps[-1], strict=True))
    for matrix in gone:
        assert 1 - float(matrix.float().mean()) == pytest.approx(0.25, rel=0.25)
    network.settle()
    assert all(torch.equal(a, b) for a, b in zip(gone, dropped(network), strict=True))
    save_network(tmp_path, network, {})
    again, _ = load_network(tmp_path)
    assert again.mask_checksums == network.mask_checksums and sum(map(bool, again.mask_checksums)) == 2
    assert all(torch.equal(a, b) for a, b in zip(gone, dropped(again), strict=True))
    options = PackOptions(epochs=1, learning_rate=1e-3)
    packing = pack_network(again, data, 5, options, tuning_options(OPTIONS, options, 1, 1), 1, tmp_path / "pack")
    assert all(torch.equal(a, b) for a, b in zip(gone, dropped(packing.network), strict=True))
    read = decode(encode(packing.model), "x")
    assert sum(int((layer.weights != 0).sum()) for layer in read.layers) <= network.n_weights_kept


@pytest.mark.parametrize("method", [pytest.param(method, marks=[] if method == "dynamic" else pytest.mark.slow) for method in METHODS])
def test_several_processes_drop_the_same_weights_as_one(method: str, tmp_path: Path) -> None:
    of, kept = system("feedforward", method, True), []
    data = examples(of)
    for n in (1, 2):
        network = build_network(network_spec(of, OPTIONS, 8, 8, 1))
        train(network, data, OPTIONS.model_copy(update={"processes": n}), 1, tmp_path / str(n))
        kept.append(dropped(network))
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))
