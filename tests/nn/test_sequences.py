"""Networks of sequences in the one training loop: they learn what needs context or memory, and resume to the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.options import SystemOptions, TrainOptions
from cgs.nn import train as train_module
from cgs.nn.checkpoint import CHECKPOINT_FILE
from cgs.nn.chunks import make_chunks
from cgs.nn.data import NO_LABEL
from cgs.nn.dropout import share_of_minibatch
from cgs.nn.forward import logits
from cgs.nn.network import build_network, load_network
from cgs.nn.parallel import Group
from cgs.nn.step import frame_loss, gradients
from cgs.nn.system import View, make_examples, network_spec, train_network, view_of
from cgs.nn.train import Examples, train

torch.set_num_threads(1)
AUGMENTATION = {"mel_warp": 0.02, "frequency_masks": 1, "frequency_mask_bins": 1, "gain": 0.05}
OPTIONS = TrainOptions(epochs=3, chunk_frames=20, minibatch_chunks=8, warmup_frames=4, learning_rate=1e-2, dropout=0.1, left_context=2, right_context=2)
SPARSE = {"method": "cgs", "density": 0.5, "block": 4, "dense_output": True}
TDNN = SystemOptions(task="asr", model="tdnn", method="dense", hidden=[32, 32], offsets=[[-1, 0, 1], [-4, 0]])
LSTM = SystemOptions(task="asr", model="lstm", method="dense", hidden=[24], offsets=[[0]], label_delay=1)


def sparse(system: SystemOptions) -> SystemOptions:
    return SystemOptions(**system.model_dump(exclude_unset=True) | SPARSE)


CELLS = {"model": "lstm", "method": "cgs", "hidden": [32, 24], "density": 0.5}
SYSTEMS = {"tdnn": TDNN, "tdnn_cgs": sparse(TDNN), "lstm": LSTM, "lstm_cgs": sparse(LSTM)}
EACH = pytest.mark.parametrize("name", SYSTEMS)


def marked(seed: int, n: int, n_frames: int = 60) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features (T, 8): noise, and now and then a mark of one of four kinds; with the marks (T,), -1 where there is none."""
    random, made = np.random.default_rng(seed), []
    for _ in range(n):
        marks = np.where(random.random(n_frames) < 0.15, random.integers(0, 4, n_frames), -1)
        marks[0] = random.integers(0, 4)
        features = 0.3 * random.standard_normal((n_frames, 8)).astype(np.float32)
        features[marks >= 0, :4] += 2 * np.eye(4, dtype=np.float32)[marks[marks >= 0]]
        made.append((features, marks))
    return made


def last_mark(marks: np.ndarray) -> np.ndarray:
    """The kind of the latest mark: needs memory."""
    return marks[np.maximum.accumulate(np.where(marks >= 0, np.arange(len(marks)), 0))]


def mark_five_frames_ago(marks: np.ndarray) -> np.ndarray:
    """Kind 0 to 3 of a mark five frames ago, 4 where there was none: needs context that reaches there."""
    return np.concatenate([np.full(5, 4), np.where(marks >= 0, marks, 4)[:-5]])


def examples(system: SystemOptions, rule, n: int = 60) -> Examples:
    data = {f"u{index:03d}": pair for index, pair in enumerate(marked(1, n))}
    labels = {name: rule(marks).astype(np.int32) for name, (_, marks) in data.items()}
    held_out = {f"u{index:03d}" for index in range(0, n, 10)}
    return make_examples({name: f for name, (f, _) in data.items()}, labels, held_out, "fbank", OPTIONS, view=view_of(system, OPTIONS))


def spec(system: SystemOptions, n_out: int):
    return network_spec(system, OPTIONS, 8, n_out, 1)


