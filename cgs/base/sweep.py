"""A sweep: many systems of a recipe, told by a file as products of lists of options (docs/sweeps.md).

Owns how such a file is read, what each of its points is called, and the recipe that holds them all as ordinary systems. A
point is called after its base and what differs from it: "cgs-density0.5-block32" is another network, "cgs@bits4" the networks
of "cgs" packed otherwise, and a point that differs in nothing is the recipe's own system."""

from __future__ import annotations

import itertools
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cgs.base.errors import ConfigError, ProblemsError
from cgs.base.experiment import network_of
from cgs.base.files import digest_of
from cgs.base.options import Recipe, SystemOptions
from cgs.base.recipe import did_you_mean, read_toml, shown

SWEEPS_DIR = "10-sweeps"
"""Where the reports of sweeps lie in an experiment, a folder each."""
KEYS = ("title", "points")
NOT_YET_NAMED = "point"


@dataclass(frozen=True)
class Point:
    """One system that a sweep asks for, with all its seeds.

    Args:
        name: of the system.
        options: every option of it but the seeds, and but those that are left out where they have their default.
        seeds: as asked for.
        system: the same, checked; None where no system can have these options together.
        problem: why not, where that is so.
        headline: whether the other points of its task are compared with it too.
    """

    name: str
    options: dict[str, Any]
    seeds: tuple[int, ...]
    system: SystemOptions | None = None
    problem: str = ""
    headline: bool = False

    def value(self, key: str) -> Any:
        """An option; what `options` leaves out has its default."""
        return self.options.get(key, SystemOptions.model_fields[key].default)


@dataclass(frozen=True)
class Sweep:
    """A sweep of a recipe.

    Args:
        name: of its file.
        title: one line for its report.
        points: in the order of the file, each name once.
    """

    name: str
    title: str
    points: tuple[Point, ...]

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe with the points, and the networks that they pack, as its systems.

        Of the recipe's own systems it keeps those that points are compared with, learn from or share the networks of. Their
        first seed stays the first, so that their units are those of the recipe itself; the GMM is left to the recipe's own results.
        """
        possible = [(point.name, point.system, point.seeds) for point in self.points if point.system]
        wanted: dict[str, list[int]] = {}
        for name, system, seeds in possible:
            own = [other for other in (recipe.baseline(system.task), network_of(name)) if other in recipe.systems]
            for other in own:
                wanted.setdefault(other, []).extend(seeds)
            for source in _sources(recipe, [system, *(recipe.systems[other] for other in own)]):
                wanted.setdefault(source, []).extend(seed for seed in seeds if seed in recipe.systems[source].seeds)
        systems = {name: own.model_copy(update={"seeds": _first_kept(own, wanted[name])}) for name, own in recipe.systems.items() if name in wanted}
        systems |= {name: system for name, system, _ in possible if name not in recipe.systems}
        for name, system, seeds in possible:
            network = systems.setdefault(network_of(name), system)
            systems[network_of(name)] = network.model_copy(update={"seeds": list(dict.fromkeys([*network.seeds, *seeds]))})
        return recipe.model_copy(update={"systems": systems, "decode": recipe.decode.model_copy(update={"gmm": False})})

    def networks(self, recipe: Recipe) -> dict[tuple[str, int], None]:
        """(system, seed) of all that is to be made, in order: the dense systems that points are compared with, then the points."""
        possible = [(point.name, point.system.task, seed) for point in self.points if point.system for seed in point.seeds]
        baselines = [(baseline, seed) for _, task, seed in possible if (baseline := recipe.baseline(task))]
        return dict.fromkeys([*baselines, *((name, seed) for name, _, seed in possible)])

    def headline(self, task: str) -> Point | None:
        """The point that the others of a task are compared with; None where the file names none."""
        return next((point for point in self.points if point.headline and point.system and point.system.task == task), None)

    def axes(self) -> list[str]:
        """Options in which the points differ, in the order of `SystemOptions`."""
        return [key for key in SystemOptions.model_fields if key != "seeds" and len({repr(point.value(key)) for point in self.points}) > 1]


def sweep_names(folder: Path) -> list[str]:
    """Every sweep of a recipe's folder."""
    return sorted(path.stem for path in folder.glob("sweeps/*.toml"))


