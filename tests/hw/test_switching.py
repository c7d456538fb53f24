"""Changes of nets and their energy: a planted netlist by hand, and a simulated core whose changes are known."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cgs.base.errors import FormatError
from cgs.base.files import read_json
from cgs.hw import logic
from cgs.hw.activity import parts_of, read_toggles
from cgs.hw.design import count_model, design_engine
from cgs.hw.frames import made_frames
from cgs.hw.generate import write_images, write_rtl
from cgs.hw.liberty import Cell, Library, Pin, read_liberty
from cgs.hw.switching import SWITCHING, measure
from cgs.hw.switching_show import table

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
needs_tools = pytest.mark.skipif(
    not (shutil.which("yosys") and shutil.which("verilator") and OSU018.is_file()), reason="yosys, verilator or qflow's cells are not installed"
)


def pin(capacitance: float = 0.0, energies: tuple[float, ...] = (0.0,), is_output: bool = False, is_clock: bool = False) -> Pin:
    return Pin(capacitance, np.linspace(0.0, 10.0, len(energies)), np.array(energies), is_output, is_clock)


def test_a_planted_netlist_by_hand() -> None:
    """A gate of the MACs drives a flip-flop of the control: what a change costs is charged to either end."""
    nand = Cell(2.0, 3.0, {"A": pin(1.0), "Y": pin(energies=(5.0, 15.0), is_output=True)})
    flop = Cell(8.0, 4.0, {"D": pin(2.0, (7.0,)), "CK": pin(1.0, (0.5,), is_clock=True), "Q": pin(energies=(1.0,), is_output=True)})
    library = Library(Path("some.lib"), 2.0, {"NAND2": nand, "DFF": flop})
    cells = {
        "gen_mac[0].u_mac.gate_1": {"type": "NAND2", "connections": {"A": [3], "Y": [4]}},
        "u_control.gate_2": {"type": "DFF", "connections": {"D": [4], "CK": [2], "Q": [5]}},
        "gate_3": {"type": "NAND2", "connections": {"A": ["0"], "Y": [6]}},
        "u_gate": {"type": "cgs_clock_gate", "connections": {"clk_i": [2]}},
    }
    names = {"clk_i": {"bits": [2]}, "word": {"bits": [3, 5]}, "gen_mac[0].u_mac.n": {"bits": [4]}, "also": {"bits": [4]}, "out": {"bits": [6]}}
    netlist = {"modules": {"cgs_core_netlist": {"cells": cells, "netnames": names}}}
    changes = {"clk_i": 10.0, "word[0]": 3.0, "word[1]": 2.0, "also": 4.0, "out": 0.0}
    parts = parts_of(netlist, library, changes)
    assert set(parts) == {"mac", "control", "operands"}
    mac, control = parts["mac"], parts["control"]
    assert (mac.area, mac.flops, mac.leakage_w) == (1.0, 0, 3.0) and (control.area, control.flops) == (4.0, 1)
    assert mac.data_j == pytest.approx(3 * (1.0 * 2.0) + 4 * 7.0)  # C V^2 / 2 of its input; its output into a load of 2
    assert control.data_j == pytest.approx(4 * (2.0 * 2.0 + 7.0) + 2 * 1.0)
    assert control.clock_j == pytest.approx(10 * (1.0 * 2.0 + 0.5))
    assert parts_of(netlist, library)["control"].data_j == 0.0
    with pytest.raises(FormatError, match="not counted"):
        parts_of(netlist, library, {name: n for name, n in changes.items() if name != "also"})


def test_a_clock_gate_is_the_librarys_own() -> None:
    """Its clock pin and output are the clock's, its enable is data; a library without one leaves it out."""
    gate_pins = {"clk_i": "C", "enable_i": "E", "clk_o": "Z"}
    gate = Cell(5.0, 0.0, {"C": pin(1.0, (0.5,), is_clock=True), "E": pin(3.0), "Z": pin(energies=(2.0,), is_output=True)}, gate_pins)
    cells = {"NAND2": Cell(1.0, 0.0, {}), "DFF": Cell(8.0, 0.0, {"CK": pin(1.0, is_clock=True)})}
    netlist_cells = {
        "u_control.u_layer.u_gate": {"type": "cgs_clock_gate", "connections": {"clk_i": [2], "enable_i": [3], "clk_o": [4]}},
        "u_control.gate_1": {"type": "DFF", "connections": {"CK": [4]}},
    }
    names = {"clk_i": {"bits": [2]}, "enable": {"bits": [3]}, "u_control.u_layer.clk": {"bits": [4]}}
    netlist = {"modules": {"cgs_core_netlist": {"cells": netlist_cells, "netnames": names}}}
    changes = {"clk_i": 10.0, "enable": 2.0, "u_control.u_layer.clk": 4.0}
    control = parts_of(netlist, Library(Path("some.lib"), 2.0, cells | {"ICG": gate}), changes)["control"]
    assert (control.area, control.flops) == (13.0, 1)
    assert control.clock_j == pytest.approx(10 * (1.0 * 2.0 + 0.5) + 4 * 2.0 + 4 * 1.0 * 2.0) and control.data_j == pytest.approx(2 * 3.0 * 2.0)
    assert parts_of(netlist, Library(Path("some.lib"), 2.0, cells), changes)["control"].area == 8.0
    with pytest.raises(FormatError, match="DFF of the netlist: not in some.lib"):
        parts_of(netlist, Library(Path("some.lib"), 2.0, {"NAND2": cells["NAND2"]}), changes)


