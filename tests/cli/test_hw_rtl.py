"""cgs hw rtl on exported models: the bench's frames are those of the recordings."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cgs.cli.main import main
from cgs.data.audio import read_audio
from cgs.decode.model_dir import NETWORK_DIR, Model
from cgs.decode.scores import NetworkScores
from cgs.feats.splice import with_edges
from cgs.quant.engine import IntegerEngine
from cgs.quant.model import PackedModel
from cgs.quant.packed import write_packed

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@pytest.mark.parametrize("system", ["words", "spotter"])
def test_frames_of_recordings_give_the_scores_of_the_exported_model(tones: Path, system: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    exported, out = tmp_path / system, tmp_path / "rtl"
    assert main(["export", str(tones), "--system", system, "--out", str(exported)]) == 0
    first, second = sorted((tones / "audio" / "test").glob("*.wav"))[:2]
    features = [Model(exported).normalised(read_audio(path, Model(exported).sample_rate)) for path in (first, second)]
    n_frames = len(features[0]) + 3
    simulate = ["--simulate"] if shutil.which("verilator") else []
    capsys.readouterr()
    arguments = ["hw", "rtl", str(exported), "--out", str(out), "--recording", str(first), "--recording", str(second), "--n-frames", str(n_frames)]
    assert main([*arguments, *simulate]) == 0
    told = capsys.readouterr().out
    assert f"{n_frames} frames of recordings" in told and (not simulate or f"{n_frames} frames bit for bit" in told)

    scores = NetworkScores("packed", exported / NETWORK_DIR, exported / NETWORK_DIR)
    expected = np.concatenate([scores.logits(one) for one in features])[:n_frames]
    bits = int(next(line.split("= ")[1].rstrip(";") for line in (out / "cgs_chip_pkg.sv").read_text().splitlines() if " AccBits = " in line))
    sums = np.array([int(word, 16) for word in (out / "images" / "results.hex").read_text().split()]).reshape(n_frames, -1)
    sums[sums >= 1 << (bits - 1)] -= 1 << bits
    ratio = expected[np.abs(sums) > 100] / sums[np.abs(sums) > 100]
    assert np.unique(ratio).size == 1, "accumulators times one power of two are the scores"


def test_recordings_of_an_lstm_follow_each_other_with_the_frames_around_them(
    tones: Path, made: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """In place of the exported network, one of cells on the same features."""
    exported, out = tmp_path / "words", tmp_path / "rtl"
    assert main(["export", str(tones), "--system", "words", "--out", str(exported)]) == 0
    given, recordings = Model(exported).facts["features"], sorted((tones / "audio" / "test").glob("*.wav"))[:2]
    features = [Model(exported).normalised(read_audio(path, Model(exported).sample_rate)) for path in recordings]
    of_h = {"input_bits": 8, "input_signed": True, "input_fraction_bits": 7}
    more = of_h | {"input_fraction_bits": 4, "output_bits": 8, "output_fraction_bits": 7, "output_signed": True, "cells": True}
    random = np.random.default_rng(0)
    cells = made.random_layer(random, 8 + features[0].shape[1], 32, relu=False, **more)
    model = PackedModel((cells, made.random_layer(random, 8, 4, relu=False, **of_h, output_fraction_bits=12)), {"features": given | {"left": 2, "right": 3}})
    monkeypatch.setattr("cgs.quant.packed.read_packed", lambda path: model)
    simulate = ["--simulate"] if shutil.which("verilator") else []
    capsys.readouterr()
    arguments = ["hw", "rtl", str(exported), "--out", str(out), "--n-frames", str(len(features[0]) + 20)]
    assert main([*arguments, *(word for path in recordings for word in ("--recording", str(path))), *simulate]) == 0
    assert not simulate or f"{len(features[0]) + 20} frames bit for bit" in capsys.readouterr().out
    frames = np.concatenate([with_edges(one, given["left"], given["right"]) for one in features])[: len(features[0]) + 20]
    sums = IntegerEngine(model).integers(frames)[-1]
    assert len((out / "images" / "results.hex").read_text().split()) == sums.size


def test_what_cannot_be_listened_to_is_one_line(tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    exported, out = tmp_path / "model", tmp_path / "rtl"
    assert main(["export", str(tones), "--system", "words", "--out", str(exported)]) == 0
    capsys.readouterr()
    assert main(["hw", "rtl", str(exported), "--out", str(out), "--recording", str(tmp_path / "none.wav")]) == 4
    error = capsys.readouterr().err
    assert "none.wav" in error and error.count("\n") == 1 and not out.exists()


@pytest.mark.skipif(not (shutil.which("yosys") and shutil.which("verilator") and OSU018.is_file()), reason="yosys, verilator or qflow's cells are missing")
def test_gates_and_their_switching_are_told(made: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_packed(tmp_path / "model.cgs", made.random_model(1, widths=(6, 5, 3), bits=3))
    arguments = ["hw", "rtl", str(tmp_path / "model.cgs"), "--n-macs", "2", "--n-frames", "3", "--synthesise", "--switching"]
    assert main([*arguments, "--out", str(tmp_path / "rtl"), "--liberty", str(OSU018)]) == 0
    told = capsys.readouterr().out
    assert "gate equivalents without memories" in told and "osu018_stdcells at 1.8 V, 3 frames" in told
    for part in ("mac", "operands", "control", "output", "clock", "all"):
        assert f"\n  {part} " in told
    assert main([*arguments, "--out", str(tmp_path / "other")]) == 2
    assert "--switching: energy needs the cells of a library" in capsys.readouterr().err and not (tmp_path / "other").exists()
