"""The training loop: it learns, averages, resumes to the same bytes, draws its curves, and fails with a remedy."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from cgs.base.errors import FormatError, ToolError, TrainError
from cgs.base.options import SystemOptions, TrainOptions
from cgs.nn import train as train_module
from cgs.nn.checkpoint import CHECKPOINT_FILE
from cgs.nn.network import build_network, load_network
from cgs.nn.step import cosine_rate, make_optimiser, set_rates
from cgs.nn.system import make_examples, network_spec, train_network
from cgs.nn.train import train

torch.set_num_threads(1)
AUGMENTATION = {"mel_warp": 0.05, "frequency_masks": 1, "frequency_mask_bins": 1, "gain": 0.1, "time_masks": 2, "time_mask_frames": 2}
CONTEXT = {"left_context": 2, "right_context": 1}
OPTIONS = TrainOptions(epochs=4, minibatch=32, learning_rate=5e-3, dropout=0.2, weight_decay=1e-3, **CONTEXT, **AUGMENTATION)
DENSE = SystemOptions(task="asr", method="dense", hidden=[32, 32])
CGS = SystemOptions(task="asr", method="cgs", hidden=[32, 32], density=0.25, block=4, dense_output=True)
LOWRANK = SystemOptions(task="asr", method="lowrank", hidden=[32, 32], density=0.5, dense_output=True)


def examples(options=OPTIONS):
    """Eight classes that differ by their mean: a task with a known answer."""
    random = np.random.default_rng(0)
    labels = {f"u{index}": np.repeat(random.integers(0, 8, 12), 6).astype(np.int32) for index in range(12)}
    means = 2 * random.standard_normal((8, 8))
    features = {name: (means[target] + random.standard_normal((72, 8))).astype(np.float32) for name, target in labels.items()}
    return make_examples(features, labels, {"u3", "u7"}, "fbank", options, thinned=(0,), stride=2)


def spec(system=CGS, seed=1):
    return network_spec(system, OPTIONS, 8, 8, seed)


@pytest.mark.parametrize("system", [DENSE, CGS, LOWRANK])
def test_it_learns_a_task_with_a_known_answer(tmp_path, system):
    network = build_network(spec(system))
    kept = network.n_weights_kept
    progress = train(network, examples(), OPTIONS.model_copy(update={"epochs": 8}), 1, tmp_path)
    assert progress.history[-1]["held_out_accuracy"] > 0.9
    assert sum(int((p != 0).sum()) for name, p in network.named_parameters() if name.endswith("weight")) == kept
    assert not (tmp_path / CHECKPOINT_FILE).exists()
    lines = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 9)) and lines == progress.history


@pytest.mark.parametrize(
    ("system", "changes"),
    [(DENSE, {}), (CGS, {}), (LOWRANK, {}), (CGS, {"average": 3, "max_gradient_norm": 0.5, "matmul": "autocast"})],
    ids=["dense", "cgs", "lowrank", "all"],
)
def test_a_killed_and_resumed_run_ends_with_the_same_bytes(tmp_path, system, changes, monkeypatch):
    options = OPTIONS.model_copy(update=changes)
    for place in ("unbroken", "killed"):
        (tmp_path / place).mkdir()
    meta = {"task": "asr", "system": "x", "features": {"cmvn": "speaker"}}
    train_network(spec(system), examples(), options, meta, tmp_path / "unbroken")
    evaluate, calls = train_module.evaluate, []

    def dies_in_third_epoch(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(*args)

    monkeypatch.setattr(train_module, "evaluate", dies_in_third_epoch)
    with pytest.raises(KeyboardInterrupt):
        train_network(spec(system), examples(), options, meta, tmp_path / "killed")
    assert (tmp_path / "killed" / CHECKPOINT_FILE).exists()
    torch.manual_seed(999)
    train_network(spec(system), examples(), options, meta, tmp_path / "killed")
    assert len(calls) == 5 + (options.average > 1)
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


@pytest.mark.parametrize("better", [True, False])
def test_the_mean_of_the_last_epochs_is_kept_where_it_is_better(tmp_path, monkeypatch, better):
    losses = iter([3.0, 1.0, 2.0, 2.5, 0.9 if better else 1.1])
    seen = []

    def told(network, *args):
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return next(losses), 0.5

    monkeypatch.setattr(train_module, "evaluate", told)
    network = build_network(spec())
    progress = train(network, examples(), OPTIONS.model_copy(update={"average": 3}), 1, tmp_path)
    assert progress.averaged == (3 if better else 0) and progress.best_epoch == 1 and len(progress.history) == 4
    for name, tensor in network.state_dict().items():
        mean = torch.stack([state[name].double() for state in seen[1:4]]).mean(dim=0)
        assert torch.allclose(tensor.double(), mean if better else seen[1][name].double(), atol=1e-6)


def test_gradients_are_scaled_down_to_the_norm(tmp_path, monkeypatch):
    norms = {0.0: [], 0.05: []}
    step = torch.optim.AdamW.step
    for limit, seen in norms.items():

        def recorded(self, *args, seen=seen, **kwargs):
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            seen.append(float(torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()))
            return step(self, *args, **kwargs)

        monkeypatch.setattr(torch.optim.AdamW, "step", recorded)
        train(build_network(spec()), examples(), OPTIONS.model_copy(update={"epochs": 1, "max_gradient_norm": limit}), 1, tmp_path)
    assert norms[0.0][0] > 0.1 and norms[0.05][0] == pytest.approx(0.05, rel=1e-3) and max(norms[0.05]) < 0.0501


@pytest.mark.parametrize("system", [DENSE, CGS, LOWRANK])
def test_autocast_keeps_weights_in_float32_and_learns_alike(tmp_path, system):
    seen, losses = {}, {}
    for matmul in ("float32", "autocast"):
        network = build_network(spec(system))
        network.layers[0].register_forward_hook(lambda *args, matmul=matmul: seen.setdefault(matmul, args[2].dtype) and None)
        kept = network.n_weights_kept
        progress = train(network, examples(), OPTIONS.model_copy(update={"matmul": matmul, "epochs": 6}), 1, tmp_path)
        losses[matmul] = [entry["held_out_loss"] for entry in progress.history]
        assert all(p.dtype == torch.float32 for p in network.parameters())
        assert sum(int((p != 0).sum()) for name, p in network.named_parameters() if name.endswith("weight")) == kept
    assert losses["autocast"] != losses["float32"] and losses["autocast"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["autocast"][-1] < losses["autocast"][0] / 2
    if system is DENSE:
        assert seen == {"float32": torch.float32, "autocast": torch.bfloat16}


def test_curves_of_a_resumed_run_have_each_epoch_once(tmp_path, monkeypatch):
    options, folder = OPTIONS.model_copy(update={"tensorboard": True}), tmp_path / "curves"
    write, calls = train_module.save_checkpoint, []

    def dies_before_the_third_is_written(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_module, "save_checkpoint", dies_before_the_third_is_written)
        train(build_network(spec()), examples(), options, 1, tmp_path, curves_folder=folder)
    history = train(build_network(spec()), examples(), options, 1, tmp_path, curves_folder=folder).history
    assert points(folder, "loss/held_out") == [(entry["epoch"], pytest.approx(entry["held_out_loss"])) for entry in history]
    assert [step for step, _ in points(folder, "rms/layers.0.weight")] == [1, 2, 3, 4]
    shorter = options.model_copy(update={"epochs": 2})
    train(build_network(spec()), examples(), shorter, 2, tmp_path, curves_folder=folder)
    assert [step for step, _ in points(folder, "learning_rate")] == [1, 2], "a new training starts afresh"


def points(folder, name):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [(event.step, event.value) for event in EventAccumulator(str(folder)).Reload().Scalars(name)]


def test_without_tensorboard_nothing_is_drawn_and_its_absence_is_told(tmp_path, monkeypatch):
    options = OPTIONS.model_copy(update={"epochs": 1})
    train(build_network(spec()), examples(), options, 1, tmp_path, curves_folder=tmp_path / "curves")
    assert not (tmp_path / "curves").exists()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ToolError, match="nn.tensorboard: .*pip install tensorboard"):
        train(build_network(spec()), examples(), options.model_copy(update={"tensorboard": True}), 1, tmp_path, curves_folder=tmp_path / "curves")


def test_a_loss_that_is_no_number_names_epoch_step_and_remedy(tmp_path):
    data = examples()
    data.training.features[:] = float("nan")
    with pytest.raises(TrainError, match=r"epoch 1, step 1: loss is nan \(lower learning_rate \(now 0.005\)"):
        train(build_network(spec()), data, OPTIONS.model_copy(update={"mel_warp": 0, "frequency_masks": 0, "gain": 0, "time_masks": 0}), 1, tmp_path)


def test_the_rate_falls_as_half_a_cosine():
    options = TrainOptions(epochs=10, learning_rate=1e-3, min_learning_rate=1e-5)
    assert [cosine_rate(options, done) for done in (0, 5, 10, 12)] == pytest.approx([1e-3, 5.05e-4, 1e-5, 1e-5])


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_sparse_matrices_learn_faster_by_their_density(power):
    """Adam's first step is the rate in every weight whose gradient is not zero: its size tells the rate."""
    options, network = TrainOptions(epochs=2, learning_rate=1e-3, sparse_rate=power), build_network(spec())
    before = [layer.weight.detach().clone() for layer in network.layers]
    optimiser = make_optimiser(network, options)
    set_rates(optimiser, network, options, 0)
    network(torch.randn(50, network.spec.n_in)).square().sum().backward()
    optimiser.step()
    steps = [float((layer.weight.detach() - old).abs().max()) for layer, old in zip(network.layers, before, strict=True)]
    assert steps == pytest.approx([1e-3 * layer.mask.density**-power for layer in network.layers[:2]] + [1e-3], rel=1e-3)


