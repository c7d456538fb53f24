"""How large a packed model is, counted from the bytes of its file, and what it is made of. NumPy only."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cgs.quant.model import PackedLayer, PackedModel
from cgs.quant.packed import encode
from cgs.quant.precisions import mean_bits
from cgs.quant.sections import INDEX_FORMS, TWO_LEVELS, WEIGHT_FORMS, Sections, index_sections, layer_sections, stored_weights, two_levels, weight_sections


def entropy_bits(layer: PackedLayer) -> float:
    """Bits that an ideal code of a layer's weights takes, each weight by itself, without the code's table."""
    counts = np.unique(stored_weights(layer), return_counts=True)[1]
    return -float((counts * np.log2(counts / counts.sum())).sum())


def entropy_bits_per_weight(model: PackedModel) -> float:
    """Bits a weight that an ideal code of each layer's weight values would need: how much a variable-length code could still save."""
    return sum(map(entropy_bits, model.layers)) / sum(layer.n_weights for layer in model.layers)


def sizes(model: PackedModel) -> dict[str, Any]:
    """Bytes of the file and of its parts, and the reduction against floating point.

    Returns: bits (of a weight; the mean over weights, rounded to 0.01, where layers or blocks differ), bits_by_layer (of the integers), activation_bits,
        n_weights_dense (weights and biases of the dense network of this shape, see `PackedModel`), n_weights_kept (weights that exist, without biases: all of a
        dense layer), n_weights_not_zero, weights_bytes, index_bytes, bias_bytes, file_bytes, forms (each layer's "index" and "weights", null where
        a dense layer has no index), index_bytes_by_level (of coarse blocks and of the blocks inside, of layers whose index has two levels), bytes_by_form
        ("index" and "weights" of all layers, each in that form where a layer has it, else plain), float32_bytes and float64_bytes (of the dense
        network), reduction_vs_float32 and _float64 (fractions of those, indices, biases, description and checksum of the file counted),
        entropy_bits_per_weight, entropy_bytes (of the file, were each layer's
        weights coded at their entropy and nothing else changed).
    """
    sections = [layer_sections(layer, model.storage) for layer in model.layers]
    index_bytes, weights_bytes, bias_bytes = np.array([each.n_bytes for each in sections]).sum(axis=0).tolist()
    n_dense, n_kept = model.n_parameters_dense, sum(layer.n_weights for layer in model.layers)
    widths, file_bytes = [layer.bits for layer in model.layers], len(encode(model))
    means = [mean_bits(layer, model.storage) for layer in model.layers]
    mean = sum(bits * layer.n_weights for bits, layer in zip(means, model.layers, strict=True)) / n_kept
    return {
        "bits": widths[0] if set(means) == {widths[0]} else round(mean, 2),
        "bits_by_layer": widths,
        "activation_bits": max(layer.input_bits for layer in model.layers),
        "n_weights_dense": n_dense,
        "n_weights_kept": n_kept,
        "n_weights_not_zero": sum(int(np.count_nonzero(layer.weights)) for layer in model.layers),
        "index_bytes": index_bytes,
        "weights_bytes": weights_bytes,
        "bias_bytes": bias_bytes,
        "file_bytes": file_bytes,
        "forms": [{"index": each.index_form if layer.block else None, "weights": each.weight_form} for layer, each in zip(model.layers, sections, strict=True)],
        "index_bytes_by_level": np.array([_level_bytes(*part) for part in zip(model.layers, sections, strict=True)]).sum(axis=0).tolist(),
        "bytes_by_form": {
            "index": _bytes_by_form([index_sections(layer) for layer in model.layers], INDEX_FORMS),
            "weights": _bytes_by_form([weight_sections(layer) for layer in model.layers], WEIGHT_FORMS),
        },
        "float32_bytes": 4 * n_dense,
        "float64_bytes": 8 * n_dense,
        "reduction_vs_float32": 1 - file_bytes / (4 * n_dense),
        "reduction_vs_float64": 1 - file_bytes / (8 * n_dense),
        "entropy_bits_per_weight": entropy_bits_per_weight(model),
        "entropy_bytes": file_bytes - weights_bytes + sum(math.ceil(entropy_bits(layer) / 8) for layer in model.layers),
    }


def _bytes_by_form(layers: list[dict[str, bytes]], forms: tuple[str, ...]) -> dict[str, int]:
    return {form: sum(len(sections.get(form, sections[forms[0]])) for sections in layers) for form in forms}


def _level_bytes(layer: PackedLayer, written: Sections) -> tuple[int, int]:
    levels = two_levels(layer.kept, layer.n_block_columns) if layer.kept is not None and written.index_form == TWO_LEVELS else None
    coarse, fine = levels.levels(layer.n_block_columns) if levels else (b"", b"")
    return len(coarse), len(fine)


def describe(model: PackedModel) -> dict[str, Any]:
    """What a packed model is, for people: its description, its sizes and each layer's shape and formats."""
    return {**model.meta, **sizes(model), "layers": [_describe_layer(layer, model.storage) for layer in model.layers]}


def _describe_layer(layer: PackedLayer, storage: str) -> dict[str, Any]:
    sections = layer_sections(layer, storage)
    index_bytes, weights_bytes, bias_bytes = sections.n_bytes
    return {
        "n_in": layer.n_in,
        "n_out": layer.n_out,
        "cells": layer.n_cells,
        "block": layer.block,
        "block_in": layer.block_in,
        "mask_checksum": layer.mask_checksum,
        "kept_per_row": layer.kept_per_row,
        "n_block_columns": layer.n_block_columns,
        "n_weights": layer.n_weights,
        "density": layer.n_weights / (layer.n_in * layer.n_out),
        "weight_bits": layer.bits,
        "weight_fraction_bits": layer.weight_fraction_bits,
        "recurrent_fraction_bits": layer.recurrent_fraction_bits if layer.cells else None,
        "bias_bits": layer.bias_bits,
        "bias_fraction_bits": layer.bias_fraction_bits,
        "input_bits": layer.input_bits,
        "input_signed": layer.input_signed,
        "input_fraction_bits": layer.input_fraction_bits,
        "output_bits": layer.output_bits,
        "output_signed": layer.output_signed,
        "output_fraction_bits": layer.output_fraction_bits,
        "accumulator_bits_needed": layer.accumulator_bound().bit_length() + 1,
        "index_form": sections.index_form if layer.block else None,
        "weight_form": sections.weight_form,
        "index_bytes": index_bytes,
        "weights_bytes": weights_bytes,
        "bias_bytes": bias_bytes,
    }
