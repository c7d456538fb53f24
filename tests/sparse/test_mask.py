"""Block masks: balanced, drawn alike everywhere, and refused where they cannot be had."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError, ShapeError
from cgs.sparse.mask import BlockMask, SplitMix64, draw_mask, keep_per_row, layer_seed


def test_generator_gives_the_published_numbers():
    random = SplitMix64(1234567)
    assert [random.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_below_is_uniform_and_covers_its_range():
    random = SplitMix64(5)
    counts = np.bincount([random.below(7) for _ in range(7000)], minlength=7)
    assert len(counts) == 7 and abs(counts - 1000).max() < 150


def test_a_seed_means_this_mask_for_ever():
    mask = draw_mask(64, 80, 16, 0.4, seed=7)
    assert mask.kept.tolist() == PLANTED
    text = "block mask 1 64 80 16 2\n" + "\n".join(" ".join(map(str, row)) for row in PLANTED)
    assert mask.checksum == hashlib.sha256(text.encode()).hexdigest()


PLANTED = [[1, 3], [0, 4], [1, 4], [2, 3]]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 2, 4, 7]), st.sampled_from([0, 1, 3, 8]), st.floats(0.05, 1), st.integers(0, 2**64))
def test_rows_and_columns_are_balanced(n_out, n_in, block, block_in, density, seed):
    try:
        mask = draw_mask(n_out, n_in, block, density, seed, block_in)
    except ConfigError:
        return
    n_rows, n_columns = -(-n_out // block), -(-n_in // (block_in or block))
    assert mask.kept.shape == (n_rows, mask.keep_per_row) and mask.kept.dtype == np.int32
    assert all(len(set(row)) == mask.keep_per_row and row == sorted(row) for row in mask.kept.tolist())
    assert mask.column_counts.min() >= 1 and np.ptp(mask.column_counts) <= 1
    assert abs(mask.keep_per_row / n_columns - density) <= 0.25 * density
    assert mask == draw_mask(n_out, n_in, block, density, seed, block_in)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 999))
def test_dense_form_agrees_with_block_by_block(n_out, n_in, block, block_in, seed):
    try:
        mask = draw_mask(n_out, n_in, block, 0.5, seed, block_in)
    except ConfigError:
        return
    slow = np.zeros((n_out, n_in), dtype=bool)
    for block_row, columns in enumerate(mask.kept):
        for block_column in columns:
            slow[block_row * block : (block_row + 1) * block, block_column * block_in : (block_column + 1) * block_in] = True
    assert np.array_equal(mask.to_dense(), slow)
    assert mask.n_weights_kept == slow.sum() == mask.real_weights.sum()
    assert mask.density == pytest.approx(slow.mean())


def test_a_width_equal_to_the_height_is_a_square_and_another_is_part_of_the_identity():
    square, same = draw_mask(64, 80, 16, 0.4, seed=7), draw_mask(64, 80, 16, 0.4, seed=7, block_in=16)
    assert square == same and same.checksum == square.checksum and square.block_in == same.block_in == 16
    one = BlockMask(8, 12, 4, np.array([[0, 1], [1, 2]]), block_in=3)
    text = "block mask 2 8 12 4 3 2\n0 1\n1 2"
    assert one.checksum == hashlib.sha256(text.encode()).hexdigest()
    assert len({one, BlockMask(8, 12, 4, one.kept, block_in=4), BlockMask(8, 12, 4, one.kept, block_in=5), BlockMask(8, 12, 4, one.kept, 99, 3)}) == 3


def test_a_planted_rectangle_weight_by_weight():
    """6 x 7 in blocks of 4 outputs x 3 inputs: the last block row has 2 outputs, the last block column 1 input."""
    mask = BlockMask(6, 7, 4, np.array([[0, 2], [1, 2]]), block_in=3)
    assert mask.to_dense().astype(int).tolist() == [[1, 1, 1, 0, 0, 0, 1]] * 4 + [[0, 0, 0, 1, 1, 1, 1]] * 2
    assert mask.row_heights.tolist() == [4, 2] and mask.column_widths.tolist() == [3, 3, 1] and mask.n_weights_kept == 24
    assert mask.real_weights.shape == (2, 2, 4, 3) and mask.real_weights[1, 1].astype(int).tolist() == [[1, 0, 0]] * 2 + [[0, 0, 0]] * 2
    assert mask.by_column.tolist() == [[0, -1], [2, -1], [1, 3]]


@pytest.mark.parametrize("block_in", [0, 3])
def test_by_column_lists_every_block_once(block_in):
    mask = draw_mask(70, 50, 8, 0.4, seed=2, block_in=block_in)
    flat = mask.kept.ravel()
    for column, blocks in enumerate(mask.by_column):
        assert sorted(blocks[blocks >= 0]) == np.flatnonzero(flat == column).tolist()


def test_every_block_is_kept_equally_often():
    total = sum(draw_mask(12, 12, 2, 0.33, seed).to_dense()[::2, ::2].astype(int) for seed in range(900))
    assert abs(total - 300).max() < 75


def test_layers_of_a_network_get_unrelated_seeds():
    assert len({layer_seed(seed, layer) for seed in range(20) for layer in range(20)}) == 400


@pytest.mark.parametrize(("n_columns", "density", "keep"), [(16, 0.25, 4), (10, 0.25, 2), (14, 0.25, 3), (10, 0.26, 3), (4, 0.2, 1), (3, 1.0, 3)])
def test_kept_blocks_are_the_nearest_number_and_ties_go_to_fewer(n_columns, density, keep):
    assert keep_per_row(400, n_columns * 10, 10, density) == keep


def test_unused_columns_are_refused_with_a_remedy():
    with pytest.raises(ConfigError, match=r"density 0.25 for a 12 x 512 layer \(1 x 8 blocks\).*cannot use all 8.*block of 3 would do.*dense_output"):
        draw_mask(12, 512, 64, 0.25, 0)
    draw_mask(12, 512, 3, 0.25, 0)


def test_a_density_far_off_is_refused_with_a_remedy():
    with pytest.raises(ConfigError, match=r"nearest density is 0.333 \(a block of 29 would do\)"):
        draw_mask(512, 90, 32, 0.25, 0)
    draw_mask(512, 90, 29, 0.25, 0)


def test_a_rectangle_that_does_not_fit_is_told_as_one():
    with pytest.raises(ConfigError, match=r"block 16x64 at density 0.25 for a 32 x 512 layer \(2 x 8 blocks\).*cannot use all 8.*block of 10x64 would do"):
        draw_mask(32, 512, 16, 0.25, 0, block_in=64)
    with pytest.raises(ConfigError, match=r"block 8x32 .*nearest density is 0.333 \(a block of 8x29 would do\)"):
        draw_mask(512, 90, 8, 0.25, 0, block_in=32)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 70), st.integers(1, 300), st.integers(1, 40), st.integers(0, 40), st.sampled_from([0.03, 0.0625, 0.1, 0.25, 0.4, 0.75]))
def test_the_density_asked_is_got_or_the_remedy_works(n_out, n_in, block, block_in, density):
    try:
        keep = keep_per_row(n_out, n_in, block, density, block_in)
    except ConfigError as error:
        told = re.match(r"a (block|density) of ([\d.]+)(?:x(\d+))? would do", error.remedy)
        assert told
        if told[1] == "density":
            density = float(told[2])
        else:
            block, block_in = int(told[2]), int(told[3] or told[2])
        keep = keep_per_row(n_out, n_in, block, density, block_in)
    n_columns = -(-n_in // (block_in or block))
    assert abs(keep / n_columns - density) <= 0.25 * density and -(-n_out // block) * keep >= n_columns


def test_block_and_density_outside_their_range_are_refused():
    with pytest.raises(ConfigError, match="density 0"):
        draw_mask(8, 8, 2, 0.0, 0)


@pytest.mark.parametrize("kept", [[[0, 0], [1, 2]], [[1, 0], [0, 1]], [[0, 3], [0, 1]], [[0], [1], [2]], [[-1, 0], [0, 1]]])
def test_kept_blocks_that_do_not_fit_are_refused(kept):
    with pytest.raises(ShapeError):
        BlockMask(8, 12, 4, np.array(kept))


def test_kept_blocks_cannot_be_changed_afterwards():
    mask = draw_mask(16, 16, 4, 0.5, 0)
    with pytest.raises(ValueError, match="read-only"):
        mask.kept[0, 0] = 3
