"""Packing a trained network: fine-tuning pays, resumes, and the kept model is the best of those tried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.errors import ShapeError
from cgs.base.options import NnOptions, PackOptions
from cgs.nn.network import FeedForward, NetworkSpec, build_network
from cgs.nn.system import make_examples
from cgs.nn.train import Examples, train
from cgs.quant import finetune
from cgs.quant.finetune import engine_difference, pack_network, tuning_options
from cgs.quant.packed import encode

TRAINING = NnOptions(epochs=6, minibatch=64, learning_rate=3e-3, dropout=0.0, left_context=1, right_context=1)
SPEC = NetworkSpec(n_in=24, hidden=(32, 32), n_out=5, method="cgs", density=0.5, block=6, dense_output=True, seed=1)


@pytest.fixture(scope="module")
def examples() -> Examples:
    """Frames whose class is the largest of five hidden sums of a frame, so that a network can learn it."""
    random = np.random.default_rng(0)
    mix = random.normal(size=(8, 5))
    features = {f"u{i:02d}": random.normal(size=(80, 8)).astype(np.float32) for i in range(30)}
    labels = {utterance: (matrix @ mix).argmax(axis=1).astype(np.int32) for utterance, matrix in features.items()}
    return make_examples(features, labels, {"u00", "u01", "u02", "u03"}, "mfcc", TRAINING)


@pytest.fixture(scope="module")
def trained(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> FeedForward:
    network = build_network(SPEC)
    train(network, examples, TRAINING, 1, tmp_path_factory.mktemp("train"))
    return network


def pack(trained: FeedForward, examples: Examples, directory: Path, bits: int = 3, **changes: float) -> finetune.Packing:
    options = PackOptions(epochs=2, learning_rate=1e-3, activation_bits=6).model_copy(update=changes)
    return pack_network(trained, examples, bits, options, tuning_options(TRAINING, options, 1, 1), 1, directory)


def test_the_best_candidate_is_kept_and_fine_tuning_pays(trained, examples, tmp_path):
    before = [parameter.detach().clone() for parameter in trained.parameters()]
    packing = pack(trained, examples, tmp_path)
    losses = {name: score["loss"] for name, score in packing.held_out.items()}
    assert packing.held_out["float"]["accuracy"] > 0.6
    assert packing.chosen.startswith("fine_tuned") and losses[packing.chosen] < losses["post_training"]
    assert losses[packing.chosen] == min(loss for name, loss in losses.items() if name != "float")
    assert engine_difference(packing.model, packing.network, examples) == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, trained.parameters(), strict=True)), "the trained network is left alone"
    assert not list(tmp_path.glob("checkpoint*"))


def test_without_fine_tuning_the_network_is_only_rounded(trained, examples, tmp_path):
    packing = pack(trained, examples, tmp_path, epochs=0)
    assert packing.chosen == "post_training" and list(packing.held_out) == ["float", "post_training"]


def test_eight_bits_lose_next_to_nothing(trained, examples, tmp_path):
    held_out = pack(trained, examples, tmp_path, bits=8, epochs=0, activation_bits=12).held_out
    assert abs(held_out["post_training"]["loss"] - held_out["float"]["loss"]) < 0.02


def test_the_same_seed_packs_the_same_bytes_and_a_killed_run_resumes(trained, examples, tmp_path, monkeypatch):
    whole = encode(pack(trained, examples, tmp_path / "a").model)
    assert encode(pack(trained, examples, tmp_path / "b").model) == whole
    tuning = finetune.train

    def killed(*arguments):
        from cgs.nn import train as module

        real = module._one_epoch

        def one_epoch(*args):
            if args[5].epoch == 1:
                raise KeyboardInterrupt
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(module, "_one_epoch", one_epoch)
            return tuning(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(finetune, "train", killed)
        pack(trained, examples, tmp_path / "c")
    assert list((tmp_path / "c").glob("checkpoint*"))
    assert encode(pack(trained, examples, tmp_path / "c").model) == whole


def test_a_model_that_cannot_be_packed_is_refused_before_the_fine_tuning(examples, tmp_path, monkeypatch):
    wide = build_network(NetworkSpec(n_in=24, hidden=(4000, 8), n_out=5))
    wide.layers[1].weight.data.fill_(1.0)
    monkeypatch.setattr(finetune, "train", lambda *_: pytest.fail("fine-tuned"))
    with pytest.raises(ShapeError, match="layer 2: its accumulator may need"):
        pack(wide, examples, tmp_path, bits=8, activation_bits=16)
