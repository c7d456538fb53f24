"""Runs of CACTI 7, an external program, for the costs of one SRAM macro: they made sram_grid.tsv and sram_check.tsv, and can make them again.

Owns the settings (cacti.cfg beside this) and the reading of what CACTI prints. Nothing here is needed to estimate a chip."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from cgs.base.errors import ToolError
from cgs.base.files import write_text
from cgs.hw.sram import CHECK, GRID

SETTINGS = Path(__file__).with_name("cacti.cfg")
NODES_NM = (40, 45, 65)
KILOBYTES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
WIDTHS = (8, 16, 32, 64)
BETWEEN = ((8192, 40), (12288, 48), (16384, 40), (24576, 64), (98304, 24), (327680, 64))
"""Bytes and word bits of memories between the grid's points, which the form is checked against and not fitted to."""
COLUMNS = ("node_nm", "bytes", "word_bits", "read_j", "write_j", "access_s", "leakage_w", "gate_leakage_w", "area_m2")
PATTERNS = {
    "read_j": (r"Total dynamic read energy per access \(nJ\): (\S+)", 1e-9),
    "write_j": (r"Total dynamic write energy per access \(nJ\): (\S+)", 1e-9),
    "access_s": (r"Access time \(ns\): (\S+)", 1e-9),
    "leakage_w": (r"Total leakage power of a bank \(mW\): (\S+)", 1e-3),
    "gate_leakage_w": (r"Total gate leakage power of a bank \(mW\): (\S+)", 1e-3),
}
HEADER = """# CACTI 7.0, the build that the package zigzag-dse 3.9.1 holds, own runs with the settings of cacti.cfg: low-standby-power SRAM, 300 K.
# SI units; supplies are CACTI's own: 1.06 V at 40 nm, 1.1 V at 45 nm, 1.2 V at 65 nm. Made by: python -m cgs.hw.cacti CACTI_FOLDER
"""


def run(folder: Path, node_nm: int, n_bytes: int, word_bits: int, timeout_s: float = 120.0) -> dict[str, float]:
    """Ask CACTI for the costs of one SRAM.

    Args:
        folder: holds the program `cacti` and its `tech_params`.
        node_nm, n_bytes, word_bits: the process, the size and the word.
        timeout_s: a run takes about a second.
    Returns: the columns of the grid from read_j on, SI.
    Raises: ToolError: no such program, or it did not answer.
    """
    settings = SETTINGS.read_text(encoding="utf-8")
    for name, value in (("bytes", n_bytes), ("line_bytes", word_bits // 8), ("bits", word_bits), ("um", node_nm / 1000)):
        settings = settings.replace(f"{{{name}}}", str(value))
    with tempfile.TemporaryDirectory() as scratch:  # CACTI wants its tables in the working folder and writes its output there
        (Path(scratch) / "tech_params").symlink_to(folder.resolve() / "tech_params")
        (Path(scratch) / "run.cfg").write_text(settings, encoding="utf-8")
        try:
            done = subprocess.run(
                [str(folder.resolve() / "cacti"), "-infile", "run.cfg"], cwd=scratch, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolError(f"{folder / 'cacti'}: {error}", "name the folder of a CACTI 7 build, and let its program be executed") from error
    return _read(done.stdout, folder)


def _read(printed: str, folder: Path) -> dict[str, float]:
    side = re.search(r"Cache height x width \(mm\): (\S+) x (\S+)", printed)
    found = {name: re.search(pattern, printed) for name, (pattern, _) in PATTERNS.items()}
    if side is None or None in found.values():
        raise ToolError(f"{folder / 'cacti'}: no result: {printed.strip()[-200:] or 'it printed nothing'}", "check that it is CACTI 7")
    costs = {name: float(match.group(1)) * PATTERNS[name][1] for name, match in found.items() if match}
    return costs | {"area_m2": float(side.group(1)) * float(side.group(2)) * 1e-6}


def write(folder: Path, out: Path, points: Iterable[tuple[int, int, int]]) -> None:
    """Run CACTI for (node in nm, bytes, word bits) and write what it says."""
    lines = ["\t".join(COLUMNS)]
    for node_nm, n_bytes, word_bits in points:
        costs = run(folder, node_nm, n_bytes, word_bits)
        lines.append("\t".join([str(node_nm), str(n_bytes), str(word_bits), *(f"{costs[name]:.6g}" for name in COLUMNS[3:])]))
    write_text(out, HEADER + "\n".join(lines) + "\n")


if __name__ == "__main__":  # about two minutes
    write(Path(sys.argv[1]), GRID, itertools.product(NODES_NM, (1024 * kilobytes for kilobytes in KILOBYTES), WIDTHS))
    write(Path(sys.argv[1]), CHECK, ((node_nm, n_bytes, word_bits) for node_nm in NODES_NM for n_bytes, word_bits in BETWEEN))
