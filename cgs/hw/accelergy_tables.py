"""Tables in Accelergy's shape: a user's own energies and areas in place of ours, the files of an engine, and its estimation as text.

Owns the YAML. It is read with every value as text, since readers differ in what they make of 1e-5, on or .nan."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cgs.base.errors import FormatError
from cgs.base.files import write_text
from cgs.base.units import square_millimetres, with_prefix
from cgs.hw.accelergy import PER_SI, Component, System, documents
from cgs.hw.show import columns

VERSIONS = ("0.3", "0.4")
"""Of files whose tables are lists of components."""
HEADER = "# Made by cgs hw accelergy. Energies in pJ, areas in um2; the counts are those of one frame.\n"


def with_energies(system: System, path: Path) -> System:
    """The same engine with a user's energies for those components and actions that an ERT names.

    Args:
        system: the engine.
        path: an energy reference table, pJ an action; arguments of actions are not looked at, since the counts have none.
    Raises: FormatError: no such table, another version, a component or action that the engine does not have or that is there twice, no energy.
    """
    given, parts = _tables(path, "ERT", system), []
    for part in system.components:
        name, energies = part.full_name, dict(part.energies_pj)
        if name in given:
            actions = _named(given[name].get("actions"), f"{name}: action", part.energies_pj, path)
            energies |= {action: _amount(entry, "energy", "pJ", f"{name}: {action}", path) for action, entry in actions.items()}
        parts.append(replace(part, energies_pj=energies))
    return replace(system, components=tuple(parts))


def with_areas(system: System, path: Path) -> System:
    """The same engine with a user's areas for those components that an ART names.

    Args:
        system: the engine.
        path: an area reference table, um2 a component.
    Raises: FormatError: no such table, another version, a component that the engine does not have or that is there twice, no area.
    """
    areas = {name: _amount(entry, "area", "um2", name, path) for name, entry in _tables(path, "ART", system).items()}
    return replace(system, components=tuple(replace(part, area_um2=areas.get(part.full_name, part.area_um2)) for part in system.components))


def write(system: System, out: Path) -> None:
    """Write each document as a file of a directory. Raises: DiskError: no space or no permission."""
    for key, document in documents(system).items():
        write_text(out / f"{key}.yaml", HEADER + yaml.dump({key: document}, Dumper=_Dumper, sort_keys=False))


def table(system: System, ours: System) -> str:
    """The estimation as lines of text, and beside what a user's tables changed, what ours say of it."""
    headings = ("component", "energy a frame", "share", "area", "" if system == ours else "with our tables")
    parts = [_row(part.full_name, part, own, system) for part, own in zip(system.components, ours.components, strict=True)]
    return "".join(f"{line.rstrip()}\n" for line in columns([headings, *parts, _row("total", system, ours, system)]))


def _row(name: str, part: Component | System, own: Component | System, system: System) -> tuple[str, ...]:
    energy, area = _figures(part)
    share = f"{100 * part.energy_pj / system.energy_pj:.1f} %" if system.energy_pj else ""
    return name, energy, share, area, "" if part == own else ", ".join(_figures(own))


def _figures(part: Component | System) -> tuple[str, str]:
    return with_prefix(part.energy_pj / PER_SI, "J"), square_millimetres(part.area_um2 / PER_SI)


def _tables(path: Path, key: str, system: System) -> dict[str, dict[str, Any]]:
    """Entries of a table by component."""
    try:
        document = yaml.load(path.read_bytes(), Loader=yaml.BaseLoader)
    except FileNotFoundError as error:
        raise FormatError(f"{path}: no such file", "check the path") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or " ".join(str(error).split())
        raise FormatError(f"{path}{f':{mark.line + 1}' if mark else ''}: not YAML ({problem})", "correct the file") from error
    body = document.get(key) if isinstance(document, dict) else None
    if not isinstance(body, dict):
        raise FormatError(f"{path}: no {key}", f"give a file of the shape of the {key}.yaml that is written without it")
    if body.get("version") not in VERSIONS:
        raise FormatError(f"{path}: {key} of version {body.get('version')!r}", f"give one of {' or '.join(VERSIONS)}")
    return _named(body.get("tables"), "component", [part.full_name for part in system.components], path)


def _named(entries: Any, what: str, known: Iterable[str], path: Path) -> dict[str, dict[str, Any]]:
    """Entries of a list by their names, each of them known and there once."""
    found: dict[str, dict[str, Any]] = {}
    remedy = f"known: {', '.join(known)}"
    for entry in entries if isinstance(entries, list) and entries else [entries]:
        name = entry.get("name") if isinstance(entry, dict) else entry
        if name not in list(known) or not isinstance(entry, dict):
            raise FormatError(f"{path}: {what} {name!r:.60} is not of this engine", remedy)
        if name in found:
            raise FormatError(f"{path}: {what} {name} is there twice", "give it once, without arguments")
        found[name] = entry
    return found


def _amount(entry: dict[str, Any], key: str, unit: str, where: str, path: Path) -> float:
    try:
        amount = float(entry[key])
    except (KeyError, TypeError, ValueError):
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise FormatError(f"{path}: {where}: {key} {entry.get(key)!r:.60}", f"give a number of {unit}, 0 or more")
    return amount


class _Dumper(yaml.SafeDumper):
    """Puts text that begins with a digit into quotation marks, without which Accelergy takes 40nm for a formula."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if text[:1].isdigit() else None))
