"""Where results come from: commit, command, machine. No host name and no path of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

from cgs.base.code import ROOT

PLACES = ("--corpus", "--exp")
"""Options whose values are folders of one machine; the report shows DIR instead."""
STAGES = ("--stage", "--stop-stage")
"""A report made by its own stage alone still rests on all of them."""


def commit(root: Path = ROOT) -> str | None:
    """Commit of the checkout at `root`, with "-dirty" where tracked files differ from it; None outside a checkout."""
    top = _git(root, "rev-parse", "--show-toplevel")
    name = _git(root, "rev-parse", "HEAD")
    if not top or not name or Path(top).resolve() != root.resolve():
        return None
    return f"{name}-dirty" if _git(root, "status", "--porcelain", "--untracked-files=no") else name


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, Any]:
    """What the run was made on: processor, cores, memory in bytes, versions."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    versions = {name: _version(name) for name in ("torch", "torchaudio", "numpy", "kaldi-hmm-gmm")}
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.machine()}"
    return {"cpu": _cpu(), "cores": cores, "memory_bytes": pages, "system": system, "python": platform.python_version(), **versions}


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def shown_command(command: str) -> str:
    """A command line that makes the whole experiment: DIR for this machine's folders, no choice of stages, a sweep by its name."""
    shown: list[str] = []
    words = iter(shlex.split(command))
    for word in words:
        option, equals, _ = word.partition("=")
        if option in PLACES + STAGES and not equals:
            next(words, None)
        if option in PLACES:
            shown += [f"{option}=DIR"] if equals else [option, "DIR"]
        elif option == "--sweep":
            shown += [option, Path(equals and word.partition("=")[2] or next(words, "")).name]
        elif option not in (*STAGES, "--publish"):
            shown.append(word)
    return shlex.join(shown)
