"""Time-delay networks against loops over frames, against a feed-forward network, and on a task that needs context."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cgs.base.errors import ShapeError
from cgs.feats.splice import splice, with_edges
from cgs.nn.feedforward import FeedForward, NetworkSpec
from cgs.nn.forward import logits
from cgs.nn.network import build_network, load_network, save_network
from cgs.nn.tdnn import Tdnn, TdnnSpec
from cgs.sparse.layer import BlockSparseLinear

torch.set_num_threads(1)
OFFSETS = ((-2, -1, 0, 1), (-3, 0), (0, 2))
DENSE = TdnnSpec(n_in=5, hidden=(12, 10, 9), n_out=7, offsets=OFFSETS, seed=5)
CGS = TdnnSpec(n_in=5, hidden=(12, 10, 9), n_out=7, offsets=OFFSETS, method="cgs", density=0.5, block=3, dense_output=True, seed=5)
RECTANGLES = CGS.model_copy(update={"block": 5, "block_in": (4, 3, 2, 1)})
SPECS = pytest.mark.parametrize("spec", [DENSE, CGS, RECTANGLES], ids=["dense", "cgs", "rectangles"])


def network(spec: TdnnSpec) -> Tdnn:
    made = build_network(spec).eval()
    generator = torch.Generator().manual_seed(2)
    for layer in made.each_layer():
        layer.bias.data.normal_(0, 0.3, generator=generator)
    return made  # type: ignore[return-value]


def dense_weight(layer) -> np.ndarray:
    return (layer.to_dense() if isinstance(layer, BlockSparseLinear) else layer.weight).detach().numpy()


def slow(net: Tdnn, frames: np.ndarray) -> np.ndarray:
    """Logits of the middle frame of as many frames as the context holds: frame by frame, weight by weight."""
    left, right = net.spec.context
    assert len(frames) == left + 1 + right
    values = {t: frames[t + left].astype(np.float64) for t in range(-left, right + 1)}
    for layer, offsets in zip(net.each_layer(), net.spec.layer_offsets(), strict=True):
        weight, bias = dense_weight(layer).astype(np.float64), layer.bias.detach().numpy()
        sums = {t: weight @ np.concatenate([values[t + o] for o in offsets]) + bias for t in values if all(t + o in values for o in offsets)}
        values = {t: np.maximum(v, 0) for t, v in sums.items()}
    return sums[0]


@SPECS
def test_logits_equal_a_loop_over_frames(spec):
    net, x = network(spec), torch.randn(3, 17, 5)
    left, right = spec.context
    assert (left, right) == (5, 3)
    with torch.no_grad():
        y = net(x)
    assert y.shape == (3, 9, 7)
    expected = np.array([[slow(net, x[n, t : t + left + 1 + right].numpy()) for t in range(9)] for n in range(3)])
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "method",
    [{}, {"method": "cgs", "density": 0.5, "block": 4, "dense_output": True}, {"method": "lowrank", "density": 0.57}],
    ids=["dense", "cgs", "lowrank"],
)
def test_offsets_in_the_first_layer_alone_make_a_feed_forward_network(method):
    tdnn = build_network(TdnnSpec(n_in=6, hidden=(16, 12), n_out=5, offsets=((-3, -2, -1, 0, 1, 2), (0,)), seed=4, **method)).eval()
    flat = build_network(NetworkSpec(n_in=36, hidden=(16, 12), n_out=5, seed=4, **method)).eval()
    assert isinstance(flat, FeedForward) and [m and m.checksum for m in tdnn.masks] == [m and m.checksum for m in flat.masks]
    features = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)
    with torch.no_grad():
        expected = flat(torch.from_numpy(splice(features, 3, 2))).numpy()
        np.testing.assert_allclose(tdnn(torch.from_numpy(with_edges(features, 3, 2))[None])[0].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(logits(tdnn, features, 3, 2), logits(flat, features, 3, 2), atol=1e-5)


@SPECS
def test_gradients_in_double_precision(spec):
    net = network(spec).double()
    names, values = zip(*net.named_parameters(), strict=True)
    x = torch.randn(2, 11, 5, dtype=torch.double, requires_grad=True)

    def run(x, *weights):
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values))


@SPECS
def test_an_utterance_is_scored_in_pieces_that_do_not_show(spec, monkeypatch):
    net, features = network(spec), np.random.default_rng(0).standard_normal((50, 5)).astype(np.float32)
    whole = logits(net, features, *spec.context)
    monkeypatch.setattr("cgs.nn.forward.FRAMES_A_CALL", 7)
    np.testing.assert_allclose(logits(net, features, *spec.context), whole, atol=1e-6)
    padded = with_edges(features, *spec.context)
    np.testing.assert_allclose(whole[20], slow(net, padded[20:29]), atol=1e-5)
    assert whole.shape == (50, 7) and logits(net, features[:0], *spec.context).shape == (0, 7)


@SPECS
def test_it_comes_back_as_it_was(tmp_path, spec):
    net, x = network(spec), torch.randn(1, 12, 5)
    save_network(tmp_path, net, {})
    again, meta = load_network(tmp_path)
    assert isinstance(again, Tdnn) and again.spec == spec and torch.equal(again(x), net(x))
    assert meta["n_weights"] == 20 * 12 + 24 * 10 + 20 * 9 + 9 * 7


def test_features_of_another_shape_are_refused():
    for shape in ((2, 12, 4), (12, 5), (2, 8, 5)):
        with pytest.raises(ShapeError, match=r"5 inputs a frame that reads 5 \+ 1 \+ 3 frames"):
            network(DENSE)(torch.zeros(shape))
