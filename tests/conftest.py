"""Fixtures that several test files share."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_runtest_call(item: pytest.Item) -> None:
    """Training flushes denormal numbers in its process; here that is the process of all tests, some of which draw such numbers."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real corpora (CGS_CORPORA, or ../shared/corpora beside the checkout); the test is skipped without it."""
    folder = Path(os.environ.get("CGS_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip(f"no real corpora at {folder} (set CGS_CORPORA)")
    return folder


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Makers of random packed models, tests/quant/made.py."""
    spec = importlib.util.spec_from_file_location("made", Path(__file__).parent / "quant" / "made.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
