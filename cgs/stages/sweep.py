"""A sweep: stages 5 to 9 for every point of it, network by network, then its report in 10-sweeps/NAME.

Stages 0 to 4 are the recipe's own. A point is an ordinary system whose units lie beside the recipe's, so a killed sweep goes on
where it was, and sweeps share what they have in common."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from cgs.base.errors import ConfigError, ShapeError, TrainError
from cgs.base.experiment import Experiment, network_of, network_unit, system_unit
from cgs.base.files import read_json, read_lines, write_json, write_text
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG
from cgs.base.sweep import SWEEPS_DIR, Sweep
from cgs.base.unit import Unit
from cgs.base.units import duration
from cgs.stages import STAGES, decode

FIRST, REPORT = 5, 10
"""The first stage that a sweep has units of its own in, and the one of its report."""
TRAINING = (5, 6)
THE_POINTS_OWN = (TrainError, ShapeError, ConfigError)
"""Errors that say something of one point; others, such as a full disk, end the sweep."""

Network = tuple[str, int]
"""System and seed."""


@dataclass(frozen=True)
class Job:
    """What one process makes.

    Args:
        exp: the experiment, with all points as its systems.
        network: is trained, unless it is up to date.
        points: systems that pack it, each of which goes through the later stages.
        stages: numbers, from `FIRST` on.
    """

    exp: Experiment
    network: Network
    points: tuple[str, ...]
    stages: tuple[int, ...]


def run(exp: Experiment, sweep: Sweep, first: int, last: int) -> None:
    """Make what is not up to date of the points' stages from `first` to `last`, and the report if that is asked for."""
    impossible, exp = why_not(exp, sweep), _with_points(exp, sweep)
    wanted = [(name, seed) for name, seed in sweep.networks(exp.recipe) if name not in impossible]
    stages = tuple(range(max(first, FIRST), min(last + 1, REPORT)))
    for name, reason in impossible.items():
        LOG.warning("  %s: not possible: %s", name, reason)
    failed = _make(exp, wanted, stages) if wanted and stages else {}
    if last >= REPORT:
        _report(exp, sweep, wanted, impossible, failed)


def dry_run(exp: Experiment, sweep: Sweep, first: int, last: int) -> Iterator[str]:
    """Yield a line for each point, and each dense network that points are compared with: up to date, what is missing, or why it cannot be."""
    impossible, exp = why_not(exp, sweep), _with_points(exp, sweep)
    wanted = [network for network in sweep.networks(exp.recipe) if network[0] not in impossible]
    units = _units(exp, tuple(range(max(first, FIRST), min(last + 1, REPORT))))
    yield f"sweep {sweep.name}: {len(wanted)} points of {len({(network_of(name), seed) for name, seed in wanted})} networks"
    for name, seed in wanted:
        stale = [unit.name for unit in _chain(exp, units, name, seed) if unit.why_stale()]
        told = f"would be made (from {stale[0].partition('/')[0]} on)" if stale else "up to date"
        yield f"  {name} seed {seed}: {told}"
    for name, reason in impossible.items():
        yield f"  {name}: not possible: {reason}"


def why_not(exp: Experiment, sweep: Sweep) -> dict[str, str]:
    """{point: reason} of those that cannot be: options that exclude each other and, once stage 4 is done, masks that do not fit a layer."""
    from cgs.nn.network import build_network
    from cgs.nn.system import network_spec

    told, found = {point.name: point.problem for point in sweep.points if point.problem}, dict[str, str]()
    for point in sweep.points:
        network = network_of(point.name)
        if point.system and network not in found:
            options = exp.recipe.nn if point.system.task == "asr" else exp.recipe.kws
            try:
                sizes = _sizes(exp, point.system.task)
                found[network] = ""
                if sizes:
                    build_network(network_spec(point.system, options, *sizes, point.seeds[0])).pruner()
            except ConfigError as error:
                found[network] = str(error)
        if point.system and found[network]:
            told[point.name] = found[network]
    return told


def _sizes(exp: Experiment, task: str) -> tuple[int, int] | None:
    """Features of a frame and classes of a network of a task; None while the stages that decide them are not done."""
    from cgs.feats.archive import read_archive
    from cgs.nn.examples import KEYWORD_KIND
    from cgs.nn.labels import CLASS_NAMES

    kind = exp.recipe.nn.features if task == "asr" else KEYWORD_KIND
    statistics = exp.root / "4-align" / "cmvn_fmllr.scp" if kind == "fmllr" else exp.root / "3-feats" / kind / "cmvn_global.scp"
    classes = exp.root / "4-align" / "align.json" if task == "asr" else exp.root / "1-data" / "keywords.txt"
    if not statistics.exists() or not classes.exists():
        return None
    n_classes = int(read_json(classes)["n_pdfs"]) if task == "asr" else len(CLASS_NAMES) + len(read_lines(classes))
    return read_archive(statistics)["global"].shape[1] - 1, n_classes


def _with_points(exp: Experiment, sweep: Sweep) -> Experiment:
    return replace(exp, recipe=sweep.recipe(exp.recipe))


def _units(exp: Experiment, stages: tuple[int, ...]) -> dict[str, Unit]:
    return {unit.name: unit for number in stages for unit in _stage(number).units(exp)}


