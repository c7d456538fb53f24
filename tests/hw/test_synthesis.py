"""Gates of the core: they grow with the MACs, and compute what the integer engine computes until one of them is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from cgs.base.errors import ConfigError
from cgs.hw.design import design_engine
from cgs.hw.frames import made_frames
from cgs.hw.generate import write_images, write_rtl
from cgs.hw.synthesis import count_gates, synthesise

needs_yosys = pytest.mark.skipif(not shutil.which("yosys"), reason="yosys is not installed")
needs_verilator = pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")


def write(made: ModuleType, out: Path, n_macs: int, clock_gating: bool = False) -> Path:
    model = made.random_model(1, widths=(6, 5, 3), bits=3)
    design = design_engine([model], n_macs=n_macs, word_bits=16, clock_gating=clock_gating)
    write_rtl(design, out)
    write_images(model, design, made_frames(model, 6), out / "images")
    return out


def gates(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "gates"], cwd=directory, capture_output=True, text=True, check=False)


@needs_yosys
def test_gates_grow_with_macs(made: ModuleType, tmp_path: Path) -> None:
    one, two = (synthesise(write(made, tmp_path / str(n), n)) for n in (1, 2))
    assert 0 < one.equivalents < two.equivalents
    assert one.area == two.area == 0.0


@needs_yosys
@needs_verilator
@pytest.mark.parametrize("clock_gating", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_netlist_passes_and_one_wrong_gate_of_a_multiplier_fails(made: ModuleType, tmp_path: Path, clock_gating: bool) -> None:
    directory = write(made, tmp_path, 1, clock_gating)
    found = synthesise(directory)
    assert ("cgs_clock_gate" in found.cells) == clock_gating
    done = gates(directory)
    assert done.returncode == 0 and "PASS: 6 frames" in done.stdout, done.stdout + done.stderr
    gate = r"(assign \\gen_mac\[0\]\.u_mac\.gate_\d+  = ~?\(?[^ ]+ +[^ ]* *)&"
    text, changed = re.subn(gate, r"\1|", found.netlist.read_text(encoding="utf-8"), count=1)
    assert changed == 1
    found.netlist.write_text(text, encoding="utf-8")
    assert gates(directory).returncode != 0


def test_a_gate_without_a_price_is_named() -> None:
    with pytest.raises(ConfigError, match=r"\$_ODD_"):
        count_gates("Number of cells: 3\n     $_NAND_   2\n     $_ODD_   1\n", Path("netlist.v"), None)