@EACH
def test_it_learns_what_needs_context_or_memory(tmp_path: Path, name: str) -> None:
    rule, n_out, n = (last_mark, 4, 180) if "lstm" in name else (mark_five_frames_ago, 5, 60)
    options = OPTIONS.model_copy(update={"epochs": 6, "minibatch_chunks": 4, "chunk_frames": 30, "learning_rate": 2e-2, "dropout": 0.0})
    flat = SystemOptions(task="asr", method="dense", hidden=[32])
    reached = []
    for system in (SYSTEMS[name], flat):
        progress = train(build_network(spec(system, n_out)), examples(system, rule, n), options, 1, tmp_path)
        reached.append(max(entry["held_out_accuracy"] for entry in progress.history))
    assert reached[0] > 0.88 and reached[1] < 0.86, "two frames on either side do not show it"


@EACH
def test_a_killed_and_resumed_run_ends_with_the_same_bytes(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system, options = SYSTEMS[name], OPTIONS.model_copy(update=AUGMENTATION)
    data = examples(system, last_mark, 20)
    for place in ("unbroken", "killed"):
        (tmp_path / place).mkdir()
    meta = {"task": "asr", "system": name, "features": {"cmvn": "speaker"}}
    train_network(spec(system, 4), data, options, meta, tmp_path / "unbroken")
    evaluate, calls = train_module.evaluate, []

    def dies_in_second_epoch(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args)

    monkeypatch.setattr(train_module, "evaluate", dies_in_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        train_network(spec(system, 4), data, options, meta, tmp_path / "killed")
    assert (tmp_path / "killed" / CHECKPOINT_FILE).exists()
    torch.manual_seed(999)
    train_network(spec(system, 4), data, options, meta, tmp_path / "killed")
    unbroken, killed = ((tmp_path / place / "model.safetensors").read_bytes() for place in ("unbroken", "killed"))
    assert unbroken == killed


@EACH
def test_the_held_out_loss_is_that_of_whole_utterances(tmp_path: Path, name: str) -> None:
    """The network read back from its files scores held-out utterances one by one as training said."""
    system = SYSTEMS[name]
    train_network(spec(system, 4), examples(system, last_mark, 20), OPTIONS, {"task": "asr", "system": name, "features": {}}, tmp_path)
    network, facts = load_network(tmp_path)
    view = view_of(system, OPTIONS)
    assert (facts["features"]["left"], facts["features"]["right"]) == (view.left, view.right)
    assert view == (View(4, 1, 20) if "lstm" in name else View(5, 1, 20))
    losses = []
    for index in (0, 10):
        features, marks = marked(1, 20)[index]
        scores = torch.log_softmax(torch.from_numpy(logits(network, features, view.left, view.right)), dim=1).numpy()
        losses.append(-scores[np.arange(60), last_mark(marks)])
    lines = (tmp_path / "training.jsonl").read_text().splitlines()
    told = min(float(line.split('"held_out_loss": ')[1].split(",")[0]) for line in lines)
    assert np.mean(losses) == pytest.approx(told, abs=1e-5)


@EACH
def test_autocast_learns_alike(tmp_path: Path, name: str) -> None:
    losses = []
    for matmul in ("float32", "autocast"):
        options = OPTIONS.model_copy(update={"matmul": matmul, "dropout": 0.0})
        network = build_network(spec(SYSTEMS[name], 4))
        losses.append([entry["held_out_loss"] for entry in train(network, examples(SYSTEMS[name], last_mark, 20), options, 1, tmp_path).history])
        assert all(p.dtype == torch.float32 for p in network.parameters())
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.03)


@EACH
def test_shares_of_a_minibatch_give_its_gradients_together(name: str) -> None:
    """The chunks of the shares hold unequal numbers of frames, some of them without a label."""
    data = examples(SYSTEMS[name], last_mark, 20).training
    data.labels[::7] = NO_LABEL
    part = data.shuffled(OPTIONS, torch.Generator().manual_seed(0))[0]
    network = build_network(spec(SYSTEMS[name], 4)).eval()
    buckets: list[torch.Tensor] = []

    class Recorded(Group):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            buckets.append(values)
            return values

    class Summed(Group):
        def sum(self, values: torch.Tensor) -> torch.Tensor:
            return sum(buckets, torch.zeros(()))

    found = []
    for members in (Group(), Recorded(0, 3), Recorded(1, 3), Recorded(2, 3), Summed(0, 3)):
        network.zero_grad()
        numbers = gradients(network, data, part, frame_loss, "float32", members)
        found.append((numbers, [p.grad.clone() for p in network.parameters()]))
    assert found[0][0][1] < 20 * len(part) and torch.allclose(found[0][0], found[-1][0], rtol=1e-5)
    for whole, together in zip(found[0][1], found[-1][1], strict=True):
        assert torch.allclose(whole, together, rtol=1e-4, atol=1e-6 * float(whole.abs().max()))


def test_dropped_weights_never_come_back(tmp_path: Path) -> None:
    for name in ("tdnn_cgs", "lstm_cgs"):
        network = build_network(spec(SYSTEMS[name], 4))
        kept = network.n_weights_kept
        assert kept < 0.6 * network.n_weights
        train(network, examples(SYSTEMS[name], last_mark, 20), OPTIONS.model_copy(update={"weight_decay": 1e-2}), 1, tmp_path)
        assert sum(int((p != 0).sum()) for key, p in network.named_parameters() if key.endswith("weight")) == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "tdnn", "hidden": [8, 8], "offsets": [[-1, 0, 1]]}, "offsets of 1 layers for a tdnn network of 2 hidden layers; give one list for each"),
        ({"hidden": [8], "offsets": [[0]]}, "feedforward network of 1 hidden layers; nn.left_context"),
        ({"model": "lstm", "hidden": [8, 8], "offsets": [[0], [0]]}, "give one, for the input, or none"),
        ({"model": "lstm", "hidden": [8, 12]}, "give multiples of 8"),
        ({"model": "tdnn", "hidden": [8], "offsets": [[1, 0]]}, r"offsets \[1, 0\]: list frames in rising order"),
        ({"model": "tdnn", "hidden": [8], "offsets": [[1, 2]]}, "from 0 or before to 0 or after"),
        ({"model": "tdnn", "hidden": [8], "offsets": [[0]], "label_delay": 3}, "label_delay belongs to an LSTM, not to a tdnn network"),
        (CELLS | {"block": 16}, "layer 2 of 24 cells with blocks 16: its two matrices are packed as one, so give both the same blocks"),
        (CELLS | {"block": 4, "block_in": 16}, "layer 2 of 24 cells with blocks 4x16"),
        (CELLS | {"block": [8, 4, 4, 4, 4]}, "layer 1 of 32 cells with blocks 4 and 8"),
        (CELLS | {"block": [8, 4, 4, 5, 4], "density": [1, 0.5, 0.5, 0.5, 0.5]}, "layer 2 of 24 cells with blocks 4 and 5"),
        ({"hidden": [8], "label_delay": 5}, "label_delay belongs to an LSTM, not to a feedforward network"),
    ],
)
def test_options_of_another_kind_of_network_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SystemOptions(**{"task": "asr", "method": "dense"} | options)


