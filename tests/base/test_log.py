"""The log: where it goes, and progress without a terminal."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cgs.base import log


@pytest.fixture(autouse=True)
def same_log_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.LOG, "handlers", [])
    monkeypatch.setattr(log.LOG, "level", log.LOG.level)
    monkeypatch.setattr(log.LOG, "propagate", log.LOG.propagate)


def test_progress_in_a_job_tells_count_rate_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 20.0, 40.0, 60.0])
    monkeypatch.setattr(log.time, "monotonic", lambda: next(times))
    log.to_file(tmp_path / "job.log")
    assert list(log.progress("abcd", "  epoch 1 of 3, steps")) == list("abcd")
    lines = [line.partition(" INFO ")[2] for line in (tmp_path / "job.log").read_text().splitlines()]
    assert lines == ["  epoch 1 of 3, steps: 2 of 4, 0.05 a second, about 40 s left"]


def test_the_log_knows_its_file_and_a_quiet_one_tells_warnings_only(tmp_path: Path) -> None:
    assert log.file() is None
    log.to_file(tmp_path / "job.log", quiet=True)
    log.LOG.info("all is well")
    log.LOG.warning("look here")
    assert log.file() == tmp_path / "job.log" and log.LOG.getEffectiveLevel() == logging.WARNING
    assert [line.split(" ", 2)[2] for line in (tmp_path / "job.log").read_text().splitlines()] == ["WARNING look here"]
