"""The parts of the RTL, each against the reference of its bench; a planted fault makes the bench of its part fail."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from cgs.hw.design import design_engine
from cgs.hw.generate import write_rtl

pytestmark = pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed")


@pytest.fixture
def directory(made: ModuleType, tmp_path: Path) -> Path:
    write_rtl(design_engine([made.random_model(1, bits=5)], n_macs=2), tmp_path)
    return tmp_path


def make(directory: Path, target: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", target], cwd=directory, capture_output=True, text=True, check=False)


def test_lint_is_silent(directory: Path) -> None:
    done = make(directory, "lint")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_every_part_does_what_its_reference_does(directory: Path) -> None:
    done = make(directory, "parts")
    assert done.returncode == 0, done.stdout + done.stderr
    benches = list((directory / "benches").glob("*_bench.sv"))
    assert done.stdout.count("PASS: ") == len(benches) > 0


@pytest.mark.parametrize(
    ("part", "right", "wrong"),
    [
        ("cgs_requantise", "rounded = (total_o + half)", "rounded = total_o"),
        ("cgs_requantise", "else if (wide > high) value_o = high", "else if (wide > high + 1) value_o = high"),
        ("cgs_mac", "(first_i ? '0 : sum_o)", "sum_o"),
        ("cgs_cell", "assign one            = {18'd0, factor_negative}", "assign one            = 19'd0"),
        ("cgs_cell", "rounded_c > HighC", "rounded_c > HighC + 17'sd1000"),
        ("cgs_cell", "g_valid_i || c_valid_i)", "g_valid_i)"),
        ("cgs_tanh", "8'd6, 8'd4, 8'd2, 8'd0", "8'd6, 8'd4, 8'd3, 8'd0"),
        ("cgs_cell_control", "half_q ^ input_i", "half_q"),
        ("cgs_cell_control", "gate_last && gate_q == 2'd3", "gate_last"),
    ],
)
def test_a_planted_fault_fails(directory: Path, part: str, right: str, wrong: str) -> None:
    source = directory / f"{part}.sv"
    text = source.read_text(encoding="utf-8")
    assert right in text
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    part = "cgs_cell" if part == "cgs_tanh" else part  # its bench is that of what it belongs to
    bench = f"build/parts/{part}_bench/simulate"
    assert make(directory, bench).returncode == 0
    done = subprocess.run([f"./{bench}"], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "PASS" not in done.stdout and part in done.stdout + done.stderr
