"""cgs hw accelergy: a packed model's engine in the files of Accelergy, with its energy, or with that of a user's own tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cgs.cli.hw_estimate import NODES, SUPPLY_V, add_engine_options, check_clock
from cgs.cli.numbers import between


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Write a packed model's engine, its action counts and their costs as Accelergy's files, and print the energy of a frame (docs/hardware.md)."
    p = commands.add_parser("accelergy", help="action counts and tables for Accelergy, or yours for ours", description=told, allow_abbrev=False)
    add_engine_options(p)
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="the directory to make")
    p.add_argument("--node", choices=NODES, default=NODES[0], help=f"technology (default: {NODES[0]})")
    p.add_argument("--supply", type=between(0.5, 1.2), default=SUPPLY_V, metavar="V", help=f"supply, 0.5 to 1.2 V (default: {SUPPLY_V})")
    p.add_argument("--ert", type=Path, metavar="FILE", help="your energy reference table, in place of ours for the components and actions that it names")
    p.add_argument("--art", type=Path, metavar="FILE", help="your area reference table, in place of ours for the components that it names")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the files, and print the estimation."""
    from cgs.base.files import new_directory
    from cgs.hw.accelergy import system_of
    from cgs.hw.accelergy_tables import table, with_areas, with_energies, write
    from cgs.hw.counts import Engine
    from cgs.hw.estimate import count_packed
    from cgs.hw.model import at_supply
    from cgs.hw.technology import load_technology
    from cgs.quant.packed import read_packed

    engine = Engine(word_bits=args.word_bits, bank_bytes=args.bank_bytes, clock_gating=args.clock_gating)
    counts = count_packed(read_packed(args.model), args.n_macs, engine)
    tech = load_technology(args.node)
    check_clock({args.node: [at_supply(counts, tech, args.supply, args.frames_per_s, with_intervals=False)]}, args.n_macs)
    told = ours = system_of(counts, tech, args.supply, args.frames_per_s, args.temperature_k)
    if args.ert:
        told = with_energies(told, args.ert)
    if args.art:
        told = with_areas(told, args.art)
    with new_directory(args.out) as out:
        write(told, out)
    print(table(told, ours), end="")
    return 0
