"""The runs of Yosys behind the gates of the model: designs over the range of its parameters, part by part.

    python -m cgs.hw.characterise LIBRARY.lib [LIBRARY.lib ...] > cgs/hw/logic_gates.tsv

The first library is run on all designs, the others on the first few of them, to compare. No library comes with the project."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cgs.hw.activity import Part, parts_of
from cgs.hw.counts import Engine
from cgs.hw.design import Design
from cgs.hw.generate import write_rtl
from cgs.hw.liberty import Library, read_liberty
from cgs.hw.simulate import make

N_DESIGNS, N_COMPARED, SEED = 40, 8, 20161107
PARTS = ("mac", "operands", "control", "output")
COLUMNS = ("library", "macs", "weight", "value", "acc", "size", "index", "per_word", "groups", *(f"{part}_{what}" for part in PARTS for what in ("ge", "ff")))


def designs(n: int = N_DESIGNS) -> Iterator[Design]:
    """Random engines: 1 to 32 MACs, weights of 2 to 8 bits, values of 4 to 16, layers of 64 to 2,000 values."""
    random = np.random.default_rng(SEED)
    for _ in range(n):
        n_macs, size = int(2 ** random.integers(0, 6)), int(random.integers(7, 12))
        weight, value = int(random.integers(2, 9)), int(random.choice([4, 6, 8, 8, 12, 16]))
        acc = weight + value + int(random.integers(size - 4, size + 1))
        engine = Engine(n_macs, 64, activation_bits=value, bias_bits=16, weight_bits=weight)
        words = [int(2 ** random.integers(low, high)) for low, high in ((10, 17), (6, 11), (9, 13), (2, 4), (4, 8))]
        yield Design(engine, max(acc, 16), size, int(random.integers(2, 7)), words[0], words[1], words[2], words[3], words[4], words[4])


def gates(design: Design, library: Library) -> dict[str, Part]:
    """Gates of a design's core. Raises: ToolError: as `cgs.hw.synthesis.synthesise`."""
    with tempfile.TemporaryDirectory() as folder:
        write_rtl(design, Path(folder))
        make(Path(folder), ["synth", f"LIBERTY={library.path.resolve()}"], ("yosys", "make"))
        return parts_of(json.loads((Path(folder) / "build" / library.path.stem / "netlist.json").read_text(encoding="utf-8")), library)


def main(paths: list[Path]) -> None:
    """Print the table."""
    print("# Made by: python -m cgs.hw.characterise; gate equivalents (NAND2) and flip-flops of each part of the core")
    print("\t".join(COLUMNS), flush=True)
    for path in paths:
        library = read_liberty(path)
        for design in designs(N_DESIGNS if path == paths[0] else N_COMPARED):
            found, engine = gates(design, library), design.engine
            numbers = [engine.n_macs, engine.weight_bits, engine.activation_bits, design.acc_bits, design.size_bits, design.index_bits]
            numbers += [engine.values_per_word, design.groups_per_word]
            cells = [text for part in PARTS for text in (f"{found.get(part, Part()).area:.1f}", str(found.get(part, Part()).flops))]
            print("\t".join([path.stem, *map(str, numbers), *cells]), flush=True)


if __name__ == "__main__":
    main([Path(path) for path in sys.argv[1:]])
