"""cgs hw explore: many engines for a packed model, those that no other beats, and one that is suggested."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cgs.cli.hw_estimate import NODES
from cgs.cli.numbers import between, whole

Read = TypeVar("Read")
N_SHOWN = 10
"""Points of the front that are printed, with intervals."""
SMALLEST_STEP_V = 0.001


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Power, area and latency of many engines for a packed model; suggests the one of least power and says why (docs/hardware.md)."
    p = commands.add_parser("explore", help="which engine suits a packed model", description=told, allow_abbrev=False)
    p.add_argument("model", type=Path, metavar="MODEL.cgs", help="a packed file: exp/NAME/7-pack/<system>/seed<k>/model.cgs")
    p.add_argument("--n-macs", type=listed(whole(1)), default="1,2,4,8,16", metavar="N,...", help="multiply-accumulate units (default: 1,2,4,8,16)")
    p.add_argument("--word-bits", type=listed(whole(8)), default="32,64,128", metavar="B,...", help="bits of a memory word (default: 32,64,128)")
    p.add_argument("--bank-bytes", type=listed(whole(64)), default="4096,16384", metavar="B,...", help="largest bank (default: 4096,16384)")
    p.add_argument("--supply", type=supplies, default="0.5:1.2:0.05", metavar="V,...",
                   help="supplies, 0.5 to 1.2 V; a list, or FROM:TO:STEP (default: 0.5:1.2:0.05)")  # fmt: skip
    p.add_argument("--node", type=listed(_node), default=",".join(NODES), metavar="NODE,...", help="technologies (default: all)")
    p.add_argument("--frames-per-s", type=between(1e-3, 1e6), default=100.0, metavar="F", help="frames a second (default: 100)")
    p.add_argument("--max-area", type=between(1e-6, 1e6), default=math.inf, metavar="MM2", help="largest area in mm2 (default: any)")
    p.add_argument("--max-latency", type=between(1e-6, 1e6), default=math.inf, metavar="MS", help="longest time for a frame in ms (default: any)")
    p.add_argument("--temperature-k", type=between(250.0, 400.0), default=300.0, metavar="T", help="for the leakage (default: 300)")
    p.add_argument("--clock-gating", action="store_true", help="clocks of registers that seldom change are gated")
    p.add_argument("--json", action="store_true", help="print JSON, with all of the front, instead of a table")
    p.add_argument("--plot", type=Path, metavar="FILE", help="also draw power against area and latency, as a PNG")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explore, and print or draw."""
    from cgs.hw.counts import Engine
    from cgs.hw.explore import Limits, Space, front, intervals, reasons, suggest, sweep
    from cgs.hw.explore_show import plot, table
    from cgs.quant.packed import read_packed

    packed, limits = read_packed(args.model), Limits(args.max_area * 1e-6, args.max_latency * 1e-3)
    engine = Engine(clock_gating=args.clock_gating)
    points = sweep(packed, Space(args.n_macs, args.word_bits, args.bank_bytes, args.node, args.supply), args.frames_per_s, args.temperature_k, engine)
    best = suggest(points, limits)
    allowed = [point for point in points if point.allowed(limits)]
    beaten_by_none = front(allowed)
    shown = {round(at * (len(beaten_by_none) - 1) / (N_SHOWN - 1)) for at in range(N_SHOWN)}  # the first is the suggestion
    rows = [
        vars(point) | (intervals(packed, point, args.frames_per_s, args.temperature_k, engine) if at in shown else {})
        for at, point in enumerate(beaten_by_none)
    ]
    told = {
        "frames_per_s": args.frames_per_s,
        "temperature_k": args.temperature_k,
        "n_points": len(points),
        "n_real_time": sum(point.real_time for point in points),
        "n_allowed": len(allowed),
        "front": rows,
        "suggested": rows[0],
        "suggested_name": best.name,
        "reasons": reasons(points, best, limits),
    }
    print(json.dumps(told, indent=1, sort_keys=True) if args.json else table(told), end="\n" if args.json else "")
    if args.plot:
        plot(allowed, beaten_by_none, best, args.plot)
    return 0


def listed(read: Callable[[str], Read]) -> Callable[[str], list[Read]]:
    """Reader of an option of several values with commas between; a value given twice counts once."""
    return lambda text: list(dict.fromkeys(read(part) for part in text.split(",")))


def supplies(text: str) -> list[float]:
    """Supplies in V, ascending, of a list of values and of ranges FROM:TO:STEP, which reach TO if a step does."""
    return sorted({supply for part in text.split(",") for supply in _range(part)})


def _range(part: str) -> list[float]:
    ends = part.split(":")
    if len(ends) == 1:
        return [between(0.5, 1.2)(part)]
    if len(ends) != 3:
        raise argparse.ArgumentTypeError(f"{part!r} is neither a supply nor FROM:TO:STEP")
    low, high, step = between(0.5, 1.2)(ends[0]), between(0.5, 1.2)(ends[1]), between(SMALLEST_STEP_V, 1.2)(ends[2])
    if high < low:
        raise argparse.ArgumentTypeError(f"{part!r} goes down; give the lower supply first")
    return [round(low + at * step, 6) for at in range(math.floor((high - low) / step + 1e-6) + 1)]


def _node(text: str) -> str:
    if text not in NODES:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(NODES)})")
    return text
