"""Stage 10: results.json, RESULTS.md and the HTML pages."""

from __future__ import annotations

from cgs.base.errors import DataError
from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import write_json, write_text
from cgs.base.log import LOG
from cgs.base.recipe import RECIPES
from cgs.base.sweep import SWEEPS_DIR
from cgs.base.unit import Unit
from cgs.stages.decode_units import ladder_steps

TITLE = "report"
NAME = "10-report"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage; it reads every result of the recipe."""
    options = exp.recipe.model_dump(include={"recipe", "corpus", "report", "hardware", "systems"})
    inputs = ["1-data"]
    if exp.recipe.has_task("asr"):
        inputs += ["2-lang"] + (["8-decode/gmm"] if exp.recipe.decode.gmm else []) + [f"8-decode/ladder/{step}" for step in ladder_steps(exp)]
    for system, system_options, seed in exp.systems():
        inputs += [network_unit(system_options.task, system, seed), *(system_unit(stage, system, seed) for stage in ("7-pack", "8-decode", "9-hardware"))]
    return [exp.unit(NAME, options, inputs, ["cgs.stages.report"])]


def run(exp: Experiment) -> None:
    """Read everything, write the report."""
    unit = units(exp)[0]
    if unit.up_to_date():
        return
    from cgs.report.chip_page import chip_page
    from cgs.report.markdown import markdown
    from cgs.report.page import page
    from cgs.report.results import gather

    with unit.writing() as out:
        material = gather(exp)
        write_json(out / "results.json", material.results)
        write_text(out / "RESULTS.md", markdown(material))
        write_text(out / "index.html", page(material))
        if material.models:
            write_text(out / "chip.html", chip_page(material, exp.recipe.hardware))
    LOG.info("  open %s", unit.path / "index.html")


def publish(exp: Experiment, sweep: str = "") -> None:
    """Copy RESULTS.md beside the recipe, its name telling the variant of the experiment and the sweep: RESULTS[.<variant>][.sweep-<sweep>].md.

    Raises: DataError: no report yet, or the recipe is not one of the repository.
    """
    name = exp.recipe.recipe.name
    source, folder = exp.root / (f"{SWEEPS_DIR}/{sweep}" if sweep else NAME) / "RESULTS.md", RECIPES / name
    if not source.exists() or not folder.is_dir():
        raise DataError(f"{source} or {folder}: not there", "run stage 10 of a recipe of this repository first")
    variant = exp.root.name.removeprefix(f"{name}-") if exp.root.name.startswith(f"{name}-") else ""
    target = folder / ".".join(["RESULTS", *filter(None, [variant, sweep and f"sweep-{sweep}"]), "md"])
    write_text(target, source.read_text(encoding="utf-8"))
    LOG.info("  published %s", target)
