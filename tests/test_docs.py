"""README and docs: every run.sh and cgs command in them is accepted, every link in them leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cgs.cli.main import parser as cgs_parser
from cgs.cli.recipe import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("recipes/*/README.md")])
STOPS_AT_ONCE = {"--help", "--setup", "--doctor", "--new"}
"""What --new does is run by tests/cli/test_new.py, which walks through docs/new-corpus.md."""


def code_lines(page: Path) -> list[str]:
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def commands(page: Path) -> list[str]:
    return [line for line in code_lines(page) if line.startswith("./run.sh")]


def cgs_commands(page: Path) -> list[str]:
    """What follows bin/cgs, up to a pipe or a redirection; what the commands do is run by tests/cli/test_cgs.py."""
    return [words for line in code_lines(page) for words in re.findall(r"\bbin/cgs ([^|>]*)", line)]


@pytest.mark.parametrize(("page", "command"), [(p, c) for p in PAGES for c in commands(p)], ids=lambda v: v.name if isinstance(v, Path) else v)
def test_command_is_accepted(page: Path, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fsdd" if word == "NAME" else word for word in shlex.split(command)[1:]]
    if "--corpus" in arguments:
        arguments[arguments.index("--corpus") + 1] = str(tmp_path)
    if STOPS_AT_ONCE.isdisjoint(arguments):
        assert main([*arguments, "--exp", str(tmp_path / "exp"), "--dry-run"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(("page", "command"), [(p, c) for p in PAGES for c in cgs_commands(p)], ids=lambda v: v.name if isinstance(v, Path) else v)
def test_cgs_command_is_accepted(page: Path, command: str) -> None:
    assert callable(cgs_parser().parse_args(shlex.split(command)).run)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("script", sorted(ROOT.glob("benchmarks/*.py")), ids=lambda p: p.name)
def test_benchmark_starts(script: Path) -> None:
    done = subprocess.run([sys.executable, str(script), "--help"], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
