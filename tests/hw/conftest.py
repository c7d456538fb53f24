"""Fixtures of the hardware tests."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def verilator() -> str:
    """Path of Verilator; a test that needs it is skipped without."""
    return shutil.which("verilator") or pytest.skip("verilator is not installed: ./run.sh --setup-hardware")
