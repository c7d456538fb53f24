"""A separate reader that follows docs/packed-format.md and shares no code with the library."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedModel
from cgs.quant.packed import encode


def values(data: bytes, at: int, count: int, width: int, signed: bool) -> tuple[list[int], int]:
    """`count` values from byte `at`, and the byte after the section."""
    n_bytes = math.ceil(count * width / 8)
    number = int.from_bytes(data[at : at + n_bytes], "little")
    found = [(number >> (i * width)) & ((1 << width) - 1) for i in range(count)]
    return [v - (1 << width) if signed and v >> (width - 1) else v for v in found], at + n_bytes


def two_levels(data: bytes, at: int, rows: int, columns: int, k: int) -> tuple[list[int], int]:
    """Kept block columns of all block rows, one after the other."""
    (g, n_coarse), at = values(data, at, 2, 16, False)
    coarse, at = values(data, at, math.ceil(rows / g) * n_coarse, math.ceil(math.log2(math.ceil(columns / g))), False)
    fine, at = values(data, at, rows * k, math.ceil(math.log2(g)), False)
    each = k // n_coarse
    return [g * coarse[r // g * n_coarse + i] + fine[(r * n_coarse + i) * each + j] for r in range(rows) for i in range(n_coarse) for j in range(each)], at


def bitmap(data: bytes, at: int, count: int, width: int, signed: bool) -> tuple[list[int], int]:
    there, at = values(data, at, count, 1, False)
    found, at = values(data, at, sum(there), width, signed)
    return [found.pop(0) if one else 0 for one in there], at


def two_precisions(data: bytes, at: int, counts: list[int], bits: int) -> tuple[list[int], int]:
    low, at = data[at], at + 1
    full, at = values(data, at, len(counts), 1, False)
    widths = [bits if one else low for one, count in zip(full, counts, strict=True) for _ in range(count)]
    n_bytes = math.ceil(sum(widths) / 8)
    number, found = int.from_bytes(data[at : at + n_bytes], "little"), []
    for width in widths:
        v, number = number % 2**width, number >> width
        found.append((v - 2**width if v >= 2 ** (width - 1) else v) * 2 ** (bits - width))
    return found, at + n_bytes


def coded(data: bytes, at: int, count: int, width: int, signed: bool) -> tuple[list[int], int]:
    (n,), at = values(data, at, 1, 32, False)
    end, lanes = at + n, min(max(count // 1024, 1), 256)
    f, at = values(data, at, 2**width, 13, False)
    x, at = values(data, at, lanes, 32, False)
    found = []
    for i in range(count):
        m, s = x[i % lanes] % 4096, 0
        while m >= sum(f[: s + 1]):
            s += 1
        found.append(s - 2**width if s >= 2 ** (width - 1) else s)
        x[i % lanes] = f[s] * (x[i % lanes] // 4096) + m - sum(f[:s])
        if x[i % lanes] < 65536:
            x[i % lanes], at = x[i % lanes] * 65536 + struct.unpack_from("<H", data, at)[0], at + 2
    assert at == end and x == [65536] * lanes and sum(f) == 4096
    return found, at


def read(data: bytes) -> tuple[dict, list[SimpleNamespace]]:
    """The description, and each layer's formats and frames with its dense matrix `w` (dropped weights 0) and bias `b`."""
    assert data[:8] == bytes.fromhex("894347530D0A1A0A") and hashlib.sha256(data[:-32]).digest() == data[-32:]
    version, n_layers, n_meta, n_bytes = struct.unpack_from("<HHII", data, 8)
    assert version in (1, 2, 3, 4, 5) and n_bytes == len(data)
    n_header = 26 if version >= 4 else 24
    at = 20 + n_header * n_layers
    meta, at, layers = json.loads(data[at : at + n_meta].decode()), at + n_meta, []
    for n in range(n_layers):
        header = struct.unpack_from("<IIHHBBBBBBbbbbBB", data, 20 + n_header * n)
        n_in, n_out, block, k, bits, bias_bits, _, out_bits, flags, n_offsets, wf, bf, xf, yf, index, form = header
        low, high = (-(2 ** (out_bits - 1)), 2 ** (out_bits - 1) - 1) if flags & 4 else (0, 2**out_bits - 1)
        layer = SimpleNamespace(f=wf + xf, xf=xf, bf=bf, yf=yf, hidden=flags & 6, low=low, high=high, w=[[0] * n_in for _ in range(n_out)])
        layer.cells, layer.out_bits = n_out // 4 if flags & 8 else 0, out_bits
        layer.offsets, at = values(data, at, n_offsets, 8, True) if n_offsets else ([0], at)
        if block:
            block_in = (struct.unpack_from("<H", data, 20 + n_header * n + 24)[0] if version >= 4 else 0) or block
            rows, columns = math.ceil(n_out / block), math.ceil(n_in / block_in)
            kept, at = two_levels(data, at, rows, columns, k) if index == 1 else values(data, at, rows * k, math.ceil(math.log2(columns)), False)
            places = [(r * block + i, c * block_in + j) for r in range(rows) for c in kept[r * k : r * k + k] for i in range(block) for j in range(block_in)]
            inside = [o < n_out and i < n_in for o, i in places]
            counts = [sum(inside[n : n + block * block_in]) for n in range(0, len(places), block * block_in)]
            places = [(o, i) for o, i in places if o < n_out and i < n_in]
        else:
            places = [(o, i) for o in range(n_out) for i in range(n_in)]
        if form == 3:
            weights, at = two_precisions(data, at, counts, bits)
        else:
            weights, at = [values, bitmap, coded][form](data, at, len(places), bits, True)
        for (o, i), w in zip(places, weights, strict=True):
            layer.w[o][i] = w
        layer.b, at = values(data, at, n_out, bias_bits, True)
        layers.append(layer)
    assert at == len(data) - 32
    return meta, layers


