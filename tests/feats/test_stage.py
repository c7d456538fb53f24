"""Stage 3 on made recordings: archives, alignment with utt2dur, segments, CMVN on loading, copies, the same bytes for any --nj."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import ConfigError, DataError, FormatError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json
from cgs.base.jobs import run_jobs
from cgs.base.options import NoiseOptions, Recipe
from cgs.base.unit import Unit
from cgs.data.audio import write_wav
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir
from cgs.feats import extract
from cgs.feats.archive import read_archive
from cgs.feats.compute import KINDS, compute, mfcc
from cgs.feats.load import load_features
from cgs.stages import feats

RATE = 8000


def recipe() -> Recipe:
    return Recipe.model_validate(
        {
            "recipe": {"name": "made", "title": "made"},
            "corpus": {"licence": "none", "attribution": "nobody"},
            "data": {"sample_rate": RATE},
            "systems": {"dense": {"task": "asr", "method": "dense", "hidden": [8]}},
        }
    )


def made(root: Path, n_jobs: int = 1, speeds: tuple[float, ...] = (), noise: NoiseOptions | None = None, rate: str = "none") -> Experiment:
    """An experiment whose stage 1 holds two speakers of noise; "test" is cut out of one recording."""
    options = recipe()
    changed = options.feats.model_copy(update={"speeds": list(speeds), "noise": noise or NoiseOptions(), "rate": rate})
    exp = Experiment(root, options.model_copy(update={"feats": changed}), corpus=root, n_jobs=n_jobs)
    rng = np.random.default_rng(1)
    with Unit(root, "1-data", {}, [], []).writing() as out:
        for split in ("train", "dev"):
            utterances = []
            for index in range(6):
                wav = root / "audio" / f"{split}{index}.wav"
                write_wav(wav, rng.standard_normal(4000 + 333 * index) * 0.1 * (1 + index % 2), RATE)
                utterances.append(Utterance(f"s{index % 2}-{split}{index}", f"s{index % 2}", wav, ("yes",)))
            write_data_dir(out / split, utterances, {u.id: 0.5 for u in utterances})
        wav = root / "audio" / "train0.wav"
        cut = [Utterance("s9-a", "s9", wav, ("no",), 0.1, 0.3), Utterance("s9-b", "s9", wav, ("no",), 0.3, 0.5)]
        write_data_dir(out / "test", cut, {"s9-a": 0.2, "s9-b": 0.2})
        write_json(out / "data.json", {"splits": {"train": {}, "dev": {}, "test": {}}})
    return exp


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    exp = made(tmp_path_factory.mktemp("feats"))
    feats.run(exp)
    return exp


def test_counts_and_contents(exp: Experiment) -> None:
    out = exp.root / "3-feats"
    assert read_json(out / "feats.json")["splits"]["test"] == {"utterances": 2, "speakers": 1, "frames": 40}
    assert not (out / "pieces").exists()
    for kind, dimension in (("mfcc", 13), ("fbank", 40)):
        arrays = read_archive(out / kind / "train.scp")
        assert list(arrays) == sorted(arrays) and len(arrays) == 6
        assert all(array.shape[1] == dimension and array.dtype == np.float32 for array in arrays.values())
        stats = read_archive(out / kind / "cmvn_train.scp")
        assert set(stats) == {"s0", "s1"} and stats["s0"].shape == (2, dimension + 1)
        np.testing.assert_allclose(sum(stats.values()), read_archive(out / kind / "cmvn_global.scp")["global"])
    assert str(out) in (out / "mfcc" / "train.scp").read_text()


def test_segments_are_cut_out(exp: Experiment) -> None:
    from cgs.data.audio import read_audio

    whole = read_audio(exp.root / "audio" / "train0.wav", RATE)
    features = load_features(exp.root / "3-feats", "mfcc", "test", "none")
    np.testing.assert_array_equal(features["s9-a"], mfcc(whole[800:2400], exp.recipe.feats, RATE))


def test_copies_at_other_speeds_are_longer_and_shorter(exp: Experiment, tmp_path: Path) -> None:
    fast_and_slow = made(tmp_path, n_jobs=2, speeds=(2.0, 0.5))
    feats.run(fast_and_slow)
    out = tmp_path / "3-feats"
    copies, originals = read_archive(out / "fbank" / "train_sp.scp"), read_archive(exp.root / "3-feats" / "fbank" / "train.scp")
    assert set(copies) == {f"sp{speed}-{name}" for speed in ("0.5", "2") for name in originals}
    for name, matrix in originals.items():
        assert len(copies[f"sp0.5-{name}"]) == pytest.approx(2 * len(matrix), abs=1)
        assert len(copies[f"sp2-{name}"]) == pytest.approx(len(matrix) / 2, abs=1)
    assert "sp2-s1" in read_archive(out / "fbank" / "cmvn_train_sp.scp")
    np.testing.assert_array_equal(read_archive(out / "fbank" / "cmvn_global.scp")["global"], read_archive(exp.root / "3-feats/fbank/cmvn_global.scp")["global"])
    assert read_json(out / "feats.json")["splits"]["train_sp"]["speakers"] == 4


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    root = tmp_path_factory.mktemp("noisy")
    write_wav(root / "noises" / "rain.wav", np.random.default_rng(2).standard_normal(9000) * 0.1, 16000)
    write_wav(root / "rooms" / "hall.wav", np.eye(1, 900, 80)[0] + np.random.default_rng(3).standard_normal(900) * 0.05, RATE)
    exp = made(root, n_jobs=2, speeds=(2.0,), noise=NoiseOptions(noises=["noises"], rooms=[str(root / "rooms")], copies=3))
    feats.run(exp)
    return exp


def test_copies_in_noise_have_the_frames_of_what_they_were_made_of(exp: Experiment, noisy: Experiment) -> None:
    out = noisy.root / "3-feats"
    copies = read_archive(out / "fbank" / "train_noisy.scp")
    clean = read_archive(out / "fbank" / "train.scp") | read_archive(out / "fbank" / "train_sp.scp")
    assert list(copies) == sorted(copies) and len(copies) == 3 * 6
    assert 0 < sum("-sp2-" in name for name in copies) < len(copies)
    for name, matrix in copies.items():
        source = clean[name.partition("-")[2]]
        assert matrix.shape == source.shape and not np.allclose(matrix, source, atol=0.1)
    speakers = {name.partition("-")[0] + "-" + name.partition("-")[2].rpartition("-")[0] for name in copies}
    assert set(read_archive(out / "mfcc" / "cmvn_train_noisy.scp")) == speakers
    for name in ("train.ark", "cmvn_global.ark", "test.ark"):
        assert (out / "mfcc" / name).read_bytes() == (exp.root / "3-feats" / "mfcc" / name).read_bytes()


def test_a_changed_noise_folder_makes_the_stage_stale(noisy: Experiment) -> None:
    unit = feats.units(noisy)[0]
    assert unit.why_stale() == ""
    extra = noisy.root / "noises" / "wind.wav"
    write_wav(extra, np.ones(100) * 0.1, RATE)
    assert "option noise_digest.noises" in feats.units(noisy)[0].why_stale()
    extra.unlink()
    assert feats.units(noisy)[0].why_stale() == ""
    louder = noisy.recipe.feats.model_copy(update={"noise": noisy.recipe.feats.noise.model_copy(update={"snr_db": (0.0, 5.0)})})
    assert "snr_db" in feats.units(Experiment(noisy.root, noisy.recipe.model_copy(update={"feats": louder}), corpus=noisy.root))[0].why_stale()


def test_a_noise_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"feats\.noise\.rooms: \S+/none: no such file or folder"):
        feats.run(made(tmp_path, noise=NoiseOptions(rooms=["none"])))
    assert not (tmp_path / "3-feats").exists()


def test_a_killed_run_goes_on_with_the_pieces_it_lacks(noisy: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("noises", "rooms"):
        (tmp_path / name).symlink_to(noisy.root / name)
    again = made(tmp_path, speeds=(2.0,), noise=noisy.recipe.feats.noise.model_copy(update={"rooms": ["rooms"]}))
    done, extracted = [], extract.extract_piece

    def dies(function: object, pieces: list[extract.Piece], *_: object) -> list[extract.Statistics]:
        for piece in pieces:
            if len(done) == 3:
                raise KeyboardInterrupt
            extracted(piece)
            done.append(piece)
        raise AssertionError

    monkeypatch.setattr("cgs.feats.extract.MIN_PIECE", 2)
    monkeypatch.setattr("cgs.feats.extract.MAX_PIECE", 2)
    monkeypatch.setattr("cgs.stages.feats.run_jobs", dies)
    with pytest.raises(KeyboardInterrupt):
        feats.run(again)
    half = done[-1].directory / f"{done[-1].stem('mfcc', 'cmvn_')}.scp"
    half.unlink()  # as if killed between features and statistics
    computed = []
    monkeypatch.setattr("cgs.feats.extract.compute", lambda *args: computed.append(args[0]) or compute(*args))
    monkeypatch.setattr("cgs.stages.feats.run_jobs", lambda function, items, *_: [function(item) for item in items])
    feats.run(again)
    assert len(computed) == 2 * (6 + 6 + 2 + 6 + 18 - 2 * 2)
    for kind in KINDS:
        for name in ("train.ark", "train_noisy.ark", "cmvn_train_noisy.ark", "cmvn_global.ark"):
            assert (tmp_path / "3-feats" / kind / name).read_bytes() == (noisy.root / "3-feats" / kind / name).read_bytes()


def test_pieces_of_another_number_of_jobs_are_made_again(tmp_path: Path) -> None:
    exp = made(tmp_path)
    utterances = tuple(Utterance(f"s0-{n}", "s0", tmp_path / "audio" / f"train{n}.wav", ()) for n in range(3))
    first = extract.Piece("train", 0, utterances[:2], exp.recipe.feats, RATE, False, tmp_path / "pieces")
    told = extract.extract_piece(first)
    kept = extract.extract_piece(first)
    assert all(np.array_equal(kept[kind][name], stats) for kind in KINDS for name, stats in told[kind].items())
    assert list(extract.extract_piece(replace(first, utterances=utterances))["mfcc"]) == ["s0-0", "s0-1", "s0-2"]


def test_loading_normalises_by_speaker_or_corpus(exp: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cgs.feats.cmvn.smoothed.__defaults__", (0,))
    out = exp.root / "3-feats"
    features = load_features(out, "fbank", "train", "speaker")
    for speaker in ("s0", "s1"):
        frames = np.concatenate([matrix for name, matrix in features.items() if name.startswith(speaker)])
        np.testing.assert_allclose(frames.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(frames.std(0), 1, atol=1e-3)
    frames = np.concatenate(list(load_features(out, "fbank", "train", "global").values()))
    np.testing.assert_allclose(frames.mean(0), 0, atol=1e-4)
    assert abs(np.concatenate(list(load_features(out, "fbank", "dev", "global").values())).mean()) > 1e-5


def test_second_run_does_nothing_and_pieces_do_not_show(exp: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert feats.units(exp)[0].up_to_date()
    other = made(tmp_path)
    monkeypatch.setattr("cgs.feats.extract.MIN_PIECE", 1)
    monkeypatch.setattr("cgs.feats.extract.MAX_PIECE", 2)
    monkeypatch.setattr("cgs.base.jobs.run_jobs", lambda function, items, *_: [function(item) for item in items])
    feats.run(other)
    for kind in KINDS:
        for name in ("train.ark", "cmvn_train.ark", "cmvn_global.ark"):
            assert (other.root / "3-feats" / kind / name).read_bytes() == (exp.root / "3-feats" / kind / name).read_bytes()


def test_piece_sizes() -> None:
    assert [extract.piece_size(n, jobs) for n, jobs in ((10, 2), (2500, 2), (400, 4), (0, 1))] == [50, 500, 100, 50]


def test_too_short_a_recording_is_named_and_earlier_features_stay(tmp_path: Path) -> None:
    exp = made(tmp_path)
    wav = tmp_path / "audio" / "short.wav"
    write_wav(wav, np.zeros(39), RATE)
    piece = extract.Piece("train", 0, (Utterance("s0-short", "s0", wav, ("yes",)),), exp.recipe.feats, RATE, False, tmp_path)
    with pytest.raises(DataError, match=r"short\.wav: utterance s0-short: 39 samples are too short"):
        run_jobs(extract.extract_piece, [piece], ["short"], 1, tmp_path / "log")


def test_nan_in_an_archive_stops_a_later_stage(exp: Experiment) -> None:
    path = exp.root / "3-feats" / "fbank" / "dev.ark"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-4] + np.float32(np.nan).tobytes())
        with pytest.raises(FormatError, match=r"dev\.ark: s1-dev5: holds NaN"):
            load_features(exp.root / "3-feats", "fbank", "dev")
        path.write_bytes(whole[:-4])
        with pytest.raises(FormatError, match=r"dev\.ark: s1-dev5: truncated"):
            load_features(exp.root / "3-feats", "fbank", "dev")
    finally:
        path.write_bytes(whole)
