"""The driver behind run.sh: reads the recipe, then runs its stages in order.

Nothing heavy is imported here, so that --help, --list and --doctor answer at once and before anything is installed."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import fcntl
import importlib
import os
import re
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cgs.base.errors import CgsError, ConfigError, DiskError
from cgs.stages import STAGES

if TYPE_CHECKING:
    from cgs.base.experiment import Experiment
    from cgs.base.sweep import Sweep

LAST = len(STAGES) - 1
SHARED_LAST = STAGES.index("align")
"""The last stage whose results all systems, and so the points of a sweep, share."""
SHAPES = ("common_voice", "kaldi", "lhotse", "manifest", "folders")
EPILOG = f"""stages: {', '.join(f'{n} {name}' for n, name in enumerate(STAGES))}

A stage is done by its stamp (options, inputs, code): a second run skips what is up to date and says why it makes the rest;
a killed run goes on where it was. Every option of a recipe: ./run.sh --list-options. Exit codes: 0 done, 1 a bug of ours, 2 option or recipe,
3 corpus, 4 data, 5 shape, 6 file format, 7 missing tool, 8 disk, 9 training, 130 interrupted."""


class OneLineParser(argparse.ArgumentParser):
    """An option parser whose errors are one line, with the nearest option where there is one."""

    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (\S+).*", message)
        near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        print(f"error: {message} ({f'did you mean {near[0]}?' if near else f'see {self.prog} --help'})", file=sys.stderr)
        sys.exit(ConfigError.exit_code)


def parser() -> argparse.ArgumentParser:
    """The options of run.sh."""
    told = "Run a recipe: from a corpus to a report."
    p = OneLineParser(prog="./run.sh", description=told, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    p.add_argument("--recipe", default="mini_rm", metavar="NAME",
                   help="folder under recipes/, or path of a recipe.toml (default: mini_rm, the built-in corpus)")
    p.add_argument("--variant", default="", metavar="NAME", help="recipes/<recipe>/variants/NAME.toml: differences from the recipe")
    p.add_argument("--sweep", default="", metavar="FILE", help="recipes/<recipe>/sweeps/FILE.toml, or a path: train, pack, decode and cost each of its "
                   "points, products of lists of options; stages 0-4 are the recipe's (docs/sweeps.md)")
    p.add_argument("--corpus", type=Path, metavar="DIR", help="root of the raw corpus; without it stage 0 downloads or makes the corpus")
    p.add_argument("--exp", type=Path, metavar="DIR", help="where everything is written (default: exp/<recipe>[-<variant>])")
    p.add_argument("--stage", type=int, default=0, metavar="N", choices=range(LAST + 1), help="first stage (default: 0)")
    p.add_argument("--stop-stage", type=int, default=LAST, metavar="M", choices=range(LAST + 1), help=f"last stage (default: {LAST})")
    cores = len(os.sched_getaffinity(0))
    p.add_argument("--nj", type=int, default=cores, metavar="J", help=f"processes at a time; does not change results (default: {cores}, the cores)")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change an option of the recipe, e.g. --set nn.epochs=3; may be repeated")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where networks are trained (default: cpu)")
    p.add_argument("--trust-code", action="store_true", help="keep results that were made by other code")
    p.add_argument("--publish", action="store_true", help="copy RESULTS.md beside the recipe after stage 10, or that of the sweep")
    p.add_argument("--dry-run", action="store_true", help="say what would be made and why, and make nothing")
    p.add_argument("--setup", action="store_true", help="install what is needed into .venv, and stop")
    p.add_argument("--setup-hardware", action="store_true", help="install Verilator and Yosys, for the RTL of cgs hw, with apt-get, and stop")
    p.add_argument("--list", action="store_true", help="list recipes, variants and sweeps")
    p.add_argument("--list-options", action="store_true", help="list every option: name, type, default, meaning; with --recipe also the corpus's own")
    p.add_argument("--new", metavar="NAME", help="make recipes/NAME and local/NAME.py for the corpus of --from, and say what is in it (docs/new-corpus.md)")
    p.add_argument("--from", dest="source", type=Path, metavar="DIR", help="the corpus for --new: its folder, or its one CSV, TSV or JSONL manifest")
    p.add_argument("--shape", default="", choices=SHAPES, help="how that corpus is laid out, where the files do not tell: " + ", ".join(SHAPES))
    p.add_argument("--lexicon", type=Path, metavar="FILE", help="pronunciations for --new, CMUdict or WORD PH PH (default: each letter a phone)")
    p.add_argument("--doctor", action="store_true", help="print versions, what is missing and how to get it, disk and memory, and the corpus's layout")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    args = parser().parse_args(arguments)
    return exit_code(lambda: _dispatch(args, shlex.join(["./run.sh", *arguments])), args)


def exit_code(action: Callable[[], int], args: argparse.Namespace) -> int:
    """What an action returns, or the code of its error, which is told in one line."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        return action()
    except CgsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "free some space" if full else "check the path and its permissions"
        print(f"error: {error.filename or args.exp or 'exp'}: {error.strerror} ({remedy}, and run the same command again)", file=sys.stderr)
        return DiskError.exit_code
    except Exception as error:
        path = _traceback_file(args)
        path.write_text(traceback.format_exc(), encoding="utf-8")
        print(f"error: {type(error).__name__}: {error} (this is a bug: please report it with {path})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on from here", file=sys.stderr)
        return 130


