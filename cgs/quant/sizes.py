"""How large a packed model is, counted from the bytes of its file, and what it is made of. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

from cgs.quant.model import PackedLayer, PackedModel
from cgs.quant.packed import encode, section_bytes


def entropy_bits_per_weight(model: PackedModel) -> float:
    """Bits a weight that an ideal code of each layer's weight values would need: how much a variable-length code could still save."""
    bits, n_weights = 0.0, 0
    for layer in model.layers:
        counts = np.unique(layer.weights[layer.real_weights()], return_counts=True)[1]
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
        n_weights += int(counts.sum())
    return bits / n_weights


def sizes(model: PackedModel) -> dict[str, Any]:
    """Bytes of the file and of its parts, and the reduction against floating point.

    Returns: bits (of the widest layer's weights), activation_bits, n_weights_dense (weights and biases of the dense network of
        this shape), n_weights_kept (weights that exist, without biases), weights_bytes, index_bytes, bias_bytes, file_bytes,
        float32_bytes and float64_bytes (of the dense network), reduction_vs_float32 and _float64 (fractions of those, indices,
        biases, description and checksum of the file counted), entropy_bits_per_weight.
    """
    sections = np.array([section_bytes(layer) for layer in model.layers]).sum(axis=0)
    n_dense = sum(layer.n_parameters_dense for layer in model.layers)
    file_bytes = len(encode(model))
    return {
        "bits": max(layer.bits for layer in model.layers),
        "activation_bits": max(layer.input_bits for layer in model.layers),
        "n_weights_dense": n_dense,
        "n_weights_kept": sum(layer.n_weights for layer in model.layers),
        "index_bytes": int(sections[0]),
        "weights_bytes": int(sections[1]),
        "bias_bytes": int(sections[2]),
        "file_bytes": file_bytes,
        "float32_bytes": 4 * n_dense,
        "float64_bytes": 8 * n_dense,
        "reduction_vs_float32": 1 - file_bytes / (4 * n_dense),
        "reduction_vs_float64": 1 - file_bytes / (8 * n_dense),
        "entropy_bits_per_weight": entropy_bits_per_weight(model),
    }


def describe(model: PackedModel) -> dict[str, Any]:
    """What a packed model is, for people: its description, its sizes and each layer's shape and formats."""
    return {**model.meta, **sizes(model), "layers": [_describe_layer(layer) for layer in model.layers]}


def _describe_layer(layer: PackedLayer) -> dict[str, Any]:
    n_bytes = section_bytes(layer)
    return {
        "n_in": layer.n_in,
        "n_out": layer.n_out,
        "block": layer.block,
        "kept_per_row": layer.kept_per_row,
        "n_block_columns": layer.n_block_columns,
        "n_weights": layer.n_weights,
        "density": layer.n_weights / (layer.n_in * layer.n_out),
        "weight_bits": layer.bits,
        "weight_fraction_bits": layer.weight_fraction_bits,
        "bias_bits": layer.bias_bits,
        "bias_fraction_bits": layer.bias_fraction_bits,
        "input_bits": layer.input_bits,
        "input_signed": layer.input_signed,
        "input_fraction_bits": layer.input_fraction_bits,
        "output_bits": layer.output_bits,
        "output_fraction_bits": layer.output_fraction_bits,
        "accumulator_bits_needed": layer.accumulator_bound().bit_length() + 1,
        "index_bytes": n_bytes[0],
        "weights_bytes": n_bytes[1],
        "bias_bytes": n_bytes[2],
    }
