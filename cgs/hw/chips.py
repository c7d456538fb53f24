"""Published chips as this project assumes them, for calibration and for prediction.

Only abstracts were read, and table 1 of a later paper that compares some of these chips (TABLE_1). Layer sizes, engines, frame rates and supplies are
therefore this project's own assumptions unless a chip's note says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field

from cgs.hw.counts import Counts, Engine, count, even_shape
from cgs.hw.technology import Figure

TABLE_1 = "table 1 of Nature Communications 2025, s41467-025-56254-6"
KEYWORD_POWER_W, SPEECH_POWER_W = 7e-6, 103e-6
"""ICCAD16 at 40 nm, 0.6 V, in the copy of the abstract that this project is built from."""
OTHER_KEYWORD_POWER_W, OTHER_SPEECH_POWER_W = 36e-6, 552e-6
"""The same in another copy of the abstract."""
CERTAIN = Figure(1.0, "1", "assumption: as stated", "assumed", 1.0, 1.0)


def supply_figure(volts: float, source: str, low: float = 0.9, high: float = 1.1) -> Figure:
    """A supply that is not known exactly."""
    return Figure(volts, "V", source, "assumed", low, high)


@dataclass(frozen=True)
class Chip:
    """A chip and the network it runs.

    Args:
        key: of the paper.
        node: of the technology table.
        supply: V, as a figure with an interval.
        layers: inputs and outputs of each weight matrix; an LSTM layer of h cells on i inputs is one of h + i inputs and 4 h outputs.
        density: share of the weights that is kept.
        bits: of a weight.
        engine: its parameters.
        steps_per_s: times a second that the network is computed; 0 where clock_hz is given and the engine never rests.
        clock_hz: see steps_per_s.
        work: factor on what a step takes, where its size is not known.
        note: where all this comes from.
        lstm: its layers are LSTM layers.
    """

    key: str
    node: str
    supply: Figure
    layers: tuple[tuple[int, int], ...]
    density: float
    bits: int
    engine: Engine
    note: str
    steps_per_s: float = 0.0
    clock_hz: float = 0.0
    work: Figure = field(default=CERTAIN)
    lstm: bool = False

    def counts(self) -> Counts:
        """Counts of one step: exactly the stated density in blocks of 64, no padding."""
        shapes = [even_shape(n_in, n_out, self.density, 64, self.bits, n_out // 4 if self.lstm else 0) for n_in, n_out in self.layers]
        return count(shapes, self.engine)

    def rate(self, counts: Counts) -> float:
        """Steps a second."""
        return self.steps_per_s or self.clock_hz / counts.cycles


def _chain(*widths: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(widths, widths[1:], strict=False))


def _lstm(n_inputs: int, *cells: int) -> tuple[tuple[int, int], ...]:
    return tuple((n + n_in, 4 * n) for n_in, n in zip((n_inputs, *cells), cells, strict=False))


_PAPER = "node, supply and power: abstract; layer sizes, 100 frames/s, 25 % in blocks of 64, engine of 8 MACs with 16 KB banks: assumed"
_SUPPLY = Figure(0.6, "V", "ICCAD16 abstract", "measured", 1.0, 1.0)
KEYWORD = Chip("ICCAD16 keyword", "40nm", _SUPPLY, _chain(403, 512, 512, 12), 0.25, 5, Engine(n_macs=8), _PAPER, 100.0)
SPEECH = Chip(
    "ICCAD16 speech", "40nm", _SUPPLY, _chain(440, 1024, 1024, 1024, 1024, 1483), 0.25, 6, Engine(n_macs=8), _PAPER, 100.0,
    work=Figure(1.0, "1", "assumption: layer sizes are ours", "assumed", 0.8, 1.25),
)  # fmt: skip
DENSE_PER_KEPT = 16
"""HCGS counts the operations of the dense network: TABLE_1 gives 0.16 TOPS at 80 MHz, 2,000 operations a cycle, 16 (abstract) for each of 64 MACs' two."""
_HCGS_SUPPLY = supply_figure(0.63, f"assumption: 80 MHz at 1.2 V, and efficiency (2.45 and 8.93 TOPS/W, {TABLE_1}) goes with 1 / V^2", 0.9, 1.2)
_HCGS = f"6-bit weights, 13-bit activations, 288 kB, about 8 MHz at 0.02 TOPS: {TABLE_1}; 16 x fewer weights: abstract; 512 cells, 40 inputs, 64 MACs: assumed"
_HCGS_ENGINE = Engine(n_macs=64, activation_bits=13)
HCGS_2 = Chip("HCGS, 2 layers", "65nm", _HCGS_SUPPLY, _lstm(40, 512, 512), 1 / 16, 6, _HCGS_ENGINE, _HCGS, clock_hz=8e6, lstm=True)
HCGS_3 = Chip("HCGS, 3 layers", "65nm", _HCGS_SUPPLY, _lstm(40, 512, 512, 512), 1 / 16, 6, _HCGS_ENGINE, _HCGS, clock_hz=8e6, lstm=True)
CHIPMUNK = Chip(
    "Chipmunk", "65nm", supply_figure(0.72, f"assumption: 168 MHz at 1.2 V, and efficiency (1.11, {TABLE_1}, and 3.08 TOPS/W, abstract) goes with 1 / V^2"),
    _lstm(96, 96), 1.0, 8, Engine(n_macs=96),
    f"8-bit weights, 82 kB, 0.03 TOPS at 168 MHz hence 96 MACs: {TABLE_1}; systolic, 20 MHz from 3.08 Gop/s/mW x 1.24 mW: abstract; "
    "96 cells on 96 inputs: assumed",
    clock_hz=20e6, lstm=True,
)  # fmt: skip
DELTAKWS = Chip(
    "DeltaKWS", "65nm", supply_figure(0.6, "abstract for the memory, assumed for the logic", 1.0, 1.15), ((192, 128),), 1.0, 8, Engine(n_macs=8),
    "24 kB, 0.6 V, x3.4 of energy at 87 % sparsity: abstract; 24,576 weights of 8 bits, each used once a decision, 62.5 decisions/s: assumed; no front end",
    62.5, work=Figure(1.0, "1", "assumption: weights of 4 to 8 bits fill the 24 kB", "assumed", 0.8, 2.0),
)  # fmt: skip
LAIKA = Chip(
    "Laika", "65nm", supply_figure(0.6, "assumption", 0.9, 1.2), _lstm(13, 64, 64), 1.0, 8, Engine(n_macs=8),
    "5 uW without MFCC: abstract of a later chip; everything else (two LSTM layers of 64 cells on 13 features, 8 bits, 62.5 steps/s): assumed",
    62.5, work=Figure(1.0, "1", "assumption: size of the network", "assumed", 0.4, 2.5), lstm=True,
)  # fmt: skip