def _traceback_file(args: argparse.Namespace) -> Path:
    root = args.exp or Path("exp")
    return (root if root.is_dir() else Path(tempfile.gettempdir())) / "traceback.txt"


def _dispatch(args: argparse.Namespace, command: str) -> int:
    if args.setup:
        return 0
    if args.list:
        return _list_recipes()
    if args.list_options:
        return _list_options(args.recipe)
    if args.doctor:
        from cgs.cli.doctor import doctor

        return doctor(args.recipe, args.corpus)
    if args.new is not None or args.source or args.shape or args.lexicon:
        return _new(args)
    if args.stage > args.stop_stage:
        raise ConfigError(f"--stage {args.stage} is after --stop-stage {args.stop_stage}", "swap them")
    if args.publish and args.stop_stage < LAST:
        raise ConfigError(f"--publish with --stop-stage {args.stop_stage}", f"there is something to publish after stage {LAST} only")
    if args.nj < 1:
        raise ConfigError(f"--nj {args.nj}: not a number of processes", "give at least 1")
    return _run(args, command)


def _new(args: argparse.Namespace) -> int:
    from cgs.cli.new import new_recipe

    if args.new is None or args.source is None:
        lacking = "--new" if args.new is None else "--from"
        raise ConfigError(f"{lacking} is missing", "write ./run.sh --new NAME --from DIR")
    if not args.source.exists():
        raise ConfigError(f"--from {args.source}: no such file or directory", "give the corpus's own folder, or its manifest")
    if args.lexicon and not args.lexicon.is_file():
        raise ConfigError(f"--lexicon {args.lexicon}: no such file", "give a file of pronunciations, or leave it out")
    return new_recipe(args.new, args.source, args.shape, args.lexicon, args.dry_run)


def experiment(args: argparse.Namespace, command: str) -> Experiment:
    """The experiment that the options ask for; the recipe is checked as a whole here."""
    from cgs.base.experiment import Experiment
    from cgs.base.recipe import load_recipe

    recipe = load_recipe(args.recipe, args.variant, args.set)
    if args.corpus is not None and not args.corpus.is_dir():
        raise ConfigError(f"--corpus {args.corpus}: {'not a' if args.corpus.exists() else 'no such'} directory", "give the root of the raw corpus")
    if args.device == "cuda":
        _check_gpu()
    root = args.exp or Path("exp") / (f"{recipe.recipe.name}-{args.variant}" if args.variant else recipe.recipe.name)
    corpus = args.corpus.resolve() if args.corpus else None
    return Experiment(root.resolve(), recipe, corpus, args.nj, args.device, args.trust_code, command)


def _check_gpu() -> None:
    import torch

    if not torch.cuda.is_available():
        raise ConfigError("--device cuda: no GPU that torch can use", "leave it out, or check the driver with nvidia-smi")


