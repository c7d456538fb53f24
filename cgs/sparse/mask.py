"""Which coarse-grain blocks of a weight matrix are kept.

Owns the mask that training, packing, kernels and hardware share, how it is drawn and what identifies it.
NumPy only. The random numbers are our own (SplitMix64), so a seed means the same mask on every machine and
with every version of every library."""

from __future__ import annotations

import hashlib
import math
from collections.abc import MutableSequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgs.base.errors import ConfigError, ShapeError
from cgs.base.units import block_size

DENSITY_TOLERANCE = 0.25
"""The density got may differ from the density asked by this fraction of the latter."""
SWITCHES_PER_BLOCK = 4
"""Random switches tried for each kept block; 2 to 3 of them succeed at density 0.25, and each moves two blocks."""
MASK_64 = (1 << 64) - 1


class SplitMix64:
    """Steele, Lea and Flood's 64-bit generator (OOPSLA 2014), small enough to specify in full."""

    def __init__(self, seed: int) -> None:
        self.state = seed & MASK_64

    def next(self) -> int:
        """The next 64 random bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK_64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK_64
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """A uniform integer in 0..n-1; the biased tail is drawn again."""
        limit = (MASK_64 + 1) // n * n
        while (bits := self.next()) >= limit:
            pass
        return bits % n

    def shuffle(self, items: MutableSequence[int]) -> None:
        """Fisher-Yates, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]


