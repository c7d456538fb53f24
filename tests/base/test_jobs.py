"""Jobs: results in order, a log each, and the first error told once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cgs.base.errors import DataError, ToolError
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG


def square(x: int) -> int:
    LOG.info("squaring %d", x)
    return x * x


def fail(x: int) -> int:
    if x == 0:
        raise DataError("utterance u1: empty", "remove it")
    return x


def die(_: int) -> None:
    os._exit(9)


def bug(_: int) -> None:
    raise KeyError("oops")


def test_results_keep_their_order_and_each_job_has_a_log(tmp_path: Path) -> None:
    assert run_jobs(square, [3, 1, 2], ["three", "one", "a/two"], 2, tmp_path) == [9, 1, 4]
    assert "squaring 2" in (tmp_path / "a.two.log").read_text()


def test_error_of_a_job_reaches_the_caller(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"utterance u1: empty \(remove it\)"):
        run_jobs(fail, [1, 0], ["a", "b"], 2, tmp_path)


def test_dead_job_and_bug_name_the_log(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="a job died"):
        run_jobs(die, [1], ["a"], 1, tmp_path)
    with pytest.raises(ToolError, match=r"KeyError.*b\.log"):
        run_jobs(bug, [1], ["b"], 1, tmp_path)
