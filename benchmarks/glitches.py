"""How much more the changes within a cycle cost than the simulation without delays sees: one MAC on real operands, with and without delays.

One lane's operands of the first frames of a recording (or of random frames) are fed to the netlist of `cgs_mac` in Icarus Verilog, three times:
without delays, with the same delay for every cell, and with delays by kind of cell. Every change of every net is counted and priced as in
`cgs hw rtl --switching`. No library and no simulator come with the project: apt-get install iverilog yosys."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cgs.hw.activity import parts_of
from cgs.hw.counts import layer_shape
from cgs.hw.design import design_engine, weight_groups
from cgs.hw.frames import made_frames
from cgs.hw.generate import RTL
from cgs.hw.liberty import Library, read_liberty
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedModel
from cgs.quant.packed import read_packed

UNIT_NS = 0.05
KINDS_NS = {r"DFF|df": 0.1, r"X(N?)OR|xn?or|MUX|mux|FA|HA|fa|ha": 0.08, r"^(\w*_)?(AND|OR|and|or)\d": 0.06, r"INV|inv": 0.02, "": 0.035}
"""Delays by the first pattern that a cell's name has; about those of a 45 nm library with small loads."""
BENCH = """`timescale 1ns/1ps
module bench;
  reg clk = 0; reg [63:0] words[0:{last}]; reg [63:0] word = 0; integer i; wire [{acc}-1:0] sum;
  cgs_core_netlist u_mac(.clk_i(clk), .enable_i(1'b1), .first_i(word[63]), .weight_i(word[32+:{weight}]), .input_i(word[0+:{value}]), .sum_o(sum));
  initial begin
    $readmemh("operands.hex", words); $dumpfile("changes.vcd"); $dumpvars(1, u_mac);
    for (i = 0; i <= {last}; i = i + 1) begin #10 clk = 1; word <= #{delay} words[i]; #10 clk = 0; end
    $finish;
  end
endmodule
"""


