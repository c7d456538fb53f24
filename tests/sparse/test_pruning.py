"""Rivals of coarse-grain sparsity: planted choices, invariants of every method in training, settled masks that travel with the model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError, FormatError
from cgs.base.options import BLOCK_METHODS, CAN_BE_UNBALANCED, TrainOptions
from cgs.nn.data import make_frames
from cgs.nn.feedforward import NetworkSpec
from cgs.nn.network import build_network, load_network, save_network
from cgs.nn.train import Examples, train
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.masked import MaskedLinear
from cgs.sparse.pruning import PRUNED, SETTLED, UPDATES, Pruner, block_mask, cubic, moved_by, permuted_diagonal, scattered_blocks

OPTIONS = TrainOptions(epochs=4, minibatch=32, left_context=0, right_context=0, dropout=0.0, average=2, patience=1, matmul="float32")
SIDE = {"nm": 4, "magnitude": 1, "mpd": 1}


WIDE, HIGH = {"block": 2, "block_in": 4}, {"block": 8, "block_in": 2}
RUNS = [(method, {}) for method in PRUNED] + [(method, sides) for method in BLOCK_METHODS for sides in (WIDE, HIGH)]
EVERY_RUN = pytest.mark.parametrize(("method", "sides"), RUNS, ids=lambda v: v if isinstance(v, str) else "x".join(map(str, v.values())))


def spec(method: str, seed: int = 3, **sides: int) -> NetworkSpec:
    sides = {"block": SIDE.get(method, 4)} | sides
    return NetworkSpec(n_in=16, hidden=(32, 32), n_out=6, method=method, density=0.25, seed=seed, dense_output=True, **sides)


def examples(n: int = 20) -> Examples:
    """Frames whose class is that of the largest of six projections, so that there is something to learn."""
    rng = np.random.default_rng(2)
    plane = rng.standard_normal((16, 6))
    features = {f"u{i:02d}": rng.standard_normal((20, 16)).astype(np.float32) for i in range(n)}
    labels = {name: np.argmax(x @ plane, axis=1).astype(np.int32) for name, x in features.items()}
    half = sorted(features)[: n // 2]
    sides = [make_frames(features, {u: labels[u] for u in names}, 0, 0) for names in (half, sorted(set(features) - set(half)))]
    return Examples(sides[0], sides[1], "mfcc")


def masked(network) -> list[MaskedLinear]:
    return [layer for layer in network.layers if isinstance(layer, MaskedLinear)]


@EVERY_RUN
def test_every_method_ends_at_its_density_and_nothing_dropped_comes_back(method: str, sides: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = build_network(spec(method, **sides)), []
    real = Pruner.after_step

    def watched(self: Pruner) -> None:
        real(self)
        for layer in self.layers:
            assert not layer.weight[~layer.kept].any()
        seen.append((self.settled, [layer.kept.clone() for layer in self.layers]))

    monkeypatch.setattr(Pruner, "after_step", watched)
    progress = train(network, examples(), OPTIONS, 1, tmp_path)
    final = [kept for settled, kept in seen if settled]
    assert len(final) >= (1 - SETTLED) * len(seen) - 1
    assert all(torch.equal(a, b) for masks in final for a, b in zip(masks, final[0], strict=True)), "a settled mask changes no more"
    assert progress.best_epoch >= progress.unsettled and progress.unsettled < OPTIONS.epochs
    for layer in masked(network):
        assert layer.kept.float().mean() == pytest.approx(0.25, abs=0.01)
    for name, tensor in network.state_dict().items():
        if name.endswith("weight") and name.replace("weight", "kept") in network.state_dict():
            assert not tensor[~network.state_dict()[name.replace("weight", "kept")]].any()
    before = network(torch.ones(3, 16))
    network.settle()
    torch.testing.assert_close(network(torch.ones(3, 16)), before)
    kinds = [BlockSparseLinear if method in BLOCK_METHODS else MaskedLinear] * 2
    assert [type(layer) for layer in network.layers] == [*kinds, torch.nn.Linear]
    if sides:
        assert [(mask.block, mask.block_in) for mask in network.masks[:2]] == [tuple(sides.values())] * 2
        assert network.layers[0].weight.shape[2:] == tuple(sides.values())
    save_network(tmp_path, network, {})
    again, _ = load_network(tmp_path)
    torch.testing.assert_close(again(torch.ones(3, 16)), before)
    assert again.mask_checksums == network.mask_checksums and again.n_weights_kept == network.n_weights_kept


@pytest.mark.parametrize("method", CAN_BE_UNBALANCED)
def test_blocks_anywhere_are_whole_as_many_as_balanced_ones_and_stay(method: str, tmp_path: Path) -> None:
    of_balanced = build_network(spec("cgs")).n_weights_kept
    network = build_network(spec(method).model_copy(update={"balanced": False}))
    if method == "cgs":
        network.pruner()  # which drops them before training
        first = [layer.kept.clone() for layer in masked(network)]
    train(network, examples(), OPTIONS, 1, tmp_path)
    network.settle()
    assert network.n_weights_kept == of_balanced
    for layer in masked(network):
        blocks = layer.kept.view(8, 4, -1, 4).transpose(1, 2)
        assert ((blocks.sum(dim=(2, 3)) == 0) | (blocks.sum(dim=(2, 3)) == 16)).all()
        assert not layer.weight[~layer.kept].any()
    counts = masked(network)[1].kept.view(8, 4, 32)[:, 0, ::4].sum(dim=1)
    assert len(set(counts.tolist())) > 1, "rows have different numbers of blocks"
    if method == "cgs":
        assert all(torch.equal(layer.kept, kept) for layer, kept in zip(masked(network), first, strict=True))
    save_network(tmp_path, network, {})
    assert load_network(tmp_path)[0].mask_checksums == network.mask_checksums


def test_scattered_blocks_are_as_many_as_asked_for_and_the_same_everywhere() -> None:
    kept = scattered_blocks((4, 3), 1, seed=5)
    assert kept.shape == (4, 3) and kept.sum() == 4
    assert np.flatnonzero(kept).tolist() == [1, 7, 8, 10]


@pytest.mark.parametrize("method", PRUNED)
def test_a_killed_training_ends_with_the_same_bytes(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = build_network(spec(method)), build_network(spec(method))
    train(whole, examples(), OPTIONS, 1, tmp_path / "a")
    import cgs.nn.train as module

    real, calls = module._learn, []

    def dying(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(module, "_learn", dying)
    with pytest.raises(KeyboardInterrupt):
        train(broken, examples(), OPTIONS, 1, tmp_path / "b")
    resumed = build_network(spec(method))
    train(resumed, examples(), OPTIONS, 1, tmp_path / "b")
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))


def one_layer(method: str, weight: np.ndarray, block: int, density: float, block_in: int = 0) -> MaskedLinear:
    """A layer with planted weights, pruned to the end."""
    layer = MaskedLinear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
    pruner = Pruner([layer], method, [(block, block_in or block)], [density], 1)
    for step in range(100):
        layer.weight.grad = torch.zeros_like(layer.weight)
        pruner.before_step(step, 100)
        pruner.after_step()
    assert pruner.settled
    return layer


@pytest.mark.parametrize("method", ["guided", "block_magnitude", "group_lasso"])
def test_the_largest_blocks_of_each_row_are_kept(method: str) -> None:
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((12, 16))
    norms = np.square(weight.reshape(3, 4, 4, 4)).sum(axis=(1, 3))
    wanted = np.zeros((3, 4), dtype=bool)
    np.put_along_axis(wanted, np.argsort(-norms, axis=1)[:, :2], True, axis=1)
    kept = one_layer(method, weight, 4, 0.5).kept.numpy()
    np.testing.assert_array_equal(kept, wanted.repeat(4, 0).repeat(4, 1))


@pytest.mark.parametrize("method", ["guided", "block_magnitude", "group_lasso"])
def test_the_largest_rectangles_of_each_row_are_kept(method: str) -> None:
    """13 x 23 in blocks of 5 outputs x 4 inputs, weight by weight: edge blocks have a norm of what there is of them."""
    weight = np.random.default_rng(4).standard_normal((13, 23))
    expected = np.zeros((13, 23), dtype=bool)
    for top in range(0, 13, 5):
        norms = [sum(float(w) ** 2 for row in weight[top : top + 5] for w in row[left : left + 4]) for left in range(0, 23, 4)]
        for place in sorted(range(6), key=lambda place: -norms[place])[:2]:
            expected[top : top + 5, 4 * place : 4 * place + 4] = True
    layer = one_layer(method, weight, 5, 1 / 3, 4)
    np.testing.assert_array_equal(layer.kept.numpy(), expected)
    mask = block_mask(layer, 5, 4)
    assert (mask.block, mask.block_in, mask.keep_per_row) == (5, 4, 2)
    np.testing.assert_array_equal(mask.to_dense(), expected)
    with pytest.raises(ConfigError, match="blocks of 4x5 in each row"):
        block_mask(layer, 4, 5)


def test_magnitude_agrees_with_torch() -> None:
    """torch.nn.utils.prune is an independent implementation of the final choice."""
    from torch.nn.utils import prune

    weight = np.random.default_rng(5).standard_normal((10, 14))
    other = torch.nn.Linear(14, 10)
    with torch.no_grad():
        other.weight.copy_(torch.from_numpy(weight))
    prune.l1_unstructured(other, "weight", amount=0.75)
    np.testing.assert_array_equal(one_layer("magnitude", weight, 1, 0.25).kept.numpy(), other.weight_mask.numpy().astype(bool))


def kept_by_torch_ao(weight: np.ndarray, **options) -> np.ndarray:
    """(n_out, n_in) bool, what torch.ao.pruning keeps of a weight matrix."""
    from torch.ao.pruning import WeightNormSparsifier

    model = torch.nn.Sequential(torch.nn.Linear(*weight.shape[::-1]))
    with torch.no_grad():
        model[0].weight.copy_(torch.from_numpy(weight))
    sparsifier = WeightNormSparsifier(**options)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    return model[0].parametrizations.weight[0].mask.numpy().astype(bool)


def test_magnitude_agrees_with_torch_ao() -> None:
    weight = np.random.default_rng(6).standard_normal((16, 16))
    theirs = kept_by_torch_ao(weight, sparsity_level=0.75, sparse_block_shape=(1, 4), zeros_per_block=4)
    norms = np.square(weight.reshape(16, 4, 4)).sum(axis=2)
    assert theirs.sum() == 64 and norms[theirs[:, ::4]].min() >= norms[~theirs[:, ::4]].max(), "theirs keep the blocks of the largest norm over the matrix"
    theirs = kept_by_torch_ao(weight, sparsity_level=0.75, sparse_block_shape=(1, 1), zeros_per_block=1)
    np.testing.assert_array_equal(one_layer("magnitude", weight, 1, 0.25).kept.numpy(), theirs)
    theirs = kept_by_torch_ao(weight, sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=3)
    np.testing.assert_array_equal(one_layer("nm", weight, 4, 0.25).kept.numpy(), theirs)


@given(st.integers(1, 9), st.integers(1, 40), st.sampled_from([(4, 0.25), (4, 0.5), (8, 0.25), (16, 0.125)]))
@settings(max_examples=30, deadline=None)
def test_n_of_every_m_weights_are_the_largest(n_out: int, n_in: int, pattern: tuple[int, float]) -> None:
    m, density = pattern
    weight = np.random.default_rng(n_in).standard_normal((n_out, n_in))
    expected = sum(min(round(m * density), n_in - start) for start in range(0, n_in, m)) / n_in
    if expected > 1.25 * density:
        with pytest.raises(ConfigError, match=f"density {density:g} of nm"):
            one_layer("nm", weight, m, density)
        return
    kept = one_layer("nm", weight, m, density).kept.numpy()
    assert kept.mean() == pytest.approx(expected)
    for row, row_kept in zip(np.abs(weight), kept, strict=True):
        for start in range(0, n_in, m):
            group, chosen = row[start : start + m], row_kept[start : start + m]
            assert chosen.sum() == min(round(m * density), len(group))
            assert not chosen.any() or chosen.all() or group[chosen].min() > group[~chosen].max()


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_dynamic_rows_of_few_blocks_move_too(keep: int) -> None:
    """A share of 0.3 of one, two or three blocks is less than one: fractions add up from update to update."""
    layer, random = MaskedLinear(64, 64), torch.Generator().manual_seed(1)
    pruner, moved = Pruner([layer], "dynamic", [(4, 4)], [keep / 16], 1), torch.zeros(16, dtype=torch.int64)
    for step in range(200):
        layer.weight.grad = torch.randn(layer.weight.shape, generator=random)
        before = layer.kept.clone()
        pruner.before_step(step, 200)
        moved += (layer.kept & ~before)[::4, ::4].sum(dim=1)
        assert (layer.kept[::4, ::4].sum(dim=1) == keep).all()
    assert pruner.settled and (moved > 3 * keep).all() and (moved <= moved_by(keep, UPDATES)).all()


def test_what_is_not_kept_has_no_gradient_when_the_step_is_made() -> None:
    layer = MaskedLinear(16, 16)
    pruner = Pruner([layer], "mpd", [(1, 1)], [0.25], 1)
    layer.weight.grad = torch.ones(16, 16)
    pruner.before_step(0, 10)
    assert torch.equal(layer.weight.grad, layer.kept.float()) and layer.kept.sum() == 64


def test_guided_by_gradient_keeps_the_blocks_that_the_loss_would_miss() -> None:
    layer, rng = MaskedLinear(16, 12, torch.Generator().manual_seed(1)), np.random.default_rng(3)
    pruner = Pruner([layer], "guided_gradient", [(4, 4)], [0.5], 1)
    for step in range(30):
        layer.weight.grad = torch.from_numpy(rng.standard_normal((12, 16)).astype(np.float32))
        before, grad = (layer.weight.detach().numpy().copy(), layer.weight.grad.numpy().copy())
        pruner.before_step(step, 100)
        pruner.after_step()
        assert layer.kept.all() == (step < 20), "dense for a fifth of the training"
        if step == 20:
            worth = np.square(before * grad).reshape(3, 4, 4, 4).sum(axis=(1, 3))
            wanted = np.zeros((3, 4), dtype=bool)
            np.put_along_axis(wanted, np.argsort(-worth, axis=1)[:, :2], True, axis=1)
            np.testing.assert_array_equal(layer.kept.numpy(), wanted.repeat(4, 0).repeat(4, 1))
            assert not np.array_equal(wanted, np.argsort(np.argsort(np.square(before).reshape(3, 4, 4, 4).sum(axis=(1, 3)), axis=1), axis=1) >= 2)
    assert pruner.settled


def test_dynamic_blocks_grow_where_the_gradient_is_large() -> None:
    layer = MaskedLinear(64, 32)
    pruner = Pruner([layer], "dynamic", [(4, 4)], [0.25], 1)
    start = layer.kept.clone()
    wanted = [int(torch.nonzero(~row[::4])[0]) for row in start[::4]]
    layer.weight.grad = torch.zeros_like(layer.weight)
    for row, column in enumerate(wanted):
        layer.weight.grad[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1.0
    pruner.before_step(0, 1000)
    for row, column in enumerate(wanted):
        assert layer.kept[4 * row, 4 * column] and not layer.weight[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].any(), "grown, from zero"
    assert torch.equal(layer.kept[::4, ::4].sum(dim=1), start[::4, ::4].sum(dim=1))


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 8), st.integers(0, 9))
def test_permuted_diagonal_is_one_block_of_inputs_for_each_output(n_out: int, n_in: int, n_blocks: int, seed: int) -> None:
    if n_blocks > min(n_out, n_in):
        with pytest.raises(ConfigError):
            permuted_diagonal(n_out, n_in, 1 / n_blocks, seed)
        return
    kept = permuted_diagonal(n_out, n_in, 1 / n_blocks, seed)
    groups = {tuple(row) for row in kept.tolist()}
    assert len(groups) == n_blocks and (np.sum(list(groups), axis=0) == 1).all(), "each input belongs to one group of outputs"
    assert abs(kept.sum() - n_out * n_in / n_blocks) <= n_out + n_in


def test_a_seed_means_the_same_permutations_everywhere() -> None:
    kept = permuted_diagonal(12, 20, 0.25, 5)
    assert hashlib.sha256(np.packbits(kept).tobytes()).hexdigest()[:16] == "4b6f9d2bde48ce18"


def test_cubic_schedule_falls_from_all_to_the_density() -> None:
    path = [cubic(done, 0.1) for done in np.linspace(0, 1, 21)]
    assert path[0] == 1 and path[-1] == pytest.approx(0.1) == path[10] and all(a >= b for a, b in zip(path, path[1:], strict=False))


def test_odd_densities_and_altered_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nm: 0.3 of every 4 weights"):
        Pruner([MaskedLinear(8, 8)], "nm", [(4, 4)], [0.3], 1)
    with pytest.raises(ConfigError, match=r"density 0.25 of nm: a 8 x 9 layer: 0.333"):
        Pruner([MaskedLinear(9, 8)], "nm", [(4, 4)], [0.25], 1)
    with pytest.raises(ConfigError, match="mpd: density 0.3"):
        Pruner([MaskedLinear(8, 8)], "mpd", [(1, 1)], [0.3], 1)
    network = build_network(spec("mpd"))
    network.pruner()
    state = network.state_dict()
    state["layers.0.weight"] = torch.ones_like(state["layers.0.weight"])
    with pytest.raises(FormatError, match="outside the mask"):
        network.load_state_dict(state)
