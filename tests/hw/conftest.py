"""Fixtures of the hardware tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import pytest

from cgs.hw.design import Design, design_engine
from cgs.hw.generate import write_rtl

ENGINES = {
    "8 macs": {"n_macs": 8},
    "3 macs, small words and banks, asleep between frames": {"n_macs": 3, "word_bits": 32, "bank_bytes": 64, "wake_cycles": 3},
    "1 mac, a value a word, gated clocks": {"n_macs": 1, "word_bits": 8, "wake_cycles": 1, "clock_gating": True},
}


@pytest.fixture(scope="session")
def verilator() -> str:
    """Path of Verilator; a test that needs it is skipped without."""
    return shutil.which("verilator") or pytest.skip("verilator is not installed: ./run.sh --setup-hardware")


@pytest.fixture(scope="module", params=ENGINES.values(), ids=list(ENGINES))
def engine(request: pytest.FixtureRequest, made: ModuleType, tmp_path_factory: pytest.TempPathFactory, verilator: str) -> tuple[Design, Path]:
    """An engine for all models that the test file's `models_of` makes, and the directory of its RTL, in which the bench is built once."""
    design = design_engine(request.module.models_of(made), **request.param)
    directory = tmp_path_factory.mktemp("rtl")
    write_rtl(design, directory)
    return design, directory
