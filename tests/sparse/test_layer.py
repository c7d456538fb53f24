"""The block-sparse layer: equal to a masked dense one, and without any dropped weight."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch

from cgs.base.errors import FormatError, ShapeError
from cgs.sparse import layer as sparse
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.mask import BlockMask, draw_mask

torch.set_num_threads(1)
SHAPES = [(16, 16, 4, 0.5), (22, 50, 4, 0.25), (9, 7, 3, 0.4), (5, 12, 5, 1.0), (40, 24, 1, 0.3), (50, 22, 8, 0.34)]
SHAPES += [(16, 16, 2, 0.5, 4), (22, 50, 8, 0.4, 3), (22, 50, 3, 0.3, 8), (9, 7, 1, 0.6, 3), (40, 24, 5, 0.3, 1), (5, 12, 7, 1.0, 13)]
"""Outputs, inputs, a block's outputs, density and, of rectangles, a block's inputs; not all divide the matrix."""


def make(n_out, n_in, block, density, block_in=0, dtype=torch.float64):
    return BlockSparseLinear(draw_mask(n_out, n_in, block, density, 3, block_in), torch.Generator().manual_seed(1), dtype=dtype)


def masked_dense(layer):
    """A slow reference: the whole matrix, built weight by weight."""
    mask = layer.mask
    dense = torch.zeros(mask.n_out, mask.n_in, dtype=layer.weight.dtype)
    for row in range(mask.n_out):
        for k, column in enumerate(mask.kept[row // mask.block]):
            for inside in range(mask.block_in):
                if column * mask.block_in + inside < mask.n_in:
                    dense[row, column * mask.block_in + inside] = layer.weight[row // mask.block, k, row % mask.block, inside].item()
    return dense


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_equal_the_masked_dense_layer(shape):
    layer = make(*shape)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(6, shape[1], dtype=torch.float64, requires_grad=True)
    dense = masked_dense(layer).requires_grad_()
    assert torch.equal(layer.to_dense(), dense)
    grad = torch.randn(6, shape[0], dtype=torch.float64)
    layer(x).backward(grad)
    grad_x = x.grad.clone()
    x.grad = None
    expected = x @ dense.T + layer.bias.detach()
    expected.backward(grad)
    assert torch.allclose(layer(x), expected)
    assert torch.allclose(grad_x, x.grad)
    block_gradient = BlockSparseLinear(layer.mask, dtype=torch.float64)
    with torch.no_grad():
        block_gradient.weight.copy_(layer.weight.grad)
    assert torch.allclose(block_gradient.to_dense(), dense.grad * torch.from_numpy(layer.mask.to_dense()))
    assert torch.allclose(layer.bias.grad, grad.sum(dim=0))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_blocks_of_a_whole_matrix_are_taken(shape):
    layer = make(*shape, dtype=torch.float32)
    whole, bias = torch.randn(shape[0], shape[1]), torch.randn(shape[0])
    taken = BlockSparseLinear.of_dense(layer.mask, whole, bias)
    assert torch.equal(taken.to_dense(), whole * torch.from_numpy(layer.mask.to_dense())) and torch.equal(taken.bias, bias)
    assert not taken.weight[~torch.from_numpy(layer.mask.real_weights)].any()


def test_a_planted_product():
    """4 outputs in blocks of 2, 5 inputs in blocks of 3; the second block column has 2."""
    layer = BlockSparseLinear(BlockMask(4, 5, 2, np.array([[1], [0]]), block_in=3))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[1.0, 2.0, 0.0], [3.0, 4.0, 0.0]]], [[[1.0, 1.0, 1.0], [0.0, 0.0, 5.0]]]]))
    assert layer(torch.tensor([[1.0, 10.0, 100.0, 1000.0, 10000.0]])).tolist() == [[21000.0, 43000.0, 111.0, 500.0]]


@pytest.mark.parametrize("sides", [(4, 0), (4, 2), (2, 5)])
def test_whole_matrices_give_what_blocks_give(monkeypatch, sides):
    """Small blocks are multiplied as a whole matrix in bfloat16: same values, and a gradient of the kept blocks only."""
    layer, x = make(50, 22, sides[0], 0.34, sides[1], torch.bfloat16), torch.randn(22, 6).bfloat16().requires_grad_()
    told = []
    for below in (0, sparse.WHOLE_BELOW):
        monkeypatch.setattr(sparse, "WHOLE_BELOW", below)
        assert sparse.BlockFactors(layer.weight, layer.index).whole == (below > 0)
        layer.weight.grad = x.grad = None
        y = layer.feature_major(x)
        y.backward(torch.ones_like(y))
        told.append((y.detach(), layer.weight.grad, x.grad))
    for blocks, whole in zip(*told, strict=True):
        assert blocks.abs().sum() > 0
        assert torch.allclose(blocks, whole, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_finite_differences(shape):
    layer = make(*shape)
    x = torch.randn(3, shape[1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, weight, bias: layer.feature_major(x.t(), weight, bias), (x, layer.weight, layer.bias))


@pytest.mark.parametrize("sides", [(4, 4), (4, 7), (7, 4)])
def test_nothing_dropped_exists_after_training_and_reloading(tmp_path, sides):
    layer = make(22, 50, sides[0], 0.3, sides[1], torch.float32)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        layer(torch.randn(8, 50)).square().sum().backward()
        optimiser.step()
    kept = int(layer.mask.to_dense().sum())
    assert int((layer.weight != 0).sum()) == kept == layer.mask.n_weights_kept
    assert layer.weight.shape == (*layer.mask.kept.shape, *sides)
    safetensors.torch.save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other = BlockSparseLinear(layer.mask)
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "layer.safetensors"))
    assert torch.equal(other.to_dense(), layer.to_dense())
    assert int((other.weight != 0).sum()) == kept


def test_first_weights_have_the_variance_of_the_inputs_kept():
    layer = make(512, 1024, 32, 0.25, dtype=torch.float32)
    assert layer.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.02)
    x = torch.randn(400, 1024)
    assert torch.relu(layer(x)).square().mean().item() == pytest.approx(1.0, rel=0.1)


def test_weights_of_another_mask_are_refused():
    layer = make(16, 16, 4, 0.5)
    other = BlockSparseLinear(draw_mask(16, 16, 4, 0.5, 4), dtype=torch.float64)
    with pytest.raises(FormatError, match="another mask"):
        layer.load_state_dict(other.state_dict())


def test_weights_of_blocks_that_lie_the_other_way_are_refused():
    layer, other = make(32, 32, 4, 0.5, 8), make(32, 32, 8, 0.5, 4)
    with pytest.raises(FormatError, match="another mask"):
        layer.load_state_dict(other.state_dict())
    state = layer.state_dict() | {"weight": layer.weight.detach().transpose(2, 3)}
    with pytest.raises(FormatError, match=r"weight: shape \(8, 2, 8, 4\) where the mask has \(8, 2, 4, 8\)"):
        layer.load_state_dict(state)


def test_weights_in_the_padding_are_refused():
    layer = make(22, 50, 4, 0.25)
    state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    state["weight"][-1, 0, -1, 0] = 1.0
    with pytest.raises(FormatError, match="outside the 22 x 50 matrix"):
        layer.load_state_dict(state)


def test_another_width_is_refused():
    with pytest.raises(ShapeError, match=r"\(2, 15\).*16 inputs"):
        make(16, 16, 4, 0.5)(torch.zeros(2, 15))
