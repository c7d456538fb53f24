"""Every form of a section: what is written is read, sizes come close to their bounds, nothing that is damaged is believed."""

from __future__ import annotations

import contextlib
import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cgs.base.errors import FormatError, ShapeError
from cgs.quant.bitpack import pack_bits
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedLayer, PackedModel
from cgs.quant.packed import decode, encode, section_bytes
from cgs.quant.rans import TOTAL, decode_values, encode_values, frequencies, n_lanes
from cgs.quant.sections import TwoLevels, index_sections, two_levels, weight_sections
from cgs.quant.sizes import entropy_bits, sizes

MODEL_SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def laplace(random: np.random.Generator, n: int, scale: float, bits: int) -> np.ndarray:
    """Integers as trained weights are spread."""
    return np.clip(np.rint(random.laplace(scale=scale, size=n)), -(1 << (bits - 1)), (1 << (bits - 1)) - 1).astype(np.int8)


def pruned(layer: PackedLayer, random: np.random.Generator, density: float) -> PackedLayer:
    return replace(layer, weights=np.where(random.random(layer.weights.shape) < density, layer.weights, 0).astype(np.int8))


def hierarchical(random: np.random.Generator, rows: int, columns: int, side: int, n_coarse: int, n_fine: int) -> np.ndarray:
    """(rows, n_coarse * n_fine) block columns kept in two levels; only whole coarse blocks are kept, so that each has `side` columns to choose from."""
    coarse = np.sort([random.permutation(columns // side)[:n_coarse] for _ in range(-(-rows // side))], axis=1)
    fine = np.sort([[random.permutation(side)[:n_fine] for _ in range(n_coarse)] for _ in range(rows)], axis=2)
    return (coarse[np.arange(rows) // side][:, :, None] * side + fine).reshape(rows, -1).astype(np.int32)


def hierarchical_model(made, seed: int = 0, storage: str = "plain") -> PackedModel:
    """64 block rows of 60 block columns, 5 of 15 coarse blocks, 2 of 4 in each; edge blocks reach beyond; then a dense layer."""
    random = np.random.default_rng(seed)
    first = made.random_layer(random, 119, 127, block=2, n_kept=10, input_signed=True)
    first = replace(first, kept=hierarchical(random, 64, 60, 4, 5, 2))
    first = replace(first, weights=(first.weights * first.real_weights()).astype(np.int8))
    return PackedModel((first, made.random_layer(random, 127, 3, relu=False)), {"task": "asr"}, storage)


def tdnn_in_other_forms(made) -> PackedModel:
    """A time-delay model with few weights that are not zero."""
    model = replace(made.random_tdnn(1), storage="smallest")
    return replace(model, layers=tuple(replace(layer, weights=np.sign(layer.weights).astype(np.int8) * (layer.weights > 20)) for layer in model.layers))


def wide_model(made, storage: str = "plain") -> PackedModel:
    """64 block rows of 20 block columns, blocks of 2 outputs x 6 inputs, in two levels; then a dense layer."""
    random = np.random.default_rng(3)
    first = made.random_layer(random, 117, 127, block=2, n_kept=4, bits=4, block_in=6, input_signed=True)
    first = replace(first, kept=hierarchical(random, 64, 20, 4, 2, 2), weights=laplace(random, 64 * 4 * 12, 0.6, 4).reshape(64, 4, 2, 6))
    first = replace(first, weights=(first.weights * first.real_weights()).astype(np.int8))
    return PackedModel((first, made.random_layer(random, 127, 3, relu=False)), {"task": "asr"}, storage)  # type: ignore[arg-type]


def test_a_width_that_no_file_can_hold_is_refused(made):
    dense, wide = made.random_layer(np.random.default_rng(0), 4, 2, relu=False), wide_model(made).layers[0]
    with pytest.raises(ShapeError, match="blocks of 0 outputs x 3 inputs"):
        encode(PackedModel((replace(dense, block_in=3),), {}))
    with pytest.raises(ShapeError, match="blocks of side 2000, of 1024 at most"):
        encode(PackedModel((replace(wide, block_in=2000),), {}))


# --- the entropy code


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 8), st.data())
def test_coded_values_are_decoded(bits, data):
    values = np.array(data.draw(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=1)))
    assert decode_values(encode_values(values, bits), len(values), bits).tolist() == values.tolist()


@pytest.mark.parametrize("n", [1, 2, 1023, 1024, 1025, 2048, 2049, 5000, 270_001])
def test_every_number_of_lanes_is_decoded(n):
    values = laplace(np.random.default_rng(n), n, 3.0, 6)
    assert (decode_values(encode_values(values, 6), n, 6) == values).all()


def test_a_slow_decoder_of_one_lane_reads_the_same():
    """Python's own integers, one value after the other, by the page."""
    values = laplace(np.random.default_rng(1), 3000, 2.0, 4)
    data, lanes = encode_values(values, 4), 2
    assert n_lanes(3000) == lanes
    number = int.from_bytes(data[:26], "little")
    table = [number >> 13 * v & 0x1FFF for v in range(16)]
    states = [int.from_bytes(data[26 + 4 * i : 30 + 4 * i], "little") for i in range(lanes)]
    at, found = 26 + 4 * lanes, []
    for i in range(3000):
        x = states[i % lanes]
        slot, v = x % 4096, 0
        while slot >= sum(table[: v + 1]):
            v += 1
        x = table[v] * (x // 4096) + slot - sum(table[:v])
        if x < 65536:
            x, at = x * 65536 + int.from_bytes(data[at : at + 2], "little"), at + 2
        states[i % lanes] = x
        found.append(v - 16 if v >= 8 else v)
    assert found == values.tolist() and at == len(data) and states == [65536] * lanes


@pytest.mark.parametrize(("scale", "bits"), [(6.0, 6), (2.0, 4), (0.4, 3), (0.15, 5), (20.0, 8)])
def test_coded_size_is_within_two_per_cent_of_entropy_and_table(scale, bits):
    values = laplace(np.random.default_rng(0), 60_000, scale, bits)
    counts = np.unique(values, return_counts=True)[1]
    bound = -(counts * np.log2(counts / counts.sum())).sum() / 8
    table = math.ceil((1 << bits) * 13 / 8)
    assert bound + table < len(encode_values(values, bits)) < 1.02 * bound + table + 4 * n_lanes(60_000)


def test_planted_frequencies():
    assert frequencies(np.array([0, 0, 0, -1]), 2).tolist() == [3072, 0, 0, 1024]
    rare = frequencies(np.array([0] * 100_000 + [1, -2, -1]), 2)
    assert rare.tolist() == [TOTAL - 3, 1, 1, 1]
    assert frequencies(np.array([0, 1, -1]), 2).tolist() == [1366, 1365, 0, 1365]
    assert frequencies(np.arange(-128, 128).repeat(7), 8).tolist() == [16] * 256


def test_one_value_alone_costs_its_table_only():
    data = encode_values(np.full(1900, -3), 4)
    assert len(data) == 26 + 4 and (decode_values(data, 1900, 4) == -3).all()


def test_next_to_nothing_but_zeros_are_not_coded(made):
    """30 bytes could code any number of equal weights; a reader would have to make room for as many as they say."""
    layer = made.random_layer(np.random.default_rng(0), 500, 40, bits=4, relu=False, input_signed=True)
    layer = replace(layer, weights=np.zeros((40, 500), dtype=np.int8))
    model = PackedModel((layer,), {}, "smallest")
    assert sorted(weight_sections(layer)) == ["bitmap", "plain"] and section_bytes(layer, "smallest")[1] == 2500
    made.assert_same(decode(encode(model), "x"), model)


def test_damaged_code_is_refused_or_harmless_and_never_long():
    values, random = laplace(np.random.default_rng(0), 1500, 2.0, 4), np.random.default_rng(1)
    data = encode_values(values, 4)
    for n_bytes in range(0, len(data), 5):
        with pytest.raises(ValueError, match="code|table"):
            decode_values(data[:n_bytes], 1500, 4)
    for _ in range(200):
        altered = bytearray(data)
        altered[random.integers(len(data))] ^= 1 << random.integers(8)
        with contextlib.suppress(ValueError):
            assert (decode_values(bytes(altered), 1500, 4) != values).any()
    with pytest.raises(ValueError, match="are no code of 1000000000000 weights"):
        decode_values(data, 10**12, 4)
    with pytest.raises(ValueError, match="adds up to 0 of 4096"):
        decode_values(bytes(30), 100, 4)


# --- blocks in two levels


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(2, 6), st.integers(2, 6), st.integers(0, 5), st.integers(0, 2**32 - 1), st.data())
def test_planted_levels_are_found_and_lose_nothing(rows, side, n_columns, more, seed, data):
    n_coarse, n_fine = data.draw(st.integers(1, n_columns)), data.draw(st.integers(1, side))
    columns = n_columns * side + min(more, side - 1)
    kept = hierarchical(np.random.default_rng(seed), rows, columns, side, n_coarse, n_fine)
    found = two_levels(kept, columns)
    if columns > side + 1:
        planted = TwoLevels(side, *_levels(kept, side, n_coarse))
        assert found is not None and len(found.encode(columns)) <= len(planted.encode(columns))
        np.testing.assert_array_equal(planted.kept(), kept)
    if found is not None:
        np.testing.assert_array_equal(found.kept(), kept)


def _levels(kept: np.ndarray, side: int, n_coarse: int) -> tuple[np.ndarray, np.ndarray]:
    parts = kept.reshape(len(kept), n_coarse, -1)
    return parts[::side, :, 0] // side, parts % side


def test_blocks_without_levels_have_none():
    assert two_levels(np.array([[0, 1], [1, 13], [0, 3], [2, 3]]), 14) is None
    assert two_levels(np.array([[0, 1, 5]]), 6) is None, "two in one coarse block, one in the other"
    found = two_levels(np.array([[0, 1, 4, 6], [0, 2, 5, 7], [4, 5, 8, 9], [4, 7, 9, 10], [5, 6, 8, 10], [4, 5, 8, 10]])[[0, 1]], 12)
    assert found is not None and found.side == 4 and found.coarse.tolist() == [[0, 1]]


def test_two_levels_are_written_where_they_are_smaller(made):
    model = hierarchical_model(made)
    data = encode(model)
    assert data[8] == 3 and (data[20 + 17], data[20 + 22], data[20 + 23], data[44 + 22]) == (0, 1, 0, 0)
    made.assert_same(decode(data, "x"), model)
    plain, levels = (len(index_sections(model.layers[0])[form]) for form in ("plain", "two_levels"))
    assert (plain, levels) == (64 * 10 * 6 // 8, 4 + 16 * 5 * 4 // 8 + 64 * 10 * 2 // 8) and section_bytes(model.layers[0])[0] == levels
    told = sizes(model)
    assert told["bytes_by_form"]["index"] == {"plain": plain, "two_levels": levels} and told["index_bytes"] == levels
    assert told["forms"] == [{"index": "two_levels", "weights": "plain"}, {"index": None, "weights": "plain"}]
    assert len(data) == told["file_bytes"] == 20 + 48 + len('{"task":"asr"}') + sum(sum(section_bytes(layer)) for layer in model.layers) + 32


# --- whole files


@MODEL_SETTINGS
@given(
    st.integers(2, 8), st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.integers(1, 5), st.floats(0, 1), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_smallest_form_is_written_and_read(made, bits, shape, sides, n_kept, density, seed):
    (n_in, n_out), (block, block_in) = shape, sides
    n_kept, random = min(n_kept, -(-n_in // (block_in or block))) if block else 0, np.random.default_rng(seed)
    layer = pruned(made.random_layer(random, n_in, n_out, block, n_kept, bits, False, block_in, input_signed=True), random, density)
    model = PackedModel((layer,), {"task": "asr"}, "smallest")
    data = encode(model)
    read = decode(data, "x")
    made.assert_same(replace(read, storage="smallest"), model)
    assert encode(read) == data
    assert section_bytes(layer, "smallest")[1] == min(map(len, weight_sections(layer).values()))
    assert len(data) <= len(encode(replace(model, storage="plain")))


@pytest.mark.parametrize("storage", ["plain", "smallest"])
def test_blocks_that_are_not_square_are_written_in_version_4(made, storage):
    model = wide_model(made, storage)
    data, first = encode(model), model.layers[0]
    assert data[8] == 4 and int.from_bytes(data[28:30], "little") == 2 and int.from_bytes(data[44:46], "little") == 6
    assert data[20 + 26 + 24 : 20 + 26 + 26] == b"\0\0", "a dense layer has no width"
    assert (data[20 + 22], data[20 + 23]) == (1, 2 if storage == "smallest" else 0) and data[20 + 17] == 0
    n_sections = sum(sum(section_bytes(layer, storage)) for layer in model.layers)
    assert len(data) == sizes(model)["file_bytes"] == 20 + 2 * 26 + len('{"task":"asr"}') + n_sections + 32
    assert section_bytes(first)[1] == math.ceil(4 * first.n_weights / 8) and first.n_weights == first.real_weights().sum()
    made.assert_same(decode(data, "x"), model)
    assert encode(decode(data, "x")) == data
    square = replace(first, block_in=2, n_in=40, kept=first.kept, weights=first.weights[:, :, :, :2])
    assert encode(PackedModel((square, *model.layers[1:]), {}))[8] == 3, "two levels alone"


def test_a_time_delay_network_with_other_blocks(made):
    model = made.random_tdnn(1, block_in=2)
    data = encode(model)
    assert data[8] == 4 and [data[20 + 26 * n + 17] for n in range(4)] == [4, 2, 2, 0]
    assert [int.from_bytes(data[20 + 26 * n + 24 :][:2], "little") for n in range(4)] == [2, 2, 2, 0]
    made.assert_same(decode(data, "x"), model)


@pytest.mark.parametrize("form", ["bitmap", "coded"])
def test_each_form_is_written_where_it_pays(made, form):
    random = np.random.default_rng(0)
    layer = made.random_layer(random, 60, 50, bits=6, relu=False, input_signed=True)
    layer = pruned(layer, random, 0.3) if form == "bitmap" else replace(layer, weights=laplace(random, 3000, 1.0, 6).reshape(50, 60))
    layer = replace(layer, weights=layer.weights[:12, :20], n_in=20, n_out=12, bias=layer.bias[:12]) if form == "bitmap" else layer
    model = PackedModel((layer,), {}, "smallest")
    data = encode(model)
    assert sizes(model)["forms"] == [{"index": None, "weights": form}] and data[8] == 3
    made.assert_same(decode(data, "x"), model)
    frames = random.normal(size=(4, layer.n_in)).astype(np.float32)
    np.testing.assert_array_equal(IntegerEngine(decode(data, "x")).logits(frames), IntegerEngine(replace(model, storage="plain")).logits(frames))


def test_a_pruned_layer_is_within_a_few_per_cent_of_its_entropy(made):
    random = np.random.default_rng(0)
    dense = pruned(made.random_layer(random, 400, 300, bits=5, relu=False, input_signed=True), random, 0.25)
    model = PackedModel((dense,), {}, "smallest")
    told = sizes(model)
    bound = math.ceil(entropy_bits(dense) / 8)
    assert told["entropy_bytes"] == told["file_bytes"] - told["weights_bytes"] + bound
    assert told["weights_bytes"] < 1.02 * bound + 52 + 4 * n_lanes(120_000) + 4
    by_form = told["bytes_by_form"]["weights"]
    assert by_form["plain"] == 75_000 > by_form["bitmap"] > by_form["coded"] == told["weights_bytes"]


@MODEL_SETTINGS
@given(st.integers(2, 8), st.lists(st.integers(0, 6), min_size=3, max_size=3), st.booleans(), st.integers(0, 2**32 - 1))
def test_linear_layers_are_written_and_read(made, bits, ranks, smallest, seed):
    model = replace(made.random_lowrank(seed, tuple(ranks), bits=bits), storage="smallest" if smallest else "plain")
    data = encode(model)
    read = decode(data, "x")
    made.assert_same(replace(read, storage=model.storage), model)
    assert encode(read) == data and (data[8] == 4) == any(ranks)
    sections = sum(sum(section_bytes(layer, model.storage)) for layer in model.layers)
    assert len(data) == 20 + (26 if any(ranks) else 24) * len(model.layers) + len('{"task":"asr"}') + sections + 32


def test_linear_layers_beside_block_sparse_ones_that_read_several_frames(made):
    random = np.random.default_rng(0)
    linear = {"relu": False, "output_signed": True, "output_bits": 8, "output_fraction_bits": 6}
    layers = (
        made.random_layer(random, 15, 6, input_signed=True, offsets=(-1, 0, 2), **linear),
        made.random_layer(random, 6, 12, input_signed=True),
        made.random_layer(random, 24, 9, block=4, n_kept=3, offsets=(-2, 0)),
        made.random_layer(random, 9, 4, relu=False),
    )
    model = PackedModel(layers, {})
    data = encode(model)
    assert data[8] == 4 and [data[20 + 26 * n + 17] for n in range(4)] == [3, 0, 2, 0]
    made.assert_same(decode(data, "x"), model)


def test_time_delay_layers_in_other_forms(made):
    model = tdnn_in_other_forms(made)
    data = encode(model)
    assert data[8] == 3 and [data[20 + 24 * n + 17] for n in range(4)] == [4, 2, 2, 0]
    made.assert_same(decode(data, "x"), model)
    assert len(data) < len(encode(replace(model, storage="plain")))


GOLDEN = {
    "fa12abafebfd13bf738f2aa72cedbacc19f3b264cb2c9459e125c65efbcb86d5": lambda made: made.random_model(1),
    "ad531fd8b0da83119c4b5dff25e77517c2ae6e1d2142fb48ecfd9de7743962cc": lambda made: made.random_model(2, (40, 64, 48, 7), block=8, n_kept=3, bits=5),
    "6db9c0e7486569ae6401f86f1e417d750d38abf3df42a911a31eaab101fee02b": lambda made: made.random_tdnn(1),
    "41e3ec83330781352a9383d2f001fc6de92e77619552549608f3ab5d493f00f3": lambda made: made.random_tdnn(2, block=3, n_kept=1, bits=2),
}
"""SHA-256 of files of versions 1 and 2 as they were before there was a version 3."""
GOLDEN_3 = {
    "b58281f64a588aa73f084dbad7e823ae2ea04d0f3751905fc1b48fa585561ebf": lambda made: hierarchical_model(made),
    "06ef2580c512f497ba90d146ade19953e84f7b9e88c95965b407e93e92d9e17f": lambda made: tdnn_in_other_forms(made),
}
"""The same of version 3 before there was a version 4."""


@pytest.mark.parametrize("digest", [*GOLDEN, *GOLDEN_3])
def test_versions_1_to_3_are_what_they_were(made, digest):
    model = (GOLDEN | GOLDEN_3)[digest](made)
    data = encode(model)
    assert hashlib.sha256(data).hexdigest() == digest and data[8] in ((3,) if digest in GOLDEN_3 else (1, 2))
    made.assert_same(decode(data, "x"), model)


VERSION_4 = bytes.fromhex(
    "894347530d0a1a0a040003000e000000a90000000300000002000000000000000310080805000206060600000000020000000400000000000000031008080300020606060000000004000000"
    "020000000000000003100820000002060608000000007b227461736b223a22617372227d87c60240005900b56ef91c000900adffa1ff92205fb4ffd8ffa772927157e4dfa0d5fb0ab6efb1d2"
    "d270c858d57fd6a38b88db9e1f9872bcaf"
)


def test_a_file_of_version_4_byte_by_byte(made):
    model = made.random_lowrank(1, (2, 0), (3, 4, 2), bits=3)
    assert encode(model) == VERSION_4 and VERSION_4[8] == 4 and VERSION_4[36:46] == bytes([5, 0, 2, 6, 6, 6, 0, 0, 0, 0])
    made.assert_same(decode(VERSION_4, "x"), model)


VERSION_1 = bytes.fromhex(
    "894347530d0a1a0a0100020038000000bb0000000600000005000000040001000310080803000206060600000500000003000000000000000310082000000206060800007b22636c61737365"
    "73223a5b223c73696c656e63653e222c223c6f746865723e222c227ac3a9726f225d2c227461736b223a226b7773227d001aabd5bae507a404e8ffecff5000c4ff0000a6e89fcb18035400d3"
    "ff2d0068069eeb874e2bb71f69a2de8d5f78bea38f258319f28188becefa453781e795"
)


def test_a_file_of_version_1_byte_by_byte(made):
    model = made.random_model(1, (6, 5, 3), block=4, n_kept=1, bits=3)
    assert encode(model) == VERSION_1
    made.assert_same(decode(VERSION_1, "x"), model)


def small_files(made) -> list[bytes]:
    """A file of each form: two levels, bitmap, coded; one with linear layers, and one with blocks that are not square."""
    levels = hierarchical_model(made)
    random = np.random.default_rng(0)
    coded = made.random_layer(random, 24, 30, bits=4, relu=False, input_signed=True)
    bitmap = pruned(made.random_layer(random, 12, 9, bits=6, relu=False, input_signed=True), random, 0.2)
    coded = replace(coded, weights=laplace(random, 720, 0.3, 4).reshape(30, 24))
    wide = made.random_layer(random, 13, 10, block=4, n_kept=2, bits=6, relu=False, block_in=3, input_signed=True)
    files = [encode(levels), *(encode(PackedModel((layer,), {}, "smallest")) for layer in (coded, bitmap, wide))]
    assert [(data[8], data[20 + 22], data[20 + 23]) for data in files] == [(3, 1, 0), (3, 0, 2), (3, 0, 1), (4, 0, 0)]
    return [*files[:3], encode(made.random_lowrank(1)), files[3]]


def test_every_truncated_or_altered_file_is_refused(made):
    for data in small_files(made):
        for place in range(len(data)):
            with pytest.raises(FormatError, match="truncated"):
                decode(data[:place], "x")
            altered = bytearray(data)
            altered[place] ^= 1 << place % 8
            with pytest.raises(FormatError, match="altered|truncated|not a packed model|version"):
                decode(bytes(altered), "x")


def test_every_altered_byte_with_the_right_checksum_is_refused_or_harmless(made):
    for data in small_files(made):
        for place in range(20, len(data) - 32):
            for flip in (1 << place % 8, 0xFF):
                altered = bytearray(data)
                altered[place] ^= flip
                with contextlib.suppress(FormatError):
                    assert decode(made.signed(altered), "x").problem() == ""


@pytest.mark.parametrize(
    ("file", "place", "value", "message"),
    [
        (0, 20 + 22, 2, "layer 1: reserved fields"),
        (0, 20 + 23, 4, "layer 1: reserved fields"),
        (0, 44 + 22, 1, "layer 2: shape 3 x 127"),
        (0, 20 + 48 + 14, 0, "layer 1: 10 blocks kept in a row, in 5 coarse blocks of side 0"),
        (0, 20 + 48 + 14 + 2, 3, "layer 1: 10 blocks kept in a row, in 3 coarse blocks of side 4"),
        (0, 8, 2, "layer 1: reserved fields"),
        (1, 20 + 24 + 2 + 1, 200, "layer 1: needs .* bytes where"),
        (2, 20 + 24 + 2, 0, "layer 1: |bytes after the last layer"),
        (3, 20 + 16, 3, "layer 2: its inputs are not what layer 1 gives"),
        (3, 20 + 16, 7, "layer 1: a ReLU and signed outputs"),
        (3, 20 + 16, 9, "layer 1: reserved fields"),
        (3, 20 + 24, 1, "layer 1: blocks 1 inputs wide, of side 0"),
        (3, 20 + 26 + 25, 8, "layer 2: blocks 2048 inputs wide, of side 0"),
        (3, 20 + 4 * 26 + 16, 5, "layer 5: 32-bit outputs"),
        (3, 8, 3, "layer 1|do not fit|description"),
        (1, 20 + 16, 5, "layer 1: reserved fields"),
        (4, 20 + 24, 4, "layer 1: blocks 4 inputs wide, of side 4: a square block and a dense layer have no width"),
        (4, 20 + 24, 0, "needs|bytes after the last layer|block columns that do not rise"),
        (4, 20 + 24, 2, "needs|bytes after the last layer|block columns that do not rise"),
        (4, 20 + 25, 5, "layer 1: shape 10 x 13 with 2 blocks of side 4x1283 in a row"),
        (4, 20 + 8, 0, "layer 1: blocks 3 inputs wide, of side 0"),
        (4, 20 + 16, 9, "layer 1: reserved fields"),
        (4, 20 + 22, 2, "layer 1: reserved fields"),
        (4, 8, 3, "layer 1|description|do not fit"),
        (1, 8, 4, "layer 1|description|do not fit"),
    ],
)
def test_a_wrong_writer_is_told_what_is_wrong(made, file, place, value, message):
    data = bytearray(small_files(made)[file])
    data[place] = value
    with pytest.raises(FormatError, match=message):
        decode(made.signed(data), "x")


def test_a_small_file_cannot_ask_for_much_memory(made):
    """A header of 4 thousand million outputs, in each form."""
    for data in small_files(made):
        huge = bytearray(data)
        huge[24:28] = b"\xff\xff\xff\xff"
        with pytest.raises(FormatError, match="layer 1: needs 4294967295 biases"):
            decode(made.signed(huge), "x")
        huge = bytearray(data)
        huge[20:24] = b"\xff\xff\xff\xff"
        with pytest.raises(FormatError, match="x: layer [12]"):
            decode(made.signed(huge), "x")


def test_a_file_of_narrow_edge_blocks_cannot_ask_for_much_memory(made):
    """1 input and 200,000 outputs in blocks of side 1024: a thousand times as much room as weights."""
    layer = made.random_layer(np.random.default_rng(0), 1, 200_000, block=4, n_kept=1, bits=2, relu=False, input_signed=True)
    data = bytearray(encode(PackedModel((layer,), {})))
    data[28:30] = (1024).to_bytes(2, "little")
    with pytest.raises(FormatError, match=r"layer 1: blocks .196, 1, 1024, 1024., which are next to nothing but padding"):
        decode(made.signed(data), "x")
    layer = made.random_layer(np.random.default_rng(0), 1, 200_000, block=4, n_kept=1, bits=2, relu=False, block_in=3, input_signed=True)
    data = bytearray(encode(PackedModel((layer,), {})))
    data[44:46] = (1024).to_bytes(2, "little")
    with pytest.raises(FormatError, match=r"layer 1: blocks .50000, 1, 4, 1024., which are next to nothing but padding"):
        decode(made.signed(data), "x")


def test_a_stored_zero_in_a_bitmap_is_refused(made):
    layer = replace(made.random_layer(np.random.default_rng(0), 4, 2, bits=8, relu=False), weights=np.array([[0, 0, 0, 5], [0, 0, 0, 0]], dtype=np.int8))
    data = bytearray(encode(PackedModel((layer,), {}, "smallest")))
    place = 20 + 24 + 2
    assert data[place : place + 2] == pack_bits(np.array([8]), 8) + b"\x05"
    data[place + 1] = 0
    with pytest.raises(FormatError, match="a weight of zero where its bitmap"):
        decode(made.signed(data), "x")
