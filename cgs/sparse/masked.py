"""A linear layer with its whole weight matrix, of which only some weights exist: what pruning methods train in.

Coarse-grain sparse layers (`cgs.sparse.layer`) never hold what is dropped. Their rivals choose while they train, so they need the
whole matrix; here what is not kept is exactly zero whenever anybody looks."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from torch import nn

from cgs.base.errors import FormatError


class MaskedLinear(nn.Linear):
    """y = W x + b, where W is zero outside `kept`.

    Args:
        n_in, n_out: shape.
        generator: source of the initial weights; variance gain^2 / n_in.
        gain: see `BlockSparseLinear`.
    Attributes:
        kept: (n_out, n_in) bool, all True to begin with.
        settled: bool, whether `kept` changes no more.
    """

    kept: torch.Tensor
    settled: torch.Tensor

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator | None = None, gain: float = 2.0**0.5) -> None:
        super().__init__(n_in, n_out)
        with torch.no_grad():
            self.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / n_in**0.5))
            self.bias.zero_()
        self.register_buffer("kept", torch.ones(n_out, n_in, dtype=torch.bool))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))

    def keep(self, kept: torch.Tensor) -> None:
        """Keep these weights (n_out, n_in) bool and no others; what comes back begins at zero."""
        self.kept.copy_(kept)
        self.enforce()

    @torch.no_grad()
    def enforce(self) -> None:
        """Make what is not kept zero."""
        self.weight.masked_fill_(~self.kept, 0.0)

    @property
    def n_weights_kept(self) -> int:
        """Weights that exist."""
        return int(self.kept.sum())

    @property
    def checksum(self) -> str:
        """SHA-256 of the shape and the kept weights."""
        kept = self.kept.cpu().numpy()
        return hashlib.sha256(f"weight mask 1 {kept.shape[0]} {kept.shape[1]}\n".encode("ascii") + np.packbits(kept).tobytes()).hexdigest()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse weights that are not kept. Raises: FormatError: a weight other than zero outside the mask."""
        kept, weight = state_dict.get(f"{prefix}kept"), state_dict.get(f"{prefix}weight")
        if kept is not None and weight is not None and kept.shape == weight.shape and weight[~kept.bool()].any():
            raise FormatError(f"{prefix}weight: weights outside the mask are not zero", "the file was altered; train again")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
