"""The generated part of docs/hardware.md: errors of the fits of memories and logic, rows of validation, and what other assumptions would have said.

    python -m cgs.hw.validation_text docs/hardware.md

writes it anew between its two markers; a test compares it with what the code says today."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from pathlib import Path

from cgs.base.errors import FormatError
from cgs.base.files import write_text
from cgs.hw import chips, logic
from cgs.hw.calibration import calibrate
from cgs.hw.chips import KEYWORD, SPEECH, Chip
from cgs.hw.costs import power
from cgs.hw.schemes import GROUP, SCHEMES, scheme_counts, stored_bytes
from cgs.hw.sram import CHECK, FitErrors, coefficients, fit_errors, read_grid
from cgs.hw.technology import NORMAL_95, Technology, load_technology
from cgs.hw.validation import Row, rows, spread_without

BEGIN, END = "<!-- made by: python -m cgs.hw.validation_text docs/hardware.md -->", "<!-- end of what was made -->"
LEFT_OUT = {
    "Vocell": "a whole mixed-signal chip, from the microphone's amplifier on; its network alone is not published in the abstract",
    "Price JSSC18": "weights outside the chip, beam search inside",
    "Bang ISSCC17": "node not known here",
    "Shan ISSCC20, UltraTrail": "28 nm and 22 nm: no table",
    "JSPS18": "not power in real time",
    "SiPS15": "an upper bound, node not known here",
}
ERROR_HEADINGS = ("part", "fitted, median", "largest", "held out, median", "largest")
COST_NAMES = ("read energy", "write energy", "access time", "leakage, subthreshold", "leakage, gates", "area")


def between_markers() -> str:
    """Everything that is generated, as Markdown."""
    return "\n\n".join((_sram(), _coefficients(), _gates(), _switching(), _validation(), _other_copy(), _assumptions(), _schemes())) + "\n"


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, ["---"] * len(headings), *lines))


def _sram() -> str:
    lines = []
    for name, at in zip(COST_NAMES, fit_errors().values(), strict=True):
        lines.append([name, *(f"{100 * value:.1f} %" for value in astuple(at))])
    told = (
        f"Errors of the SRAM form against CACTI 7: over the {len(read_grid())} points it is fitted to, over these points when they are held out of the fit "
        f"(a fifth at a time), and over {len(read_grid(CHECK))} memories between them (8 to 320 KB, words of 24, 40, 48 and 64 bits) that it never saw:"
    )
    headings = ("cost", "fitted, median", "largest", "held out, median", "largest", "between, median", "largest")
    return told + "\n\n" + _table(headings, lines)


def _coefficients() -> str:
    lines = [
        [f"{node} nm", name, *(f"{value:.4g}" for value in column)]
        for node in (40, 45, 65)
        for name, column in zip(COST_NAMES, coefficients(node).T, strict=True)
    ]
    return "Coefficients (SI units):\n\n" + _table(("node", "cost", "c0", "c1", "c2", "c3", "c4", "c5", "c6"), lines)


def _gates() -> str:
    """Gates of the core: errors of the form, and the same designs in other libraries."""
    of_library = logic.library_ratios()
    n_fitted = len(of_library[logic.LIBRARY])
    told = f"Gates of the core: errors of the form over the {n_fitted} designs that it is fitted to, and over a fifth at a time held out of the fit:"
    others = [
        [name, str(len(ratios)), *(f"{value:.3f}" for value in (sum(ratios) / len(ratios), min(ratios), max(ratios)))]
        for name, ratios in of_library.items()
        if name != logic.LIBRARY
    ]
    return "\n\n".join(
        [
            told,
            _table(ERROR_HEADINGS, _errors(logic.gate_errors())),
            f"NAND2 equivalents of the same designs in other libraries, over those in {logic.LIBRARY}:",
            _table(("library", "designs", "mean", "smallest", "largest"), others),
        ]
    )


def _switching() -> str:
    """Energy of the core: errors of the form against simulated switching."""
    read = logic.read_rows(logic.ENERGY)
    networks = len({row.name for row in read})
    told = (
        f"Energy of the core against the switching of its nets: errors over the {len(read)} runs that the form is fitted to ({networks} networks of mini_rm, "
        "1 to 32 MACs), and over each network held out of the fit:"
    )
    unseen = [[name, f"{100 * error:.1f} %"] for name, error in logic.check_errors().items()]
    return "\n\n".join(
        [
            told,
            _table(ERROR_HEADINGS, _errors(logic.energy_errors())),
            "Networks of speech_commands on recorded speech, and gated clocks, which it never saw:",
            _table(("network", "error of all parts together"), unseen),
        ]
    )


def _errors(found: Mapping[str, FitErrors]) -> list[list[str]]:
    return [[part, *(f"{100 * value:.1f} %" for value in astuple(at))] for part, at in found.items()]


def _line(row: Row) -> list[str]:
    aim = "" if not row.aim else f"x{row.aim:g}: {'yes' if row.within_aim else 'no'}"
    values = [f"{value:.3g}" for value in (row.published, row.predicted, row.off)]
    return [row.name, row.unit, *values[:2], f"{row.low:.3g} to {row.high:.3g}", "hit" if row.hit else "**miss**", f"x{values[2]}", aim, row.note]


def _validation() -> str:
    told = rows()
    hits, aimed = sum(row.hit for row in told), [row for row in told if row.aim]
    headings = ("row", "unit", "published", "predicted", "90 % interval", "inside", "predicted / published", "aim", "rests on")
    share = f"{hits} of {len(told)} published values ({100 * hits / len(told):.0f} %) lie inside their interval"
    spreads = ", ".join(f"{paper} x{math.exp(NORMAL_95 * spread_without(paper)):.1f}" for paper in ("HCGS", "DeltaKWS", "Laika", "Chipmunk"))
    return "\n\n".join(
        [
            "Calibrated on the keyword chip of ICCAD16 alone (7 uW). Predicted:",
            _table(headings, [_line(row) for row in told]),
            f"{share}; {sum(row.within_aim for row in aimed)} of {len(aimed)} predictions are as near as was aimed at.",
            f"Factor either way in the interval of a chip of another architecture for being one, from the errors on the others: {spreads}.",
            "Not predicted:",
            _table(("chip", "why"), [[name, why] for name, why in LEFT_OUT.items()]),
        ]
    )


def _speech_power(tech: Technology, speech: Chip = SPEECH) -> tuple[float, float]:
    """Power of the speech chip, W, and its MACs a frame."""
    counts = speech.counts()
    return float(sum(power(counts, tech, speech.supply.value, speech.rate(counts)).values())), counts.macs


def _other_copy() -> str:
    lines, tech = [], load_technology("40nm", calibration=None)
    for name, keyword_w, speech_w in (
        ("this project's", chips.KEYWORD_POWER_W, chips.SPEECH_POWER_W),
        ("the other", chips.OTHER_KEYWORD_POWER_W, chips.OTHER_SPEECH_POWER_W),
    ):
        overhead = float(calibrate(tech, keyword_w))
        predicted_w, _ = _speech_power(tech.with_values(overhead=overhead))
        lines.append([name, *(f"{1e6 * watts:.0f} uW" for watts in (keyword_w, speech_w, predicted_w)), f"{predicted_w / speech_w:.2f}", f"{overhead:.2f}"])
    headings = ("copy of the abstract", "keyword, calibrated on", "speech, published", "speech, predicted", "predicted / published", "overhead")
    return "Both copies of the abstract, 40 nm, 0.6 V:\n\n" + _table(headings, lines)


def _assumptions() -> str:
    """What the assumed engine does to the prediction; each is calibrated again."""
    lines, tech = [], load_technology("40nm", calibration=None)
    for bank_bytes in (4096, 16384, 65536, 1048576):
        cells = [f"{bank_bytes // 1024} KB"]
        for n_macs in (1, 8):
            keyword, speech = (replace(chip, engine=replace(chip.engine, n_macs=n_macs, bank_bytes=bank_bytes)) for chip in (KEYWORD, SPEECH))
            overhead = float(calibrate(tech, chip=keyword))
            watts, macs = _speech_power(tech.with_values(overhead=overhead), speech)
            ratio = watts / macs / (chips.KEYWORD_POWER_W / keyword.counts().macs)
            cells.append(f"{overhead:.2f}, {1e6 * watts:.0f} uW, {ratio:.2f}")
        lines.append(cells)
    told = "The same with other banks and engines, calibrated again (published: 103 uW, ratio 1.37):"
    return told + "\n\n" + _table(("bank", "1 MAC: overhead, speech, ratio", "8 MACs (used)"), lines)


def _schemes() -> str:
    """The two chips' networks with what is kept lying in blocks and otherwise."""
    lines, tech = [], load_technology("40nm")
    for chip, name in ((KEYWORD, "keyword"), (SPEECH, "speech")):
        for density, block, large, share in ((0.25, 64, 64, "a quarter"), (0.0625, 16, 32, "a sixteenth")):
            cells = [f"{name}, {share}"]
            for scheme in SCHEMES:
                side = large if scheme == "two levels" else block
                counts = scheme_counts(scheme, chip.layers, density, chip.bits, chip.engine, side)
                watts = sum(power(counts, tech, chip.supply.value, chip.steps_per_s).values())
                cells.append(f"{1e6 * float(watts):.3g} uW, {stored_bytes(counts) / 1e3:.0f} kB")
            lines.append(cells)
    where = f"in blocks (of 64 and of 16), on two levels (of 16 in 64 and of 8 in 32), as n of {GROUP} inputs, or anywhere"
    told = f"Power at 40 nm and 0.6 V, and bytes of weights with their indices, where what is kept lies {where}:"
    return told + "\n\n" + _table(("network", *SCHEMES), lines)


def write(path: Path) -> None:
    """Replace what lies between the markers. Raises: FormatError: no markers."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise FormatError(f"{path}: no markers", f"give it the lines {BEGIN} and {END}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    write_text(path, f"{before}{BEGIN}\n\n{between_markers()}\n{END}{after}")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
