"""Fixtures of the hardware tests."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Makers of random packed models, tests/quant/made.py."""
    spec = importlib.util.spec_from_file_location("made", Path(__file__).parents[1] / "quant" / "made.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def verilator() -> str:
    """Path of Verilator; a test that needs it is skipped without."""
    return shutil.which("verilator") or pytest.skip("verilator is not installed: ./run.sh --setup-hardware")