def read_sweep(given: str, recipe: Recipe, folder: Path) -> Sweep:
    """Read a sweep and expand its products.

    Args:
        given: path of the file, or its name in the recipe's folder or in sweeps/ there, with or without ".toml".
        recipe: whose systems the points vary.
        folder: the recipe's.
    Raises: ConfigError: no such file, or bad TOML. ProblemsError: every bad key and value, with file, key and remedy.
    """
    names = sweep_names(folder)
    places = [Path(given), folder / given, folder / "sweeps" / given, folder / "sweeps" / f"{given}.toml"]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ConfigError(f"no sweep {given!r}", did_you_mean(given, names) or f"sweeps of this recipe: {', '.join(names) or 'none'}; or give a path")
    tree, where = read_toml(path), shown(path)
    problems = [f"{where}: {key}: unknown key (a sweep has title and [[points]])" for key in tree if key not in KEYS]
    tables = tree.get("points")
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        problems.append(f"{where}: no [[points]] (add a table with a base and options of systems, lists of values as axes)")
        tables = []
    points: dict[str, Point] = {}
    for number, table in enumerate(tables, start=1):
        for point in _expanded(recipe, f"{where}: points {number}", table, problems):
            points[point.name] = _joined(points.get(point.name, point), point)
    problems += _headline_problems(recipe, where, tables)
    if problems:
        raise ProblemsError(where, list(dict.fromkeys(problems)), ConfigError.exit_code)
    return Sweep(path.stem, str(tree.get("title", path.stem)), tuple(points.values()))


