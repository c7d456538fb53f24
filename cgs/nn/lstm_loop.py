"""The part of an LSTM that has to go frame by frame: U h and the cells, forward and back through time.

What does not depend on the frame before is done for all frames at once, outside: the inputs' product W x, and here
the gradient of U, one product over all frames instead of a sum over steps."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from cgs.sparse.layer import BlockFactors, BlockIndex


class Factors(Protocol):
    """A matrix as the loop uses it."""

    def times(self, x: torch.Tensor) -> torch.Tensor: ...
    def transposed_times(self, y: torch.Tensor) -> torch.Tensor: ...
    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor: ...


class DenseFactors:
    """A dense matrix (n_out, n_in); see `BlockFactors`."""

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """W x."""
        return self.weight @ x

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """W' y."""
        return self.weight.t() @ y

    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        """Gradient of W for inputs x and the gradient of W x."""
        return grad @ x.t()


class PaddedFactors:
    """Kept blocks of a matrix of which the last block row or column is not whole; see `BlockFactors`."""

    def __init__(self, weight: torch.Tensor, index: BlockIndex, n_out: int, n_in: int) -> None:
        self.factors, self.n_out, self.n_in = BlockFactors(weight, index), n_out, n_in
        n_rows, _, block, block_in = weight.shape
        self.more_out, self.more_in = n_rows * block - n_out, index.n_columns * block_in - n_in

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """W x."""
        return self.factors.times(_lengthened(x, self.more_in))[: self.n_out]

    def transposed_times(self, y: torch.Tensor) -> torch.Tensor:
        """W' y."""
        return self.factors.transposed_times(_lengthened(y, self.more_out))[: self.n_in]

    def weight_gradient(self, x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        """Gradient of the kept weights for inputs x and the gradient of W x."""
        return self.factors.weight_gradient(_lengthened(x, self.more_in), _lengthened(grad, self.more_out))


class Cells(Protocol):
    """What becomes of the sums of gates; all arrays (units, N)."""

    def squash(self, sums: torch.Tensor) -> torch.Tensor:
        """(4H, N) sums, which are overwritten -> i, f, o and g."""
        ...

    def update(self, gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(4H, N) gates and (H, N) c of the frame before -> c, tanh(c) and h."""
        ...


class RealCells:
    """Cells in floating point; see `Cells`."""

    def squash(self, sums: torch.Tensor) -> torch.Tensor:
        """i, f, o = sigmoid(.), g = tanh(.)."""
        n = sums.shape[0] // 4
        torch.sigmoid_(sums[: 3 * n])
        torch.tanh_(sums[3 * n :])
        return sums

    def update(self, gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """c = f c + i g, h = o tanh(c)."""
        i, f, o, g = gates.chunk(4)
        c = torch.addcmul(f * c, i, g)
        tanh_c = torch.tanh(c)
        return c, tanh_c, o * tanh_c


class LstmLoop(torch.autograd.Function):
    """h, c of every frame from the gates' inputs; all arrays (units, T, N), so that a layer's frames are columns of one matrix.

    Gates come in the order input, forget, output, candidate: i, f, o = sigmoid(.), g = tanh(.), c = f c + i g, h = o tanh(c).

    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers and others 2000; no peepholes.
    """

    @staticmethod
    def forward(ctx: Any, fed: torch.Tensor, weight: torch.Tensor, index: BlockIndex | None, functions: Cells) -> torch.Tensor:
        """Run from a state of zeros.

        Args:
            fed: (4H, T, N), W x + b.
            weight: U, (4H, H), or its kept blocks (R, K, B, B_in).
            index: where those are; None for a dense U.
            functions: real ones, or others near them, through which gradients pass as if they were real.
        Returns: (H, T, N), h.
        """
        n_cells, (_, n_frames, n) = fed.shape[0] // 4, fed.shape
        recurrent = _factors(weight, index, n_cells)
        gates, cells, squashed, outputs = torch.empty_like(fed), *(fed.new_empty(n_cells, n_frames, n) for _ in range(3))
        c = fed.new_zeros(n_cells, n)
        for t in range(n_frames):
            sums = recurrent.times(outputs[:, t - 1].contiguous()).add_(fed[:, t]) if t else fed[:, 0].clone()
            gates[:, t] = squashed_sums = functions.squash(sums)
            c, squashed[:, t], outputs[:, t] = functions.update(squashed_sums, c)
            cells[:, t] = c
        ctx.save_for_backward(weight, gates, cells, squashed, outputs)
        ctx.index = index
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        """Back through all frames; then the gradient of U over all of them at once."""
        weight, gates, cells, squashed, outputs = ctx.saved_tensors
        n_cells, n_frames, n = outputs.shape
        recurrent = _factors(weight, ctx.index, n_cells)
        slopes = torch.empty_like(gates)
        grad_c = grad.new_zeros(n_cells, n)
        grad_sums = grad.new_zeros(4 * n_cells, n)
        for t in range(n_frames - 1, -1, -1):
            grad_h = grad[:, t] + recurrent.transposed_times(grad_sums) if t < n_frames - 1 else grad[:, t]
            i, f, o, g = gates[:, t].chunk(4)
            tanh_c = squashed[:, t]
            grad_c = torch.addcmul(grad_c, grad_h * o, 1 - tanh_c * tanh_c)
            grad_sums = torch.empty_like(grad_sums)
            to_i, to_f, to_o, to_g = grad_sums.chunk(4)
            torch.mul(grad_c, g, out=to_i)
            torch.mul(grad_c, cells[:, t - 1], out=to_f) if t else to_f.zero_()
            torch.mul(grad_h, tanh_c, out=to_o)
            torch.mul(grad_c, i, out=to_g)
            grad_sums[: 3 * n_cells] *= torch.addcmul(gates[: 3 * n_cells, t], gates[: 3 * n_cells, t], gates[: 3 * n_cells, t], value=-1)
            to_g *= 1 - g * g
            slopes[:, t] = grad_sums
            grad_c = grad_c * f
        before = F.pad(outputs[:, :-1], (0, 0, 1, 0))
        return slopes, recurrent.weight_gradient(before.flatten(1), slopes.flatten(1)), None, None


def _factors(weight: torch.Tensor, index: BlockIndex | None, n_cells: int) -> Factors:
    return DenseFactors(weight) if index is None else PaddedFactors(weight, index, 4 * n_cells, n_cells)


def _lengthened(x: torch.Tensor, n_rows: int) -> torch.Tensor:
    return F.pad(x, (0, 0, 0, n_rows)) if n_rows else x