@dataclass(frozen=True, eq=False)
class BlockMask:
    """The kept blocks of a weight matrix; rows and columns are padded up to whole blocks.

    Args:
        n_out: rows of the matrix.
        n_in: columns of the matrix.
        block: height of a block, in outputs; the side B of a square one.
        kept: (R, K) int32, the block columns kept in each block row, ascending.
        seed: what it was drawn from; says where it came from and is no part of its identity.
        block_in: width of a block, in inputs; 0 for a square one, which afterwards reads `block`.
    Raises: ShapeError: `kept` does not fit the matrix, or is not ascending.
    """

    n_out: int
    n_in: int
    block: int
    kept: np.ndarray
    seed: int = 0
    block_in: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_in", self.block_in or self.block)
        kept = np.array(self.kept, dtype=np.int32, order="C")
        matrix = f"a {self.n_out} x {self.n_in} matrix with block {block_size(self.block, self.block_in)}"
        if min(self.n_out, self.n_in, self.block, self.block_in) < 1:
            raise ShapeError(f"block mask of {matrix}", "use sizes of at least 1")
        if kept.ndim != 2 or kept.shape[0] != self.n_block_rows or not 1 <= kept.shape[1] <= self.n_block_columns:
            raise ShapeError(f"kept blocks of shape {kept.shape} in {matrix}", f"expected ({self.n_block_rows}, 1 to {self.n_block_columns})")
        if kept.min() < 0 or kept.max() >= self.n_block_columns or (np.diff(kept, axis=1) <= 0).any():
            raise ShapeError(f"kept blocks are not ascending block columns in 0..{self.n_block_columns - 1}", "sort them and drop repetitions")
        kept.setflags(write=False)
        object.__setattr__(self, "kept", kept)

    @property
    def n_block_rows(self) -> int:
        """R."""
        return -(-self.n_out // self.block)

    @property
    def n_block_columns(self) -> int:
        """C."""
        return -(-self.n_in // self.block_in)

    @property
    def keep_per_row(self) -> int:
        """K, the blocks kept in every block row."""
        return self.kept.shape[1]

    @cached_property
    def n_weights_kept(self) -> int:
        """Weights inside kept blocks, padding not counted."""
        return int(self.row_heights @ self.column_widths[self.kept].sum(axis=1))

    @property
    def density(self) -> float:
        """Share of the real weights that is kept, padding not counted."""
        return self.n_weights_kept / (self.n_out * self.n_in)

    @cached_property
    def row_heights(self) -> np.ndarray:
        """(R,) real rows of each block row: `block`, less in the last where it is padded."""
        return np.minimum(self.block, self.n_out - self.block * np.arange(self.n_block_rows))

    @cached_property
    def column_widths(self) -> np.ndarray:
        """(C,) real columns of each block column."""
        return np.minimum(self.block_in, self.n_in - self.block_in * np.arange(self.n_block_columns))

    @cached_property
    def column_counts(self) -> np.ndarray:
        """(C,) kept blocks in each block column."""
        return np.bincount(self.kept.ravel(), minlength=self.n_block_columns)

    @cached_property
    def by_column(self) -> np.ndarray:
        """(C, max count) int32, kept blocks of each block column as r * K + k, ascending; -1 fills short columns."""
        order = np.argsort(self.kept.ravel(), kind="stable")
        ends = np.cumsum(self.column_counts)
        table = np.full((self.n_block_columns, int(self.column_counts.max())), -1, dtype=np.int32)
        for column, end in enumerate(ends):
            count = self.column_counts[column]
            table[column, :count] = order[end - count : end]
        return table

    @cached_property
    def real_weights(self) -> np.ndarray:
        """(R, K, block, block_in) bool, False where a weight of a kept block is padding."""
        rows = np.arange(self.block) < self.row_heights[:, None]
        columns = np.arange(self.block_in) < self.column_widths[self.kept][:, :, None]
        return rows[:, None, :, None] & columns[:, :, None, :]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the sizes and the kept blocks, as text: equal for equal masks, whatever drew them. Square blocks have one side there."""
        form = f"1 {self.n_out} {self.n_in} {self.block}" if self.block_in == self.block else f"2 {self.n_out} {self.n_in} {self.block} {self.block_in}"
        lines = [f"block mask {form} {self.keep_per_row}", *(" ".join(map(str, row)) for row in self.kept.tolist())]
        return hashlib.sha256("\n".join(lines).encode("ascii")).hexdigest()

    def to_dense(self) -> np.ndarray:
        """(n_out, n_in) bool, True where the weight is kept."""
        blocks = np.zeros((self.n_block_rows, self.n_block_columns), dtype=bool)
        np.put_along_axis(blocks, self.kept, True, axis=1)
        return blocks.repeat(self.block, axis=0).repeat(self.block_in, axis=1)[: self.n_out, : self.n_in]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BlockMask) and self.checksum == other.checksum

    def __hash__(self) -> int:
        return hash(self.checksum)


def draw_mask(n_out: int, n_in: int, block: int, density: float, seed: int, block_in: int = 0) -> BlockMask:
    """Draw the kept blocks at random: equally many in every block row, every block column used.

    Args:
        n_out, n_in: shape of the weight matrix.
        block: height of a block, in outputs; the side of a square one.
        density: share of the blocks to keep, above 0 and at most 1.
        seed: any integer; the same one gives the same mask everywhere.
        block_in: width of a block, in inputs; 0 for a square one.
    Returns: a mask whose block columns hold numbers of blocks that differ by at most one, uniform among those.
    Raises: ConfigError: no such mask comes near the density; the remedy says what would work.
    Source: [ICCAD16], which drops blocks at random before training. Differs: the block columns are balanced too, so
        that no input is left unused and the backward pass is as regular as the forward pass.
    """
    keep = keep_per_row(n_out, n_in, block, density, block_in)
    n_rows, n_columns = -(-n_out // block), -(-n_in // (block_in or block))
    random = SplitMix64(seed)
    rows = _deal(n_rows, n_columns, keep, random)
    _switch(rows, SWITCHES_PER_BLOCK * n_rows * keep if keep < n_columns and n_rows > 1 else 0, random)
    return BlockMask(n_out, n_in, block, np.array([sorted(row) for row in rows], dtype=np.int32), seed, block_in)


def keep_per_row(n_out: int, n_in: int, block: int, density: float, block_in: int = 0) -> int:
    """Blocks K kept in every block row: the integer nearest to density * C, the lower of two, at least 1.

    Raises: ConfigError: K blocks a row cannot use every block column, or are too far from the density.
    """
    width, size = block_in or block, block_size(block, block_in)
    if not 0 < density <= 1 or min(n_out, n_in, block, width) < 1:
        raise ConfigError(f"block {size} at density {density} for a {n_out} x {n_in} layer", "use sizes of at least 1 and a density above 0, at most 1")
    n_rows, n_columns = -(-n_out // block), -(-n_in // width)
    keep = _nearest(density, n_columns)
    what = f"block {size} at density {density:g} for a {n_out} x {n_in} layer ({n_rows} x {n_columns} blocks)"
    if n_rows * keep < n_columns:
        raise ConfigError(f"{what}: {keep} kept in each of {n_rows} block rows cannot use all {n_columns} block columns",
                          _remedy(n_out, n_in, block, width, density) + ", or keep this layer dense (dense_output for an output layer)")
    if not _close(density, n_columns):
        raise ConfigError(f"{what}: the nearest density is {keep / n_columns:.3g}", _remedy(n_out, n_in, block, width, density))
    return keep


def check_density(density: float, got: float, what: str) -> None:
    """Refuse what comes out too far from what was asked for.

    Args:
        density: asked for.
        got: share of the weights that is kept.
        what: of which layer or network, for the message.
    Raises: ConfigError: further than `DENSITY_TOLERANCE`.
    """
    if abs(got - density) > DENSITY_TOLERANCE * density:
        raise ConfigError(f"density {density:g} of {what}: {got:.3g} is what its sizes allow", f"ask for a little over {got:.3g}, or choose other sizes")


def layer_seed(seed: int, layer: int) -> int:
    """Seed of one layer's mask, from a network's seed: the first 8 bytes of a SHA-256, so layers are unrelated."""
    return int.from_bytes(hashlib.sha256(f"block mask of layer {layer}, seed {seed}".encode("ascii")).digest()[:8], "little")


def _nearest(density: float, n_columns: int) -> int:
    """Blocks of a row: the number nearest to the density, the lower of two, at least 1."""
    return max(1, math.ceil(density * n_columns - 0.5))


def _close(density: float, n_columns: int) -> bool:
    return abs(_nearest(density, n_columns) / n_columns - density) <= DENSITY_TOLERANCE * density


def _remedy(n_out: int, n_in: int, block: int, width: int, density: float) -> str:
    """The largest smaller block that would do, or a density: a square stays one, of a rectangle the height gives way before the width."""
    square = block == width
    for smaller_in in range(width - square, 0, -1):
        n_columns = -(-n_in // smaller_in)
        if _close(density, n_columns):
            for smaller in [smaller_in] if square else range(block, 0, -1):
                if -(-n_out // smaller) * _nearest(density, n_columns) >= n_columns:
                    return f"a block of {block_size(smaller, smaller_in)} would do"
    n_rows, n_columns = -(-n_out // block), -(-n_in // width)
    return f"a density of {max(1, -(-n_columns // n_rows)) / n_columns:.3g} would do"


def _deal(n_rows: int, n_columns: int, keep: int, random: SplitMix64) -> list[list[int]]:
    """Some mask with the right counts: rows in order take columns in proportion to what those still have to give.

    It never fails: before each row no column has more to give than there are rows left, which is the Gale-Ryser
    condition for rows of equal size; a column that has exactly as much is taken first, which keeps it true.
    """
    left = [n_rows * keep // n_columns] * n_columns
    columns = list(range(n_columns))
    random.shuffle(columns)
    for column in columns[: n_rows * keep % n_columns]:
        left[column] += 1
    rows = []
    for rows_left in range(n_rows, 0, -1):
        row = [column for column in range(n_columns) if left[column] == rows_left]
        weights = [0 if left[column] == rows_left else left[column] for column in range(n_columns)]
        while len(row) < keep:
            ticket = random.below(sum(weights))
            column = 0
            while ticket >= weights[column]:
                ticket -= weights[column]
                column += 1
            row.append(column)
            weights[column] = 0
        for column in row:
            left[column] -= 1
        rows.append(row)
    return rows


def _switch(rows: list[list[int]], n_tries: int, random: SplitMix64) -> None:
    """Exchange blocks between rows where both counts stay as they are: a chain whose limit is the uniform distribution."""
    members = [set(row) for row in rows]
    for _ in range(n_tries):
        first, second = random.below(len(rows)), random.below(len(rows))
        i, j = random.below(len(rows[first])), random.below(len(rows[second]))
        a, b = rows[first][i], rows[second][j]
        if b in members[first] or a in members[second]:
            continue
        rows[first][i], rows[second][j] = b, a
        members[first] ^= {a, b}
        members[second] ^= {a, b}
