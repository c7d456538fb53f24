"""The command cgs on an experiment of tones: export, recordings, streams, and whatever can be wrong with each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from cgs.base.files import read_json
from cgs.cli.main import main
from cgs.data.audio import read_audio, write_wav
from cgs.decode.listen import Ear
from cgs.decode.model_dir import Listening, Model

from .conftest import RATE, spoken  # isort: skip

ROOT = Path(__file__).resolve().parents[2]
Told = Callable[[], tuple[str, str]]


@pytest.fixture(scope="session")
def model(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "words"
    assert main(["export", str(tones), "--system", "words", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def spotter(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "spotter"
    assert main(["export", str(tones), "--system", "spotter", "--out", str(out)]) == 0
    return out


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    def read() -> tuple[str, str]:
        captured = capsys.readouterr()
        return captured.out, captured.err

    return read


def recordings(tones: Path) -> list[Path]:
    return sorted((tones / "audio" / "test").glob("*.wav"))


def test_whole_test_split_as_stage_8_has_it_from_files_and_from_streams_of_any_pieces(tones: Path, model: Path, tmp_path: Path) -> None:
    """The words are those of stage 8, which searches an utterance as a whole; a stream gives the same words at the same times."""
    rng, loaded, choice = np.random.default_rng(0), {}, Listening(pause=0.5)
    loaded["packed"] = Model(model)
    assert main(["export", str(tones), "--system", "words", "--engine", "float", "--out", str(tmp_path / "float")]) == 0
    loaded["float"] = Model(tmp_path / "float")
    n_words = 0
    for engine, one in loaded.items():
        lines = (tones / "8-decode" / "words" / "seed1" / f"{engine}.test.jsonl").read_text().splitlines()
        wanted = {told["id"]: told["hyp"] for told in map(json.loads, lines)}
        for path in recordings(tones):
            samples = read_audio(path, RATE)
            whole = one.transcribe(samples, choice)
            assert " ".join(u.text for u in whole) == wanted[path.stem], path.stem
            ear, events, cuts = Ear(one, choice), [], np.sort(rng.integers(0, len(samples), 40))
            for piece in np.split(samples, cuts):
                events += ear.accept(piece)
            events += ear.finish()
            assert [event.final for event in events if event.final] == whole, path.stem
            n_words += sum(len(u.words) for u in whole)
    assert n_words > 30


def test_export_holds_no_path_of_this_machine_and_says_where_it_comes_from(model: Path, tones: Path) -> None:
    facts = read_json(model / "model.json")
    assert facts["corpus"] == {"licence": "none needed", "attribution": "nobody"} and facts["trained"]["commit"] == "abc"
    assert facts["decode"]["acoustic_scale"] == 0.3 and facts["decode"]["insertion_penalty"] == 0.5
    assert facts["measured"]["wer"] == read_json(tones / "8-decode" / "words" / "seed1" / "result.json")["engines"]["packed"]["test"]["wer"]
    assert set(facts["files"]) == {str(p.relative_to(model)) for p in model.rglob("*") if p.is_file()} - {"model.json"}
    for path in model.rglob("*"):
        assert path.is_dir() or str(tones).encode() not in path.read_bytes(), path
    assert "none needed" in (model / "NOTICE").read_text()


def test_model_works_where_the_experiment_is_not(model: Path, tones: Path, tmp_path: Path, told: Told) -> None:
    shutil.copytree(model, tmp_path / "there")
    path = recordings(tones)[0]
    assert main(["transcribe", str(tmp_path / "there"), str(path), "--nj", "1"]) == 0
    words = (tones / "1-data" / "test" / "text").read_text().splitlines()[0]
    assert told()[0] == f"{words}\n"


def test_formats_agree_and_processes_change_nothing(model: Path, tones: Path, tmp_path: Path, told: Told) -> None:
    folder = str(tones / "audio" / "test")
    for form, nj in (("json", "1"), ("ctm", "2"), ("text", "2")):
        assert main(["transcribe", str(model), folder, "--format", form, "--nj", nj, "--out", str(tmp_path / form)]) == 0
    lines = [json.loads(line) for line in (tmp_path / "json").read_text().splitlines()]
    assert [Path(line["file"]) for line in lines] == recordings(tones)
    words = [(Path(x["file"]).stem, w["word"], w["start"]) for x in lines for u in x["utterances"] for w in u["words"]]
    columns = [line.split() for line in (tmp_path / "ctm").read_text().splitlines()]
    assert [(c[0], c[4], float(c[2])) for c in columns] == words
    texts = dict(line.split(" ", 1) for line in (tmp_path / "text").read_text().splitlines())
    assert {Path(x["file"]).stem: " ".join(u["text"] for u in x["utterances"]) for x in lines} == texts
    assert main(["transcribe", str(model), folder, "--format", "srt", "--nj", "1"]) == 2
    assert "8 recordings into one stream of subtitles (give --out FOLDER" in told()[1]
    assert main(["transcribe", str(model), folder, "--format", "srt", "--nj", "1", "--out", str(tmp_path / "srt")]) == 0
    assert sorted(p.stem for p in (tmp_path / "srt").iterdir()) == [p.stem for p in recordings(tones)]


def test_times_are_those_of_the_tones(model: Path) -> None:
    samples, stretches = spoken(["", "maybe", "", "no", ""], np.random.default_rng(8), (30, 40))
    ends = np.cumsum([n for *_, n in stretches]) / 100
    (utterance,) = Model(model).transcribe(samples.astype(np.float32), Listening())
    assert [(w.word, w.start, w.end) for w in utterance.words] == [
        ("maybe", pytest.approx(ends[0], abs=0.03), pytest.approx(ends[3], abs=0.03)),
        ("no", pytest.approx(ends[4], abs=0.03), pytest.approx(ends[6], abs=0.03)),
    ]


def test_long_pauses_part_utterances_and_long_speech_is_cut(model: Path) -> None:
    """Ten minutes of words are heard whole whatever the limits; pauses of 1 s end utterances, and without any the length does."""
    rng, words = np.random.default_rng(5), ["yes", "no", "maybe", "no", "yes", "maybe"] * 4
    apart, _ = spoken([part for word in words for part in ("", word)] + [""], rng, (100, 110))
    one_by_one = Model(model).transcribe(apart.astype(np.float32), Listening())
    assert [u.text for u in one_by_one] == words
    together, _ = spoken([part for word in words for part in ("", word)] + [""], rng, (8, 12))
    cut = Model(model).transcribe(together.astype(np.float32), Listening(longest=2.0))
    assert [w.word for u in cut for w in u.words] == words
    assert 4 <= len(cut) < len(words) and max(u.end - u.start for u in cut) <= 2.0


def test_bad_recordings_are_told_and_the_others_transcribed(model: Path, tmp_path: Path, told: Told, tones: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = recordings(tones)[0]
    samples = read_audio(good, RATE)
    shutil.copy(good, folder / "good.wav")
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("no sound")
    (folder / "cut.wav").write_bytes(good.read_bytes()[:4000])
    sf.write(folder / "stereo.wav", np.stack([samples, samples], axis=1), RATE)
    sf.write(folder / "nan.wav", np.where(np.arange(len(samples)) == 7, np.nan, samples), RATE, subtype="FLOAT")
    write_wav(folder / "fast.wav", samples, 16000)
    write_wav(folder / "short.wav", samples[:9], RATE)
    assert main(["transcribe", str(model), str(folder), "--nj", "1"]) == 4
    out, err = told()
    assert [line.split()[0] for line in out.splitlines()] == ["good"]
    lines = err.strip().splitlines()
    expected = {
        "cut.wav": "truncated", "empty.wav": "the file is empty", "fast.wav": "sample rate 16000 Hz, the model takes 8000 Hz (give --resample",
        "nan.wav": "sample 7 is not a finite number", "short.wav": "9 samples are too short", "stereo.wav": "2 channels", "text.wav": "not readable as audio",
    }  # fmt: skip
    assert len(lines) == len(expected) + 1 and lines[-1] == "error: 7 of 8 recordings could not be transcribed, see above"
    for line, (name, why) in zip(lines, expected.items(), strict=False):
        assert line.startswith(f"error: {folder / name}: ") and why in line
    assert main(["transcribe", str(model), str(folder / "fast.wav"), "--resample", "--nj", "1"]) == 0


@pytest.mark.parametrize(
    ("damage", "code", "why"),
    [
        (lambda m: shutil.rmtree(m), 4, "no such directory (give a folder that cgs export wrote)"),
        (lambda m: (m / "HCLG.fst").unlink(), 6, "HCLG.fst: missing"),
        (lambda m: (m / "network" / "model.cgs").write_bytes(b"x"), 6, "model.cgs: altered since it was exported"),
        (lambda m: (m / "model.json").unlink(), 6, "not a model directory"),
        (lambda m: (m / "model.json").write_text("{}"), 6, "not the description of an exported model"),
        (lambda m: (m / "model.json").write_text('{"kind": "cgs model", "version": 9}'), 6, "version 9, this program reads 1"),
    ],
)
def test_damaged_models_are_refused(damage: Callable[[Path], object], code: int, why: str, model: Path, tmp_path: Path, told: Told) -> None:
    shutil.copytree(model, tmp_path / "m")
    damage(tmp_path / "m")
    assert main(["transcribe", str(tmp_path / "m"), "x.wav"]) == code
    assert main(["decode", str(tmp_path / "m"), "--stream", "x.wav"]) == code
    first, second = told()[1].splitlines()
    assert first == second and why in first


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["--system", "word"], 2, "no system 'word' (did you mean 'words'?)"),
        (["--system", "words", "--seed", "7"], 2, "no seed 7 (seeds: 1)"),
        (["--system", "words", "--vocabulary", "big"], 2, "no decoding graph of vocabulary 'big' (vocabularies: train)"),
    ],
)
def test_export_of_what_there_is_not(arguments: list[str], code: int, why: str, tones: Path, tmp_path: Path, told: Told) -> None:
    assert main(["export", str(tones), *arguments, "--out", str(tmp_path / "m")]) == code
    assert why in told()[1] and not list(tmp_path.iterdir())


def test_export_is_whole_or_not_at_all(tones: Path, model: Path, tmp_path: Path, told: Told) -> None:
    shutil.copytree(tones, tmp_path / "exp")
    (tmp_path / "exp" / "8-decode" / "graph" / "train" / "HCLG.fst").write_bytes(b"altered")
    (tmp_path / "out").mkdir()
    assert main(["export", str(tmp_path / "exp"), "--system", "words", "--out", str(tmp_path / "out" / "m")]) == 6
    assert "HCLG.fst: missing or altered since it was made" in told()[1] and not list((tmp_path / "out").iterdir())
    shutil.rmtree(tmp_path / "exp" / "10-report")
    assert main(["export", str(tmp_path / "exp"), "--system", "words", "--out", str(tmp_path / "out" / "m")]) == 4
    assert "10-report: not made yet (run the recipe to its end, from --stage 10)" in told()[1]
    assert main(["export", str(tones), "--system", "words", "--out", str(model)]) == 2
    assert "is there already (remove it, or choose another --out)" in told()[1]


def test_adapted_features_are_refused_with_the_reason(tones: Path, tmp_path: Path, told: Told) -> None:
    from cgs.base.files import file_digest, write_json

    shutil.copytree(tones, tmp_path / "exp")
    unit = tmp_path / "exp" / "5-acoustic" / "words" / "seed1"
    described = read_json(unit / "model.json")
    described["features"]["kind"] = "fmllr"
    write_json(unit / "model.json", described)
    stamp = read_json(unit / "stamp.json")
    write_json(unit / "stamp.json", stamp | {"sha256": stamp["sha256"] | {"model.json": file_digest(unit / "model.json")}})
    assert main(["export", str(tmp_path / "exp"), "--system", "words", "--out", str(tmp_path / "m")]) == 2
    assert 'export a network trained with nn.features = "fbank"' in told()[1]


def test_frames_at_the_rate_of_a_speaker_are_refused_with_the_reason(tones: Path, tmp_path: Path, told: Told) -> None:
    from cgs.base.files import write_json

    shutil.copytree(tones, tmp_path / "exp")
    stamp = tmp_path / "exp" / "3-feats" / "stamp.json"
    write_json(stamp, (made := read_json(stamp)) | {"options": made["options"] | {"feats.rate": "speaker"}})
    assert main(["export", str(tmp_path / "exp"), "--system", "words", "--out", str(tmp_path / "m")]) == 2
    assert 'export a network trained with feats.rate = "none"' in told()[1] and not (tmp_path / "m").exists()


def test_keywords_are_heard_from_files_and_streams_alike(spotter: Path) -> None:
    words = ["yes", "no", "maybe", "no", "yes"]
    samples, stretches = spoken([part for word in words for part in ("", word)] + [""], np.random.default_rng(2), (40, 50))
    found = Model(spotter).transcribe(samples.astype(np.float32), Listening(threshold=0.6))
    assert [u.text for u in found] == ["yes", "maybe", "yes"]
    ends = np.cumsum([n for *_, n in stretches]) / 100
    starts = [end - n / 100 for (word, _, n), end in zip(stretches, ends, strict=True) if word in ("yes", "maybe")]
    assert [u.start for u in found] == pytest.approx([starts[0], starts[2], starts[5]], abs=0.25)
    assert all(0.6 <= u.words[0].confidence <= 1 for u in found)
    ear = Ear(Model(spotter), Listening(threshold=0.6))
    events = [event for piece in np.array_split(samples.astype(np.float32), 37) for event in ear.accept(piece)] + list(ear.finish())
    assert [event.final for event in events if event.final] == found
    assert ("yes",) in [event.partial for event in events]


def piped(model: Path, data: bytes, *more: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "cgs", "decode", str(model), "--stream", *more]
    done = subprocess.run(words, cwd=ROOT, input=data, capture_output=True, check=False)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_pipe_of_samples_tells_partial_and_final_words(model: Path, tones: Path) -> None:
    path = recordings(tones)[1]
    raw = path.read_bytes()[44:]
    done = piped(model, raw, "--format", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    finals = [event["final"] for event in events if "final" in event]
    assert done.returncode == 0 and " ".join(f["text"] for f in finals) in (tones / "1-data" / "test" / "text").read_text()
    partials = [event["partial"] for event in events if "partial" in event]
    assert partials and finals[-1]["text"].startswith(partials[0]) and events[0]["at"] < events[-1]["at"]
    assert "s heard, real-time factor 0." in done.stderr
    wav, odd = piped(model, path.read_bytes()), piped(model, raw + b"\0")
    assert wav.stdout == odd.stdout != "" and (wav.returncode, odd.returncode) == (0, 4)
    assert "standard input: an odd number of bytes" in odd.stderr
    assert "standard input: no sample came" in piped(model, b"").stderr


def test_reader_that_goes_away_and_ctrl_c_leave_no_traceback(model: Path, tones: Path) -> None:
    words = [sys.executable, "-m", "cgs"]
    paths = " ".join(map(str, recordings(tones)))
    piped_ = f"{' '.join(words)} transcribe {model} {paths} --nj 1 --format ctm | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", piped_], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr and len(done.stdout.splitlines()) == 2
    raw = recordings(tones)[0].read_bytes()[44:]
    process = subprocess.Popen([*words, "decode", str(model), "--stream", "--format", "json"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)  # fmt: skip
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    process.stdin.write(raw)
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and err == b"interrupted\n" and b'"final"' in out


def test_command_works_from_any_folder_and_through_a_link(tmp_path: Path) -> None:
    """What the pages say: bin/cgs, on the PATH or linked from somewhere."""
    (tmp_path / "cgs").symlink_to(ROOT / "bin" / "cgs")
    environment = os.environ | {"CGS_VENV": os.environ.get("CGS_VENV", str(Path(sys.prefix)))}
    done = subprocess.run([tmp_path / "cgs", "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "transcribe" in done.stdout, done.stderr
