"""Low-rank factors: a weight matrix that is the product of two narrow ones from the start.

A rival of coarse-grain sparsity: no weight of the matrix is zero, but there are only as many free ones as its rank allows."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import nn

from cgs.base.errors import ConfigError
from cgs.sparse.mask import check_density


def rank_of(n_out: int, n_in: int, density: float) -> int:
    """The largest rank whose two factors have at most a share of the weights of a matrix, counted exactly.

    Args:
        n_out, n_in: shape of the matrix.
        density: share of its weights, as it is written: 0.1 is a tenth.
    Raises: ConfigError: not even rank 1 has so few, or no rank comes near.
    """
    rank = Fraction(str(density)) * n_out * n_in // (n_out + n_in)
    if rank < 1:
        told = f"lowrank: density {density:g} of a {n_out} x {n_in} matrix, whose factors of rank 1 are {(n_out + n_in) / (n_out * n_in):.3g} of it"
        raise ConfigError(told, "choose a higher density, or keep the matrix whole (dense_input, dense_output, or a density of 1 in a list)")
    check_density(density, int(rank) * (n_out + n_in) / (n_out * n_in), f"lowrank: a {n_out} x {n_in} matrix")
    return int(rank)


class LowRankLinear(nn.Module):
    """y = A (B x + c) + b.

    Args:
        n_in, n_out: shape of the product A B.
        rank: columns of A, rows of B.
        generator: source of the first weights: variance 1 / n_in of B and gain^2 / rank of A, so that outputs are as large as a dense layer's.
        gain: see `BlockSparseLinear`.
    Attributes:
        first: B (rank, n_in) and c (rank,), zero at first.
        second: A (n_out, rank) and b (n_out,), zero at first.
    Source: Sainath and others, ICASSP 2013. Differs: c, which adds nothing to what the layer can compute, but lets rounded values between the factors
        use the whole of their range.
    """

    def __init__(self, n_in: int, n_out: int, rank: int, generator: torch.Generator | None = None, gain: float = 2.0**0.5) -> None:
        super().__init__()
        self.first = nn.utils.skip_init(nn.Linear, n_in, rank)
        self.second = nn.utils.skip_init(nn.Linear, rank, n_out)
        with torch.no_grad():
            for factor, wanted in ((self.first, 1.0), (self.second, gain)):
                factor.weight.copy_(torch.randn(factor.weight.shape, generator=generator) * (wanted / factor.in_features**0.5))
                factor.bias.zero_()

    @property
    def in_features(self) -> int:
        """Inputs."""
        return self.first.in_features

    @property
    def out_features(self) -> int:
        """Outputs."""
        return self.second.out_features

    @property
    def rank(self) -> int:
        """Values between the factors."""
        return self.second.in_features

    @property
    def bias(self) -> torch.Tensor:
        """b."""
        return self.second.bias

    @property
    def n_weights_kept(self) -> int:
        """Weights of both factors."""
        return self.rank * (self.in_features + self.out_features)

    def feature_major(self, x: torch.Tensor) -> torch.Tensor:
        """(n_in, T) -> (n_out, T), as the layers of a network pass it on."""
        between = torch.addmm(self.first.bias[:, None], self.first.weight, x)
        return torch.addmm(self.second.bias[:, None], self.second.weight, between)

    @torch.no_grad()
    def copy_dense(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """Take the product nearest to a whole matrix (n_out, n_in), each factor with the square roots of its singular values, and its bias.

        Source: Xue, Li and Gong, Interspeech 2013.
        """
        left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
        roots = values[: self.rank].sqrt()
        self.second.weight.copy_(left[:, : self.rank] * roots)
        self.first.weight.copy_(roots[:, None] * right[: self.rank])
        self.first.bias.zero_()
        self.second.bias.copy_(bias)

    def to_dense(self) -> torch.Tensor:
        """(n_out, n_in) copy of A B; for looking at, never for training."""
        return (self.second.weight @ self.first.weight).detach()