def operands(model: PackedModel, frames: np.ndarray, n_macs: int, lane: int = 0) -> Iterator[int]:
    """Words of the bench: an input in the lowest 32 bits, a weight above, and in the highest bit whether a sum begins."""
    activations = IntegerEngine(model).integers(frames)
    for frame in range(len(frames)):
        for layer, values in zip(model.layers, activations, strict=False):
            groups = iter(weight_groups(layer, n_macs).tolist())
            for row in layer_shape(layer).rows:
                inputs = np.concatenate([np.arange(start, start + width) for start, width in zip(row.starts, row.widths, strict=True)])
                for _ in range(-(-row.n_outputs // n_macs)):
                    for place, value in enumerate(values[frame, inputs].tolist()):
                        weight = next(groups)[lane]
                        yield (place == 0) << 63 | (weight & 0x7FFFFFFF) << 32 | value & 0xFFFFFFFF


def with_delays(cells: str, delays: dict[str, float]) -> str:
    """A library's cells in Verilog, each output late by the delay of its cell."""
    found = []
    for module in re.split(r"(?=^module )", cells, flags=re.MULTILINE):
        name = re.match(r"module \\?(\S+?)\s*\(", module)
        delay = next((ns for pattern, ns in delays.items() if name and re.search(pattern, name[1])), 0.0)
        outputs = set(re.findall(r"^  output (\S+);", module, re.MULTILINE))
        for output in outputs if delay else ():
            module = module.replace(f"  assign {output} = ", f"  assign #{delay:g} {output} = ")
        found.append(module)
    return "`timescale 1ns/1ps\n" + "".join(found)


def synthesise(folder: Path, model_bits: tuple[int, int, int], library: Library) -> None:
    """netlist.v, netlist.json and cells.v of one MAC."""
    weight, value, acc = model_bits
    sources = " ".join(str(RTL / f"cgs_{name}.sv") for name in ("mac", "register"))
    make = [
        f"read_verilog -sv {sources}; read_verilog -sv -lib {RTL / 'cgs_clock_gate.sv'}; chparam -set WeightBits {weight} -set InputBits {value} ",
        f"-set AccBits {acc} cgs_mac; synth -flatten -top cgs_mac; dfflibmap -liberty {library.path}; opt; abc -liberty {library.path}; opt_clean -purge; ",
        "rename -enumerate -pattern gate_%; rename -top cgs_core_netlist; write_verilog -noattr netlist.v; ",
        f"read_liberty -lib -ignore_miss_func {library.path}; write_json netlist.json",
    ]
    for script in ("".join(make), f"read_liberty -ignore_miss_func {library.path}; proc; write_verilog -noattr cells.v"):
        subprocess.run(["yosys", "-q", "-p", script], cwd=folder, check=True, capture_output=True)


def changes(path: Path) -> dict[str, float]:
    """How often each net changed, by name, bit by bit where it has several."""
    names: dict[str, list[tuple[str, int]]] = {}
    before: dict[str, str] = {}
    counted: Counter[tuple[str, int]] = Counter()
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("$var"):
            _, _, width, code, name, *_ = line.split()
            names.setdefault(code, []).append((name.lstrip("\\"), int(width)))
        elif line[:1] in ("0", "1", "b"):
            bits, code = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            bits = bits.rjust(names[code][0][1], "0")
            counted.update((code, place) for place, (old, new) in enumerate(zip(before.get(code, bits)[::-1], bits[::-1], strict=True)) if old != new)
            before[code] = bits
    return {
        name if width == 1 else f"{name}[{place}]": float(counted[code, place])
        for code, known in names.items()
        for name, width in known
        for place in range(width)
    }


def main() -> None:
    """Print the energy of a product with each kind of delays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL.cgs", help="a packed file")
    parser.add_argument("library", type=Path, metavar="FILE.lib", help="a library of standard cells")
    parser.add_argument("--frames", type=Path, metavar="FILE.npy", help="(T, n_in) normalised and spliced features (default: random ones)")
    parser.add_argument("--products", type=int, default=6000, metavar="N", help="products at most (default: 6000)")
    parser.add_argument("--n-macs", type=int, default=8, metavar="N", help="MACs of the engine whose lane it is (default: 8)")
    args = parser.parse_args()
    model, library = read_packed(args.model), read_liberty(args.library.resolve())
    frames = np.load(args.frames, allow_pickle=False) if args.frames else made_frames(model, 4)[3:]
    design = design_engine([model], args.n_macs)
    words = [word for word, _ in zip(operands(model, frames, args.n_macs), range(args.products), strict=False)]
    bits = design.engine.weight_bits, design.engine.activation_bits + 1, design.acc_bits
    with tempfile.TemporaryDirectory() as name:
        folder, still = Path(name), 0.0
        synthesise(folder, bits, library)
        (folder / "operands.hex").write_text("".join(f"{word:016x}\n" for word in words), encoding="ascii")
        netlist, cells = (folder / "netlist.v").read_text(encoding="utf-8"), (folder / "cells.v").read_text(encoding="utf-8")
        (folder / "netlist.v").write_text("`timescale 1ns/1ps\n" + netlist, encoding="utf-8")
        for kind, delays in {"no delays": {}, "by kind of cell": KINDS_NS, "the same for all": {"": UNIT_NS}}.items():
            (folder / "cells.v").write_text(with_delays(cells, delays), encoding="utf-8")
            flop = next(iter(delays.values()), 0.0)
            bench = BENCH.format(last=len(words) - 1, weight=bits[0], value=bits[1], acc=bits[2], delay=flop)
            (folder / "bench.v").write_text(bench, encoding="utf-8")
            subprocess.run(["iverilog", "-g2012", "-o", "sim", "bench.v", "netlist.v", "cells.v"], cwd=folder, check=True, capture_output=True)
            subprocess.run(["vvp", "sim"], cwd=folder, check=True, capture_output=True)
            parts = parts_of(json.loads((folder / "netlist.json").read_text(encoding="utf-8")), library, changes(folder / "changes.vcd"))
            energy = sum(part.data_j for part in parts.values()) / len(words)
            still = still or energy
            print(f"{kind:18} {1e15 * energy:7.1f} fJ a product at {library.supply:g} V   x{energy / still:.2f}")


if __name__ == "__main__":
    main()
