"""A linear layer that stores and computes only the kept blocks of its weight matrix.

Owns the weights (R, K, B, B_in) of a `BlockMask` and the forward and backward passes over them. No parameter, gradient or
mask is as large as the matrix, so nothing dropped exists."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cgs.base.errors import FormatError, ShapeError
from cgs.sparse.mask import BlockMask

CACHED_FLOATS = 1 << 16
"""Gathered inputs held at a time on a CPU, 256 KB: they stay in the second-level cache between the gather and the product."""

WHOLE_BELOW = 80
"""A CPU's bfloat16 products are of whole matrices where a block's side is below this times the density: measured, 512 to 2048 inputs.
A block that is not square counts as the square that gathers as much in training, where two of three products gather inputs once for each block row and one
gathers outputs once for each block column: 16x64 as 21, 64x16 as 32, which also orders them as their measured times do."""


class BlockProduct(torch.autograd.Function):
    """y = W x over kept blocks, feature-major: gathers and batched products in each direction, a few block rows at a time.

    Columns of x are frames, so a block of features is one contiguous piece of memory and a gather copies whole pieces.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, index: BlockIndex) -> torch.Tensor:
        """Multiply.

        Args:
            x: (C * B_in, T) inputs, zero where padded.
            weight: (R, K, B, B_in).
            index: where the blocks are.
        Returns: (R * B, T).
        """
        ctx.save_for_backward(x, weight)
        ctx.index = index
        return BlockFactors(weight, index).times(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        """Gradients of the inputs (by block column) and of the kept weights (by block row), and of nothing else."""
        x, weight = ctx.saved_tensors
        factors = BlockFactors(weight, ctx.index)
        grad_x = factors.transposed_times(grad) if ctx.needs_input_grad[0] else None
        return grad_x, factors.weight_gradient(x, grad) if ctx.needs_input_grad[1] else None, None


class BlockFactors:
    """The kept blocks of a matrix W laid out for products, once for as many products as are wanted.

    With bfloat16 products (`nn.matmul`) a CPU multiplies whole matrices so fast (AMX) that laying small blocks out among zeros costs
    less than gathering their inputs; that matrix lasts as long as the products, and blocks alone have a gradient.

    Args:
        weight: (R, K, B, B_in).
        index: where the blocks are.
    """

    def __init__(self, weight: torch.Tensor, index: BlockIndex) -> None:
        self.weight, self.index, (block, block_in) = weight, index, weight.shape[2:]
        short = weight.dtype == torch.bfloat16 or (weight.dtype == torch.float32 and torch.get_float32_matmul_precision() == "medium")
        self.whole = short and not weight.is_cuda and 3 * block * block_in / (2 * block_in + block) < WHOLE_BELOW * index.density

    @cached_property
    def _matrix(self) -> torch.Tensor:
        n_rows, _, block, block_in = self.weight.shape
        blocks = self.weight.new_zeros(n_rows * self.index.n_columns, block, block_in)
        blocks[self.index.in_matrix] = self.weight.reshape(-1, block, block_in)
        return blocks.view(n_rows, self.index.n_columns, block, block_in).transpose(1, 2).reshape(n_rows * block, -1)

    @cached_property
    def _by_row(self) -> torch.Tensor:
        n_rows, n_kept, block, block_in = self.weight.shape
        return self.weight.transpose(1, 2).reshape(n_rows, block, n_kept * block_in)

    @cached_property
    def _by_column(self) -> torch.Tensor:
        index, (block, block_in) = self.index, self.weight.shape[2:]
        blocks = self.weight.reshape(-1, block, block_in).index_select(0, index.blocks_by_column).index_fill_(0, index.unfilled, 0)
        return blocks.view(index.n_columns, -1, block_in).transpose(1, 2)

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """W x: (C * B_in, T) -> (R * B, T)."""
        if self.whole:
            return self._matrix @ x
        n_rows, _, block, block_in = self.weight.shape
        y = x.new_empty(n_rows, block, x.shape[1])
        for rows, gathered in _gathers(x.reshape(-1, block_in, x.shape[1]), self.index.columns, n_rows):
            torch.bmm(self._by_row[rows], gathered, out=y[rows])
        return y.view(n_rows * block, -1)

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """W' y: (R * B, T) -> (C * B_in, T)."""
        if self.whole:
            return self._matrix.t() @ y
        index, (block, block_in) = self.index, self.weight.shape[2:]
        x = y.new_empty(index.n_columns, block_in, y.shape[1])
        for columns, gathered in _gathers(y.reshape(-1, block, y.shape[1]), index.rows_by_column, index.n_columns):
            torch.bmm(self._by_column[columns], gathered, out=x[columns])
        return x.view(-1, y.shape[1])

    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        """Gradient (R, K, B, B_in) of the kept weights, for inputs x (C * B_in, T) and the gradient (R * B, T) of W x."""
        n_rows, n_kept, block, block_in = self.weight.shape
        if self.whole:
            blocks = (grad @ x.t()).view(n_rows, block, self.index.n_columns, block_in).transpose(1, 2).reshape(-1, block, block_in)
            return blocks[self.index.in_matrix].view(n_rows, n_kept, block, block_in)
        outputs = grad.reshape(n_rows, block, grad.shape[1])
        product = self.weight.new_empty(n_rows, block, n_kept * block_in)
        for rows, gathered in _gathers(x.reshape(-1, block_in, x.shape[1]), self.index.columns, n_rows):
            torch.bmm(outputs[rows], gathered.transpose(1, 2), out=product[rows])
        return product.view(n_rows, block, n_kept, block_in).transpose(1, 2).contiguous()


def _gathers(blocks: torch.Tensor, places: torch.Tensor, n_groups: int) -> Iterator[tuple[slice, torch.Tensor]]:
    """Gather blocks (any, side, T) for groups of equal size, as many groups at a time as stay in cache; on a GPU all at once.

    Yields: the groups, and their gathered blocks (groups, m * side, T) in memory that the next step overwrites.
    """
    size, (_, side, n_frames) = len(places) // n_groups, blocks.shape
    step = n_groups if blocks.is_cuda else min(n_groups, max(1, CACHED_FLOATS // max(1, size * side * n_frames)))
    memory = blocks.new_empty(step * size, side, n_frames)
    for start in range(0, n_groups, step):
        end = min(n_groups, start + step)
        gathered = memory[: (end - start) * size]
        torch.index_select(blocks, 0, places[start * size : end * size], out=gathered)
        yield slice(start, end), gathered.view(end - start, size * side, n_frames)


class BlockIndex:
    """Positions of the kept blocks as tensors, for both directions; M is the largest number of blocks in a column.

    Attributes:
        columns: (R * K,) block column of each kept block, by block row.
        density: share of the blocks that is kept.
        in_matrix: (R * K,) its place among all R * C blocks.
        blocks_by_column: (C * M,) kept blocks by block column; block 0 where the column has fewer than M.
        rows_by_column: (C * M,) their block rows.
        unfilled: places in `blocks_by_column` that stand for no block.
    """

    def __init__(self, mask: BlockMask, device: torch.device | str = "cpu") -> None:
        by_column = mask.by_column.ravel().astype(np.int64)
        places = np.maximum(by_column, 0)
        self.n_columns = mask.n_block_columns
        self.columns = torch.from_numpy(mask.kept.ravel().astype(np.int64)).to(device)
        self.density = mask.keep_per_row / mask.n_block_columns
        self.in_matrix = torch.from_numpy((mask.kept + mask.n_block_columns * np.arange(mask.n_block_rows)[:, None]).ravel()).to(device)
        self.blocks_by_column = torch.from_numpy(places).to(device)
        self.rows_by_column = torch.from_numpy(places // mask.keep_per_row).to(device)
        self.unfilled = torch.from_numpy(np.flatnonzero(by_column < 0)).to(device)


class BlockSparseLinear(nn.Module):
    """y = W x + b, where W has only the blocks of a mask.

    Args:
        mask: the kept blocks.
        generator: source of the initial weights (He: variance gain^2 / inputs kept in the row); None draws from torch's own.
        gain: sqrt(2) before a ReLU, 1 for an output layer.
        dtype: of the parameters.
    Attributes:
        weight: (R, K, B, B_in), B being `mask.block` and B_in `mask.block_in`; weight[r, k] is the block in block row r and block column
            mask.kept[r, k]. Padding is zero.
        bias: (n_out,).
    """

    kept: torch.Tensor

    def __init__(self, mask: BlockMask, generator: torch.Generator | None = None, gain: float = 2.0**0.5, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.mask = mask
        real = torch.from_numpy(mask.real_weights)
        fan_in = torch.from_numpy(mask.column_widths[mask.kept].sum(axis=1)).to(dtype)
        weight = torch.randn(real.shape, generator=generator, dtype=dtype) * (gain / fan_in.sqrt())[:, None, None, None]
        self.weight = nn.Parameter(torch.where(real, weight, torch.zeros((), dtype=dtype)))
        self.bias = nn.Parameter(torch.zeros(mask.n_out, dtype=dtype))
        self.register_buffer("kept", torch.from_numpy(mask.kept.copy()))
        self._index = BlockIndex(mask)

    @property
    def in_features(self) -> int:
        """Inputs, padding not counted."""
        return self.mask.n_in

    @property
    def out_features(self) -> int:
        """Outputs, padding not counted."""
        return self.mask.n_out

    @property
    def n_weights_kept(self) -> int:
        """Weights that exist, padding not counted."""
        return self.mask.n_weights_kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, n_in) -> (T, n_out). Raises: ShapeError: another width."""
        if x.ndim != 2 or x.shape[1] != self.mask.n_in:
            raise ShapeError(f"input of shape {tuple(x.shape)} to a layer of {self.mask.n_in} inputs", f"expected (frames, {self.mask.n_in})")
        return self.feature_major(x.t()).t()

    def feature_major(self, x: torch.Tensor, weight: torch.Tensor | None = None, bias: torch.Tensor | None = None) -> torch.Tensor:
        """(n_in, T) -> (n_out, T), as the layers of a network pass it on.

        Args:
            x: (n_in, T).
            weight, bias: used in place of the layer's own, e.g. rounded ones.
        """
        weight, bias = self.weight if weight is None else weight, self.bias if bias is None else bias
        if torch.is_autocast_enabled(x.device.type):  # which does not see into a product of our own
            dtype = torch.get_autocast_dtype(x.device.type)
            x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
        padding = self.mask.n_block_columns * self.mask.block_in - self.mask.n_in
        y = BlockProduct.apply(F.pad(x, (0, 0, 0, padding)) if padding else x, weight, self.index)
        return y[: self.mask.n_out] + bias[:, None]

    @property
    def index(self) -> BlockIndex:
        """Positions of the kept blocks, on the device of the weights."""
        if self._index.columns.device != self.weight.device:
            self._index = BlockIndex(self.mask, self.weight.device)
        return self._index

    def to_dense(self) -> torch.Tensor:
        """(n_out, n_in) copy of the whole matrix, zero where dropped; for looking at, never for training."""
        mask = self.mask
        dense = self.weight.new_zeros(mask.n_block_rows, mask.n_block_columns, mask.block, mask.block_in)
        rows = torch.arange(mask.n_block_rows, device=dense.device)[:, None]
        dense[rows, self.kept.long()] = self.weight.detach()
        return dense.transpose(1, 2).reshape(mask.n_block_rows * mask.block, -1)[: mask.n_out, : mask.n_in].contiguous()

    @classmethod
    def of_dense(cls, mask: BlockMask, weight: torch.Tensor, bias: torch.Tensor | None) -> BlockSparseLinear:
        """The layer that holds the kept blocks of a whole matrix (n_out, n_in); without a bias, as U of an LSTM is, where none is given."""
        layer = cls(mask)
        if bias is None:
            layer.register_parameter("bias", None)
        layer.copy_dense(weight, bias)
        return layer

    @torch.no_grad()
    def copy_dense(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Take the kept blocks of a whole matrix (n_out, n_in), and its bias if this layer has one."""
        mask = self.mask
        padded = F.pad(weight.detach(), (0, -mask.n_in % mask.block_in, 0, -mask.n_out % mask.block))
        blocks = padded.view(mask.n_block_rows, mask.block, mask.n_block_columns, mask.block_in).transpose(1, 2)
        self.weight.copy_(blocks[torch.arange(mask.n_block_rows)[:, None], self.kept.long()])
        if bias is not None:
            self.bias.copy_(bias)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse weights of another mask. Raises: FormatError: other blocks, another shape, or weights where padding is."""
        kept, weight = state_dict.get(f"{prefix}kept"), state_dict.get(f"{prefix}weight")
        if kept is not None and (kept.shape != self.kept.shape or not torch.equal(kept.to(self.kept), self.kept)):
            raise FormatError(f"{prefix}kept: blocks of another mask than the layer's ({self.mask.checksum[:12]})", "load it with the mask it was trained with")
        if weight is not None and weight.shape != self.weight.shape:
            raise FormatError(f"{prefix}weight: shape {tuple(weight.shape)} where the mask has {tuple(self.weight.shape)}", "load a network of this shape")
        if weight is not None and weight[~torch.from_numpy(self.mask.real_weights).to(weight.device)].any():
            matrix = f"{self.mask.n_out} x {self.mask.n_in}"
            raise FormatError(f"{prefix}weight: weights outside the {matrix} matrix are not zero", "the file was altered; train again")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