def _run(args: argparse.Namespace, command: str) -> int:
    from cgs.base import log
    from cgs.base.units import duration

    exp = experiment(args, command)
    sweep = _read_sweep(args, exp)
    log.to_console()
    last = min(args.stop_stage, SHARED_LAST) if sweep else args.stop_stage
    if args.dry_run:
        return _dry_run(exp, args.stage, last) or _dry_sweep(exp, sweep, args)
    _warn_of_stale(exp, min(args.stage, SHARED_LAST + 1) if sweep else args.stage)
    start = time.monotonic()
    with alone(exp.root):
        for number in range(args.stage, last + 1):
            module = importlib.import_module(f"cgs.stages.{STAGES[number]}")
            log.LOG.info("stage %d %s: %s", number, STAGES[number], module.TITLE)
            module.run(exp)
        if sweep and args.stop_stage > SHARED_LAST:
            stage = importlib.import_module("cgs.stages.sweep")
            log.LOG.info("sweep %s: %s", sweep.name, sweep.title)
            stage.run(exp, sweep, args.stage, args.stop_stage)
        if args.publish and args.stop_stage == LAST:
            importlib.import_module("cgs.stages.report").publish(exp, sweep.name if sweep else "")
    log.LOG.info("done in %s: %s", duration(time.monotonic() - start), exp.root)
    return 0


def _read_sweep(args: argparse.Namespace, exp: Experiment) -> Sweep | None:
    from cgs.base.recipe import recipe_folder
    from cgs.base.sweep import read_sweep

    folder = Path(args.recipe).parent if args.recipe.endswith(".toml") else recipe_folder(args.recipe)
    return read_sweep(args.sweep, exp.recipe, folder) if args.sweep else None


def _dry_sweep(exp: Experiment, sweep: Sweep | None, args: argparse.Namespace) -> int:
    if sweep and args.stop_stage > SHARED_LAST:
        for line in importlib.import_module("cgs.stages.sweep").dry_run(exp, sweep, args.stage, args.stop_stage):
            print(line)
    return 0


def _warn_of_stale(exp: Experiment, first: int) -> None:
    """Say what of the stages before the first one no longer fits the recipe: it is used as it is."""
    from cgs.base.log import LOG

    for number in range(first):
        for unit in importlib.import_module(f"cgs.stages.{STAGES[number]}").units(exp):
            why = unit.why_stale() if unit.path.exists() else ""
            if why:
                LOG.warning("warning: %s is out of date (%s) and is used as it is; run from --stage %d to renew it", unit.name, why, number)


def _dry_run(exp: Experiment, first: int, last: int) -> int:
    would_make: set[str] = set()
    for number in range(first, last + 1):
        print(f"stage {number} {STAGES[number]}")
        for unit in importlib.import_module(f"cgs.stages.{STAGES[number]}").units(exp):
            waiting = [name for name in unit.inputs if name in would_make]
            why = unit.why_stale() or (f"input {waiting[0]} would be made" if waiting else "")
            if why:
                would_make.add(unit.name)
            print(f"  {unit.name}: {f'would be made ({why})' if why else 'up to date'}")
    return 0


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Keep a second run out of the same experiment."""
    from cgs.base.files import disk_errors

    with disk_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = open(root / ".lock", "w")  # noqa: SIM115
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{root}: another run is at work here", "wait for it, or choose another place with --exp") from None
        yield


def _list_recipes() -> int:
    from cgs.base.recipe import load_recipe, recipe_folder, recipe_names, variant_names
    from cgs.base.sweep import sweep_names

    for name in recipe_names():
        found = {"variants": variant_names(name), "sweeps": sweep_names(recipe_folder(name))}
        told = "; ".join(f"{what}: {', '.join(names)}" for what, names in found.items() if names)
        print(f"{name:<18} {load_recipe(name).recipe.title}{f' ({told})' if told else ''}")
    return 0


def _list_options(name: str) -> int:
    from cgs.base.recipe import list_options, load_recipe, local_module

    local = local_module(load_recipe(name)).Options
    for key, kind, default, meaning in [*list_options(), *list_options(local, "local.")]:
        if key != "local":
            print(f"{key:<32} {kind:<14} {default:<22} {meaning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
