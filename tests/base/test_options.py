"""Options of a system that must fit each other: the sides of blocks."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cgs.base.options import SystemOptions
from cgs.base.units import block_size

CGS: dict[str, Any] = {"task": "asr", "method": "cgs", "hidden": [32, 16], "density": 0.25, "block": 4}


def test_a_width_is_left_out_of_dumps_where_blocks_are_square() -> None:
    square, wide = SystemOptions(**CGS), SystemOptions(**CGS, block_in=8)
    assert square.block_in == 0 and "block_in" not in square.model_dump() and "block_in" not in square.of_network()
    assert wide.of_network() == square.of_network() | {"block_in": 8} and SystemOptions(**wide.model_dump(exclude_unset=True)) == wide
    assert SystemOptions(**CGS, block_in=[8, 2, 0]).model_dump()["block_in"] == [8, 2, 0]


def test_blocks_one_output_high_or_one_input_wide_are_blocks() -> None:
    assert SystemOptions(**CGS | {"block": 1, "block_in": 8}).block == 1 and SystemOptions(**CGS, block_in=1).block_in == 1
    for block_in in (0, 1):
        with pytest.raises(ValidationError, match="a cgs system needs density below 1 and block of at least 2"):
            SystemOptions(**CGS | {"block": 1, "block_in": block_in})


@pytest.mark.parametrize("method", ["guided", "block_magnitude", "group_lasso", "dynamic"])
def test_methods_that_keep_blocks_have_a_width(method: str) -> None:
    assert SystemOptions(**CGS | {"method": method}, block_in=8).block_in == 8


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "nm"}, "block_in for a nm system, which groups weights of a row; remove it"),
        ({"method": "magnitude", "block": 1}, "block_in for a magnitude system, which has no blocks; remove it"),
        ({"method": "small", "block": 1}, "block_in for a small system, which has no blocks; remove it"),
        ({"method": "mpd", "block": 1}, "block_in for a mpd system, which has no blocks; remove it"),
        ({"method": "dense", "block": 1, "density": 1.0}, "block_in for a dense system, which has no blocks; remove it"),
        ({"block_in": [8, 8]}, "block_in of 2 matrices where the network has 3"),
        ({"block_in": -1}, "greater than or equal to 0"),
    ],
)
def test_a_width_that_means_nothing_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SystemOptions(**CGS | {"block_in": 8} | changes)


def test_a_block_in_words() -> None:
    assert (block_size(16), block_size(16, 16), block_size(16, 64), block_size(64, 8)) == ("16", "16", "16x64", "64x8")
