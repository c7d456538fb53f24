"""Noise recordings and rooms that a recipe names: found, digested, told."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import ConfigError, DataError
from cgs.data.audio import write_wav
from cgs.data.noises import find_sources, sources_digest


def planted(root: Path) -> None:
    write_wav(root / "noise" / "music" / "b.wav", np.ones(100) * 0.1, 8000)
    write_wav(root / "noise" / "a.wav", np.ones(100) * 0.1, 16000)
    write_wav(root / "hum.wav", np.ones(100) * 0.1, 44100)
    (root / "noise" / "LICENSE").write_text("free")


def test_folders_are_searched_and_files_taken_and_other_rates_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    planted(tmp_path)
    with caplog.at_level(logging.INFO):
        found = find_sources("feats.noise.noises", ["noise", str(tmp_path / "hum.wav")], tmp_path, 8000)
    assert found == (tmp_path / "noise" / "a.wav", tmp_path / "noise" / "music" / "b.wav", tmp_path / "hum.wav")
    assert "feats.noise.noises: 3 recordings, 2 to be resampled from 16000, 44100 Hz" in caplog.text
    assert find_sources("feats.noise.rooms", [], tmp_path, 8000) == ()


def test_what_is_not_there_or_holds_nothing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^feats\.noise\.rooms: \S+/rirs: no such file or folder \(correct the path"):
        find_sources("feats.noise.rooms", ["rirs"], tmp_path, 8000)
    (tmp_path / "rirs").mkdir()
    with pytest.raises(ConfigError, match=r"^feats\.noise\.rooms: \S+/rirs: no recording in it"):
        find_sources("feats.noise.rooms", ["rirs"], tmp_path, 8000)
    (tmp_path / "rirs" / "r.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"r\.wav: truncated"):
        find_sources("feats.noise.rooms", ["rirs"], tmp_path, 8000)


def test_the_digest_follows_names_and_sizes(tmp_path: Path) -> None:
    planted(tmp_path)
    names = ["noise", "hum.wav", "none"]
    before = sources_digest(names, tmp_path)
    assert before["none"] == "" and before["hum.wav"] == "244 bytes" and before == sources_digest(names, tmp_path)
    write_wav(tmp_path / "noise" / "music" / "b.wav", np.ones(101) * 0.1, 8000)
    after = sources_digest(names, tmp_path)
    assert after["noise"] != before["noise"] and after["hum.wav"] == before["hum.wav"]
