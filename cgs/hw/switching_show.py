"""What the switching of a core took, as lines of text, beside what the model says of it."""

from __future__ import annotations

from typing import Any

from cgs.base.units import with_prefix
from cgs.hw import logic
from cgs.hw.activity import CELL
from cgs.hw.logic import Core, Work
from cgs.hw.show import columns
from cgs.hw.technology import load_technology


def table(told: dict[str, Any]) -> str:
    """What `cgs.hw.switching.measure` found: gates, and energy of a frame by part, with the model's of the same core and frames.

    The model's energies are those of its own library and node at this library's supply, without the factors for glitches, clock tree and node.
    """
    core, work, supply = Core(**told["core"]), Work(**told["work"]), told["supply_v"]
    model, parts = logic.energy(core, work), told["parts"]
    model_gates = logic.gates(core) | {"clock": 0.0}
    if CELL in parts:
        model[CELL], model_gates[CELL] = (load_technology("40nm").figures[name].value for name in ("cell_energy", "cell_gates"))
        model[CELL] *= work.cells
    found = {part: parts[part]["data_j"] for part in (*logic.PARTS, CELL) if part in parts} | {"clock": sum(part["clock_j"] for part in parts.values())}
    rows = [("part of the core", "gates", "model", "flip-flops", "energy a frame", f"model, {logic.LIBRARY}")]
    for part, energy in found.items():
        area, flops = (f"{parts[part]['area']:.0f}", str(parts[part]["flops"])) if part in parts else ("", "")
        rows.append((part, area, f"{model_gates[part]:.0f}" if area else "", flops, with_prefix(energy, "J"), with_prefix(model[part] * supply**2, "J")))
    gates, flops = (sum(parts[part][what] for part in parts) for what in ("area", "flops"))
    energies = with_prefix(sum(found.values()), "J"), with_prefix(sum(model.values()) * supply**2, "J")
    rows.append(("all", f"{gates:.0f}", f"{sum(model_gates.values()):.0f}", f"{flops} ({logic.flip_flops(core)})", *energies))
    head = f"{told['library']} at {supply:g} V, {told['frames']} frames; {100 * work.nonzero:.1f} % of the products are not zero"
    return "\n".join(line.rstrip() for line in [head, *columns(rows)]) + "\n"
