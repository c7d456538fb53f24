"""Stage 9: cycles, memory, power and area of every packed model; networks without a packed form are left out."""

from __future__ import annotations

from collections.abc import Iterator

from cgs.base.experiment import Experiment, system_unit
from cgs.base.files import write_json
from cgs.base.log import LOG
from cgs.base.unit import Unit

TITLE = "hardware estimate"


def units(exp: Experiment) -> list[Unit]:
    """One unit a network."""
    return [unit for unit, _ in _pairs(exp)]


def run(exp: Experiment) -> None:
    """Estimate every model; each takes a fraction of a second."""
    for unit, source in _pairs(exp):
        if unit.up_to_date():
            continue
        from cgs.hw.estimate import estimate
        from cgs.quant.packed import read_packed

        with unit.writing() as out:
            result = estimate(read_packed(exp.root / source / "model.cgs"), exp.recipe.hardware)
            write_json(out / "hardware.json", result)
        for warning in result["warnings"]:
            LOG.warning("  %s: %s", unit.name, warning)


def _pairs(exp: Experiment) -> Iterator[tuple[Unit, str]]:
    from cgs.hw.technology import table_digest

    options = {"hardware": exp.recipe.hardware.model_dump(), "table": table_digest()}
    for system, system_options, seed in exp.systems():
        if not system_options.can_be_packed:
            continue
        source = system_unit("7-pack", system, seed)
        yield exp.unit(system_unit("9-hardware", system, seed), options, [source], ["cgs.stages.hardware"]), source