@EACH
def test_shares_of_a_minibatch_make_the_gradients_of_the_whole(name: str) -> None:
    """Chunks of unlike length in the shares of three processes: the same dropout, and gradients that add up."""
    system, length = SYSTEMS[name], [60, 23, 41, 7]
    data = {f"u{index}": pair for index, pair in enumerate(marked(1, 4))}
    features = {key: f[:n] for (key, (f, _)), n in zip(data.items(), length, strict=True)}
    labels = {key: last_mark(marks)[:n] for (key, (_, marks)), n in zip(data.items(), length, strict=True)}
    view = view_of(system, OPTIONS)
    chunks = make_chunks(features, labels, view.left, view.right, 0)
    network, part = build_network(spec(system, 4)).train(), torch.tensor([1, 3, 0, 2])
    found = []
    for shares in ([part], part.split([2, 1, 1])):
        network.zero_grad()
        first = 0
        for share in shares:
            torch.manual_seed(3)
            batch = chunks.batch(share, part)
            with share_of_minibatch(first, len(share), len(part)):
                frame_loss(network(batch.inputs), batch, "sum").backward()
            first += len(share)
        found.append([p.grad.clone() for p in network.parameters()])
    for whole, summed in zip(*found, strict=True):
        torch.testing.assert_close(summed, whole, atol=1e-5, rtol=1e-4)
