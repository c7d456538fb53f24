"""How fast a coarse-grain sparse network trains and scores, against the dense one of the same shape.

    PYTHONPATH=. .venv/bin/python benchmarks/sparse_layer.py [--network speech] [--rounds 20]

The candidates take turns in one process on one thread, and each ratio is taken within a round, so that a machine
that slows down slows all of them; medians of the ratios are printed. "masked dense" multiplies a whole weight
matrix by a 0/1 mask: what sparse training costs when dropped weights still exist."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from cgs.base.options import TrainOptions
from cgs.nn.network import FeedForward, NetworkSpec, build_network
from cgs.nn.train import make_optimiser

NETWORKS = {"keyword": (403, (512, 512), 12), "speech": (440, (1024,) * 4, 1483), "small speech": (440, (512,) * 4, 500), "4 x 2048": (2048, (2048,) * 3, 2048)}
DENSITY, BLOCK = 0.25, 64
FRAMES = (1, 64, 512)
TRAIN_FRAMES = 512


class MaskedDense(nn.Module):
    """The dense network with its weights multiplied by the masks of a sparse one at every use."""

    def __init__(self, dense: FeedForward, sparse: FeedForward) -> None:
        super().__init__()
        self.layers = dense.layers
        self.masks = [None if mask is None else torch.from_numpy(mask.to_dense()).float() for mask in sparse.masks]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, n_in) -> (T, n_out)."""
        for index, (layer, mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            assert isinstance(layer, nn.Linear)
            x = F.linear(torch.relu(x) if index else x, layer.weight if mask is None else layer.weight * mask, layer.bias)
        return x


def candidates(name: str) -> tuple[dict[str, nn.Module], float]:
    """The three networks of one shape, and the share of weights that the sparse one keeps."""
    n_in, hidden, n_out = NETWORKS[name]
    dense = build_network(NetworkSpec(n_in=n_in, hidden=hidden, n_out=n_out))
    small_output = n_out < 4 * BLOCK
    sparse = build_network(NetworkSpec(n_in=n_in, hidden=hidden, n_out=n_out, method="cgs", density=DENSITY, block=BLOCK, dense_output=small_output))
    base = build_network(dense.spec)
    return {"dense": dense, "masked dense": MaskedDense(base, sparse), "cgs": sparse}, sparse.n_weights_kept / sparse.n_weights


def train_step(network: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """One step of the training loop: forward, backward, Adam."""
    optimiser = make_optimiser(network, TrainOptions())
    network.train()

    def step() -> None:
        optimiser.zero_grad()
        F.cross_entropy(network(x), labels).backward()
        optimiser.step()

    return step


def scoring(network: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One forward pass without gradients."""

    def score() -> None:
        with torch.inference_mode():
            network(x)

    return score


def compare(what: str, steps: dict[str, Callable[[], None]], rounds: int) -> None:
    """Time the candidates in turn and print the dense time and the speed of the others relative to it."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_number in range(rounds + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_number >= 2:
                seconds[name].append(time.perf_counter() - start)
    dense = seconds["dense"]
    ratios = {name: statistics.median(d / t for d, t in zip(dense, times, strict=True)) for name, times in seconds.items() if name != "dense"}
    told = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in ratios.items())
    print(f"  {what:<22} dense {1e3 * statistics.median(dense):8.2f} ms   {told}")


def main() -> None:
    """Compare on the networks asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=sorted(NETWORKS), action="append")
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name in args.network or NETWORKS:
        n_in, _, n_out = NETWORKS[name]
        networks, share = candidates(name)
        print(f"{name}: block {BLOCK}, {100 * share:.1f} % of the weights kept")
        x, labels = torch.randn(TRAIN_FRAMES, n_in), torch.randint(0, n_out, (TRAIN_FRAMES,))
        compare(f"train, {TRAIN_FRAMES} frames", {key: train_step(network, x, labels) for key, network in networks.items()}, args.rounds)
        for frames in FRAMES:
            steps = {key: scoring(network.eval(), x[:frames]) for key, network in networks.items()}
            compare(f"score, {frames} frames", steps, args.rounds * (1 if frames > 64 else 5))


if __name__ == "__main__":
    main()
