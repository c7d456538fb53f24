"""Data directories: what is written is read back, and every breach of the contract is told with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, ProblemsError
from cgs.data.audio import audio_info
from cgs.data.corpus import Utterance
from cgs.data.datadir import read_data_dir, read_durations, validate_data_dir, write_data_dir

RATE = 8000
WORD = st.text("abcdefé日", min_size=1, max_size=3)


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def test_valid(data_dir: Path) -> None:
    validate_data_dir(data_dir, RATE)
    assert sorted(path.name for path in data_dir.iterdir()) == ["spk2gender", "spk2utt", "text", "utt2dur", "utt2spk", "wav.scp"]
    assert (data_dir / "spk2utt").read_text() == "s0 s0-0 s0-1\ns1 s1-2 s1-3\n"


@given(st.dictionaries(st.tuples(WORD, WORD), st.lists(WORD, min_size=1), min_size=1, max_size=8))
@settings(deadline=None)
def test_what_is_written_is_read_back_sorted_by_bytes(tmp_path_factory: pytest.TempPathFactory, texts: dict[tuple[str, str], list[str]]) -> None:
    path = tmp_path_factory.mktemp("dir")
    utterances = [Utterance(f"{s:_<3}-{u}", f"{s:_<3}", path / f"{s}{u}.wav", tuple(words)) for (s, u), words in texts.items()]
    write_data_dir(path, reversed(utterances), {u.id: 1.0 for u in utterances})
    validate_data_dir(path)
    assert read_data_dir(path) == {u.id: u for u in utterances}
    keys = [line.split(b" ")[0] for line in (path / "text").read_bytes().splitlines()]
    assert keys == sorted(keys)


def test_segments(tmp_path: Path, data_dir: Path) -> None:
    wav = read_data_dir(data_dir)["s0-0"].wav
    parts = [Utterance("s0-a", "s0", wav, ("YES",), 0.1, 0.2), Utterance("s0-b", "s0", wav, ("NO",), 0.2, 0.5)]
    write_data_dir(tmp_path / "parts", parts, {"s0-a": 0.1, "s0-b": 0.3})
    validate_data_dir(tmp_path / "parts", RATE)
    assert list(read_data_dir(tmp_path / "parts").values()) == parts
    assert read_durations(tmp_path / "parts") == {"s0-a": 0.1, "s0-b": 0.3}
    assert (tmp_path / "parts" / "wav.scp").read_text() == f"0 {wav}\n"


BREACHES = [
    ("text", lambda b: b.replace(b"s0-1 YES NO", b"s0-1 "), r"text:2: 's0-1 ': empty transcript \(add it, or remove"),
    ("text", lambda b: b.replace(b"s0-1 YES", b"s0-1\tYES"), r"text:2: .*not separated by single spaces"),
    ("text", lambda b: b.replace(b"YES NO", b"YES  NO"), r"text:1: .*not separated by single spaces"),
    ("text", lambda b: b.replace(b"\n", b"\r\n"), r"text:1: .*not separated by single spaces"),
    ("text", lambda b: b + b"s1-3 YES\n", r"text:5: s1-3: duplicate, listed before \(keep one\)"),
    ("text", lambda b: b"".join(reversed(b.splitlines(True))), r"text:2: s1-2 after s1-3: not sorted \(sort the file by bytes: LC_ALL=C"),
    ("text", lambda b: b.replace(b"s1-2 YES", b"s1-2 Y\xc9S"), r"text:3: not UTF-8 \(byte 0xc9\) \(convert the file"),
    ("text", lambda b: b[:-1], r"text:4: does not end with a newline"),
    ("text", lambda b: b"", r"text:.*newline"),
    ("text", lambda b: b"\n".join(b.split(b"\n")[1:]), r"text: utterance s0-0 is missing, utt2spk has it"),
    ("wav.scp", lambda b: b.replace(b"s0-0 ", b"s0-0 sox "), r"wav.scp: s0-0: sox .* is not an absolute path"),
    ("wav.scp", lambda b: b.replace(b"0.wav\n", b"0.wav |\n"), r"wav.scp: s0-0: a command \(pipe\) instead of a path \(run the command once"),
    ("utt2spk", lambda b: b.replace(b"s0-0 s0", b"s0-0 s1"), r"utterance s0-0: does not begin with its speaker s1 \(rename it, e.g. s1-s0-0\)"),
    ("spk2utt", lambda b: b.replace(b" s0-1", b""), r"utterance s0-1: speaker 's0' in utt2spk, None in spk2utt"),
    ("utt2dur", lambda b: b.replace(b"0.5", b"nan"), r"utterance s0-0: length 'nan0*' is not a positive number"),
    ("spk2gender", lambda b: b.replace(b"s0 f", b"s0 x"), r"spk2gender: speaker s0: gender 'x' \(write m or f"),
]


@pytest.mark.parametrize(("name", "change", "message"), BREACHES)
def test_each_breach_is_told(data_dir: Path, name: str, change: Callable[[bytes], bytes], message: str) -> None:
    edit(data_dir / name, change)
    with pytest.raises(ProblemsError, match=message) as told:
        validate_data_dir(data_dir)
    assert told.value.exit_code == DataError.exit_code


def test_recordings_are_checked(data_dir: Path) -> None:
    wavs = {name: utterance.wav for name, utterance in read_data_dir(data_dir).items()}
    edit(wavs["s0-0"], lambda b: b[:-100])
    wavs["s0-1"].unlink()
    edit(wavs["s1-2"], lambda b: b[:40] + b"\0\0\0\0")
    with pytest.raises(ProblemsError) as told:
        validate_data_dir(data_dir, RATE)
    problems = "\n".join(told.value.problems)
    assert "recording s0-0" in problems and "truncated" in problems
    assert "recording s0-1" in problems and "no such recording" in problems
    assert "recording s1-2" in problems and "no samples" in problems
    assert len(told.value.problems) == 3


def test_wrong_rate(data_dir: Path) -> None:
    with pytest.raises(ProblemsError, match="sample rate 8000 Hz, the recipe says 16000 Hz"):
        validate_data_dir(data_dir, 16000)
    validate_data_dir(data_dir, 16000, resample=True)


def test_many_problems_are_capped(data_dir: Path) -> None:
    edit(data_dir / "text", lambda b: b"".join(b"s0-%03d YES\n" % n for n in range(100)))
    with pytest.raises(ProblemsError, match=r"\d{3} problems found, the first 20 follow") as told:
        validate_data_dir(data_dir)
    assert len(told.value.problems) == 20


def test_missing_directory_and_file(data_dir: Path) -> None:
    with pytest.raises(DataError, match="no such data directory"):
        validate_data_dir(data_dir / "nowhere")
    (data_dir / "utt2dur").unlink()
    with pytest.raises(ProblemsError, match="utt2dur: no such file"):
        validate_data_dir(data_dir)


def test_same_input_same_bytes(data_dir: Path, tmp_path: Path) -> None:
    utterances = read_data_dir(data_dir)
    durations = {name: audio_info(u.wav)[1] for name, u in utterances.items()}
    write_data_dir(tmp_path / "again", utterances.values(), durations)
    for path in data_dir.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
