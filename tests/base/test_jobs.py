"""Jobs: results in order, a log each, and the first error told once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from cgs.base.errors import DataError, ToolError
from cgs.base.jobs import answers, run_jobs
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


def linger(directory: str) -> None:
    Path(directory, str(os.getpid())).touch()
    time.sleep(60)


ORPHAN = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_jobs import linger
from cgs.base.jobs import answers, run_jobs
if __name__ == "__main__":
    run_jobs(linger, [{made!r}] * 2, ["a", "b"], 2, Path({logs!r}))
"""


def test_jobs_die_with_a_killed_run(tmp_path: Path) -> None:
    """Killed without a chance to tidy up, a run leaves no job that could write beside the next one."""
    made = tmp_path / "pids"
    made.mkdir()
    here = Path(__file__).resolve()
    script = tmp_path / "run.py"
    script.write_text(ORPHAN.format(root=str(here.parents[2]), tests=str(here.parent), made=str(made), logs=str(tmp_path)))
    with subprocess.Popen([sys.executable, str(script)]) as run:
        while len(list(made.iterdir())) < 2 and run.poll() is None:
            time.sleep(0.05)
        run.kill()
    pids = [path.name for path in made.iterdir()]
    deadline = time.monotonic() + 10
    while any(Path("/proc", pid).exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids) == 2 and not any(Path("/proc", pid).exists() for pid in pids)


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


def own_process(x: int) -> tuple[int, int]:
    return x, os.getpid()


def test_answers_come_in_order_from_processes_that_live_on() -> None:
    told = list(answers(own_process, list(range(12)), 2))
    assert [x for x, _ in told] == list(range(12))
    processes = {process for _, process in told}
    assert 1 <= len(processes) <= 2 and os.getpid() not in processes
    assert list(answers(own_process, [1, 2], 1)) == [(1, os.getpid()), (2, os.getpid())]


def test_answers_of_a_process_that_died() -> None:
    with pytest.raises(ToolError, match="died without a word"):
        list(answers(die, [1, 2, 3], 2))


def test_a_process_that_died_before_all_was_asked_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(ProcessPoolExecutor, "submit", broken)
    with pytest.raises(ToolError, match="a job died"):
        run_jobs(square, [1], ["a"], 1, tmp_path)
    with pytest.raises(ToolError, match="died without a word"):
        list(answers(square, [1, 2], 2))
