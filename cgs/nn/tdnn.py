"""Time-delay networks: each layer sees a few frames of the layer below, so that context grows with depth.

A minibatch of whole chunks goes through a layer as one matrix product, over as many columns as there are frames."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field

from cgs.nn.dropout import relu_dropout
from cgs.nn.layers import HE_GAIN, Network, Spec, feature_major, features_first, spliced
from cgs.sparse.mask import BlockMask


class TdnnSpec(Spec):
    """The shape of a time-delay network; `n_in` is the features of one frame."""

    model: Literal["tdnn"] = "tdnn"
    offsets: tuple[tuple[int, ...], ...] = Field(description="frames that each hidden layer sees of the one below, rising")

    def layer_offsets(self) -> list[tuple[int, ...]]:
        """Offsets of every layer, the output layer's too."""
        return [*self.offsets, (0,)]

    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of every layer: it reads its frames side by side, oldest first."""
        widths = [self.n_in, *self.hidden, self.n_out]
        return [(n_out, n_in * len(offsets)) for n_out, n_in, offsets in zip(widths[1:], widths[:-1], self.layer_offsets(), strict=True)]

    @property
    def context(self) -> tuple[int, int]:
        """Frames before and after the current one, of all layers together."""
        return -sum(min(offsets) for offsets in self.offsets), sum(max(offsets) for offsets in self.offsets)


class Tdnn(Network):
    """Linear layers over spliced frames with ReLU and dropout between them; the last outputs are logits.

    Args:
        spec, masks: see `Network`.
    Source: Waibel and others 1989; layers that skip frames as in Peddinti, Povey and Khudanpur, Interspeech 2015.
    Differs: no normalisation between layers, so that a packed layer is products, a shift and a ReLU.
    """

    spec: TdnnSpec

    def __init__(self, spec: TdnnSpec, masks: list[BlockMask | None] | None = None) -> None:
        super().__init__(spec, masks, [HE_GAIN] * len(spec.hidden) + [1.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, left + T + right, n_in) frames with their context -> (N, T, n_out) logits. Raises: ShapeError: another width, or no frame."""
        dropout = self.spec.dropout if self.training else 0.0
        x = features_first(x, self.spec)
        offsets = self.spec.layer_offsets()
        for layer, seen in list(zip(self.each_layer(), offsets, strict=True))[:-1]:
            x = spliced(x, seen)
            x = relu_dropout(feature_major(layer, x.flatten(1)), dropout, axis=1).unflatten(1, x.shape[1:])
        return feature_major(self.layers[-1], x.flatten(1)).t().unflatten(0, x.shape[1:])  # type: ignore[arg-type]
