"""The built-in corpus as a whole: made twice, killed, resumed, read and refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from cgs.base.errors import CorpusError
from cgs.base.files import read_json
from cgs.base.recipe import load_recipe, local_options, variant_names
from cgs.data.audio import read_audio
from local import mini_rm, mini_rm_synthesis
from local.mini_rm_grammar import KEYWORDS, vocabulary
from local.mini_rm_plan import draw_plan
from local.mini_rm_synthesis import SAMPLE_RATE, Speaker, components, keep_if_same_plan, noise_path, wav_path

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"train_utterances": 24, "dev_utterances": 4, "test_utterances": 8, "lm_sentences": 60}
TINY = mini_rm.Options(**SIZES, train_speakers=4, dev_speakers=2, test_speakers=3, train_noises=4, dev_noises=2, test_noises=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "raw"
    mini_rm.synthesise(root, TINY, 3, 1, root.parent / "log")
    return root


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_two_jobs_and_other_shares_give_the_same_bytes(made, tmp_path, monkeypatch):
    monkeypatch.setattr(mini_rm_synthesis, "RECORDINGS_A_JOB", 20)
    monkeypatch.setattr(mini_rm_synthesis, "NOISES_A_JOB", 6)
    mini_rm.synthesise(tmp_path / "raw", TINY, 3, 2, tmp_path / "log")
    assert files(tmp_path / "raw") == files(made)


def test_killed_synthesis_goes_on_and_ends_alike(made, tmp_path):
    root = tmp_path / "raw"
    call = f"synthesise(Path({str(root)!r}), Options(**{TINY.model_dump()!r}), 3, 1, Path({str(tmp_path / 'log')!r}))"
    code = f"from pathlib import Path; from local.mini_rm import Options, synthesise; {call}"
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list((root / "wav").glob("*.wav"))) < 3 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert not (root / "manifest.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in (root / "wav").glob("*.wav")}
    assert len(kept) >= 3
    (root / "wav" / ".trn000-00000.wav.1.tmp").write_bytes(b"half")
    mini_rm.synthesise(root, TINY, 3, 1, tmp_path / "log")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert files(root) == files(made)


def test_recordings_of_the_same_plan_are_kept_and_others_thrown_away(made, tmp_path):
    root = tmp_path / "raw"
    shutil.copytree(made, root)
    keep_if_same_plan(root, read_json(made / "plan.json")["digest"])
    assert len(list((root / "wav").iterdir())) == 36
    assert not (root / "manifest.json").exists()
    keep_if_same_plan(root, "another")
    assert not (root / "wav").exists() and not (root / "noise").exists()
    assert read_json(root / "plan.json") == {"digest": "another"}


def test_manifest_states_what_the_recordings_are(made):
    manifest, plan, speaker = read_json(made / "manifest.json"), draw_plan(TINY, 3), Speaker()
    entries = {entry["id"]: entry for entry in manifest["utterances"]}
    assert list(entries) == sorted(entries) == [recording.id for recording in plan.recordings]
    for recording in plan.recordings[::6]:
        speech = speaker.speak(recording.text, recording.voice)
        clean, dirty = components(recording, speech, read_audio(noise_path(made, recording.noise), SAMPLE_RATE))
        samples = read_audio(wav_path(made, recording.id), SAMPLE_RATE)
        np.testing.assert_allclose(samples, clean + dirty, atol=1 / 32768)
        span = np.flatnonzero(clean)
        span = slice(span[0], span[-1] + 1)
        entry = entries[recording.id]
        assert abs(10 * np.log10(np.mean(clean[span].astype(float) ** 2) / np.mean(dirty[span].astype(float) ** 2)) - entry["snr_db"]) < 0.1
        assert entry["seconds"] == len(samples) / SAMPLE_RATE
        assert entry["text"].split() == list(recording.words)


def test_recordings_have_sane_lengths_and_levels(made):
    for entry in read_json(made / "manifest.json")["utterances"]:
        samples = read_audio(made / entry["wav"], SAMPLE_RATE)
        assert 0.8 < entry["seconds"] < 7
        assert np.abs(samples).max() < 0.96
        assert -40 < 10 * np.log10(np.mean(samples.astype(float) ** 2)) < -10


def test_splits_share_no_voice_no_noise_and_no_sentence(made):
    manifest = read_json(made / "manifest.json")
    variant = {voice["speaker"]: voice["variant"] for voice in manifest["voices"]}
    entries = manifest["utterances"]
    seen: dict[str, dict[object, str]] = {"speaker": {}, "variant": {}, "noise": {}, "text": {}}
    for entry in entries:
        for what, value in (("speaker", entry["speaker"]), ("variant", variant[entry["speaker"]]), ("noise", entry["noise"]), ("text", entry["text"])):
            assert seen[what].setdefault(value, entry["split"]) == entry["split"]
    assert len(seen["text"]) == len(entries) == 36
    corpus = mini_rm.prepare(made, made, TINY, 3)
    held_out = {utterance.words for split in ("dev", "test") for utterance in corpus.splits[split]}
    assert not held_out & set(corpus.lm_text)
    assert {utterance.words for utterance in corpus.splits["train"]} <= set(corpus.lm_text)


def test_prepare_gives_the_corpus(made):
    corpus = mini_rm.prepare(made, made, TINY, 3)
    assert {split: len(utterances) for split, utterances in corpus.splits.items()} == {"train": 24, "dev": 4, "test": 8}
    assert {len({u.speaker for u in utterances}) for utterances in corpus.splits.values()} == {4, 2, 3}
    assert corpus.keywords == KEYWORDS
    assert {word for word, _ in corpus.lexicon} == set(vocabulary())
    for utterance in (u for utterances in corpus.splits.values() for u in utterances):
        assert utterance.id.startswith(f"{utterance.speaker}-") and utterance.wav.is_file() and utterance.gender in "mf"


def test_layout_errors_name_what_is_missing(made, tmp_path):
    mini_rm.check_layout(made, TINY)
    with pytest.raises(CorpusError, match="no such directory.*--stage 0"):
        mini_rm.check_layout(tmp_path / "nowhere", TINY)
    with pytest.raises(CorpusError, match="manifest.json missing; lexicon.txt missing"):
        mini_rm.check_layout(tmp_path, TINY)
    root = tmp_path / "raw"
    shutil.copytree(made, root)
    next((root / "wav").glob("tst*")).unlink()
    with pytest.raises(CorpusError, match=r"wav/tst\S+.wav missing"):
        mini_rm.check_layout(root, TINY)
    (root / "manifest.json").write_text('{"utterances": [{"id": 1}]}')
    with pytest.raises(CorpusError, match="manifest.json is not a manifest"):
        mini_rm.check_layout(root, TINY)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"train_snr_db": [9, 3]}, "first must not be above the second"),
        ({"rate_wpm": [20, 180]}, "greater than or equal to 100"),
        ({"natural_voice": "yes"}, "'off', 'train' or 'test'"),
        ({"train_utterances": 0}, "greater than 0"),
        ({"reverberant_fraction": 1.5}, "less than or equal to 1"),
        ({"voices": 3}, "Extra inputs"),
    ],
)
def test_bad_options_are_told(bad, message):
    with pytest.raises(ValidationError, match=message):
        mini_rm.Options(**bad)


def test_recipe_and_variants_load_and_state_the_options():
    for variant in ["", *variant_names("mini_rm")]:
        recipe = load_recipe("mini_rm", variant)
        assert isinstance(local_options(recipe), mini_rm.Options)
        assert {system.method for system in recipe.systems.values()} == {"dense", "cgs"}
    assert local_options(load_recipe("mini_rm")) == mini_rm.Options()


def test_importing_the_script_loads_nothing_heavy():
    code = "import sys, local.mini_rm; print([m for m in ('numpy', 'scipy', 'espeakng_loader', 'soundfile', 'torch') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip() == "[]"
