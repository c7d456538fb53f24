"""cgs decode --stream: words while they are spoken, from a pipe, a microphone or a file of samples."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.errors import ConfigError, DataError
from cgs.cli.transcribe import add_choices

if TYPE_CHECKING:
    from cgs.decode.listen import Event
    from cgs.decode.transcript import Utterance

PIECE_SECONDS = 0.1
"""At most so much sound is waited for before the search goes on."""
TERMINAL_CHARACTERS = 78
"""Of a partial result, its end is shown."""


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    told = "Recognise speech while it is spoken, e.g. arecord -q -f S16_LE -r 16000 -t raw | cgs decode MODEL_DIR --stream"
    p = commands.add_parser("decode", help="recognise speech while it is spoken", description=told)
    p.add_argument("model", type=Path, metavar="MODEL_DIR", help="a folder that cgs export wrote")
    p.add_argument("--stream", nargs="?", const="-", required=True, metavar="FILE", help="raw 16-bit samples at the model's rate, or a WAV; - is stdin")
    p.add_argument("--format", choices=("text", "json"), default="text", help="text: a line an utterance; json: a line an event, partial results too")
    add_choices(p)
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Listen to the end of the stream; what was heard before an error or Ctrl-C is told before that."""
    from cgs.data.pcm import PcmReader
    from cgs.decode.listen import Ear
    from cgs.decode.model_dir import Listening, Model

    choice, model = Listening(args.pause, args.longest, args.threshold), Model(args.model)
    model.load()
    if model.is_acoustic and model.cmvn == "speaker":
        told = "the model was trained on whole speakers; a stream gets the mean of its last seconds instead, so words may differ from cgs transcribe"
        print(f'note: {told} (train with nn.cmvn = "running")', file=sys.stderr)
    ear, tell = Ear(model, choice), _Json() if args.format == "json" else _Text()
    with _source(args.stream) as (source, name):
        pieces = PcmReader(source.read, model.sample_rate, name).pieces(max(1, round(PIECE_SECONDS * model.sample_rate)))
        start = time.process_time()
        try:
            for samples in pieces:
                tell(ear.accept(samples))
        except (DataError, KeyboardInterrupt):
            tell(ear.finish())
            raise
        tell(ear.finish())
    spent = time.process_time() - start
    print(f"{ear.seconds:.1f} s heard, real-time factor {spent / ear.seconds:.3f}", file=sys.stderr)
    return 0


class _Json:
    """A line an event."""

    def __call__(self, events: Iterable[Event]) -> None:
        for event in events:
            print(json.dumps(event.as_dict(), ensure_ascii=False), flush=True)


class _Text:
    """A line an utterance; on a terminal the one that goes on is shown below and written over."""

    def __init__(self) -> None:
        self._clear = "\r\033[K" if sys.stdout.isatty() else ""

    def __call__(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.final is not None:
                print(f"{self._clear}{event.final.start:8.2f} {event.final.end:8.2f}  {_shown(event.final)}", flush=True)
            elif self._clear:
                print(f"{self._clear}{' '.join(event.partial)[-TERMINAL_CHARACTERS:]}", end="", flush=True)


def _shown(utterance: Utterance) -> str:
    (first, *_) = utterance.words
    return utterance.text if first.confidence is None else f"{utterance.text} {first.confidence:.2f}"


class _Interruptible:
    """Bytes of a stream; Ctrl-C ends the reading, never the work on what has been read, so that what was heard can be told."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read, self._waiting, self._asked = read, False, False

    def interrupt(self, *_: object) -> None:
        """What SIGINT and SIGTERM call."""
        again, self._asked = self._asked, True
        if self._waiting or again:
            raise KeyboardInterrupt

    def read(self, n_bytes: int) -> bytes:
        """The next bytes, none at the end."""
        if self._asked:
            raise KeyboardInterrupt
        self._waiting = True
        try:
            return self._read(n_bytes)
        finally:
            self._waiting = False


@contextlib.contextmanager
def _source(stream: str) -> Iterator[tuple[_Interruptible, str]]:
    """Open what --stream names; the handlers of signals are put back at the end."""
    if stream == "-" and sys.stdin.isatty():
        raise ConfigError("--stream -: standard input is a terminal, not sound", "pipe samples into it: arecord -q -f S16_LE -r RATE -t raw | cgs decode ...")
    if stream != "-" and not Path(stream).exists():
        raise DataError(f"--stream {stream}: no such file", "give a WAV or a file of samples, or - for standard input")
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(stream, "rb", buffering=0)) if stream != "-" else None
        source = _Interruptible(file.read if file else functools.partial(os.read, sys.stdin.fileno()))
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, source.interrupt))
        yield source, "standard input" if stream == "-" else stream
