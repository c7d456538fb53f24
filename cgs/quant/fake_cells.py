"""The cells of `cgs.quant.cells` in torch, for fine-tuning: the same numbers, as floats on their grids, which float32 holds exactly."""

from __future__ import annotations

import numpy as np
import torch

from cgs.quant.cells import CELL, GATE, sigmoid, tanh
from cgs.quant.formats import FixedPoint

SIGMOIDS, TANHS = (torch.from_numpy(function(np.arange(GATE.low, GATE.high + 1)) / unit) for function, unit in ((sigmoid, 512), (tanh, 256)))
"""(2048,), the functions of every integer of a gate's sum."""


class RoundedCells:
    """Cells that round as a packed layer does; see `cgs.nn.lstm_loop.Cells`.

    Gradients are those of the real functions where they take the values of the tables: straight through every rounding.

    Args:
        output: format of h.
        like: a tensor of the device and type to compute with.
    """

    def __init__(self, output: FixedPoint, like: torch.Tensor) -> None:
        self.output = output
        self.tanhs = TANHS.to(like)
        self.functions = torch.cat([SIGMOIDS.to(like), self.tanhs])

    def squash(self, sums: torch.Tensor) -> torch.Tensor:
        """i, f, o and g out of their tables."""
        places = _places(sums)
        places[3 * len(sums) // 4 :] += len(SIGMOIDS)
        return self.functions[places]

    def update(self, gates: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """c, tanh(c) and h, c and h rounded. A sum that float32 has to round is beyond what c can hold."""
        i, f, o, g = gates.chunk(4)
        c = _rounded(torch.addcmul(f * c, i, g), CELL)
        tanh_c = self.tanhs[_places(c.clone())]
        return c, tanh_c, _rounded(o * tanh_c, self.output)


def _rounded(x: torch.Tensor, form: FixedPoint) -> torch.Tensor:
    """`x`, overwritten, on the grid of a format, halves rounded up."""
    return x.mul_(2.0**form.fraction_bits).add_(0.5).floor_().clamp_(form.low, form.high).mul_(2.0**-form.fraction_bits)


def _places(x: torch.Tensor) -> torch.Tensor:
    """Where the tables have the functions of `x`, which is overwritten; halves of a step are rounded up."""
    return x.mul_(2.0**GATE.fraction_bits).add_(0.5).floor_().clamp_(GATE.low, GATE.high).sub_(GATE.low).long()
