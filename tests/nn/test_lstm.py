"""LSTM networks against torch's own, against a dense matrix with zeros, and their gradients and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from cgs.base.errors import ConfigError, FormatError, ShapeError
from cgs.base.options import TrainOptions
from cgs.feats.splice import splice, with_edges
from cgs.nn.forward import logits
from cgs.nn.lstm import Lstm, LstmSpec
from cgs.nn.network import build_network, load_network, save_network
from cgs.nn.train import make_optimiser
from cgs.sparse.layer import BlockSparseLinear

torch.set_num_threads(1)
SHAPE = {"n_in": 4, "hidden": (12, 9), "n_out": 5, "offsets": (-1, 0, 1), "label_delay": 2, "warmup": 3, "seed": 5}
DENSE = LstmSpec(**SHAPE)
CGS = LstmSpec(**SHAPE, method="cgs", density=0.5, block=2, dense_output=True)
RAGGED = LstmSpec(**SHAPE, method="cgs", density=0.6, block=5, dense_output=True)
RECTANGLES = LstmSpec(**SHAPE, method="cgs", density=0.6, block=7, block_in=(2, 4, 3, 2, 1), dense_output=True)
SPECS = pytest.mark.parametrize("spec", [DENSE, CGS, RAGGED, RECTANGLES], ids=["dense", "cgs", "ragged", "rectangles"])


def network(spec: LstmSpec) -> Lstm:
    made = build_network(spec).eval()
    generator = torch.Generator().manual_seed(2)
    for layer in made.each_layer():
        if layer.bias is not None:
            layer.bias.data.normal_(0, 0.3, generator=generator)
    return made  # type: ignore[return-value]


def dense(layer) -> torch.Tensor:
    return layer.to_dense() if isinstance(layer, BlockSparseLinear) else layer.weight.detach()


def in_torch_order(rows: torch.Tensor) -> torch.Tensor:
    """Gates input, forget, output, candidate as torch has them: input, forget, candidate, output."""
    i, f, o, g = rows.chunk(4)
    return torch.cat([i, f, g, o])


def by_torch(net: Lstm, x: torch.Tensor) -> torch.Tensor:
    """Logits (N, T, P) of torch.nn.LSTM with the same weights as dense matrices."""
    spec, layers = net.spec, list(net.each_layer())
    x = torch.from_numpy(np.stack([splice(rows, 1, 1)[1:-1] for rows in x.numpy()]))
    for number, n_cells in enumerate(spec.hidden):
        reference = torch.nn.LSTM(x.shape[2], n_cells, batch_first=True).to(x.dtype)
        with torch.no_grad():
            reference.weight_ih_l0.copy_(in_torch_order(dense(layers[2 * number])))
            reference.weight_hh_l0.copy_(in_torch_order(dense(layers[2 * number + 1])))
            reference.bias_ih_l0.copy_(in_torch_order(layers[2 * number].bias))
            reference.bias_hh_l0.zero_()
            x = reference(x)[0]
    return torch.nn.functional.linear(x[:, spec.warmup + spec.label_delay :], dense(layers[-1]), layers[-1].bias.detach())


@SPECS
def test_logits_equal_those_of_torch(spec):
    net, x = network(spec), torch.randn(3, 17, 4)
    with torch.no_grad():
        y = net(x)
    assert spec.context == (4, 3) and y.shape == (3, 10, 5)
    torch.testing.assert_close(y, by_torch(net, x), atol=1e-6, rtol=1e-5)


@SPECS
def test_gradients_in_double_precision(spec):
    net = network(spec.model_copy(update={"hidden": (4, 5)})) if spec is DENSE else network(spec)
    net = net.double()
    names, values = zip(*net.named_parameters(), strict=True)
    x = torch.randn(2, 10, 4, dtype=torch.double, requires_grad=True)

    def run(x, *weights):
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=spec is not DENSE)


def test_dense_gradients_equal_those_of_torch():
    net = network(DENSE.model_copy(update={"hidden": (12,)})).double()
    x = torch.randn(2, 14, 4, dtype=torch.double)
    net(x).square().sum().backward()
    layers = list(net.each_layer())
    reference = torch.nn.LSTM(12, 12, batch_first=True).double()
    with torch.no_grad():
        reference.weight_ih_l0.copy_(in_torch_order(layers[0].weight))
        reference.weight_hh_l0.copy_(in_torch_order(layers[1].weight))
        reference.bias_ih_l0.copy_(in_torch_order(layers[0].bias))
        reference.bias_hh_l0.zero_()
    rows = torch.from_numpy(np.stack([splice(rows, 1, 1)[1:-1] for rows in x.numpy()]))
    h = reference(rows)[0][:, 5:]
    torch.nn.functional.linear(h, layers[2].weight.detach(), layers[2].bias.detach()).square().sum().backward()
    torch.testing.assert_close(in_torch_order(layers[0].weight.grad), reference.weight_ih_l0.grad)
    torch.testing.assert_close(in_torch_order(layers[1].weight.grad), reference.weight_hh_l0.grad)
    torch.testing.assert_close(in_torch_order(layers[0].bias.grad), reference.bias_ih_l0.grad)


def test_dropped_weights_never_exist(tmp_path):
    net = network(RAGGED).train()
    assert [bool(mask) for mask in net.masks] == [True] * 4 + [False]
    kept = net.n_weights_kept
    shapes = [(48, 12), (48, 12), (36, 12), (36, 9), (5, 9)]
    assert net.spec.shapes() == shapes and net.n_weights == sum(a * b for a, b in shapes)
    optimiser = make_optimiser(net, TrainOptions(learning_rate=0.01, weight_decay=0.01))
    for _ in range(3):
        optimiser.zero_grad()
        net(torch.randn(2, 14, 4)).square().sum().backward()
        optimiser.step()
    weights = [p for name, p in net.named_parameters() if name.endswith("weight")]
    assert sum(int((p != 0).sum()) for p in weights) == kept
    for layer, mask in zip(net.each_layer(), net.masks, strict=True):
        if mask:
            assert not dense(layer).numpy()[~mask.to_dense()].any()
            assert layer.weight.numel() == mask.kept.size * 25


def test_an_utterance_is_scored_from_its_start():
    net, features = network(CGS), np.random.default_rng(0).standard_normal((700, 4)).astype(np.float32)
    scores = logits(net, features, *CGS.context)
    assert scores.shape == (700, 5)
    expected = by_torch(net, torch.from_numpy(with_edges(features, *CGS.context))[None])[0]
    np.testing.assert_allclose(scores, expected.numpy(), atol=1e-5)
    changed = features.copy()
    changed[0] += 3
    assert np.abs(logits(net, changed, *CGS.context) - scores)[:6].max() > 1e-3, "the past is remembered"
    changed = features.copy()
    changed[100 + 4] += 3
    later = np.abs(logits(net, changed, *CGS.context) - scores).max(axis=1)
    assert not later[:101].any() and later[101] > 0, "a frame is named 2 + 1 frames after it was heard, and knows nothing of later ones"
    assert logits(net, features[:0], *CGS.context).shape == (0, 5)


@SPECS
def test_it_comes_back_as_it_was(tmp_path, spec):
    net, x = network(spec), torch.randn(1, 12, 4)
    save_network(tmp_path, net, {})
    again, meta = load_network(tmp_path)
    assert isinstance(again, Lstm) and again.spec == spec and torch.equal(again(x), net(x))
    assert meta["mask_checksums"] == [mask and mask.checksum for mask in net.masks] and meta["n_weights_kept"] == net.n_weights_kept


def test_another_mask_or_kind_is_refused(tmp_path):
    save_network(tmp_path, network(CGS), {})
    meta = json.loads((tmp_path / "model.json").read_text())
    swapped = meta | {"mask_checksums": [meta["mask_checksums"][k] for k in (1, 0, 2, 3, 4)]}
    (tmp_path / "model.json").write_text(json.dumps(swapped))
    with pytest.raises(FormatError, match="masks are not those"):
        load_network(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps(meta | {"spec": meta["spec"] | {"model": "gru"}}))
    with pytest.raises(FormatError, match="a network of the kind 'gru'"):
        load_network(tmp_path)


def test_cells_begin_by_remembering():
    bias = build_network(DENSE).layers[0].bias
    assert bias[12:24].tolist() == [1.0] * 12 and not bias[:12].any() and not bias[24:].any()


def test_bad_shapes_are_told():
    with pytest.raises(ShapeError, match=r"4 inputs a frame that reads 4 \+ 1 \+ 3 frames"):
        network(DENSE)(torch.zeros(2, 7, 4))
    with pytest.raises(ConfigError, match="for a 48 x 12 layer"):
        build_network(LstmSpec(**SHAPE, method="cgs", density=0.25, block=8))
