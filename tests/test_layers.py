"""The layers of cgs/: a module imports only its own layer and those above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ["base", "data", "feats", "lang", "gmm", "sparse", "nn", "quant", "decode", "score", "hw", "report", "stages", "cli"]
MODULES = sorted((ROOT / "cgs").glob("*/*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_upwards(path: Path) -> None:
    layer = LAYERS.index(path.parent.name)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("cgs.")}
    below = sorted(name for name in imported if LAYERS.index(name.split(".")[1]) > layer)
    assert below == []


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_says_what_it_owns(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
