"""cgs compare: two systems of an experiment, paired by utterance and by seed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cgs.cli.numbers import share, whole


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    p = commands.add_parser(
        "compare",
        help="two systems of an experiment, with paired intervals",
        description="How much better or worse a system is than another, over the seeds that both have, with paired bootstrap intervals. Systems of sweeps too.",
    )
    p.add_argument("experiment", type=Path, metavar="EXP", help="folder of an experiment, decoded, e.g. exp/mini_rm")
    p.add_argument("ours", metavar="SYSTEM", help="a system as its results call it, e.g. cgs or cgs@bits4; SYSTEM/float for the network before packing")
    p.add_argument("theirs", metavar="AGAINST", help="another one, e.g. dense/float")
    p.add_argument("--condition", default="test", help="of the test, as the results call it: a split, or split/vocabulary (default: test)")
    p.add_argument("--confidence", type=share, default=0.95, metavar="P", help="of the intervals (default: 0.95)")
    p.add_argument("--bootstrap", type=whole(1), default=1000, metavar="N", help="resamplings of each interval (default: 1000)")
    p.add_argument("--seed", type=whole(0), default=1, metavar="K", help="of the resamplings; tables have their recipe's (default: 1)")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a line for each measure of the systems' task."""
    from cgs.report.comparison import MEASURES, between, scored_seeds, sentence
    from cgs.score.recognition import IntervalOptions

    ours, theirs = _engine(args.ours), _engine(args.theirs)
    task, seeds = scored_seeds(args.experiment, ours, theirs, args.condition)
    for measure in MEASURES[task]:
        told = between(args.experiment, measure, ours, theirs, seeds, args.condition, IntervalOptions(args.confidence, args.bootstrap, args.seed))
        seeds_told = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        print(f"{measure.upper()} of {'/'.join(ours)} against {'/'.join(theirs)}, {args.condition}, {seeds_told}: {sentence(told)}")
    return 0


def _engine(given: str) -> tuple[str, str]:
    system, _, engine = given.partition("/")
    return system, engine or "packed"
