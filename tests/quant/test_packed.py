"""The packed file: what is written is read back, and a damaged file is refused in one line before anything is used."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgs.base.errors import FormatError, ShapeError
from cgs.quant.bitpack import pack_bits, unpack_bits
from cgs.quant.model import PackedModel
from cgs.quant.packed import decode, encode, read_packed, section_bytes, write_packed

FIELDS = ("n_in", "n_out", "block", "block_in", "bits", "weight_fraction_bits", "bias_bits", "bias_fraction_bits", "input_bits", "input_signed",
          "input_fraction_bits", "output_bits", "output_fraction_bits", "relu", "offsets", "output_signed", "cells")  # fmt: skip


def assert_equal(one: PackedModel, other: PackedModel) -> None:
    assert one.meta == other.meta and len(one.layers) == len(other.layers)
    for a, b in zip(one.layers, other.layers, strict=True):
        assert [getattr(a, name) for name in FIELDS] == [getattr(b, name) for name in FIELDS]
        assert a.weights.dtype == b.weights.dtype == np.int8 and a.bias.dtype == b.bias.dtype == np.int32
        np.testing.assert_array_equal(a.weights, b.weights)
        np.testing.assert_array_equal(a.bias, b.bias)
        assert (a.kept is None) == (b.kept is None)
        if a.kept is not None:
            np.testing.assert_array_equal(a.kept, b.kept)


@given(st.integers(1, 32), st.data())
def test_bits_packed_and_unpacked_are_the_same(bits, data):
    values = data.draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)))
    packed = pack_bits(np.array(values, dtype=np.int64), bits)
    assert len(packed) == -(-len(values) * bits // 8)
    assert unpack_bits(packed, len(values), bits, signed=True).tolist() == values
    assert unpack_bits(packed, len(values), bits, signed=False).tolist() == [v % 2**bits for v in values]


def test_lowest_bit_first():
    assert pack_bits(np.array([1, -1, 2]), 3) == bytes([0b10_111_001, 0b0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 8), st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.integers(0, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(made, bits, n_in, n_out, block, block_in, n_kept, seed):
    n_kept = min(n_kept, -(-n_in // (block_in or block))) if block else 0
    layer = made.random_layer(np.random.default_rng(seed), n_in, n_out, block, n_kept, bits, False, block_in, input_signed=True)
    model = PackedModel((layer,), {"task": "asr", "system": "é"})
    data = encode(model)
    assert_equal(decode(data, "x"), model)
    assert encode(decode(data, "x")) == data
    assert (data[8] == 4) == (layer.block != layer.block_in)
    assert len(data) == 20 + (26 if data[8] == 4 else 24) + len('{"system":"é","task":"asr"}'.encode()) + sum(section_bytes(layer)) + 32


def test_only_weights_that_exist_are_stored(made):
    layer = made.random_layer(np.random.default_rng(0), 5, 3, block=4, n_kept=2, bits=8, relu=False)
    assert layer.n_weights == 15
    assert section_bytes(layer) == (1, 15, 6)
    layer = made.random_layer(np.random.default_rng(0), 5, 3, block=2, n_kept=2, bits=8, relu=False, block_in=3)
    assert layer.n_weights == 15 and layer.weights.shape == (2, 2, 2, 3) and section_bytes(layer) == (1, 15, 6)


def test_one_block_column_needs_no_index_bits(made):
    layer = made.random_layer(np.random.default_rng(0), 3, 3, block=4, n_kept=1, relu=False)
    assert layer.index_bits == 0
    assert_equal(decode(encode(PackedModel((layer,), {})), "x"), PackedModel((layer,), {}))


def test_file_is_whole_or_absent(made, tmp_path):
    model = made.random_model(0)
    path = tmp_path / "deep" / "model.cgs"
    assert write_packed(path, model) == path.stat().st_size
    assert_equal(read_packed(path), model)
    with pytest.raises(ShapeError):
        write_packed(path, replace(model, meta={"classes": ["x" * 5000]}))
    assert_equal(read_packed(path), model)
    assert [p.name for p in path.parent.iterdir()] == ["model.cgs"]


def refused(tmp_path, data: bytes) -> str:
    path = tmp_path / "model.cgs"
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        read_packed(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text
    return text


def test_every_truncation_is_refused(made, tmp_path):
    data = encode(made.random_model(1))
    for n_bytes in [*range(0, 70), *range(70, len(data), 13), len(data) - 1]:
        assert "truncated" in refused(tmp_path, data[:n_bytes])
    assert f"truncated ({len(data) - 1} of {len(data)} bytes)" in refused(tmp_path, data[:-1])


def test_every_altered_byte_is_refused(made, tmp_path):
    data = bytearray(encode(made.random_model(2)))
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 0x10
        refused(tmp_path, bytes(altered))
    assert "altered (checksum does not match)" in refused(tmp_path, bytes(altered))


def test_appended_bytes_other_files_and_other_versions_are_refused(made, tmp_path):
    data = encode(made.random_model(3))
    assert "altered" in refused(tmp_path, data + b"\0")
    assert "not a packed model" in refused(tmp_path, b"RIFF" + data[4:])
    assert "packed-file version 6, this program reads 1 to 5" in refused(tmp_path, data[:8] + b"\6\0" + data[10:])
    with pytest.raises(FormatError, match="no such file"):
        read_packed(tmp_path / "none.cgs")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (10, 4, "layer 1|layer 4|do not fit|description"),
        (20 + 8, 5, "48 bytes after the last layer"),
        (20 + 10, 9, "layer 1"),
        (20 + 12, 9, "layer 1: 9-bit weights"),
        (20 + 14, 3, "layer 1: 6-bit weights, 16-bit biases, 3-bit inputs"),
        (20 + 16, 9, "reserved"),
        (20 + 24 + 20, 3, "layer 2: its inputs are not what layer 1 gives"),
        (20 + 48, 8, "layer 3|after the last layer"),
    ],
)
def test_a_wrong_writer_is_refused_though_its_checksum_is_right(made, tmp_path, place, value, message):
    data = bytearray(encode(made.random_model(4)))
    data[place] = value
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    text = refused(tmp_path, bytes(data))
    assert any(part in text for part in message.split("|")), text


def test_nonsense_with_the_right_checksum_is_refused_or_harmless(made):
    base, random = encode(made.random_model(1)), np.random.default_rng(0)
    for _ in range(1500):
        data = bytearray(base)
        for place in random.integers(20, 180, 3):
            data[place] = random.integers(256)
        data[-32:] = hashlib.sha256(data[:-32]).digest()
        with contextlib.suppress(FormatError):
            assert decode(bytes(data), "x").problem() == ""


def test_block_columns_must_rise(made, tmp_path):
    model = made.random_model(5, (16, 8, 3))
    data = bytearray(encode(model))
    place = data.index(pack_bits(model.layers[0].kept, 2), 68)
    data[place] = 0
    data[-32:] = hashlib.sha256(data[:-32]).digest()
    assert "block columns that do not rise" in refused(tmp_path, bytes(data))


def test_an_accumulator_that_may_overflow_names_its_layer(made):
    model = made.random_model(6)
    middle = replace(model.layers[1], bias=np.full(9, 2**15 - 1, dtype=np.int32), bias_fraction_bits=-14)
    with pytest.raises(ShapeError, match=r"layer 2: its accumulator may need 41 bits of 32.*lower pack.activation_bits"):
        encode(replace(model, layers=(model.layers[0], middle, model.layers[2])))


def test_accumulator_bound_is_reached_by_some_input(made):
    layer = made.random_layer(np.random.default_rng(7), 6, 5, relu=False, input_signed=True)
    extremes = np.where(layer.weights > 0, layer.input_format.high, layer.input_format.low)
    other = np.where(layer.weights > 0, layer.input_format.low, layer.input_format.high)
    sums = [(layer.weights * x).sum(axis=1) for x in (extremes.astype(int), other.astype(int))]
    biased = np.maximum(sums[0] + np.maximum(layer.aligned_bias(), 0), -sums[1] - np.minimum(layer.aligned_bias(), 0))
    assert layer.accumulator_bound() == biased.max()


def test_frame_offsets_are_read_back_and_checked(made, tmp_path):
    model = made.random_tdnn(1)
    data = encode(model)
    assert_equal(decode(data, "x"), model)
    n_meta = len(b'{"features":{"left":5,"right":3},"task":"asr"}')
    sections = sum(sum(section_bytes(layer)) for layer in model.layers)
    assert len(data) == 20 + 24 * 4 + n_meta + sections + (4 + 2 + 2 + 1) + 32
    for offsets in ((1, 0, 2, 3), (-1, 0, 1), (-200, 0)):  # falling, not a divisor of 20 inputs, beyond a signed byte
        with pytest.raises(ShapeError, match="layer 1: frame offsets"):
            encode(PackedModel((replace(model.layers[0], offsets=offsets), *model.layers[1:]), {}))
    with pytest.raises(ShapeError, match="layer 2: its inputs are not what layer 1 gives"):
        encode(PackedModel((model.layers[0], replace(model.layers[1], offsets=(0,)), *model.layers[2:]), {}))
    for version, number in ((1, 4), (2, 0)):  # offsets where version 1 has none, none where version 2 has some
        body = bytearray(data[:-32])
        body[8], body[20 + 17] = version, number
        with pytest.raises(FormatError, match="layer 1"):
            decode(bytes(body) + hashlib.sha256(body).digest(), "x")