def _headline_problems(recipe: Recipe, where: str, tables: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the tables' headlines: no truth value, or not one point of a task."""
    seen: dict[str, int] = {}
    for number, table in enumerate(tables, start=1):
        told = f"{where}: points {number}: headline"
        if not isinstance(given := table.get("headline", False), bool):
            yield f"{told} = {given!r}: give true or false"
        elif given and table.get("base") in recipe.systems:
            axes = [values_of(key, value) for key, value in table.items() if key in SystemOptions.model_fields]
            task = str(table.get("task", recipe.systems[table["base"]].task))
            if any(len(values) > 1 for values in axes) or task in seen:
                yield f"{told}: one point of a task, but there are more (give the headline a table of its own)"
            seen[task] = number


def _sources(recipe: Recipe, systems: list[SystemOptions]) -> Iterator[str]:
    """Yield the systems of the recipe that some systems learn from, and what those learn from."""
    while systems:
        system = systems.pop()
        found = [name for name in (system.labels, *system.learns_from) if name in recipe.systems]
        systems += [recipe.systems[name] for name in found]
        yield from found


def _joined(known: Point, point: Point) -> Point:
    """A point that the file holds twice, with the seeds of both."""
    seeds = tuple(dict.fromkeys([*known.seeds, *point.seeds]))
    system = point.system and point.system.model_copy(update={"seeds": list(seeds)})
    return replace(point, seeds=seeds, system=system, headline=known.headline or point.headline)


def _first_kept(own: SystemOptions, asked: list[int]) -> list[int]:
    return list(dict.fromkeys([own.seeds[0], *asked]))


def _expanded(recipe: Recipe, where: str, table: dict[str, Any], problems: list[str]) -> Iterator[Point]:
    """The points of one table; what is wrong with it goes to `problems`."""
    base = table.get("base")
    if base not in recipe.systems:
        told = "missing" if base is None else f"no system {base!r} in the recipe"
        remedy = did_you_mean(str(base), list(recipe.systems)) or "systems: " + ", ".join(recipe.systems)
        problems.append(f"{where}: base: {told} ({remedy})")
    known = [*SystemOptions.model_fields, "base", "headline"]
    unknown = [key for key in table if key not in known]
    problems += [f"{where}: {key}: unknown option ({did_you_mean(key, known) or 'see systems.NAME in --list-options'})" for key in unknown]
    axes = {key: values_of(key, value) for key, value in table.items() if key in SystemOptions.model_fields}
    problems += [f"{where}: {key}: an empty list (give a value, or remove it)" for key, values in axes.items() if not values]
    if base not in recipe.systems:
        return
    for values in itertools.product(*axes.values()):
        try:
            yield replace(_point(recipe, base, dict(zip(axes, values, strict=True))), headline=table.get("headline") is True)
        except ValidationError as error:
            first = {str(item["loc"][0]): item for item in reversed(error.errors()) if item["loc"]}  # a value of either kind is told of the first
            problems += [f"{where}: {key} = {item['input']!r}: {item['msg']} (see --list-options)" for key, item in first.items()]
        except ConfigError as error:
            problems.append(f"{where}: {error}")


def values_of(key: str, value: Any) -> list[Any]:
    """Values of an option along an axis: those of a list, or the one; an option that is a list itself has an axis of lists."""
    levels = _levels(SystemOptions.model_fields[key].annotation)
    return value if isinstance(value, list) and _depth(value) > levels else [value]


def _levels(kind: Any) -> int:
    """How many lists lie in each other in the simplest values of a type: 0 for int, 1 for list[int], 0 for int | list[int]."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _levels(inner[0])
    if origin in (list, tuple):
        return 1 + _levels(inner[0])
    if origin in (typing.Union, types.UnionType):
        return min(_levels(part) for part in inner if part is not types.NoneType)
    return 0


def _depth(value: Any) -> int:
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _point(recipe: Recipe, base: str, values: dict[str, Any]) -> Point:
    """One point. Raises: ValidationError: a value that its option cannot have. ConfigError: labels, a teacher or a start that is no system."""
    theirs = recipe.systems[base]
    given = theirs.model_dump(exclude_unset=True) | values
    try:
        system = SystemOptions(**given)
        for key, none in (("labels", "gmm"), ("teacher", ""), ("start_from", "")):
            if (name := getattr(system, key)) not in (none, *recipe.systems):
                raise ConfigError(f"{key} = {name!r}: no such system", f"systems: {', '.join(recipe.systems)}")
        Recipe(**dict(recipe) | {"systems": recipe.systems | {NOT_YET_NAMED: system}})
    except ValidationError as error:
        if any(item["loc"] for item in error.errors()):
            raise
        changed = {key: value for key, value in values.items() if key != "seeds" and value != getattr(theirs, key)}
        options = theirs.model_dump() | values
        problem = str(error.errors()[0]["ctx"]["error"]).removeprefix(f"systems.{NOT_YET_NAMED}.")
        return Point(base + _suffix(changed), _without_seeds(options), tuple(options["seeds"]), None, problem)
    options = _without_seeds(system.model_dump())
    differs = {key: value for key in SystemOptions.model_fields if key != "seeds" and (value := getattr(system, key)) != getattr(theirs, key)}
    trained = system.of_network().keys() | theirs.of_network().keys()
    packed = _suffix({key: value for key, value in differs.items() if key not in trained})
    name = base + _suffix({key: value for key, value in differs.items() if key in trained})
    return Point(name + (f"@{packed[1:]}" if packed else ""), options, tuple(system.seeds), system)


def _without_seeds(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "seeds"}


def _suffix(values: dict[str, Any]) -> str:
    return "".join(f"-{key}{_text(value)}" for key, value in values.items())


def _text(value: Any) -> str:
    """A value as part of a folder's name: itself where it is plain, 512x512 for a list of such, else a digest."""
    parts = value if isinstance(value, list) else [value]
    told = "x".join(str(part).lower() if isinstance(part, bool) else str(part) for part in parts)
    return told if parts and re.fullmatch(r"[\w.+-]+", told) else digest_of(value)[:8]
