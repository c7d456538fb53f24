"""A separate reader that follows docs/packed-format.md and shares no code with the library."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from types import SimpleNamespace

import numpy as np

from cgs.quant.engine import IntegerEngine
from cgs.quant.packed import encode


def values(data: bytes, at: int, count: int, width: int, signed: bool) -> tuple[list[int], int]:
    """`count` values from byte `at`, and the byte after the section."""
    n_bytes = math.ceil(count * width / 8)
    number = int.from_bytes(data[at : at + n_bytes], "little")
    found = [(number >> (i * width)) & ((1 << width) - 1) for i in range(count)]
    return [v - (1 << width) if signed and v >> (width - 1) else v for v in found], at + n_bytes


def read(data: bytes) -> tuple[dict, list[SimpleNamespace]]:
    """The description, and each layer's formats and frames with its dense matrix `w` (dropped weights 0) and bias `b`."""
    assert data[:8] == bytes.fromhex("894347530D0A1A0A") and hashlib.sha256(data[:-32]).digest() == data[-32:]
    version, n_layers, n_meta, n_bytes = struct.unpack_from("<HHII", data, 8)
    assert version in (1, 2) and n_bytes == len(data)
    at = 20 + 24 * n_layers
    meta, at, layers = json.loads(data[at : at + n_meta].decode()), at + n_meta, []
    for n in range(n_layers):
        n_in, n_out, block, k, bits, bias_bits, _, out_bits, flags, n_offsets, wf, bf, xf, yf, _ = struct.unpack_from("<IIHHBBBBBBbbbbH", data, 20 + 24 * n)
        layer = SimpleNamespace(f=wf + xf, xf=xf, bf=bf, yf=yf, relu=flags & 2, high=2**out_bits - 1, w=[[0] * n_in for _ in range(n_out)])
        layer.offsets, at = values(data, at, n_offsets, 8, True) if version == 2 else ([0], at)
        if block:
            rows, columns = math.ceil(n_out / block), math.ceil(n_in / block)
            kept, at = values(data, at, rows * k, math.ceil(math.log2(columns)), False)
            places = [(r * block + i, c * block + j) for r in range(rows) for c in kept[r * k : r * k + k] for i in range(block) for j in range(block)]
            places = [(o, i) for o, i in places if o < n_out and i < n_in]
        else:
            places = [(o, i) for o in range(n_out) for i in range(n_in)]
        weights, at = values(data, at, len(places), bits, True)
        for (o, i), w in zip(places, weights, strict=True):
            layer.w[o][i] = w
        layer.b, at = values(data, at, n_out, bias_bits, True)
        layers.append(layer)
    assert at == len(data) - 32
    return meta, layers


def test_the_page_is_enough_to_read_and_compute(made):
    for seed, block, bits in ((1, 4, 6), (2, 3, 5), (3, 16, 2)):
        model = made.random_model(seed, (13, 30, 21, 5), block=block, n_kept=1, bits=bits)
        meta, layers = read(encode(model))
        assert meta == model.meta
        frame = np.random.default_rng(seed).normal(size=13).astype(np.float32)
        x = [min(max(round(float(v) * 2 ** layers[0].xf), -128), 127) for v in frame]
        for layer in layers:
            acc = [sum(w * v for w, v in zip(row, x, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)]
            s = layer.f - layer.yf
            x = [min(max((a + (1 << s >> 1)) >> s, 0), layer.high) for a in acc] if layer.relu else acc
        assert IntegerEngine(model).integers(frame[None])[-1][0].tolist() == x


def test_the_page_is_enough_for_layers_that_read_several_frames(made):
    for seed, block, bits in ((1, 4, 6), (2, 3, 5), (3, 16, 2)):
        model = made.random_tdnn(seed, block=block, n_kept=1, bits=bits)
        data = encode(model)
        assert data[8] == 2
        meta, layers = read(data)
        frames = np.random.default_rng(seed).normal(size=(12, 5)).astype(np.float32)
        assert (meta["features"]["left"], meta["features"]["right"]) == (5, 3)
        below = {t: [min(max(round(float(v) * 2 ** layers[0].xf), -128), 127) for v in frames[t + 5]] for t in range(-5, 7)}
        for layer in layers:
            above, s = {}, layer.f - layer.yf
            for t in [t for t in below if all(t + o in below for o in layer.offsets)]:
                x = [v for o in layer.offsets for v in below[t + o]]
                acc = [sum(w * v for w, v in zip(row, x, strict=True)) + b * 2 ** (layer.f - layer.bf) for row, b in zip(layer.w, layer.b, strict=True)]
                above[t] = [min(max((a + (1 << s >> 1)) >> s, 0), layer.high) for a in acc] if layer.relu else acc
            below = above
        assert sorted(below) == [0, 1, 2, 3]
        assert IntegerEngine(model).integers(frames)[-1].tolist() == [below[t] for t in range(4)]


def test_networks_of_single_frames_keep_version_1(made):
    data = encode(made.random_model(1))
    assert data[8] == 1 and data[20 + 17] == 0
