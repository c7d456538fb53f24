"""cgs hw estimate: clock, power, energy and area of a packed model, by the analytic model of docs/hardware.md."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from cgs.base.errors import ConfigError
from cgs.cli.numbers import between, whole

NODES = ("40nm", "65nm")
SUPPLIES_V = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
SUPPLY_V = 0.6
"""Where one supply is meant and none is asked for."""


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Clock, power, energy and area of a packed model, with 90 % intervals, by an analytic model (docs/hardware.md)."
    p = commands.add_parser("estimate", help="power, clock and area of a packed model", description=told, allow_abbrev=False)
    add_engine_options(p)
    p.add_argument("--node", action="append", choices=NODES, help="technology; may be repeated (default: all)")
    p.add_argument("--supply", type=between(0.5, 1.2), action="append", metavar="V",
                   help="supply, 0.5 to 1.2 V; may be repeated; an error where the engine is too slow there (default: a table from 0.5 to 1.2)")  # fmt: skip
    p.add_argument("--json", action="store_true", help="print the estimate as JSON instead of a table")
    p.add_argument("--plot", type=Path, metavar="FILE", help="also draw power against supply by component, and the supply of least energy, as a PNG")
    p.set_defaults(run=run)


def add_engine_options(p: argparse.ArgumentParser) -> None:
    """Add the model and what is chosen of its engine beside node and supply."""
    p.add_argument("model", type=Path, metavar="MODEL.cgs", help="a packed file: exp/NAME/7-pack/<system>/seed<k>/model.cgs")
    p.add_argument("--n-macs", type=whole(1), default=8, metavar="N", help="shared multiply-accumulate units (default: 8)")
    p.add_argument("--frames-per-s", type=between(1e-3, 1e6), default=100.0, metavar="F", help="frames a second (default: 100)")
    p.add_argument("--word-bits", type=whole(8), default=64, metavar="B", help="bits of a memory word (default: 64)")
    p.add_argument("--bank-bytes", type=whole(64), default=16384, metavar="B", help="largest bank of a memory (default: 16384)")
    p.add_argument("--clock-gating", action="store_true", help="clocks of registers that seldom change are gated")
    p.add_argument("--temperature-k", type=between(250.0, 400.0), default=300.0, metavar="T", help="for the leakage (default: 300)")


def run(args: argparse.Namespace) -> int:
    """Estimate, and print or draw."""
    from cgs.base.options import HardwareOptions
    from cgs.hw.counts import Engine
    from cgs.hw.estimate import count_packed, estimate
    from cgs.hw.model import curves
    from cgs.hw.show import plot, table
    from cgs.hw.technology import load_technology
    from cgs.quant.packed import read_packed

    packed = read_packed(args.model)
    nodes, supplies = list(dict.fromkeys(args.node or NODES)), sorted(set(args.supply or SUPPLIES_V))
    reference = supplies[0] if args.supply else SUPPLY_V
    options = HardwareOptions(frames_per_s=args.frames_per_s, n_macs=args.n_macs, nodes=nodes, supply_v=supplies, reference_supply_v=reference)
    engine = Engine(word_bits=args.word_bits, bank_bytes=args.bank_bytes, clock_gating=args.clock_gating)
    told = estimate(packed, options, engine, args.temperature_k)
    check_clock(told["nodes"], args.n_macs, bool(args.supply))
    print(json.dumps(told, indent=1, sort_keys=True) if args.json else table(told), end="\n" if args.json else "")
    if not args.json:
        for warning in told["warnings"]:
            print(f"note: {warning}", file=sys.stderr)
    if args.plot:
        counts = count_packed(packed, args.n_macs, engine)
        drawn = {node: curves(counts, load_technology(node), args.frames_per_s, args.temperature_k) for node in nodes}
        plot(told, drawn, args.plot)
    return 0


def check_clock(nodes: dict[str, list[dict[str, Any]]], n_macs: int, asked: bool = True) -> None:
    """A supply that was asked for, or else some supply, must be fast enough, at every node.

    Args:
        nodes: what cgs.hw.model.at_supply says of each supply.
        n_macs: of the engine.
        asked: whether the supplies were asked for.
    Raises: ConfigError: one is too slow; the message says how many MACs would do.
    """
    for node, entries in nodes.items():
        slow = [at for at in entries if not at["real_time"]]
        if slow and (asked or len(slow) == len(entries)):
            at = slow[-1]
            limits = f"{at['clock_hz'] / 1e6:.1f} MHz needed for real time, {at['max_clock_hz'] / 1e6:.1f} MHz possible at {at['supply_v']:g} V"
            raise ConfigError(f"{node}: {limits}", f"raise the supply, or give --n-macs {n_macs * math.ceil(at['clock_hz'] / at['max_clock_hz'])}")
