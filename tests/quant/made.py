"""Random packed layers and models for the tests of this folder, and what their files are checked by."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from cgs.quant.model import PackedLayer, PackedModel


def random_layer(
    random: np.random.Generator, n_in: int, n_out: int, block: int = 0, n_kept: int = 0, bits: int = 6, relu: bool = True, block_in: int = 0, **changes: Any
) -> PackedLayer:
    """A layer whose weights use the whole range of `bits`; dense where block is 0, of square blocks where block_in is."""
    kept = None
    shape: tuple[int, ...] = (n_out, n_in)
    if block:
        rows, columns = -(-n_out // block), -(-n_in // (block_in or block))
        kept = np.sort(np.array([random.permutation(columns)[:n_kept] for _ in range(rows)]), axis=1).astype(np.int32)
        shape = (rows, n_kept, block, block_in or block)
    fields: dict[str, Any] = {
        "n_in": n_in, "n_out": n_out, "block": block, "kept": kept,
        "weights": random.integers(-(1 << (bits - 1)), 1 << (bits - 1), shape).astype(np.int8),
        "bias": random.integers(-100, 100, n_out).astype(np.int32),
        "bits": bits, "weight_fraction_bits": bits - 1, "bias_bits": 16, "bias_fraction_bits": 6, "input_bits": 8, "input_signed": False,
        "input_fraction_bits": 6, "output_bits": 8 if relu else 32, "output_fraction_bits": 6 if relu else bits + 5, "relu": relu,
        "block_in": block_in if block else 0,
    }  # fmt: skip
    fields |= changes
    if block:
        fields["weights"] *= PackedLayer(**fields).real_weights()
    return PackedLayer(**fields)


def random_model(seed: int, widths: tuple[int, ...] = (13, 10, 9, 5), block: int = 4, n_kept: int = 2, bits: int = 6, block_in: int = 0) -> PackedModel:
    """A sparse model with a dense output layer; edge blocks reach beyond most matrices."""
    random = np.random.default_rng(seed)
    layers = []
    for number, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        last = number == len(widths) - 2
        layers.append(random_layer(random, n_in, n_out, 0 if last else block, n_kept, bits, not last, block_in, input_signed=number == 0))
    return PackedModel(tuple(layers), {"task": "kws", "classes": ["<silence>", "<other>", "zéro"]})


def random_lowrank(seed: int, ranks: tuple[int, ...] = (4, 0, 3), widths: tuple[int, ...] = (13, 10, 9, 5), bits: int = 6) -> PackedModel:
    """A model whose matrices are two factors each, or dense where the rank is 0: a first factor is linear, and its outputs are signed."""
    random, layers, signed = np.random.default_rng(seed), [], True
    for number, (n_in, n_out, rank) in enumerate(zip(widths, widths[1:], ranks, strict=False)):
        if rank:
            linear = {"output_signed": True, "output_bits": 8, "output_fraction_bits": 6}
            layers.append(random_layer(random, n_in, rank, bits=bits, relu=False, input_signed=signed, **linear))
        layers.append(random_layer(random, rank or n_in, n_out, bits=bits, relu=number < len(widths) - 2, input_signed=bool(rank) or signed))
        signed = False
    return PackedModel(tuple(layers), {"task": "asr"})


def random_tdnn(seed: int, block: int = 4, n_kept: int = 2, bits: int = 6, block_in: int = 0) -> PackedModel:
    """A sparse time-delay model of 5 features a frame, with a dense output layer."""
    random = np.random.default_rng(seed)
    below, layers = 5, []
    for offsets, n_out in (((-2, -1, 0, 1), 11), ((-3, 0), 10), ((0, 2), 9)):
        layers.append(random_layer(random, below * len(offsets), n_out, block, n_kept, bits, True, block_in, input_signed=not layers, offsets=offsets))
        below = n_out
    layers.append(random_layer(random, below, 4, bits=bits, relu=False))
    return PackedModel(tuple(layers), {"task": "asr", "features": {"left": 5, "right": 3}})


def random_lstm(seed: int, block: int = 4, n_kept: int = 3, bits: int = 6, block_in: int = 0, activation_bits: int = 8, gain: int = 0) -> PackedModel:
    """A sparse LSTM model of 5 features a frame, three frames side by side, with layers of 8 and 12 cells and a dense output layer.

    `gain`, in bits, makes sums of gates large."""
    random, layers, below = np.random.default_rng(seed), [], 3 * 5
    inputs = {"input_bits": activation_bits, "input_signed": True, "output_bits": activation_bits, "output_signed": True}
    for n_cells in (8, 12):
        fractions = {"input_fraction_bits": activation_bits - (1 if layers else 3), "output_fraction_bits": activation_bits - 1}
        fractions["weight_fraction_bits"] = max(bits - 1 - gain, 7 - fractions["input_fraction_bits"])
        fractions["bias_fraction_bits"] = min(6, sum(fractions.values()) - fractions["output_fraction_bits"])
        offsets = (0,) if layers else (-1, 0, 2)
        told = inputs | fractions | {"offsets": offsets, "cells": True}
        layers.append(random_layer(random, n_cells + below, 4 * n_cells, block, n_kept, bits, False, block_in, **told))
        below = n_cells
    last = {"input_bits": activation_bits, "input_signed": True, "input_fraction_bits": activation_bits - 1, "output_fraction_bits": bits + activation_bits - 2}
    layers.append(random_layer(random, below, 4, bits=bits, relu=False, **last | {"bias_fraction_bits": min(6, last["output_fraction_bits"])}))
    return PackedModel(tuple(layers), {"task": "asr", "features": {"left": 4, "right": 3}})


def signed(data: bytes | bytearray) -> bytes:
    """A file's bytes with the checksum that they ask for."""
    return bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest()


def assert_same(one: PackedModel, other: PackedModel) -> None:
    """Two models agree in every field of every layer."""
    assert (one.meta, one.storage) == (other.meta, other.storage)
    for a, b in zip(one.layers, other.layers, strict=True):
        for name in PackedLayer.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
