"""cgs transcribe: recordings to words with times, or to keywords."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cgs.base.errors import ConfigError

FORMATS = ("json", "ctm", "srt", "text")


def add_choices(p: argparse.ArgumentParser) -> None:
    """Options that files and streams share."""
    p.add_argument("--pause", type=float, default=0.8, metavar="S", help="silence that ends an utterance, s (default: 0.8)")
    p.add_argument("--longest", type=float, default=20.0, metavar="S", help="an utterance is cut at this length, s (default: 20)")
    p.add_argument("--threshold", type=float, default=0.5, metavar="P", help="least confidence of a keyword, for keyword models (default: 0.5)")


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Write down what is said in recordings."
    p = commands.add_parser("transcribe", help="write down what is said in recordings", description=told)
    p.add_argument("model", type=Path, metavar="MODEL_DIR", help="a folder that cgs export wrote")
    p.add_argument("recordings", type=Path, nargs="+", metavar="FILE_OR_FOLDER", help="WAV, FLAC, SPHERE or Ogg; of a folder all that are in it or below")
    p.add_argument("--format", choices=FORMATS, default="text", help="json: a line a recording; ctm: a line a word; srt: subtitles; text (default)")
    p.add_argument("--out", type=Path, metavar="FILE", help="write there; for srt of several recordings a folder (default: standard output)")
    cores = len(os.sched_getaffinity(0))
    p.add_argument("--nj", type=int, default=cores, metavar="N", help=f"processes at a time; does not change results (default: {cores}, the cores)")
    p.add_argument("--resample", action="store_true", help="convert recordings of another sample rate instead of refusing them")
    add_choices(p)
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Transcribe everything; recordings that cannot be read are told and left out, and make the exit code."""
    from cgs.base import log
    from cgs.base.jobs import answers
    from cgs.decode.model_dir import Listening, checked_facts
    from cgs.decode.transcribe import Request, answer, recordings
    from cgs.decode.transcript import written

    if args.nj < 1:
        raise ConfigError(f"--nj {args.nj}: not a number of processes", "give at least 1")
    choice = Listening(args.pause, args.longest, args.threshold)
    checked_facts(args.model)
    paths = list(dict.fromkeys(recordings(args.recordings)))
    if args.format == "srt" and len(paths) > 1 and args.out is None:
        raise ConfigError(f"--format srt: {len(paths)} recordings into one stream of subtitles", "give --out FOLDER, a file for each")
    log.to_console(stream=sys.stderr)
    requests = [Request(path, args.model, choice, args.resample) for path in paths]
    names, failed, code = _names(paths), 0, 0
    with _writer(args, len(paths)) as write:
        for found in log.progress(answers(answer, requests, args.nj), "transcribing", total=len(paths)):
            if found.error:
                log.CONSOLE.print(f"error: {found.error}", markup=False)
                failed, code = failed + 1, found.exit_code
            else:
                name = str(found.recording) if args.format == "json" else names[found.recording]
                write(name, written(args.format, name, found.seconds, found.utterances))
    if failed:
        print(f"error: {failed} of {len(paths)} recordings could not be transcribed, see above", file=sys.stderr)
    return code


def _names(paths: list[Path]) -> dict[Path, str]:
    """Recordings by the name of their file, or by their path where two are called alike."""
    counts = Counter(path.stem for path in paths)
    return {path: path.stem if counts[path.stem] == 1 else str(path.with_suffix("")) for path in paths}


@contextlib.contextmanager
def _writer(args: argparse.Namespace, n_recordings: int) -> Iterator[Callable[[str, str], object]]:
    """Give out what writes a transcript by its name: to standard output, to one file, or to a file each."""
    from cgs.base.files import write_text, writing

    if args.out is None:
        yield lambda _, text: print(text, end="", flush=True)
    elif args.format == "srt" and n_recordings > 1:
        yield lambda name, text: write_text(args.out / f"{name.strip('/').replace('/', '_')}.srt", text)
    else:
        with writing(args.out) as stream:
            yield lambda _, text: stream.write(text)
