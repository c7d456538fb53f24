"""Stages 5 and 6 on several machines at once: what torchrun starts there, once for each GPU or core.

    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29400 -m cgs.cli.train --recipe NAME --exp DIR --device cuda

It takes the options of run.sh. Every process reads the experiment, which lies on a disk that all machines share; the
first one alone writes there. The networks are trained one after another, each by all processes, and run.sh goes on
from them."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cgs.base.errors import ConfigError
from cgs.cli.recipe import alone, exit_code, experiment, parser

TRAINING_STAGES = {5: "acoustic", 6: "keyword"}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line in one process of the group; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parser().parse_args(arguments)
    return exit_code(lambda: _train(args, shlex.join(["torchrun", "-m", "cgs.cli.train", *arguments])), args)


def _train(args: argparse.Namespace, command: str) -> int:
    from cgs.base import log
    from cgs.nn.parallel import launched_by_torchrun

    if args.sweep:
        raise ConfigError("--sweep: networks of a sweep are trained one by one, each by itself", "use ./run.sh --sweep, with --nj for several at a time")
    exp = experiment(args, command)
    with launched_by_torchrun(args.device) as members:
        log.to_console(logging.INFO if members.first else logging.WARNING)
        try:
            with alone(exp.root) if members.first else contextlib.nullcontext():
                for number, name in TRAINING_STAGES.items():
                    if args.stage <= number <= args.stop_stage:
                        stage = importlib.import_module(f"cgs.stages.{name}")
                        log.LOG.info("stage %d %s: %s, %d processes", number, name, stage.TITLE, members.size)
                        for system, seed in json.loads(members.from_first(json.dumps(stage.waiting(exp)).encode())):
                            with stage.writing(exp, system, seed) if members.first else _throwaway() as out:
                                members.from_first(b"")  # which may have aligned what they learn from
                                stage.train(exp, system, seed, out)
        except RuntimeError as error:
            if members.first:
                raise
            log.LOG.warning("process %d of %d stopped: %s", members.rank + 1, members.size, str(error).partition("\n")[0])
            return 1
    return 0


@contextlib.contextmanager
def _throwaway() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