def _stage(number: int):
    return importlib.import_module(f"cgs.stages.{STAGES[number]}")


def _chain(exp: Experiment, units: dict[str, Unit], name: str, seed: int) -> list[Unit]:
    """The units of a point, in the order they are made."""
    network = network_unit(exp.recipe.systems[name].task, name, seed)
    names = [network, *(system_unit(folder, name, seed) for folder in ("7-pack", "8-decode", "9-hardware"))]
    return [units[unit] for unit in names if unit in units]


def _sources(exp: Experiment, name: str, seed: int) -> Iterator[Network]:
    """Yield the networks that one learns from, and what these learn from."""
    system, systems = exp.recipe.systems[name], exp.recipe.systems
    found = [(system.labels, systems[system.labels].seeds[0])] if system.labels != "gmm" else []
    found += [(source, exp.source_seed(source, seed)) for source in system.learns_from]
    for source in found:
        yield source
        yield from _sources(exp, *source)


def _make(exp: Experiment, wanted: list[Network], stages: tuple[int, ...]) -> dict[Network, str]:
    """Make what is not up to date. Returns: {point: reason} of those that failed by themselves."""
    sources = frozenset(source for network in wanted for source in _sources(exp, *network))
    for number in (number for number in TRAINING if number in stages and sources):
        _stage(number).run(replace(exp, chosen=sources))
    if 8 in stages:
        decode.prepare(exp)
    units = _units(replace(exp, chosen=frozenset(wanted)), stages)
    stale = [point for point in wanted if any(unit.why_stale() for unit in _chain(exp, units, *point))]
    LOG.info("  %d of %d points are up to date", len(wanted) - len(stale), len(wanted))
    packings: dict[Network, list[str]] = {}
    for name, seed in stale:
        packings.setdefault((network_of(name), seed), []).append(name)
    jobs = [Job(replace(exp, n_jobs=1), network, tuple(names), stages) for network, names in packings.items()]
    failed: dict[Network, str] = {}
    start, n_left = time.monotonic(), len(stale)

    def done(told: dict[Network, tuple[str, str]]) -> None:
        nonlocal n_left
        n_left -= len(told)
        spent = (time.monotonic() - start) / (len(stale) - n_left)
        for (name, seed), (line, reason) in told.items():
            failed.update({(name, seed): reason} if reason else {})
            LOG.info("  %s seed %d: %s; %d of %d points left, about %s", name, seed, line, n_left, len(wanted), duration(spent * n_left))

    run_jobs(_finish, jobs, [f"{name}.seed{seed}" for name, seed in packings], exp.n_jobs, exp.root / "log" / SWEEPS_DIR, done)
    return failed


def _finish(job: Job) -> dict[Network, tuple[str, str]]:
    """Train a network, then take each of its packings to the last stage. Returns: what each came to, and why it failed if it did."""
    seed, told = job.network[1], {}
    try:
        _stages(job, job.network, [number for number in job.stages if number in TRAINING])
    except THE_POINTS_OWN as error:
        return {(name, seed): (f"failed: {error}", str(error)) for name in job.points}
    for name in job.points:
        try:
            _stages(job, (name, seed), [number for number in job.stages if number not in TRAINING])
            told[name, seed] = (_came_to(job, name, seed), "")
        except THE_POINTS_OWN as error:
            told[name, seed] = (f"failed: {error}", str(error))
    return told


def _stages(job: Job, network: Network, numbers: list[int]) -> None:
    for number in numbers:
        _stage(number).run(replace(job.exp, chosen=frozenset({network})))


def _came_to(job: Job, name: str, seed: int) -> str:
    """A finished point in a few words."""
    from cgs.report.sweep import in_short, point_row

    return in_short(point_row(job.exp, name, seed)) if job.stages[-1] == REPORT - 1 else "done"


def _report(exp: Experiment, sweep: Sweep, wanted: list[Network], impossible: dict[str, str], failed: dict[Network, str]) -> None:
    """Write what there is: results.json, RESULTS.md and index.html."""
    units = _units(exp, tuple(range(FIRST, REPORT)))
    finished = [point for point in wanted if not any(unit.why_stale() for unit in _chain(exp, units, *point))]
    options = exp.recipe.model_dump(include={"recipe", "corpus", "report"}) | {"title": sweep.title, "impossible": impossible}
    options |= {"points": [[point.name, point.options, list(point.seeds)] for point in sweep.points]}
    options |= {"failed": [[*point, reason] for point, reason in failed.items()]}
    inputs = ["1-data", *dict.fromkeys(unit.name for point in finished for unit in _chain(exp, units, *point))]
    made = exp.unit(f"{SWEEPS_DIR}/{sweep.name}", options, inputs, ["cgs.stages.sweep"])
    if made.up_to_date():
        return
    from cgs.report.sweep import gather
    from cgs.report.sweep_page import markdown, page

    with made.writing() as out:
        results = gather(replace(exp, chosen=frozenset(finished)), sweep, impossible, failed)
        write_json(out / "results.json", results)
        write_text(out / "RESULTS.md", markdown(results))
        write_text(out / "index.html", page(results))
    LOG.info("  open %s", made.path / "index.html")
