"""A unit: one directory of an experiment, made as a whole and stamped when it is done.

The stamp, written last, holds the digest of the unit's options, of its inputs' stamps and of its code, and the size
and the digest of every file. A unit is done when its stamp says so, never because a file exists."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgs.base.code import code_digest
from cgs.base.errors import DataError, FormatError
from cgs.base.files import ASIDE_SUFFIX, digest_of, disk_errors, file_digest, read_json, write_json
from cgs.base.log import LOG
from cgs.base.units import duration

STAMP = "stamp.json"
PLAN = "plan.json"
LONGEST_TOLD = 200
"""Characters that two values of an option may take where it is told that it changed."""


def flat(options: Any, prefix: str = "") -> dict[str, Any]:
    """Nested options as {"a.b": value}, for telling which one changed."""
    if not isinstance(options, dict):
        return {prefix: options}
    return {key: value for name, part in options.items() for key, value in flat(part, f"{prefix}.{name}" if prefix else str(name)).items()}


@dataclass
class Unit:
    """One directory that a stage makes.

    Args:
        root: the experiment's directory.
        name: path of the unit inside it, e.g. "5-acoustic/cgs/seed1".
        options: the JSON-like options it depends on, and nothing else.
        inputs: names of the units it reads.
        code: dotted names of the modules that compute it; what they import counts too.
        trust_code: take a changed code digest for a harmless change.
    """

    root: Path
    name: str
    options: dict[str, Any]
    inputs: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    trust_code: bool = False

    @property
    def path(self) -> Path:
        """Where the finished unit lies."""
        return self.root / self.name

    @property
    def aside(self) -> Path:
        """Where the unit is made; a killed run leaves it, and the next one goes on in it."""
        head, _, tail = self.name.rpartition("/")
        return self.root / head / f".{tail}.partial"

    def plan(self) -> dict[str, Any]:
        """What the unit would be made from now."""
        inputs = {name: _stamp_digest(self.root / name) for name in self.inputs}
        options = {key: _jsonable(value) for key, value in sorted(flat(self.options).items())}
        plan = {"options": options, "inputs": inputs, "code": code_digest(*self.code)}
        return plan | {"digest": digest_of(plan)}

    def why_stale(self) -> str:
        """Why the unit has to be made, or "" where it is up to date."""
        if not (self.path / STAMP).exists():
            return "not made yet"
        stamp, plan = read_stamp(self.path), self.plan()
        if not stamp.keys() >= {"options", "inputs", "code", "files"}:
            return f"{STAMP} is damaged"
        changed = _changed("option", stamp["options"], plan["options"]) + _changed("input", stamp["inputs"], plan["inputs"], values=False)
        if stamp["code"] != plan["code"] and not self.trust_code:
            changed.append("code changed")
        for name, size in stamp["files"].items():
            path = self.path / name
            if not path.exists() or path.stat().st_size != size:
                changed.append(f"file {name} is {'missing' if not path.exists() else 'altered'}")
        return "; ".join(changed[:4]) + (f"; and {len(changed) - 4} more" if len(changed) > 4 else "")

    def up_to_date(self) -> bool:
        """True where there is nothing to do; says why, either way."""
        why = self.why_stale()
        LOG.info("  %s: %s", self.name, f"to do ({why})" if why else "up to date")
        return not why

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Make the unit aside; stamp it and rename it into place when the block ends without an error.

        A directory left by a killed run is handed out again if it was begun with the same options, inputs and code,
        so that a long job can go on from its own checkpoints; otherwise it starts empty.
        Raises: DiskError: no space; the earlier unit stays as it was. DataError: an input has not been made. FormatError: it was altered.
        """
        plan, start = self.plan(), time.monotonic()
        missing = [name for name, digest in plan["inputs"].items() if not digest]
        if missing:
            raise DataError(f"{self.name}: needs {', '.join(missing)}, not made yet", f"run from --stage {_stage_of(missing[0])}")
        for name in self.inputs:
            _check_files(self.root, name)
        aside = self.aside
        with disk_errors(self.path):
            if _begun_with(aside) != plan["digest"]:
                shutil.rmtree(aside, ignore_errors=True)
                aside.mkdir(parents=True)
                write_json(aside / PLAN, plan)
            for cut_short in aside.rglob(f".*{ASIDE_SUFFIX}"):
                cut_short.unlink()
            yield aside
            (aside / PLAN).unlink()
            made = {str(path.relative_to(aside)): path for path in sorted(aside.rglob("*")) if path.is_file()}
            files = {name: path.stat().st_size for name, path in made.items()}
            digests = {name: file_digest(path) for name, path in made.items()}
            write_json(aside / STAMP, plan | {"files": files, "sha256": digests, "seconds": time.monotonic() - start})
            old = aside.with_name(f"{aside.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if self.path.exists():
                self.path.rename(old)
            aside.rename(self.path)
            shutil.rmtree(old, ignore_errors=True)
        LOG.info("  %s: made in %s", self.name, duration(time.monotonic() - start))


def read_stamp(path: Path) -> dict[str, Any]:
    """The stamp of a finished unit; empty where it is missing or damaged."""
    try:
        stamp = read_json(path / STAMP)
    except DataError:
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _check_files(root: Path, name: str) -> None:
    """Check every file of a finished unit against its stamp. Raises: FormatError: one is missing or altered."""
    for file, digest in read_stamp(root / name).get("sha256", {}).items():
        path = root / name / file
        if not path.is_file() or file_digest(path) != digest:
            raise FormatError(f"{path}: missing or altered since it was made", f"remove {root / name} and run from --stage {_stage_of(name)}")


def _stage_of(name: str) -> str:
    return name.partition("-")[0]


def _begun_with(aside: Path) -> str:
    try:
        return str(read_json(aside / PLAN)["digest"])
    except (DataError, KeyError, TypeError):
        return ""


def _stamp_digest(path: Path) -> str:
    return str(read_stamp(path).get("digest", ""))


def _jsonable(value: Any) -> Any:
    return value if isinstance(value, (int, float, str, bool, list, type(None))) else list(value) if isinstance(value, tuple) else str(value)


def _changed(kind: str, old: dict[str, Any], new: dict[str, Any], values: bool = True) -> list[str]:
    """One text for each difference, with both values where they are short enough to be read."""
    texts = []
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            told = f"{old.get(name)!r} -> {new.get(name)!r}"
            texts.append(f"{kind} {name} {told if values and len(told) <= LONGEST_TOLD else 'changed'}")
    return texts
