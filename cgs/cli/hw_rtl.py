"""cgs hw rtl: a packed model's engine as a directory of RTL, memory images and a bench, simulated if asked for."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from cgs.quant.model import PackedModel


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Write the engine of a packed model in SystemVerilog, with its memory images, a self-checking bench and a Makefile."
    p = commands.add_parser("rtl", help="write the engine in SystemVerilog, with a bench", description=told)
    p.add_argument("model", type=Path, metavar="MODEL", help="a packed file (model.cgs), or a folder that cgs export wrote")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="the directory to make")
    recordings = "frames of the bench, or a folder; several follow each other as one; needs an exported MODEL"
    p.add_argument("--recording", type=Path, action="append", default=[], metavar="WAV", help=recordings)
    p.add_argument("--n-frames", type=int, default=100, metavar="N", help="frames of the bench at most, random ones where there is no recording (default: 100)")
    p.add_argument("--n-macs", type=int, default=8, metavar="N", help="multiply-accumulate units (default: 8)")
    p.add_argument("--word-bits", type=int, default=64, metavar="N", help="width of a memory word at most (default: 64)")
    p.add_argument("--bank-bytes", type=int, default=16384, metavar="N", help="a bank of the weight memory at most (default: 16384)")
    p.add_argument("--wake-cycles", type=int, default=0, metavar="N", help="memories sleep between frames, and wake so long before one (default: 0, never)")
    p.add_argument("--clock-gating", action="store_true", help="gate the clocks of registers that seldom change")
    p.add_argument("--simulate", action="store_true", help="build the bench with Verilator and run it")
    p.add_argument("--synthesise", action="store_true", help="count the gates of the core with Yosys, in the cells of --liberty or in generic ones")
    p.add_argument("--switching", action="store_true", help="also simulate those gates, and price every change of a net in the cells of --liberty")
    p.add_argument("--liberty", type=Path, metavar="FILE", help="a library of standard cells (.lib)")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write, simulate if asked for, and say what came of it."""
    from cgs.base.errors import ConfigError
    from cgs.base.files import new_directory
    from cgs.hw.design import design_engine
    from cgs.hw.generate import write_images, write_rtl
    from cgs.hw.liberty import read_liberty
    from cgs.hw.simulate import simulate
    from cgs.hw.switching import measure
    from cgs.hw.switching_show import table
    from cgs.hw.synthesis import synthesise

    library = read_liberty(args.liberty) if args.liberty else None
    if args.switching and not library:
        raise ConfigError("--switching: energy needs the cells of a library", "give --liberty FILE")
    if args.n_frames < 1:
        raise ConfigError(f"--n-frames {args.n_frames}: nothing to simulate", "give 1 or more")
    model, frames = _model_and_frames(args)
    design = design_engine([model], args.n_macs, args.word_bits, args.bank_bytes, args.wake_cycles, args.clock_gating)
    with new_directory(args.out) as out:
        write_rtl(design, out)
        cycles = write_images(model, design, frames, out / "images")
    what = "of recordings" if args.recording else "made up, the first three at the ends of an input's range"
    print(f"{args.out}: {design.engine.n_macs} MACs, {design.engine.weight_bits}-bit weights, {cycles} cycles a frame; {len(frames)} frames {what}")
    if args.simulate:
        done = simulate(args.out, args.out / "images")
        print(f"simulated: {done.frames} frames bit for bit as the integer engine, each in {done.cycles} cycles, with the accesses that were counted")
    if args.synthesise:
        gates = synthesise(args.out, library)
        print(f"synthesised: {gates.equivalents:.0f} gate equivalents without memories, {sum(gates.cells.values())} cells, in {gates.netlist}")
    if library and args.switching:
        print(table(measure(args.out, model, design, frames, library)), end="")
    if not shutil.which("verilator"):
        print("note: make in that directory needs verilator, which is not here", file=sys.stderr)
    return 0


def _model_and_frames(args: argparse.Namespace) -> tuple[PackedModel, np.ndarray]:
    import numpy as np

    from cgs.base.errors import ConfigError, DataError
    from cgs.data.audio import read_audio
    from cgs.decode.model_dir import NETWORK_DIR, Model
    from cgs.decode.scores import PACKED_FILE
    from cgs.decode.transcribe import recordings
    from cgs.hw.frames import made_frames
    from cgs.quant.engine import network_input
    from cgs.quant.packed import read_packed

    if not args.model.is_dir():
        if args.recording:
            raise ConfigError(f"{args.model}: a packed file does not say how to make its features of a recording", "give a folder that cgs export wrote")
        model = read_packed(args.model)
        return model, made_frames(model, args.n_frames)
    exported = Model(args.model)
    if exported.facts["engine"] != "packed":
        raise ConfigError(f"{args.model}: float weights", "export it with --engine packed")
    model = read_packed(args.model / NETWORK_DIR / PACKED_FILE)
    if not args.recording:
        return model, made_frames(model, args.n_frames)
    context = exported.facts["features"]["left"], exported.facts["features"]["right"]
    frames: list[np.ndarray] = []
    for path in recordings(args.recording):
        if sum(map(len, frames)) >= args.n_frames:
            break
        try:
            frames.append(network_input(model, exported.normalised(read_audio(path, exported.sample_rate)), *context))
        except DataError as error:
            raise DataError(f"{path}: {error.message}", error.remedy) from error
    return model, np.concatenate(frames)[: args.n_frames]
