"""Unidirectional LSTM networks: what was said before a frame is remembered, a few frames after it are waited for.

Each layer has two weight matrices, W (4H, inputs) and U (4H, H), which hold all four gates and take a block mask each."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from cgs.nn.dropout import dropout
from cgs.nn.layers import Layer, Matrix, Network, Product, Spec, feature_major, features_first, spliced
from cgs.nn.lstm_loop import Cells, LstmLoop, RealCells
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.mask import BlockMask

FORGET_BIAS = 1.0
"""First bias of the forget gates, so that cells begin by remembering."""


class LstmSpec(Spec):
    """The shape of an LSTM network; `n_in` is the features of one frame, `hidden` the cells of each layer."""

    model: Literal["lstm"] = "lstm"
    offsets: tuple[int, ...] = Field(description="frames that the first layer sees side by side, rising")
    label_delay: int = Field(ge=0, description="further frames that are heard before a frame is named")
    warmup: int = Field(ge=0, description="frames that are heard before the first one that is named, the first frame repeated at the start of an utterance")

    remembers = True

    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of W and U of every layer, then of the output layer."""
        inputs = [self.n_in * len(self.offsets), *self.hidden]
        pairs = [shape for n_cells, n_in in zip(self.hidden, inputs, strict=False) for shape in ((4 * n_cells, n_in), (4 * n_cells, n_cells))]
        return [*pairs, (self.n_out, inputs[-1])]

    @property
    def context(self) -> tuple[int, int]:
        """Frames before (warm-up; memory reaches further back) and after the current one."""
        return self.warmup - self.offsets[0], self.label_delay + self.offsets[-1]

    @property
    def n_unnamed(self) -> int:
        """The warm-up, and the frames by which names are late."""
        return self.warmup + self.label_delay

    def products(self, layers: list[Layer]) -> list[Product]:
        """One of two matrices for each layer of cells, and the output layer's."""
        pairs = enumerate(cells_of(layers))
        cells = [Product(from_below, n, (0,) if n else self.offsets, relu=False, recurrent=recurrent) for n, (from_below, recurrent) in pairs]
        return [*cells, Product(layers[-1], len(cells), (0,), relu=False)]  # type: ignore[arg-type]


def cells_of(layers: list[Layer]) -> list[tuple[Matrix, Matrix]]:
    """W and U of each layer of cells, out of the layers of an LSTM network."""
    return list(zip(layers[:-1:2], layers[1::2], strict=True))  # type: ignore[arg-type]


class Lstm(Network):
    """LSTM layers with dropout after each, then a linear layer; the outputs are logits.

    Args:
        spec, masks: see `Network`.
    Source: the time loop, `LstmLoop`; a label delay as in Sak, Senior and Beaufays, Interspeech 2014; masks on W and U as in [HCGS19].
    Differs: one level of blocks; U has no bias of its own, because W has one.
    """

    spec: LstmSpec

    def __init__(self, spec: LstmSpec, masks: list[BlockMask | None] | None = None) -> None:
        super().__init__(spec, masks, [1.0] * (2 * len(spec.hidden) + 1))
        for (from_below, recurrent), n_cells in zip(cells_of(list(self.each_layer())), spec.hidden, strict=True):
            from_below.bias.data[n_cells : 2 * n_cells] = FORGET_BIAS
            recurrent.register_parameter("bias", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, left + T + right, n_in) frames with their context -> (N, T, n_out) logits. Raises: ShapeError: another width, or no frame."""
        probability = self.spec.dropout if self.training else 0.0
        x = spliced(features_first(x, self.spec), self.spec.offsets).transpose(1, 2).contiguous()
        layers = list(self.each_layer())
        for from_below, recurrent in cells_of(layers):
            fed = feature_major(from_below, x.flatten(1)).unflatten(1, x.shape[1:])
            x = dropout(run_cells(fed, recurrent, RealCells()), probability, axis=2)
        x = x[:, self.spec.n_unnamed :]
        return feature_major(layers[-1], x.flatten(1)).t().unflatten(0, x.shape[1:]).transpose(0, 1)


def run_cells(fed: torch.Tensor, recurrent: Matrix, functions: Cells, weight: torch.Tensor | None = None) -> torch.Tensor:
    """One layer of cells.

    Args:
        fed: (4H, T, N), what comes from below times W, bias added.
        recurrent: U.
        functions: what becomes of the sums of gates.
        weight: used in place of U's own, e.g. rounded.
    Returns: (H, T, N), h.
    """
    weight = recurrent.weight if weight is None else weight
    with torch.autocast(fed.device.type, enabled=False):  # errors of bfloat16 would add up from frame to frame
        return LstmLoop.apply(fed.to(weight.dtype), weight, recurrent.index if isinstance(recurrent, BlockSparseLinear) else None, functions)
