"""The hardware estimate of one packed model, as the plain dictionary that hardware.json holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from cgs.base.errors import ConfigError
from cgs.base.options import HardwareOptions
from cgs.hw.counts import Counts, Engine, LayerShape, PackedLike, count, network_shapes
from cgs.hw.duty import MODES, TEXTBOOK_RANGE_V, minimum_energy
from cgs.hw.model import at_supply
from cgs.hw.supply import ROOM_TEMPERATURE_K, SUPPLY_RANGE_V
from cgs.hw.technology import Technology, load_technology, table_digest

ROW_KEYS = ("supply_v", "clock_hz", "power_w", "power_interval_w", "energy_per_frame_j", "area_m2")
"""What a row of results.json takes of the reference supply."""


def estimate(packed: PackedLike, options: HardwareOptions, engine: Engine | None = None, temperature_k: float = ROOM_TEMPERATURE_K) -> dict[str, Any]:
    """Estimate a packed model in real time at every node and supply asked for.

    Args:
        packed: the model (cgs.quant.packed.PackedModel).
        options: frame rate, number of MACs, nodes, supplies.
        engine: the rest of the engine's parameters; those that the options or the model state are taken from there.
        temperature_k: of the chip, K.
    Returns: engine, counts, memories (bytes), nodes {node: [one entry a supply]}, reference {node: entry}, summary
        {node: the keys of ROW_KEYS}, minimum {node: {mode: the supply at which a frame costs least}}, warnings. Exact counts, SI units.
    Raises: ShapeError, ConfigError: a model that cannot be counted.
    """
    counts = count_packed(packed, options.n_macs, engine)
    rate = options.frames_per_s
    nodes, reference, minimum, warnings = {}, {}, {}, []
    for node in options.nodes:
        tech = load_technology(node)
        nodes[node] = [at_supply(counts, tech, supply, rate, temperature_k) for supply in options.supply_v]
        reference[node] = at_supply(counts, tech, options.reference_supply_v, rate, temperature_k)
        minimum[node] = _minimum(counts, tech, rate, temperature_k)
        if not reference[node]["real_time"]:
            warnings.append(_too_slow(node, reference[node], options.n_macs))
    return {
        "engine": counts.as_dict()["engine"],
        "frames_per_s": rate,
        "temperature_k": temperature_k,
        "frequency_needed_hz": counts.cycles * rate,
        "counts": {key: value for key, value in counts.as_dict().items() if key not in ("engine", "memories")},
        "memories": {name: vars(memory) | {"n_bytes": memory.n_bytes} for name, memory in counts.memories.items()},
        "nodes": nodes,
        "reference": reference,
        "summary": {node: {key: row[key] for key in ROW_KEYS} for node, row in reference.items()},
        "minimum": minimum,
        "warnings": warnings,
        "table_digest": table_digest(),
    }


def count_packed(packed: PackedLike, n_macs: int, engine: Engine | None = None) -> Counts:
    """Counts of a packed model on an engine of `n_macs`, with the widths of activations and biases, and the activity, that the model states."""
    layers = packed.layers
    if not layers:
        raise ConfigError("a model without layers", "pack a trained network")
    engine = replace(
        engine or Engine(),
        n_macs=n_macs,
        activation_bits=max(int(getattr(layer, "input_bits", Engine.activation_bits)) for layer in layers),
        bias_bits=max(int(getattr(layer, "bias_bits", Engine.bias_bits)) for layer in layers),
    )
    shapes = network_shapes(layers)
    return replace(count(shapes, engine, _new_inputs(shapes)), nonzero=_nonzero(packed))


def _nonzero(packed: PackedLike) -> float | None:
    """Share of the products that are not zero, where the model's description states it."""
    share = getattr(packed, "meta", {}).get("nonzero")
    if share is not None and not (isinstance(share, int | float) and 0 <= share <= 1):
        raise ConfigError(f"the model's description: nonzero {share!r}", "a share from 0 to 1; pack the model again")
    return share


def _minimum(counts: Counts, tech: Technology, rate: float, temperature_k: float) -> dict[str, Any] | None:
    """Of each mode; none where the engine is too slow at any supply."""
    try:
        ranges = dict.fromkeys(MODES, SUPPLY_RANGE_V) | {"flat_out": TEXTBOOK_RANGE_V}
        return {mode: asdict(minimum_energy(counts, tech, rate, mode, supplies, temperature_k)) for mode, supplies in ranges.items()}
    except ConfigError:
        return None


def _new_inputs(shapes: Sequence[LayerShape]) -> int | None:
    """Feature values that are new with each frame where layers hold earlier ones; any other network is given all of its window."""
    n_frames = [len(shape.offsets) for shape in shapes]
    return (shapes[0].n_in - shapes[0].n_cells) // n_frames[0] if max(n_frames) > 1 else None


def _too_slow(node: str, row: dict[str, Any], n_macs: int) -> str:
    needed = n_macs * math.ceil(row["clock_hz"] / row["max_clock_hz"])
    return (
        f"{node}: {row['clock_hz'] / 1e6:.1f} MHz needed for real time, {row['max_clock_hz'] / 1e6:.1f} MHz possible at {row['supply_v']:g} V; "
        f"set hardware.n_macs to about {needed}, or raise the supply"
    )
