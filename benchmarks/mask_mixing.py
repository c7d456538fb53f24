"""How many sparse layers it takes until every output can be reached from every input, by method, density and block.

No training: masks are drawn, and the share of (input, output) pairs that some path joins is counted after each layer; with
it the number of inputs that a unit of the first layer sees, which is what a network loses that never mixes."""

from __future__ import annotations

import argparse

import numpy as np

from cgs.base.errors import ConfigError
from cgs.base.units import block_size
from cgs.sparse.hierarchy import draw_hierarchical_mask
from cgs.sparse.mask import draw_mask, layer_seed
from cgs.sparse.pruning import permuted_diagonal

SQUARES = [("cgs", 8, 0), ("cgs", 16, 0), ("cgs", 32, 0), ("cgs", 64, 0)]
RECTANGLES = [("cgs", 8, 32), ("cgs", 32, 8), ("cgs", 16, 64), ("cgs", 64, 16)]
KINDS = [*SQUARES, *RECTANGLES, ("hcgs", 8, 0), ("same mask", 16, 0), ("mpd", 1, 0)]
"""Method, outputs and inputs of a block."""


def masks(method: str, width: int, n_layers: int, density: float, block: int, block_in: int, seed: int) -> list[np.ndarray]:
    """(width, width) bool masks of a stack of layers. Raises: ConfigError: a layer that cannot have the density."""
    seeds = [layer_seed(seed, layer) for layer in range(n_layers)]
    if method == "mpd":
        return [permuted_diagonal(width, width, density, s) for s in seeds]
    if method == "hcgs":
        return [draw_hierarchical_mask(width, width, 8 * block, block, density, s).to_dense() for s in seeds]
    if method == "same mask":
        return [draw_mask(width, width, block, density, seeds[0]).to_dense()] * n_layers
    return [draw_mask(width, width, block, density, s, block_in).to_dense() for s in seeds]


def joined(stack: list[np.ndarray]) -> list[float]:
    """Share of (input, output) pairs joined after each layer."""
    reached, shares = np.eye(stack[0].shape[1], dtype=bool), []
    for mask in stack:
        reached = (mask.astype(np.float32) @ reached.astype(np.float32)) > 0
        shares.append(float(reached.mean()))
    return shares


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=512, help="units of each layer")
    parser.add_argument("--layers", type=int, default=5, help="weight matrices")
    parser.add_argument("--seeds", type=int, default=5, help="masks of each kind; the mean is shown")
    args = parser.parse_args()
    print(f"| method | density | block | {' | '.join(f'after {n}' for n in range(1, args.layers + 1))} |")
    print(f"|---|---|---|{'---|' * args.layers}")
    for density in (0.25, 1 / 16, 1 / 32):
        for method, block, block_in in KINDS:
            size = block_size(block, block_in)
            try:
                found = [joined(masks(method, args.width, args.layers, density, block, block_in, seed)) for seed in range(args.seeds)]
            except ConfigError as error:
                print(f"| {method} | 1/{1 / density:g} | {size} | not possible: {error.message} |")
                continue
            print(f"| {method} | 1/{1 / density:g} | {size} | {' | '.join(f'{100 * share:.1f} %' for share in np.mean(found, axis=0))} |")


if __name__ == "__main__":
    main()
