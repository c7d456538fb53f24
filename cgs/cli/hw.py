"""cgs hw: what a packed model is as a chip."""

from __future__ import annotations

from typing import Any

from cgs.cli import hw_accelergy, hw_estimate, hw_explore, hw_rtl


def add_command(commands: Any) -> None:
    """Add the command and its own commands."""
    told = "A packed model as a chip: what it would cost, by our tables or yours, which engine suits it, and the engine in SystemVerilog."
    p = commands.add_parser("hw", help="a packed model as a chip", description=told)
    parts = p.add_subparsers(dest="part", required=True, metavar="PART")
    hw_estimate.add_command(parts)
    hw_explore.add_command(parts)
    hw_rtl.add_command(parts)
    hw_accelergy.add_command(parts)
