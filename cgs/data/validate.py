"""What makes a data directory valid: every problem found in one pass, each with its place, value and remedy.

Stricter than Kaldi's own validator: one space between fields, no empty transcript, plain paths only, whole recordings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from cgs.base.errors import DataError, ProblemsError
from cgs.base.files import read_lines
from cgs.base.log import progress
from cgs.data.audio import audio_info, wrong_rate
from cgs.data.corpus import Seconds

MOST_PROBLEMS = 20
REQUIRED = ("text", "utt2spk", "spk2utt", "wav.scp", "utt2dur")
OPTIONAL = ("segments", "spk2gender")
LENGTH_TOLERANCE: Seconds = 0.02
"""utt2dur and segments may differ from the recording by this much: two frames."""


@dataclass
class Problems:
    """Problems of one directory, in the order found; only the first few are shown.

    An unreadable file ends the search early, or everything would seem to be missing from it."""

    heading: str
    found: list[str] = field(default_factory=list)
    unreadable: bool = False

    def add(self, where: str, what: str, remedy: str) -> None:
        """Note one problem."""
        self.found.append(f"{where}: {what} ({remedy})")

    def raise_if_any(self) -> None:
        """Raises: ProblemsError: some were noted."""
        if self.found:
            raise capped(self.heading, self.found)


def capped(heading: str, problems: list[str], exit_code: int = DataError.exit_code) -> ProblemsError:
    """The error of several problems, of which at most `MOST_PROBLEMS` are spelt out."""
    if len(problems) > MOST_PROBLEMS:
        heading = f"{heading} ({len(problems)} problems found, the first {MOST_PROBLEMS} follow)"
    return ProblemsError(heading, problems[:MOST_PROBLEMS], exit_code)


def pipe_error(path: Path, key: str) -> DataError:
    """The error of a command in the place of a path."""
    return DataError(f"{path}: {key}: a command (pipe) instead of a path", "run the command once, store its output as a file and name that")


def validate_data_dir(path: Path, sample_rate: int | None = None, resample: bool = False) -> None:
    """Check a data directory as a whole.

    Args:
        path: the directory.
        sample_rate: Hz every recording must have; None leaves the recordings unread.
        resample: accept recordings of another rate.
    Raises: ProblemsError: every problem, each naming file and line or utterance, value and remedy. DataError: no such directory.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such data directory", "run stage 1")
    problems = Problems(str(path))
    tables = {name: _checked_table(path / name, problems) for name in (*REQUIRED, *(n for n in OPTIONAL if (path / n).exists()))}
    if problems.unreadable:
        problems.raise_if_any()
    if not tables["text"]:
        problems.add(str(path / "text"), "no utterances", "check the corpus and the split")
    _check_agreement(path, tables, problems)
    _check_values(path, tables, problems)
    if sample_rate:
        for key, value in progress(sorted(tables["wav.scp"].items()), f"checking {path.name}"):
            try:
                if not check_recording(Path(value), f"recording {key}", sample_rate, resample):
                    problems.add(f"recording {key}", f"{value}: no samples", "copy the file again, or remove the utterance")
            except DataError as error:
                problems.found.append(str(error))
    problems.raise_if_any()


def check_recording(wav: Path, name: str, sample_rate: int, resample: bool = False) -> Seconds:
    """Length of a recording, s, 0 where it holds no samples.

    Raises: DataError: missing, truncated, NaN, or of another rate; `name` says whose.
    """
    try:
        rate, seconds = audio_info(wav, check_samples=True)
        if rate != sample_rate and not resample:
            raise wrong_rate(wav, rate, sample_rate)
    except DataError as error:
        raise DataError(f"{name}: {error.message}", error.remedy) from error
    return seconds


def _checked_table(path: Path, problems: Problems) -> dict[str, str]:
    """Keys and values of one file; notes what is wrong with its lines and their order."""
    try:
        lines = read_lines(path)
    except DataError as error:
        problems.found.append(str(error))
        problems.unreadable = True
        return {}
    if not path.read_bytes().endswith(b"\n"):
        problems.add(f"{path}:{len(lines)}", "does not end with a newline", "is the file truncated? write it again")
    table: dict[str, str] = {}
    last = ""
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        key, _, value = line.partition(" ")
        if not value.strip():
            what = "empty transcript" if path.name == "text" else "nothing after the first field"
            problems.add(where, f"{line!r}: {what}", "add it, or remove the utterance everywhere")
        elif "  " in line or line != line.strip() or any(c.isspace() and c != " " for c in line):
            problems.add(where, f"{line!r}: fields are not separated by single spaces", "replace tabs, double spaces and spaces at the ends")
        if key in table:
            problems.add(where, f"{key}: duplicate, listed before", "keep one")
        elif key < last:
            problems.add(where, f"{key} after {last}: not sorted", f"sort the file by bytes: LC_ALL=C sort -o {path.name} {path.name}")
        table.setdefault(key, value.strip())
        last = max(last, key)
    return table


