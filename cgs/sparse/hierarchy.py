"""Hierarchical coarse-grain sparsity: large blocks kept at random, and inside each of them small blocks kept at random.

The result is a `BlockMask` of the small blocks, so layers, packed files and hardware know no second kind; that its blocks lie in few large
ones shows in the index, which takes fewer bits a block, and in the inputs that a row of large blocks reads."""

from __future__ import annotations

import math

import numpy as np

from cgs.base.errors import ConfigError
from cgs.base.units import block_size
from cgs.sparse.mask import BlockMask, check_density, draw_mask, keep_per_row, layer_seed


def draw_hierarchical_mask(
    n_out: int, n_in: int, coarse: int, block: int, density: float, seed: int, coarse_density: float | None = None, block_in: int = 0
) -> BlockMask:
    """Draw the kept blocks on two levels, before training.

    Args:
        n_out, n_in: shape of the weight matrix.
        coarse: side of a large block, which is square; a multiple of `block` and of `block_in`, larger than both.
        block: height of a small block, in outputs; the side of a square one.
        density: share of the weights to keep.
        seed: any integer; the same one gives the same mask everywhere.
        coarse_density: share of the large blocks to keep; the square root of `density`, where not given.
        block_in: width of a small block, in inputs; 0 for a square one.
    Returns: in every row of large blocks equally many are kept, and in every row of small blocks of each of them equally many; all columns of
        large blocks are used.
    Raises: ConfigError: sides that do not fit each other or the matrix, or a density that no such mask comes near.
    Source: Kadetotad, Berisha, Chakrabarti and Seo, "A 8.93-TOPS/W LSTM recurrent neural network accelerator featuring hierarchical
        coarse-grain sparsity with all parameters stored on-chip" (ESSCIRC 2019; JSSC 2020). Differs: columns are balanced, see `draw_mask`.
    """
    block_in = block_in or block
    size = block_size(block, block_in)
    if coarse % block or coarse % block_in or coarse <= max(block, block_in):
        raise ConfigError(f"coarse block {coarse} and block {size}", "make the coarse one a multiple of the other, e.g. 64 and 16")
    outer = math.sqrt(density) if coarse_density is None else coarse_density
    inner, fine, fine_in = density / outer, coarse // block, coarse // block_in
    if not 0 < inner <= 1:
        raise ConfigError(f"coarse_density {outer:g} at density {density:g}", "choose one between the density and 1")
    above = draw_mask(n_out, n_in, coarse, outer, seed)
    keep, n_rows = keep_per_row(coarse, coarse, block, inner, block_in), -(-n_out // block)
    kept = np.zeros((n_rows, above.keep_per_row * keep), dtype=np.int32)
    for row, columns in enumerate(above.kept):
        height = min(fine, n_rows - row * fine)
        for place, column in enumerate(columns.tolist()):
            width = min(coarse, n_in - column * coarse)
            if -(-width // block_in) < keep:
                raise ConfigError(f"coarse block {coarse}: the last one of {n_in} inputs is {width} wide, too narrow for {keep} blocks of {size} a row",
                                  "choose a coarse block that divides the inputs")
            inside = _draw_inside(width, coarse, (block, block_in), keep, layer_seed(seed, row * above.n_block_columns + column))
            kept[row * fine : row * fine + height, place * keep : (place + 1) * keep] = column * fine_in + inside[:height]
    mask = BlockMask(n_out, n_in, block, np.sort(kept, axis=1), seed, block_in)
    check_density(density, mask.density, f"a {n_out} x {n_in} layer in blocks of {size} in {coarse}")
    return mask


def _draw_inside(width: int, coarse: int, sides: tuple[int, int], keep: int, seed: int) -> np.ndarray:
    """(coarse / block, keep) columns of the small blocks kept inside one large block, whose last columns may lie beyond the matrix."""
    block, block_in = sides
    n_columns = -(-width // block_in)
    return draw_mask(coarse, n_columns * block_in, block, keep / n_columns, seed, block_in).kept