def test_verilators_names_are_undone(tmp_path: Path) -> None:
    lines = [
        "C '\x01f\x02n.v\x01l\x029\x01page\x02v_toggle/cgs_core_netlist\x01o\x02gen_mac__05b0__05d__02en[3]\x01h\x02TOP' 12",
        "C '\x01f\x02n.v\x01l\x029\x01page\x02v_toggle/other\x01o\x02busy_o\x01h\x02TOP' 5",
    ]
    (tmp_path / "toggles.dat").write_text("\n".join(lines), encoding="latin-1")
    assert read_toggles(tmp_path / "toggles.dat", cycles=7, frames=4) == {"gen_mac[0].n[3]": 3.0, "clk_i": 14.0}


@needs_tools
def test_a_core_is_simulated_and_its_changes_priced(made: ModuleType, tmp_path: Path) -> None:
    model = made.random_model(1, widths=(6, 5, 3), bits=3)
    design, frames = design_engine([model], n_macs=2, word_bits=16), made_frames(model, 4)
    write_rtl(design, tmp_path)
    write_images(model, design, frames, tmp_path / "images")
    told = measure(tmp_path, model, design, frames, read_liberty(OSU018))
    assert told == read_json(tmp_path / SWITCHING)
    build, cycles = tmp_path / "build" / OSU018.stem, count_model(model, design.engine).cycles
    changes = read_toggles(build / "toggles.dat", cycles, len(frames))
    assert changes["busy_o"] == 2.0 and changes["result_valid_o"] >= 2.0  # up and down again in every frame
    flops = sum(part["flops"] for part in told["parts"].values())
    assert flops - logic.flip_flops(design.core) in (-1, 0, 1)
    clock = sum(part["clock_j"] for part in told["parts"].values())
    nothing = parts_of(read_json(build / "netlist.json"), read_liberty(OSU018), dict.fromkeys(changes, 0.0) | {"clk_i": 2.0 * cycles})
    assert clock == pytest.approx(sum(part.clock_j for part in nothing.values())) and sum(part.data_j for part in nothing.values()) == 0.0
    assert 0 < clock < sum(part["clock_j"] + part["data_j"] for part in told["parts"].values())
    assert table(told).splitlines()[-1].lstrip().startswith("all")
