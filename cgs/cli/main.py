"""The command cgs: trained models at work. Each command is a module beside this one; nothing heavy is imported before it is known."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from cgs.base.errors import CgsError, DiskError
from cgs.base.jobs import ONE_THREAD
from cgs.cli import compare, data, decode, export, g2p, hw, transcribe
from cgs.cli.recipe import OneLineParser

BROKEN_PIPE = 141
"""What a shell shows of a program whose reader went away."""
EPILOG = """Recipes are trained by ./run.sh; this command works with what they made. Exit codes: 0 done, 1 a bug of ours, 2 option,
4 recording or data, 6 model directory missing a file or altered, 8 disk, 130 interrupted, 141 the reader of the output went away."""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    told = "Trained models at work: transcribe with them, compare them, look at them as chips."
    p = OneLineParser(prog="cgs", description=told, epilog=EPILOG, allow_abbrev=False)
    commands = p.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (export, transcribe, decode, data, compare, g2p, hw):
        module.add_command(commands)
    return p


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    args = parser().parse_args(arguments)
    os.environ.update(ONE_THREAD)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    try:
        code = args.run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end must not fail again
        return BROKEN_PIPE
    except CgsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        print(f"error: {error.filename or 'output'}: {error.strerror} ({'free some space' if full else 'check the path and its permissions'})", file=sys.stderr)
        return DiskError.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        path = Path(tempfile.gettempdir()) / "traceback.txt"
        path.write_text(traceback.format_exc(), encoding="utf-8")
        print(f"error: {type(error).__name__}: {error} (this is a bug: please report it with {path})", file=sys.stderr)
        return 1
