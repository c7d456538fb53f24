"""Independent jobs in several processes, each with a log of its own.

The standard library's pool is enough for one machine; every job is one importable function of one picklable
item, which is also what a cluster scheduler would ask for."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from cgs.base import log
from cgs.base.errors import CgsError, ToolError

Item = TypeVar("Item")
Result = TypeVar("Result")
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""A job computes on one thread, so its numbers do not depend on how many jobs run beside it."""


PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this process when the one that started it is killed: an orphan must not write beside the next run."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside never see Ctrl-C themselves: this process does, and ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(log_file: Path, function: Callable[[Any], Any], item: Any) -> Any:
    die_with_parent()
    log.to_file(log_file)
    try:
        return function(item)
    except (CgsError, OSError):
        log.LOG.error(traceback.format_exc())
        raise
    except Exception as error:
        log.LOG.error(traceback.format_exc())
        raise ToolError(f"job failed with {type(error).__name__}: {error}", f"this is a bug; the traceback is in {log_file}") from None


def run_jobs(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    names: Sequence[str],
    n_jobs: int,
    log_dir: Path,
    done: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Run `function` once for each item, at most `n_jobs` at a time.

    Args:
        function: a module-level function.
        items: its arguments; they and the results must pickle.
        names: one for each item; the log is `log_dir/<name>.log`.
        n_jobs: processes at a time. Always separate processes, so that one job and many compute alike.
        log_dir: directory of the logs.
        done: called here with each result as it comes, to tell it; without it a line says which job ended.
    Returns: the results, in the order of the items.
    Raises: the first error of any job, after the running ones have ended. ToolError: a job died.
    """
    if not items:
        return []
    os.environ.update(ONE_THREAD)
    logs = [log_dir / f"{name.replace('/', '.')}.log" for name in names]
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(max_workers=min(n_jobs, len(items)), mp_context=context, max_tasks_per_child=1)
    with pool:
        results: dict[int, Result] = {}
        try:
            with _without_interrupts():
                futures = {pool.submit(_start, path, function, item): index for index, (path, item) in enumerate(zip(logs, items, strict=True))}
            for future in log.progress(as_completed(futures), f"{len(items)} jobs", total=len(items)):
                index = futures[future]
                results[index] = future.result()
                if done:
                    done(results[index])
                elif len(items) > 1:
                    log.LOG.info("  done: %s", names[index])
        except BrokenProcessPool as error:
            raise ToolError(f"a job died without a word, perhaps for want of memory; see {log_dir}", "try a smaller --nj") from error
        except KeyboardInterrupt:
            for job in multiprocessing.active_children():
                job.kill()
            raise
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [results[index] for index in range(len(items))]


def answers(function: Callable[[Item], Result], items: Sequence[Item], n_jobs: int) -> Iterator[Result]:
    """Call `function` on each item in processes that live on, and yield the results in the order of the items.

    For many short jobs that share something slow to load, which the function keeps in its process; errors belong into the result.
    Args:
        function: a module-level function.
        items: its arguments; they and the results must pickle.
        n_jobs: processes at a time; 1 calls it in this process.
    Raises: ToolError: a job died.
    """
    if n_jobs == 1 or len(items) < 2:
        yield from map(function, items)
        return
    os.environ.update(ONE_THREAD)
    with ProcessPoolExecutor(max_workers=min(n_jobs, len(items)), mp_context=multiprocessing.get_context("spawn"), initializer=die_with_parent) as pool:
        try:
            with _without_interrupts():
                futures = [pool.submit(function, item) for item in items]
            for future in futures:
                yield future.result()
        except BrokenProcessPool as error:
            raise ToolError("a process died without a word, perhaps for want of memory", "try a smaller --nj") from error
        except BaseException:
            for job in multiprocessing.active_children():
                job.kill()
            raise
