"""The chip's page of a report: one file whose sliders choose node, supply and MACs; every design is computed beforehand, nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.options import HardwareOptions
from cgs.hw.costs import CELL_MEMORIES, COMPONENTS, area, max_clock, power
from cgs.hw.counts import Counts
from cgs.hw.estimate import count_packed
from cgs.hw.show import COMPONENT_COLOURS
from cgs.hw.technology import load_technology
from cgs.report.page import document
from cgs.report.plots import COMPONENT_NAMES
from cgs.report.results import Material

SCRIPT = Path(__file__).with_name("chip_page.js")
MACS = (1, 2, 4, 8, 16, 32)
SUPPLIES = tuple(round(0.5 + 0.05 * step, 2) for step in range(15))
"""V."""
PART_NAMES = {
    "weights": "weights", "activations": "activations", "gates": "gates of cells", "cells": "c of cells", "state": "h of cells", "index": "block indices",
    "bias": "biases", "table": "table of layers", "logic": "logic",
}  # fmt: skip
"""Parts of the area."""
PART_COLOURS = {"weights": "weight_memory", "logic": "mac"} | dict.fromkeys(("index", "bias", "table"), "index_bias_memory")
PART_COLOURS |= dict.fromkeys(("activations", *CELL_MEMORIES), "activation_memory")
"""A part of the area has the colour of the component of the power that it belongs to."""
STYLE = """<style>
.controls { display: grid; grid-template-columns: max-content minmax(8rem, 24rem) max-content; gap: .4rem 1rem; align-items: center; }
#legend span { margin-right: 1rem; white-space: nowrap; font-size: .85rem; }
#legend i { display: inline-block; width: .8rem; height: .8rem; margin-right: .3rem; }
</style>"""


def chip_page(material: Material, options: HardwareOptions) -> str:
    """The whole page: the packed models of a report, in real time; of recognisers also the energy of a word spoken in the test split."""
    models, nodes, rate = material.models, options.nodes, options.frames_per_s
    seconds = material.results["data"]["splits"]["test"]["seconds"]
    colours = dict(zip(COMPONENTS, COMPONENT_COLOURS, strict=True))
    data = {
        "supplies": SUPPLIES,
        "macs": MACS,
        "frames_per_s": rate,
        "words_per_s": {name: n / seconds for name, n in material.n_words.items()},
        "components": COMPONENTS,
        "names": COMPONENT_NAMES | PART_NAMES,
        "colours": colours | {part: colours[component] for part, component in PART_COLOURS.items()},
        "designs": {name: {node: {n: design(count_packed(model, n), node, rate) for n in MACS} for node in nodes} for name, model in models.items()},
    }
    text = json.dumps(data).replace("<", "\\u003c")
    shown = min(range(len(MACS)), key=lambda place: abs(MACS[place] - options.n_macs))
    script = f"<script>const DATA = {text};\n{SCRIPT.read_text(encoding='utf-8')}</script>"
    title = f"{material.results['title']}: as a chip"
    return document(f"{material.results['recipe']}: chip", title, _controls(list(models), nodes, shown), _figures() + script)


def design(counts: Counts, node: str, frames_per_s: float) -> dict[str, Any]:
    """One engine at every supply: power by component (W), clock needed and possible (Hz), cycles a frame, area by part (m2)."""
    tech, supplies = load_technology(node), np.array(SUPPLIES)
    parts = power(counts, tech, supplies, frames_per_s)
    return {
        "power": {name: [float(f"{value:.4g}") for value in np.broadcast_to(part, supplies.shape)] for name, part in parts.items()},
        "clock_hz": counts.cycles * frames_per_s,
        "max_clock_hz": [float(f"{value:.4g}") for value in max_clock(counts, supplies, tech)],
        "cycles": counts.cycles,
        "area": {name: float(f"{float(value):.4g}") for name, value in area(counts, tech).items()},
    }


def _controls(systems: Sequence[str], nodes: Sequence[str], macs: int) -> str:
    def choice(name: str, values: Sequence[str]) -> str:
        return f'<select id="{name}">{"".join(f"<option>{escape(value)}</option>" for value in values)}</select>'

    supply = SUPPLIES.index(0.6)
    rows = [
        f'<label for="system">system</label>{choice("system", systems)}<span></span>',
        f'<label for="node">node</label>{choice("node", nodes)}<span></span>',
        f'<label for="supply">supply</label><input id="supply" type="range" min="0" max="{len(SUPPLIES) - 1}" value="{supply}"/><span id="supply-told"></span>',
        f'<label for="macs">MACs</label><input id="macs" type="range" min="0" max="{len(MACS) - 1}" value="{macs}"/><span id="macs-told"></span>',
    ]
    return f'{STYLE}<div class="controls">{"".join(rows)}</div>'


def _figures() -> str:
    power_told = "Power in real time at every supply, the chosen one underlined; pale where the engine is too slow. Point at a part for its name and value."
    area_told = "Areas in proportion: a list of parts as a picture, not a placed chip."
    pictures = "".join(
        f'<figure><svg id="{name}" viewBox="0 0 500 300" role="img" aria-label="{escape(label)}"></svg><figcaption>{told}</figcaption>{below}</figure>'
        for name, label, told, below in (
            ("power", "power by component and supply", power_told, '<div id="legend"></div>'),
            ("area", "area by part", area_told, ""),
        )
    )
    note = "Values of the model of docs/hardware.md, the network alone; its intervals, which are wide, are in the tables of the report."
    return f'<dl id="told"></dl><div class="figures">{pictures}</div><p class="caption">{note}</p>'