def test_second_factors_learn_faster_by_their_rank():
    """Of 32 x 32 inputs and outputs, rank 8, the second factor has a quarter of the inputs; the first one has all."""
    options, network = TrainOptions(learning_rate=1e-3, sparse_rate=1.0), build_network(spec(LOWRANK))
    optimiser = make_optimiser(network, options)
    set_rates(optimiser, network, options, 0)
    rates = {id(p): settings["lr"] for settings in optimiser.param_groups for p in settings["params"]}
    found = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert network.spec.ranks() == [8, 8, None]
    assert found == pytest.approx(dict.fromkeys(found, 1e-3) | {f"layers.{n}.second.weight": 4e-3 for n in (0, 1)})


def test_pruned_matrices_learn_at_the_density_of_the_moment():
    options, network = TrainOptions(learning_rate=1e-3, sparse_rate=1.0), build_network(spec(CGS.model_copy(update={"method": "magnitude", "block": 1})))
    optimiser, layer = make_optimiser(network, options), network.layers[1]
    for n_kept in (1024, 256):
        layer.keep(torch.arange(1024).view(32, 32) < n_kept)
        set_rates(optimiser, network, options, 0)
        assert [settings["lr"] for settings in optimiser.param_groups] == pytest.approx([1e-3, 1.024 / n_kept, 1e-3, 1e-3])


def test_nothing_to_hold_out_is_an_error():
    with pytest.raises(TrainError, match="1 utterances to train on and 0 held out"):
        make_examples({"a": np.zeros((3, 2))}, {"a": np.zeros(3, dtype=int)}, {"b"}, "fbank", OPTIONS)
