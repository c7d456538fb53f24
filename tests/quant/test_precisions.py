"""Two precisions in a layer: planted blocks are found and cost what they should, every file is read as it was, nothing damaged is believed."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgs.base.errors import FormatError
from cgs.quant.bitpack import pack_bits, pack_widths, unpack_widths
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedLayer, PackedModel
from cgs.quant.packed import decode, encode, section_bytes
from cgs.quant.precisions import mean_bits, two_precisions
from cgs.quant.sections import weight_sections
from cgs.quant.sizes import sizes

HEADERS = 20 + 24
MODEL_SETTINGS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def coarse(layer: PackedLayer, low_bits: int, low: np.ndarray) -> PackedLayer:
    """The layer with some blocks (R, K) brought to the grid of fewer bits; the first weight of every block shows which it is on."""
    unit = 1 << (layer.bits - low_bits)
    weights = np.where(low[:, :, None, None], layer.weights // unit * unit, layer.weights)
    weights[:, :, 0, 0] = np.where(low, unit * (1 - 2 * (unit == 1 << (layer.bits - 1))), 1)
    return replace(layer, weights=weights.astype(np.int8))


def mixed_layer(made, seed: int = 0, n_in: int = 31, n_out: int = 30, block: int = 8, bits: int = 6, low_bits: int = 4) -> tuple[PackedLayer, np.ndarray]:
    """A last layer of 4 x 3 blocks, about half of them low; edge blocks reach beyond the matrix."""
    random = np.random.default_rng(seed)
    layer = made.random_layer(random, n_in, n_out, block, 3, bits, relu=False, input_signed=True)
    low = random.random(layer.kept.shape) < 0.5
    return coarse(layer, low_bits, low), low


def mixed_file(made) -> bytearray:
    return bytearray(encode(PackedModel((mixed_layer(made)[0],), {}, "mixed")))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 16).flatmap(lambda width: st.tuples(st.just(width), st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)))))
def test_integers_of_many_widths(parts):
    widths, values = np.array([w for w, _ in parts], dtype=np.int64), np.array([v for _, v in parts], dtype=np.int64)
    data = pack_widths(values, widths)
    bits = "".join(f"{v % 2**w:0{w}b}"[::-1] for w, v in parts)
    assert data == bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    assert unpack_widths(data, widths).tolist() == values.tolist()
    same = np.full(len(values), 16)
    assert pack_widths(values, same) == pack_bits(values, 16)


@pytest.mark.parametrize(("bits", "low_bits"), [(6, 4), (6, 2), (5, 4), (3, 2), (8, 5)])
def test_planted_blocks_are_found_and_cost_what_they_should(made, bits, low_bits):
    layer, low = mixed_layer(made, bits=bits, low_bits=low_bits)
    found = two_precisions(layer)
    assert found is not None and found.low_bits == low_bits
    np.testing.assert_array_equal(found.full.reshape(low.shape), ~low)
    sizes_of = layer.real_weights().sum(axis=(2, 3))
    n_bits = int((sizes_of * np.where(low, low_bits, bits)).sum())
    assert found.n_bits == n_bits and mean_bits(layer, "mixed") == n_bits / layer.n_weights
    assert section_bytes(layer, "mixed")[1] == 1 + math.ceil(low.size / 8) + math.ceil(n_bits / 8) < section_bytes(layer, "plain")[1]
    assert mean_bits(layer, "plain") == bits


def test_every_low_precision_is_considered(made):
    """Three blocks that need 5 bits, the others 3: few blocks of few bits save more than many of many, or less."""
    layer, _ = mixed_layer(made)
    rank = np.arange(12).reshape(layer.kept.shape)
    for n_three, expected in ((9, 3), (2, 5)):
        two_kinds = coarse(coarse(layer, 5, rank >= 0), 3, rank < n_three)
        two_kinds.weights[:, :, 0, 0] = np.where(rank < n_three, 8, 2)
        found = two_precisions(two_kinds)
        assert found is not None and found.low_bits == expected
        assert found.full.tolist() == ((rank >= n_three) & (expected == 3)).ravel().tolist()


def test_layers_without_low_blocks_stay_plain(made):
    layer, low = mixed_layer(made)
    full = coarse(layer, 4, np.zeros_like(low))
    dense = made.random_layer(np.random.default_rng(0), 8, 8, relu=False)
    for each in (full, dense, replace(dense, weights=dense.weights // 4 * 4), mixed_layer(made, bits=2, low_bits=2)[0]):
        assert two_precisions(each) is None and "two_precisions" not in weight_sections(each)
        model = PackedModel((replace(each, input_signed=True),), {}, "mixed")
        assert encode(model) == encode(replace(model, storage="plain"))
        assert decode(encode(model), "x").storage == "plain"
    few = np.zeros_like(low)
    few[-1, -1] = True  # 6 of 8 rows and, if the last column, 7 of 8 columns
    one = coarse(made.random_layer(np.random.default_rng(0), 600, 600, 2, 200, 3, relu=False), 2, np.pad(few[-1:, -1:], ((299, 0), (199, 0))))
    assert two_precisions(one) is None, "one block of 4 weights saves 4 bits, and 60,000 blocks would need a flag"


def test_plain_files_have_it_only_where_it_was_asked_for(made):
    model = PackedModel((mixed_layer(made)[0],), {})
    assert encode(model)[8] == 1 and decode(encode(model), "x").storage == "plain"
    data = encode(replace(model, storage="mixed"))
    assert (data[8], data[20 + 23]) == (3, 3) and len(data) < len(encode(model))
    told = sizes(replace(model, storage="mixed"))
    assert told["forms"] == [{"index": "plain", "weights": "two_precisions"}] and told["bits_by_layer"] == [6]
    assert told["bits"] == round(mean_bits(model.layers[0], "mixed"), 2) < 6 == sizes(model)["bits"]
    assert told["bytes_by_form"]["weights"]["two_precisions"] == told["weights_bytes"] and told["file_bytes"] == len(data)


@MODEL_SETTINGS
@given(
    st.integers(3, 8), st.integers(2, 7), st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.floats(0, 1),
    st.sampled_from(["mixed", "smallest"]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_every_file_is_read_as_it_was(made, bits, low_bits, n_in, n_out, block, n_kept, share, storage, seed):
    random = np.random.default_rng(seed)
    layer = made.random_layer(random, n_in, n_out, block, min(n_kept, -(-n_in // block)), bits, relu=False, input_signed=True)
    low = random.random(layer.kept.shape) < share
    layer = coarse(layer, low_bits, low) if low_bits < bits else layer
    model = PackedModel((layer,), {"task": "asr"}, storage)
    data = encode(model)
    read = decode(data, "x")
    made.assert_same(replace(read, storage=storage), model)
    assert encode(read) == data
    assert section_bytes(layer, "smallest")[1] <= section_bytes(layer, "mixed")[1] <= section_bytes(layer, "plain")[1]
    frames = random.normal(size=(3, n_in)).astype(np.float32)
    np.testing.assert_array_equal(IntegerEngine(read).logits(frames), IntegerEngine(replace(model, storage="plain")).logits(frames))


def test_every_truncated_or_altered_file_is_refused(made):
    data = mixed_file(made)
    for place in range(len(data)):
        with pytest.raises(FormatError, match="truncated"):
            decode(bytes(data[:place]), "x")
        altered = bytearray(data)
        altered[place] ^= 1 << place % 8
        with pytest.raises(FormatError, match="altered|truncated|not a packed model|version"):
            decode(bytes(altered), "x")


def test_every_altered_byte_with_the_right_checksum_is_refused_or_harmless(made):
    data = mixed_file(made)
    for place in range(20, len(data) - 32):
        for flip in (1 << place % 8, 0xFF):
            altered = bytearray(data)
            altered[place] ^= flip
            with contextlib.suppress(FormatError):
                assert decode(made.signed(altered), "x").problem() == ""


WEIGHTS_AT = HEADERS + 2 + 3
"""After the description "{}" and 12 indices of 2 bits."""


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (20 + 23, 4, "layer 1: reserved fields"),
        (8, 2, "layer 1: reserved fields"),
        (WEIGHTS_AT, 0, "layer 1: weights of 0 and 6 bits"),
        (WEIGHTS_AT, 1, "layer 1: weights of 1 and 6 bits"),
        (WEIGHTS_AT, 6, "layer 1: weights of 6 and 6 bits"),
        (WEIGHTS_AT, 255, "layer 1: weights of 255 and 6 bits"),
        (20 + 12, 4, "layer 1: weights of 4 and 4 bits"),
        (WEIGHTS_AT, 5, "layer 1: needs .* bytes where|bytes after the last layer"),
        (WEIGHTS_AT + 2, 0xF0, "layer 1: precisions of blocks that do not exist"),
        (WEIGHTS_AT + 2, 0x1F, "layer 1: precisions of blocks that do not exist"),
    ],
)
def test_a_wrong_writer_is_told_what_is_wrong(made, place, value, message):
    data = mixed_file(made)
    assert data[WEIGHTS_AT] == 4 and data[WEIGHTS_AT + 2] < 16
    data[place] = value
    with pytest.raises(FormatError, match=message):
        decode(made.signed(data), "x")


def test_a_dense_layer_has_no_blocks_to_flag(made):
    layer = made.random_layer(np.random.default_rng(0), 20, 12, relu=False, input_signed=True, bits=6)
    data = bytearray(encode(PackedModel((layer,), {})))
    data[8], data[20 + 17], data[20 + 23], data[HEADERS + 2] = 3, 0, 3, 4
    with pytest.raises(FormatError, match="layer 1: weights of 4 and 6 bits in a dense layer"):
        decode(made.signed(data), "x")


def test_a_short_file_cannot_ask_for_much_memory(made):
    """Blocks of side 1024: a flag and no more for each million weights, 25 of them."""
    layer = made.random_layer(np.random.default_rng(0), 25, 25, block=5, n_kept=5, bits=3, relu=False, input_signed=True)
    data = bytearray(encode(PackedModel((coarse(layer, 2, np.ones((5, 5), dtype=bool)),), {}, "mixed")))
    assert data[20 + 23] == 3
    for at, number in ((20, 5 * 1024), (24, 5 * 1024)):
        data[at : at + 4] = number.to_bytes(4, "little")
    data[28:30] = (1024).to_bytes(2, "little")
    tail = bytes(5 * 1024 * 2)  # as many biases as it says
    longer = bytearray(data[:-32] + tail + bytes(32))
    longer[16:20] = len(longer).to_bytes(4, "little")
    with pytest.raises(FormatError, match=r"layer 1: needs 6553600 bytes where \d+ are left"):
        decode(made.signed(longer), "x")