def test_the_page_is_enough_to_read_and_compute(made):
    models = [
        made.random_model(seed, (13, 30, 21, 5), block=block, n_kept=1, bits=bits, block_in=block_in)
        for seed, block, bits, block_in in ((1, 4, 6, 0), (2, 3, 5, 0), (3, 16, 2, 0), (4, 2, 6, 7), (5, 12, 4, 5), (6, 1, 3, 40))
    ]
    models += [replace(made.random_lowrank(4, bits=5), storage="smallest"), made.random_lowrank(5, (6, 2, 0), bits=8)]
    assert [encode(model)[8] for model in models] == [1, 1, 1, 4, 4, 4, 4, 4]
    for seed, model in enumerate(models):
        meta, layers = read(encode(model))
        assert meta == model.meta
        frame = np.random.default_rng(seed).normal(size=13).astype(np.float32)
        x = [min(max(round(float(v) * 2 ** layers[0].xf), -128), 127) for v in frame]
        for layer in layers:
            acc = [sum(w * v for w, v in zip(row, x, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)]
            s = layer.f - layer.yf
            x = [min(max((a + (1 << s >> 1)) >> s, layer.low), layer.high) for a in acc] if layer.hidden else acc
        assert IntegerEngine(model).integers(frame[None])[-1][0].tolist() == x


def test_the_page_is_enough_for_layers_that_read_several_frames(made):
    for seed, block, bits, block_in in ((1, 4, 6, 0), (2, 3, 5, 0), (3, 16, 2, 0), (4, 2, 6, 7), (5, 12, 4, 5)):
        model = made.random_tdnn(seed, block=block, n_kept=1, bits=bits, block_in=block_in)
        data = encode(model)
        assert data[8] == (4 if block_in else 2)
        meta, layers = read(data)
        frames = np.random.default_rng(seed).normal(size=(12, 5)).astype(np.float32)
        assert (meta["features"]["left"], meta["features"]["right"]) == (5, 3)
        below = {t: [min(max(round(float(v) * 2 ** layers[0].xf), -128), 127) for v in frames[t + 5]] for t in range(-5, 7)}
        for layer in layers:
            above, s = {}, layer.f - layer.yf
            for t in [t for t in below if all(t + o in below for o in layer.offsets)]:
                x = [v for o in layer.offsets for v in below[t + o]]
                acc = [sum(w * v for w, v in zip(row, x, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)]
                above[t] = [min(max((a + (1 << s >> 1)) >> s, layer.low), layer.high) for a in acc] if layer.hidden else acc
            below = above
        assert sorted(below) == [0, 1, 2, 3]
        assert IntegerEngine(model).integers(frames)[-1].tolist() == [below[t] for t in range(4)]


T = [min(255, round(math.tanh(q / 128) * 256)) for q in range(512)]


def tanh(z: int) -> int:
    return T[min(abs(z), 511)] * ((z > 0) - (z < 0))


def sigmoid(z: int) -> int:
    return 256 + T[min((abs(z) + 1) >> 1, 511)] * ((z > 0) - (z < 0))


def cells(layer: SimpleNamespace, inputs: list[list[int]]) -> list[list[int]]:
    """h of every frame, from the frames' inputs without h."""
    n, s = layer.cells, layer.f - 7
    c, h, given = [0] * n, [0] * n, []
    for x in inputs:
        acc = [sum(w * v for w, v in zip(row, h + x, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)]
        z = [min(max((a + (1 << s >> 1)) >> s, -1024), 1023) for a in acc]
        i, f, o, g = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
        c = [(sigmoid(f[k]) * c[k] + 8 * sigmoid(i[k]) * tanh(g[k]) + 256) >> 9 for k in range(n)]
        c, t = [min(max(v, -32768), 32767) for v in c], 17 - layer.yf
        h = [min(max((sigmoid(o[k]) * tanh((c[k] + 8) >> 4) + (1 << t >> 1)) >> t, layer.low), layer.high) for k in range(n)]
        given.append(h)
    return given


@pytest.mark.parametrize(
    ("block", "block_in", "n_kept", "bits", "activation_bits", "gain", "storage"),
    [
        (0, 0, 0, 6, 8, 0, "plain"),
        (4, 0, 3, 6, 8, 0, "smallest"),
        (3, 4, 3, 8, 16, 3, "plain"),
        (16, 2, 6, 5, 12, 2, "mixed"),
        (8, 1, 9, 2, 4, 0, "plain"),
        (2, 0, 9, 3, 9, 4, "smallest"),
    ],
)
def test_the_page_is_enough_for_cells(made, block, block_in, n_kept, bits, activation_bits, gain, storage):
    model = replace(made.random_lstm(bits, block, n_kept, bits, block_in, activation_bits, gain), storage=storage)
    data = encode(model)
    assert data[8] == 5 and [data[20 + 26 * n + 16] for n in range(3)] == [13, 13, 1]
    meta, layers = read(data)
    left, right = meta["features"]["left"], meta["features"]["right"]
    frames, high = np.random.default_rng(bits).normal(size=(9, 5)).astype(np.float32), 2 ** (activation_bits - 1) - 1
    heard = [frames[min(max(t, 0), 8)] for t in range(-left, 9 + right)]
    x = [[min(max(round(float(v) * 2 ** layers[0].xf), -high - 1), high) for v in frame] for frame in heard]
    for layer in layers:
        first, last = layer.offsets[0], layer.offsets[-1]
        x = [[v for o in layer.offsets for v in x[t + o]] for t in range(-first, len(x) - last)]
        if layer.cells:
            x = cells(layer, x)
        else:
            x = [[sum(w * v for w, v in zip(row, f, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)] for f in x]
    engine = IntegerEngine(model)
    assert engine.integers(np.array(heard))[-1].tolist() == x
    expected = np.array([[v * 2.0 ** -layers[-1].f for v in frame] for frame in x[-9:]], dtype=np.float32)
    np.testing.assert_array_equal(engine.logits(np.array(heard)), expected)


def test_networks_of_single_frames_keep_version_1(made):
    data = encode(made.random_model(1))
    assert data[8] == 1 and data[20 + 17] == 0


@pytest.mark.parametrize("wide", [0, 3])
def test_the_page_is_enough_for_every_form(made, wide):
    """In version 3 the first layer has blocks of 2 x 2, in version 4 of 2 x 3."""
    random, across = np.random.default_rng(0), wide or 2
    coarse = np.sort([random.permutation(9)[:3] for _ in range(8)], axis=1)  # 32 block rows of 37 block columns, coarse blocks of 4
    fine = np.sort([[random.permutation(4)[:2] for _ in range(3)] for _ in range(32)], axis=2)
    kept = (coarse[np.arange(32) // 4][:, :, None] * 4 + fine).reshape(32, 6).astype(np.int32)
    first = replace(made.random_layer(random, 37 * across, 63, block=2, n_kept=6, bits=5, block_in=wide, input_signed=True), kept=kept)
    first = replace(first, weights=(first.weights * first.real_weights()).astype(np.int8))
    second = made.random_layer(random, 63, 40, bits=4)
    second = replace(second, weights=np.clip(np.rint(random.laplace(scale=1.0, size=(40, 63))), -8, 7).astype(np.int8))
    last = made.random_layer(random, 40, 5, bits=6, relu=False, input_fraction_bits=6)
    last = replace(last, weights=np.where(random.random((5, 40)) < 0.2, last.weights, 0).astype(np.int8))
    second = replace(second, input_fraction_bits=first.output_fraction_bits)
    model = PackedModel((first, second, last), {"task": "asr"}, "smallest")
    data = encode(model)
    n_header = 26 if wide else 24
    assert data[8] == (4 if wide else 3) and [tuple(data[20 + n_header * n + 22 :][:2]) for n in range(3)] == [(1, 0), (0, 2), (0, 1)]
    meta, layers = read(data)
    assert meta == {"task": "asr"}
    dense = np.zeros((64, 37 * across), dtype=int)
    for r, columns in enumerate(kept):
        for k, c in enumerate(columns):
            dense[2 * r : 2 * r + 2, across * c : across * c + across] = first.weights[r, k]
    for layer, expected in zip(layers, (dense[:63], second.weights, last.weights), strict=True):
        np.testing.assert_array_equal(np.array(layer.w), expected)


def test_the_page_is_enough_for_two_precisions(made):
    for seed, block, bits, low in ((1, 4, 6, 4), (2, 3, 5, 2), (3, 7, 8, 3)):
        random = np.random.default_rng(seed)
        model = made.random_model(seed, (40, 30, 29, 5), block=block, n_kept=3, bits=bits)
        on_grid = [random.random(layer.weights.shape[:2] + (1, 1)) < 0.6 for layer in model.layers[:2]]
        unit = 1 << (bits - low)
        sparse = [replace(layer, weights=np.where(on, layer.weights // unit * unit, layer.weights)) for layer, on in zip(model.layers, on_grid, strict=False)]
        data = encode(replace(model, layers=(*sparse, model.layers[2]), storage="mixed"))
        assert data[8] == 3 and [data[20 + 24 * n + 23] for n in range(3)] == [3, 3, 0] and len(data) < len(encode(model))
        meta, layers = read(data)
        assert meta == model.meta
        for layer, packed in zip(layers, sparse, strict=False):
            dense = np.zeros((packed.n_block_rows * block, packed.n_block_columns * block), dtype=int)
            for r, columns in enumerate(packed.kept):
                for k, c in enumerate(columns):
                    dense[r * block : (r + 1) * block, c * block : (c + 1) * block] = packed.weights[r, k]
            np.testing.assert_array_equal(np.array(layer.w), dense[: packed.n_out, : packed.n_in])