def _check_agreement(path: Path, tables: dict[str, dict[str, str]], problems: Problems) -> None:
    """The files speak of the same utterances, recordings and speakers."""
    text, utt2spk, spk2utt = tables["text"], tables["utt2spk"], tables["spk2utt"]
    segments = tables.get("segments")
    for name in ("utt2spk", "utt2dur", "segments" if segments is not None else "wav.scp"):
        _check_same(path / name, tables[name].keys(), path / "text", text.keys(), "utterance", problems)
    if segments is not None:
        used = {value.split(" ")[0] for value in segments.values()}
        _check_same(path / "wav.scp", tables["wav.scp"].keys(), path / "segments", used, "recording", problems)
    told = {utterance: speaker for speaker, listed in spk2utt.items() for utterance in listed.split()}
    for utterance in sorted(utt2spk.keys() | told.keys()):
        if utt2spk.get(utterance) != told.get(utterance):
            what = f"speaker {utt2spk.get(utterance)!r} in utt2spk, {told.get(utterance)!r} in spk2utt"
            problems.add(f"{path}: utterance {utterance}", what, "make spk2utt from utt2spk again")
    if "spk2gender" in tables:
        _check_same(path / "spk2gender", tables["spk2gender"].keys(), path / "spk2utt", spk2utt.keys(), "speaker", problems)
    ordered = sorted(utt2spk)
    if ordered != sorted(utt2spk, key=lambda name: (utt2spk[name], name)):
        remedy = "begin each utterance id with its speaker, and give all speakers names of one length"
        problems.add(str(path / "utt2spk"), "sorting by speaker and by utterance disagree", remedy)


def _check_same(path: Path, keys: object, other: Path, others: object, what: str, problems: Problems) -> None:
    left, right = set(keys), set(others)  # type: ignore[call-overload]
    for key in sorted(left ^ right):
        missing = other if key in left else path
        problems.add(str(missing), f"{what} {key} is missing, {(path if key in left else other).name} has it", "add it, or remove it everywhere")


def _check_values(path: Path, tables: dict[str, dict[str, str]], problems: Problems) -> None:
    """Speakers as prefixes, plain paths, sound numbers."""
    for utterance, speaker in tables["utt2spk"].items():
        if not utterance.startswith(speaker):
            problems.add(f"{path / 'utt2spk'}: utterance {utterance}", f"does not begin with its speaker {speaker}", f"rename it, e.g. {speaker}-{utterance}")
    for key, value in tables["wav.scp"].items():
        if value.endswith("|"):
            problems.found.append(str(pipe_error(path / "wav.scp", key)))
        elif not value.startswith("/"):
            problems.add(f"{path / 'wav.scp'}: {key}", f"{value} is not an absolute path", "write the whole path")
    for utterance, value in tables["utt2dur"].items():
        if not (_number(value) > 0):
            where = f"{path / 'utt2dur'}: utterance {utterance}"
            problems.add(where, f"length {value!r} is not a positive number", "remove the utterance, or run stage 1 again")
    for utterance, value in tables.get("segments", {}).items():
        _check_segment(path / "segments", utterance, value, _number(tables["utt2dur"].get(utterance, "nan")), problems)
    for speaker, gender in tables.get("spk2gender", {}).items():
        if gender not in ("m", "f"):
            problems.add(f"{path / 'spk2gender'}: speaker {speaker}", f"gender {gender!r}", "write m or f, or remove the file")


def _check_segment(path: Path, utterance: str, value: str, duration: Seconds, problems: Problems) -> None:
    _, *times = value.split(" ")
    start, end = (_number(time) for time in times) if len(times) == 2 else (math.nan, math.nan)
    if not 0 <= start < end:
        problems.add(f"{path}: utterance {utterance}", f"{value!r} is not: recording start end, with start < end", "mend the times")
    elif abs(end - start - duration) > LENGTH_TOLERANCE:
        problems.add(f"{path}: utterance {utterance}", f"lasts {end - start:.3f} s here, {duration} s in utt2dur", "make utt2dur from segments again")


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
