"""The training loop: it learns, resumes to the same bytes, and fails with a remedy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from cgs.base.errors import FormatError, TrainError
from cgs.base.options import SystemOptions, TrainOptions
from cgs.nn import train as train_module
from cgs.nn.checkpoint import CHECKPOINT_FILE
from cgs.nn.network import build_network, load_network
from cgs.nn.system import make_examples, network_spec, train_network
from cgs.nn.train import cosine_rate, train

torch.set_num_threads(1)
AUGMENTATION = {"mel_warp": 0.05, "frequency_masks": 1, "frequency_mask_bins": 1, "gain": 0.1, "time_masks": 2, "time_mask_frames": 2}
CONTEXT = {"left_context": 2, "right_context": 1}
OPTIONS = TrainOptions(epochs=4, minibatch=32, learning_rate=5e-3, dropout=0.2, weight_decay=1e-3, **CONTEXT, **AUGMENTATION)
DENSE = SystemOptions(task="asr", method="dense", hidden=[32, 32])
CGS = SystemOptions(task="asr", method="cgs", hidden=[32, 32], density=0.25, block=4, dense_output=True)


def examples(options=OPTIONS):
    """Eight classes that differ by their mean: a task with a known answer."""
    random = np.random.default_rng(0)
    labels = {f"u{index}": np.repeat(random.integers(0, 8, 12), 6).astype(np.int32) for index in range(12)}
    means = 2 * random.standard_normal((8, 8))
    features = {name: (means[target] + random.standard_normal((72, 8))).astype(np.float32) for name, target in labels.items()}
    return make_examples(features, labels, {"u3", "u7"}, "fbank", options, thinned=(0,), stride=2)


def spec(system=CGS, seed=1):
    return network_spec(system, OPTIONS, 8, 8, seed)


@pytest.mark.parametrize("system", [DENSE, CGS])
def test_it_learns_a_task_with_a_known_answer(tmp_path, system):
    network = build_network(spec(system))
    kept = network.n_weights_kept
    progress = train(network, examples(), OPTIONS.model_copy(update={"epochs": 8}), 1, tmp_path)
    assert progress.history[-1]["held_out_accuracy"] > 0.9
    assert sum(int((p != 0).sum()) for name, p in network.named_parameters() if name.endswith("weight")) == kept
    assert not (tmp_path / CHECKPOINT_FILE).exists()
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 9)) and lines == progress.history


@pytest.mark.parametrize("system", [DENSE, CGS])
def test_a_killed_and_resumed_run_ends_with_the_same_bytes(tmp_path, system, monkeypatch):
    for place in ("unbroken", "killed"):
        (tmp_path / place).mkdir()
    meta = {"task": "asr", "system": "x", "features": {"cmvn": "speaker"}}
    train_network(spec(system), examples(), OPTIONS, meta, tmp_path / "unbroken")
    evaluate, calls = train_module.evaluate, []

    def dies_in_third_epoch(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*args)

    monkeypatch.setattr(train_module, "evaluate", dies_in_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        train_network(spec(system), examples(), OPTIONS, meta, tmp_path / "killed")
    assert (tmp_path / "killed" / CHECKPOINT_FILE).exists()
    torch.manual_seed(999)
    train_network(spec(system), examples(), OPTIONS, meta, tmp_path / "killed")
    assert len(calls) == 5
    unbroken, killed = ((tmp_path / place / "model.safetensors").read_bytes() for place in ("unbroken", "killed"))
    assert unbroken == killed
    histories = [[json.loads(line) for line in (tmp_path / place / "training.jsonl").read_text().splitlines()] for place in ("unbroken", "killed")]
    assert [{**e, "seconds": 0} for e in histories[0]] == [{**e, "seconds": 0} for e in histories[1]]
    _, facts = load_network(tmp_path / "killed")
    assert facts["features"] == {"kind": "fbank", "cmvn": "speaker", "left": 2, "right": 1} and facts["seed"] == 1


def test_another_seed_gives_another_network(tmp_path):
    losses = [train(build_network(spec()), examples(), OPTIONS.model_copy(update={"epochs": 1}), seed, tmp_path).history[0]["train_loss"] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_a_checkpoint_of_another_run_is_not_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.unlink", lambda *args, **kwargs: None)
    train(build_network(spec()), examples(), OPTIONS.model_copy(update={"epochs": 2}), 1, tmp_path)
    monkeypatch.undo()
    assert (tmp_path / CHECKPOINT_FILE).exists()
    assert len(train(build_network(spec()), examples(), OPTIONS.model_copy(update={"epochs": 1}), 1, tmp_path).history) == 1


def test_a_broken_checkpoint_says_how_to_go_on(tmp_path):
    (tmp_path / CHECKPOINT_FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError, match="remove it"):
        train(build_network(spec()), examples(), OPTIONS, 1, tmp_path)


def test_the_best_epoch_is_kept_and_patience_ends_training(tmp_path, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    seen = []

    def told(network, *args):
        seen.append(network.layers[0].bias.detach().clone())
        return next(losses), 0.5

    monkeypatch.setattr(train_module, "evaluate", told)
    network = build_network(spec())
    progress = train(network, examples(), OPTIONS.model_copy(update={"epochs": 10, "patience": 3}), 1, tmp_path)
    assert progress.best_epoch == 1 and len(progress.history) == 5
    assert torch.equal(network.layers[0].bias, seen[1]) and not torch.equal(seen[1], seen[4])


def test_a_loss_that_is_no_number_names_epoch_step_and_remedy(tmp_path):
    data = examples()
    data.training.features[:] = float("nan")
    with pytest.raises(TrainError, match=r"epoch 1, step 1: loss is nan \(lower learning_rate \(now 0.005\)"):
        train(build_network(spec()), data, OPTIONS.model_copy(update={"mel_warp": 0, "frequency_masks": 0, "gain": 0, "time_masks": 0}), 1, tmp_path)


def test_the_rate_falls_as_half_a_cosine():
    options = TrainOptions(epochs=10, learning_rate=1e-3, min_learning_rate=1e-5)
    assert [cosine_rate(options, done) for done in (0, 5, 10, 12)] == pytest.approx([1e-3, 5.05e-4, 1e-5, 1e-5])


def test_nothing_to_hold_out_is_an_error():
    with pytest.raises(TrainError, match="1 utterances to train on and 0 held out"):
        make_examples({"a": np.zeros((3, 2))}, {"a": np.zeros(3, dtype=int)}, {"b"}, "fbank", OPTIONS)
