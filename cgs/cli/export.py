"""cgs export: a model of an experiment as a folder that works on its own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    p = commands.add_parser("export", help="copy a trained model into a folder of its own", description="Copy a trained model into a folder of its own.")
    p.add_argument("experiment", type=Path, metavar="EXP", help="folder of a finished experiment, e.g. exp/mini_rm")
    p.add_argument("--system", required=True, metavar="NAME", help="a [systems.NAME] of the recipe, for words or for keywords")
    p.add_argument("--seed", type=int, metavar="K", help="of the network (default: the lowest there is)")
    p.add_argument("--vocabulary", default="", metavar="V", help="train or lexicon (default: the recipe's first)")
    p.add_argument("--engine", choices=("packed", "float"), default="packed", help="the packed integer model or the float weights (default: packed)")
    p.add_argument("--out", type=Path, required=True, metavar="MODEL_DIR", help="the folder to make")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Export and say what came of it."""
    from cgs import __version__
    from cgs.base.units import file_size, percent
    from cgs.decode.export import Choice, export
    from cgs.report.provenance import commit, machine

    versions = {name: value for name, value in machine().items() if name in ("python", "torch", "numpy", "kaldi-hmm-gmm")}
    choice = Choice(args.system, args.seed, args.vocabulary, args.engine)
    facts = export(args.experiment, choice, args.out, {"commit": commit(), "cgs": __version__} | versions)
    n_bytes = sum(path.stat().st_size for path in args.out.rglob("*") if path.is_file())
    measured = facts["measured"]
    told = f"WER {percent(measured['wer'])} %" if "wer" in measured else f"AUC {percent(measured['auc'])} %" if "auc" in measured else "not measured"
    print(f"{args.out}: {facts['system']}, seed {facts['seed']}, {facts['engine']}, {file_size(n_bytes)}; on its test split {told}")
    print(f"trained on {facts['recipe']['title']}; licence of the corpus: {facts['corpus']['licence']}", file=sys.stderr)
    return 0
