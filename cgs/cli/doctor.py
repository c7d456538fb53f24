"""run.sh --doctor: what is installed, what is missing and how to get it. Standard library only."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cgs.base.code import ROOT
from cgs.base.errors import CgsError, ToolError

NEEDED_DISK_BYTES = 10e9
NEEDED_MEMORY_BYTES = 4e9
IMPORTS = ("torch", "torchaudio", "soundfile", "kaldi_native_fbank", "kaldi_hmm_gmm", "kaldi_decoder", "kaldilm", "sentencepiece", "espeakng_loader")


def doctor(recipe: str, corpus: Path | None) -> int:
    """Print the state of this machine. Returns: 0 where a recipe can run, else the code of what is missing."""
    problems = _python() + _packages() + _imports() + _machine()
    corpus_code = _corpus(recipe, corpus)
    for problem in problems:
        print(f"problem: {problem}")
    print("ready" if not problems and not corpus_code else "not ready")
    return ToolError.exit_code if problems else corpus_code


def _python() -> list[str]:
    print(f"python      {platform.python_version()} at {sys.executable}")
    return [] if (3, 11) <= sys.version_info[:2] <= (3, 12) else ["Python 3.11 or 3.12 is needed: install it and set CGS_PYTHON to its path"]


def locked_versions() -> dict[str, str]:
    """{package: version} of the direct dependencies in requirements.lock."""
    wanted = set(re.findall(r'^    "([A-Za-z0-9_-]+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M))
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.M)
    return {name: version for name, version in pins if name in wanted}


def _packages() -> list[str]:
    problems = []
    for name, version in sorted(locked_versions().items()):
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        print(f"package     {name} {found}")
        if found.partition("+")[0] != version:
            problems.append(f"{name} is {found}, the lock says {version}: ./run.sh --setup")
    return problems


def _imports() -> list[str]:
    problems = []
    for name in IMPORTS:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:
            remedy = "remove .venv and run ./run.sh --setup; torch and torchaudio must be of one release"
            problems.append(f"import {name} fails ({str(error).splitlines()[0]}): {remedy}")
    if not problems:
        import torch

        print(f"torch       {torch.get_num_threads()} threads, cuda {'yes' if torch.cuda.is_available() else 'no'}")
    return problems


def _machine() -> list[str]:
    disk = shutil.disk_usage(ROOT).free
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    print(f"disk        {disk / 1e9:.0f} GB free at {ROOT}")
    print(f"memory      {memory / 1e9:.1f} GB, {len(os.sched_getaffinity(0))} cores")
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    print(f"commit      {commit or 'not a checkout'}")
    problems = [f"only {disk / 1e9:.1f} GB free: 10 GB are needed for packages and a recipe"] if disk < NEEDED_DISK_BYTES else []
    return problems + ([f"only {memory / 1e9:.1f} GB of memory: 4 GB are needed"] if memory < NEEDED_MEMORY_BYTES * 0.95 else [])


def _corpus(name: str, corpus: Path | None) -> int:
    """Check a corpus's layout and print what is found; returns the exit code."""
    if corpus is None:
        print("corpus      not checked: give --recipe and --corpus")
        return 0
    try:
        from cgs.base.recipe import load_recipe, local_module, local_options

        recipe = load_recipe(name)
        local_module(recipe).check_layout(corpus, local_options(recipe))
    except ModuleNotFoundError as error:
        print(f"corpus      not checked, {error.name} is missing: ./run.sh --setup")
        return ToolError.exit_code
    except CgsError as error:
        print(f"problem: {error}")
        return error.exit_code
    print(f"corpus      {corpus}: layout of {name} found")
    return 0
