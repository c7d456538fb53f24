"""Masks of two levels: equal counts on both, balanced, the same on every machine, and errors that tell what would fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgs.base.errors import ConfigError
from cgs.sparse.hierarchy import draw_hierarchical_mask


@given(st.integers(2, 6), st.integers(2, 6), st.sampled_from([(16, 4, 4), (32, 8, 8), (8, 2, 2), (16, 2, 4), (32, 8, 4), (12, 3, 2)]), st.integers(0, 99))
def test_both_levels_keep_equally_many(rows: int, columns: int, sides: tuple[int, int, int], seed: int) -> None:
    coarse, block, block_in = sides
    n_out, n_in, fine, fine_in = rows * coarse, columns * coarse, coarse // block, coarse // block_in
    try:
        mask = draw_hierarchical_mask(n_out, n_in, coarse, block, 0.25, seed, block_in=block_in)
    except ConfigError:
        return  # as `draw_mask` refuses few rows or odd densities
    inside = mask.to_dense()[::block, ::block_in].reshape(rows, fine, columns, fine_in)
    used = inside.any(axis=(1, 3))
    assert len(set(used.sum(axis=1).tolist())) == 1 and used.any(axis=0).all()
    counts = inside.sum(axis=3).transpose(0, 2, 1)[used]
    assert counts.min() == counts.max() == mask.keep_per_row // used[0].sum()
    assert inside.any(axis=1)[used].all(), "every column of a kept large block is used"


def test_a_seed_means_the_same_mask_everywhere() -> None:
    mask = draw_hierarchical_mask(256, 440, 40, 8, 1 / 16, 7, coarse_density=0.25)
    assert mask.density == pytest.approx(1 / 16, rel=0.25)
    assert mask == draw_hierarchical_mask(256, 440, 40, 8, 1 / 16, 7, 0.25) != draw_hierarchical_mask(256, 440, 40, 8, 1 / 16, 8, 0.25)
    assert mask.checksum[:16] == "814b492af85c897e"


def test_a_last_large_block_may_be_narrow() -> None:
    mask = draw_hierarchical_mask(200, 440, 32, 8, 1 / 16, 3, coarse_density=0.25)
    assert mask.keep_per_row == 3 and mask.kept.max() == 54
    inside = mask.to_dense()[::8, ::8]
    assert inside[:, 52:].any(), "the block of 24 of 32 columns is used too"


def test_a_large_block_holds_whole_rectangles_side_by_side() -> None:
    mask = draw_hierarchical_mask(64, 128, 32, 4, 0.25, 3, 0.5, block_in=16)
    large = mask.to_dense().reshape(2, 32, 4, 32).any(axis=(1, 3))
    assert large.sum(axis=1).tolist() == [2, 2] and mask.keep_per_row == 2 and (mask.block, mask.block_in) == (4, 16)
    assert mask != draw_hierarchical_mask(64, 128, 32, 4, 0.25, 3, 0.5)
    for block, block_in in ((4, 12), (12, 4), (4, 32), (32, 4)):
        with pytest.raises(ConfigError, match=f"coarse block 32 and block {block}x{block_in}"):
            draw_hierarchical_mask(64, 128, 32, block, 0.25, 3, 0.5, block_in=block_in)


@pytest.mark.parametrize(
    ("coarse", "block", "density", "outer", "told"),
    [(16, 16, 0.25, None, "multiple"), (20, 8, 0.25, None, "multiple"), (16, 4, 0.25, 0.1, "between the density and 1"), (64, 16, 0.5, 0.5, "too narrow")],
)
def test_sides_that_do_not_fit_are_told(coarse: int, block: int, density: float, outer: float | None, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        draw_hierarchical_mask(256, 72 if told == "too narrow" else 256, coarse, block, density, 1, outer)
    assert told in f"{caught.value.message} {caught.value.remedy}"


def test_levels_that_come_near_their_densities_may_be_far_from_the_whole() -> None:
    """2 of 7 large blocks for a quarter, 2 of 4 small ones for 0.4: either is close, their product is not."""
    with pytest.raises(ConfigError, match=r"density 0.1 of a 512 x 440 layer in blocks of 16 in 64: 0.142 is what its sizes allow"):
        draw_hierarchical_mask(512, 440, 64, 16, 0.1, 1, 0.25)


def test_it_is_a_block_mask_like_any_other() -> None:
    mask = draw_hierarchical_mask(128, 128, 32, 8, 1 / 16, 1)
    assert mask.kept.shape == (16, 1) and np.count_nonzero(mask.to_dense()) == 128 * 128 // 16
