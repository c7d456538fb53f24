"""The hardware estimate of one packed model, as the plain dictionary that hardware.json holds."""

from __future__ import annotations

import math
from typing import Any

from cgs.base.options import HardwareOptions
from cgs.hw.counts import Counts, Engine, PackedLike, count, layer_shape
from cgs.hw.model import at_supply
from cgs.hw.technology import load_technology, table_digest

ROW_KEYS = ("supply_v", "clock_hz", "power_w", "power_interval_w", "energy_per_frame_j", "area_m2")
"""What a row of results.json takes of the reference supply."""


def estimate(packed: PackedLike, options: HardwareOptions) -> dict[str, Any]:
    """Estimate a packed model in real time at every node and supply asked for.

    Args:
        packed: the model (cgs.quant.packed.PackedModel).
        options: frame rate, number of MACs, nodes, supplies.
    Returns: engine, counts, memories (bytes), nodes {node: [one entry a supply]}, reference {node: entry}, summary
        {node: the keys of ROW_KEYS}, warnings. Exact counts, SI units.
    Raises: ShapeError, ConfigError: a model that cannot be counted.
    """
    counts = count_packed(packed, options.n_macs)
    rate = options.frames_per_s
    nodes, reference, warnings = {}, {}, []
    for node in options.nodes:
        tech = load_technology(node)
        nodes[node] = [at_supply(counts, tech, supply, rate) for supply in options.supply_v]
        reference[node] = at_supply(counts, tech, options.reference_supply_v, rate)
        if not reference[node]["real_time"]:
            warnings.append(_too_slow(node, reference[node], options.n_macs))
    return {
        "engine": counts.as_dict()["engine"],
        "frames_per_s": rate,
        "frequency_needed_hz": counts.cycles * rate,
        "counts": {key: value for key, value in counts.as_dict().items() if key not in ("engine", "memories")},
        "memories": {name: vars(memory) | {"n_bytes": memory.n_bytes} for name, memory in counts.memories.items()},
        "nodes": nodes,
        "reference": reference,
        "summary": {node: {key: row[key] for key in ROW_KEYS} for node, row in reference.items()},
        "warnings": warnings,
        "table_digest": table_digest(),
    }


def count_packed(packed: PackedLike, n_macs: int) -> Counts:
    """Counts of a packed model on an engine of `n_macs`, with the widths of activations and biases that the model states."""
    layers = packed.layers
    engine = Engine(
        n_macs=n_macs,
        activation_bits=max(int(getattr(layer, "input_bits", Engine.activation_bits)) for layer in layers),
        bias_bits=max(int(getattr(layer, "bias_bits", Engine.bias_bits)) for layer in layers),
    )
    return count([layer_shape(layer) for layer in layers], engine, _new_inputs(packed))


def _new_inputs(packed: PackedLike) -> int | None:
    """Feature values that are new with each frame where layers hold earlier ones; a feed-forward network is given all of its window."""
    n_frames = [len(getattr(layer, "offsets", (0,))) for layer in packed.layers]
    return packed.layers[0].n_in // n_frames[0] if max(n_frames) > 1 else None


def _too_slow(node: str, row: dict[str, Any], n_macs: int) -> str:
    needed = n_macs * math.ceil(row["clock_hz"] / row["max_clock_hz"])
    return (
        f"{node}: {row['clock_hz'] / 1e6:.1f} MHz needed for real time, {row['max_clock_hz'] / 1e6:.1f} MHz possible at {row['supply_v']:g} V; "
        f"set hardware.n_macs to about {needed}, or raise the supply"
    )
