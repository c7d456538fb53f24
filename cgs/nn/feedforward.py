"""Feed-forward networks: spliced frames in, a score for each class out."""

from __future__ import annotations

import torch

from cgs.base.errors import ShapeError
from cgs.nn.dropout import relu_dropout
from cgs.nn.layers import HE_GAIN, Network, Spec, feature_major
from cgs.sparse.mask import BlockMask


class NetworkSpec(Spec):
    """The shape of a feed-forward network."""

    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of every layer."""
        widths = [self.n_in, *self.hidden, self.n_out]
        return list(zip(widths[1:], widths[:-1], strict=True))


class FeedForward(Network):
    """Linear layers, dense or block-sparse, with ReLU and dropout between them; the last outputs are logits.

    Args:
        spec, masks: see `Network`.
    """

    def __init__(self, spec: NetworkSpec, masks: list[BlockMask | None] | None = None) -> None:
        super().__init__(spec, masks, [HE_GAIN] * len(spec.hidden) + [1.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, n_in) features -> (T, n_out) logits. Raises: ShapeError: another width."""
        if x.ndim != 2 or x.shape[1] != self.spec.n_in:
            raise ShapeError(f"input of shape {tuple(x.shape)} to a network of {self.spec.n_in} inputs", "check feature kind and context")
        dropout = self.spec.dropout if self.training else 0.0
        if self.spec.method == "dense":
            for layer in self.layers[:-1]:
                x = relu_dropout(layer(x), dropout)
            return self.layers[-1](x)
        x = x.t().contiguous()
        for layer in list(self.each_layer())[:-1]:
            x = relu_dropout(feature_major(layer, x), dropout, axis=1)
        return feature_major(self.layers[-1], x).t()  # type: ignore[arg-type]
