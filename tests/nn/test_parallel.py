"""Several processes: the steps of one, the error of one, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.errors import ConfigError, DataError, ToolError
from cgs.base.options import SystemOptions, TrainOptions
from cgs.nn import train as train_module
from cgs.nn.checkpoint import CHECKPOINT_FILE
from cgs.nn.data import NO_LABEL
from cgs.nn.dropout import relu_dropout, share_of_minibatch
from cgs.nn.network import FeedForward, build_network
from cgs.nn.parallel import Group, group, launched_by_torchrun, together
from cgs.nn.system import make_examples, network_spec
from cgs.nn.train import Examples, train

torch.set_num_threads(1)
OPTIONS = TrainOptions(
    epochs=3, minibatch=40, learning_rate=5e-3, dropout=0.2, matmul="float32", gain=0.1, left_context=2, right_context=1, average=2, max_gradient_norm=1.0
)
CGS = SystemOptions(task="asr", method="cgs", hidden=[32, 32], density=0.25, block=4, dense_output=True)
DENSE = SystemOptions(task="asr", method="dense", hidden=[32, 32])
LOWRANK = SystemOptions(task="asr", method="lowrank", hidden=[32, 32], density=0.5, dense_output=True)


def examples() -> Examples:
    """Eight classes that differ by their mean; 641 frames to train on, so that a last minibatch holds one."""
    random = np.random.default_rng(0)
    labels = {f"u{index}": np.repeat(random.integers(0, 8, 12), 6).astype(np.int32) for index in range(11)}
    labels["u0"][:7] = NO_LABEL
    means = 2 * random.standard_normal((8, 8))
    features = {name: (means[target] + random.standard_normal((72, 8))).astype(np.float32) for name, target in labels.items()}
    return make_examples(features, labels, {"u3", "u7"}, "fbank", OPTIONS)


def network(system: SystemOptions = CGS) -> FeedForward:
    return build_network(network_spec(system, OPTIONS, 8, 8, 1))


def test_shares_are_the_minibatch_in_order_even_where_there_are_more_processes_than_examples() -> None:
    for n in (1, 2, 7, 512):
        shares = [Group(rank, 3).share(torch.arange(n)) for rank in range(3)]
        assert torch.cat([share for _, share in shares]).tolist() == list(range(n))
        assert all(share[0] == first for first, share in shares if len(share))
        assert max(len(share) for _, share in shares) - min(len(share) for _, share in shares) <= 1


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("rows", [1, 3])
def test_dropout_of_a_share_is_that_of_the_whole_minibatch(axis: int, rows: int) -> None:
    shape = [5 * rows, 6] if axis == 0 else [6, 5 * rows]
    x = torch.rand(shape) + 0.1
    torch.manual_seed(3)
    whole = relu_dropout(x, 0.5, axis)
    assert 0 < int((whole == 0).sum()) < x.numel()
    parts = []
    for first, n in ((0, 2), (2, 2), (4, 1)):
        torch.manual_seed(3)
        with share_of_minibatch(first, n, 5):
            parts.append(relu_dropout(x.narrow(axis, first * rows, n * rows), 0.5, axis))
    assert torch.equal(torch.cat(parts, axis), whole)


@pytest.mark.parametrize(("system", "n_processes"), [(DENSE, 2), (CGS, 3), (LOWRANK, 2)])
def test_several_processes_take_the_steps_of_one(tmp_path: Path, system: SystemOptions, n_processes: int) -> None:
    """With dropout, augmentation, clipping, averaging and a last minibatch that leaves a process without examples."""
    data = examples()
    assert len(data.training) % OPTIONS.minibatch == 1
    runs = {}
    for n in (1, n_processes):
        (tmp_path / str(n)).mkdir()
        made = network(system)
        progress = train(made, data, OPTIONS.model_copy(update={"processes": n}), 1, tmp_path / str(n))
        assert sorted(path.name for path in (tmp_path / str(n)).iterdir()) == ["training.jsonl"]
        runs[n] = (progress, made)
    (one, first), (many, last) = runs.values()
    assert not last.training and one.best_epoch == many.best_epoch and one.averaged == many.averaged
    for a, b in zip(one.history, many.history, strict=True):
        assert b["train_loss"] == pytest.approx(a["train_loss"], rel=1e-5) and b["held_out_loss"] == pytest.approx(a["held_out_loss"], rel=1e-5)
        assert b["train_accuracy"] == pytest.approx(a["train_accuracy"], abs=2 / 641) and b["learning_rate"] == a["learning_rate"]
    for a, b in zip(first.parameters(), last.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)


def die_in_second_epoch(made: FeedForward, data: Examples, directory: str) -> None:
    """Train; the second process is killed as by a machine short of memory."""
    Path(directory, f"{os.getpid()}.pid").touch()
    one_epoch = train_module._one_epoch

    def dies(*args):
        if args[5].epoch == 1 and group().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        one_epoch(*args)

    train_module._one_epoch = dies
    train_module._train_copy(made, data, OPTIONS, 1, Path(directory) / "work")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_process_ends_all_with_one_line_and_one_process_goes_on(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "unbroken").mkdir()
    with pytest.raises(ToolError, match=r"training process 2 of 2 was killed \(SIGKILL\), perhaps for want of memory"):
        together(die_in_second_epoch, (network(), examples(), str(tmp_path)), 2, "cpu")
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2 and not any(map(alive, pids))
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [CHECKPOINT_FILE, "training.jsonl"]
    resumed, unbroken = network(), network()
    history = train(resumed, examples(), OPTIONS, 1, tmp_path / "work").history
    expected = train(unbroken, examples(), OPTIONS, 1, tmp_path / "unbroken").history
    assert [entry["held_out_loss"] for entry in history] == pytest.approx([entry["held_out_loss"] for entry in expected], rel=1e-4)


def refuse(directory: str) -> None:
    """One process finds an error, the other waits for it in vain."""
    Path(directory, str(group().rank)).touch()
    if group().rank == 1:
        raise DataError("u1: empty", "remove it")
    group().sum(torch.zeros(1))
    time.sleep(60)


def test_the_error_of_one_process_is_the_error_of_all(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=r"u1: empty \(remove it\)"):
        together(refuse, (str(tmp_path),), 2, "cpu")
    assert time.monotonic() - start < 55 and len(list(tmp_path.iterdir())) == 2


LEAVING = """
import os, sys, torch
from cgs.nn.parallel import joined
def gloo_threads():
    names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
    return sum("gloo" in name for name in names)
with joined("cpu", 0, 1, "file://" + sys.argv[1]) as members:
    network = torch.nn.Linear(3, 3)
    optimiser = torch.optim.AdamW(network.parameters())
    members.from_first(b"x")
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    inside = gloo_threads()
print(inside, gloo_threads())
"""


def test_no_thread_outlives_the_group(tmp_path: Path) -> None:
    """One that does may abort the process while Python ends."""
    done = subprocess.run([sys.executable, "-c", LEAVING, str(tmp_path / "meeting")], capture_output=True, text=True, check=True)
    inside, after = map(int, done.stdout.split())
    assert inside > 0 and after == 0


def test_torchrun_has_to_start_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match=r"RANK.* not set: this command is started by torchrun"), launched_by_torchrun("cpu"):
        pass


def test_alone_nothing_is_exchanged() -> None:
    assert group() == Group(0, 1) and group().first and group().from_first(b"x") == b"x"
