"""Many clips at once: on the cores of this machine, or on a Ray or Dask cluster, all through joblib.

Wherever it runs, a clip is read in a process of its own kind (:mod:`selfmm.features.clip_process`), which is replaced
if a clip kills it: a decoder that crashes or a lack of memory costs one clip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from selfmm.core.errors import MissingPackageError

Backend = Literal["local", "ray", "dask"]
Job = dict[str, Any]
Answer = dict[str, Any]

_COMMAND = (sys.executable, "-P", "-m", "selfmm.features.clip_process")
_PATIENCE = 600.0  # seconds in which a process that is at a clip gives no sign of life; 10 s of it need a few
_WAVE = 16


def surroundings(threads: int) -> dict[str, str]:
    """Environment variables of a process that extracts clips: they bound the threads of its libraries."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


class _ClipProcess:
    """A process that answers jobs, one after the other.

    Args:
        threads: that its libraries may use for one computation.
    """

    def __init__(self, threads: int) -> None:
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | surroundings(threads),
        )
        self._hung = False

    def ask(self, job: Job) -> Answer | None:
        """The answer; None where the process died of it, or was ended meanwhile."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watch: threading.Timer | None = None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            while (line := self._process.stdout.readline()) == "\n":  # a sign of life
                if watch is not None:
                    watch.cancel()
                watch = threading.Timer(_PATIENCE, self._give_up)
                watch.daemon = True
                watch.start()
        except OSError:  # there is nobody at the other end
            return None
        finally:
            if watch is not None:
                watch.cancel()
        answer: Answer | None = json.loads(line) if line.endswith("\n") else None
        return answer

    def end(self) -> str:
        """Ends it at once; how it ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)  # one that is dying says why
        self._process.kill()
        code = self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        if self._hung:
            return f"gave no sign of life for {_PATIENCE:g} s and was ended"
        return f"died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"

    def kill(self) -> None:
        self._process.kill()

    def _give_up(self) -> None:
        self._hung = True
        self._process.kill()


class _Processes:
    """The processes of this machine's part of the work; as many as there are threads that ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[_ClipProcess] = []
        self._busy: list[_ClipProcess] = []
        self._over = False

    def ask(self, place: int, job: Job) -> tuple[int, Answer]:
        """Has a job done; its number and the answer."""
        with self._lock:
            if self._over:
                return place, {"reason": "it was interrupted."}
            process = self._idle.pop() if self._idle else _ClipProcess(job["threads"])
            self._busy.append(process)
        answer = process.ask(job)
        with self._lock:
            self._busy.remove(process)
            if answer is not None:
                self._idle.append(process)
                return place, answer
        how = process.end()
        return place, {"reason": f"the process that read it {how}: the file is damaged, or memory ran out."}

    def end(self) -> None:
        """Ends all, also those in the midst of a clip."""
        with self._lock:
            self._over = True
            processes = [*self._busy, *self._idle]
            for process in processes:
                process.kill()
        for process in processes:
            process.end()


_HERE = _Processes()
"""Those of a worker of a cluster."""


def _ask_here(place: int, job: Job) -> tuple[int, Answer]:
    return _HERE.ask(place, job)


def _end_here() -> None:
    global _HERE
    _HERE.end()
    _HERE = _Processes()


def in_workers(
    jobs: Sequence[Job], *, at_once: int, backend: Backend = "local"
) -> Generator[tuple[int, Answer], None, None]:
    """Has every job done, in any order; yields its number and the answer.

    Whoever does not take all of them must close the iterator, which ends what is still at work.

    Args:
        jobs: what :func:`selfmm.features.clip_process.answer` takes.
        at_once: so many at a time; on a cluster, tasks.
        backend: where. A cluster that runs already is joined as Ray and Dask find it by themselves (``RAY_ADDRESS``,
            ``DASK_SCHEDULER_ADDRESS``); else one is started on this machine, and ended afterwards.

    Raises:
        MissingPackageError: joblib, or what the backend needs, is not installed.
    """
    joblib = _joblib()
    numbered = list(enumerate(jobs))
    # Ray's part of joblib gives nothing before all is done, so it gets its jobs in waves.
    wave, how = (at_once * _WAVE, "list") if backend == "ray" else (len(numbered), "generator_unordered")
    mine = _Processes()
    ask = joblib.delayed(mine.ask if backend == "local" else _ask_here)
    with (
        _cluster(backend),
        joblib.parallel_config(backend="threading" if backend == "local" else backend),
        joblib.Parallel(n_jobs=at_once, return_as=how, pre_dispatch="n_jobs", batch_size=1) as run,
    ):
        for first in range(0, len(numbered), wave):
            answers = run(ask(place, job) for place, job in numbered[first : first + wave])
            yield from _taken(answers, mine)


def _taken(answers: Any, mine: _Processes) -> Iterator[tuple[int, Answer]]:
    """Passes them on; whoever stops in between stops all."""
    try:
        for answer in answers:  # noqa: UP028 (`yield from` would close joblib's iterator before the processes end)
            yield answer
    finally:
        mine.end()
        if hasattr(answers, "close"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # joblib remarks that not all was taken
                answers.close()


@contextmanager
def _cluster(backend: Backend) -> Iterator[None]:
    if backend == "ray":
        with _ray():
            yield
    elif backend == "dask":
        with _dask():
            yield
    else:
        yield


@contextmanager
def _ray() -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use to its makers unless told not to
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise MissingPackageError("`backend='ray'` needs Ray. Install it with: pip install 'selfmm[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        register_ray()
        yield
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _dask() -> Iterator[None]:
    try:
        from dask import config
        from distributed import Client
    except ImportError as error:
        raise MissingPackageError("`backend='dask'` needs Dask. Install it with: pip install 'selfmm[dask]'") from error
    client: Any = Client  # it has no types
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    with (
        config.set({"distributed.worker.daemon": False}),
        client(address) if address else client(processes=True, threads_per_worker=1, dashboard_address=None) as joined,
    ):
        try:
            yield
        finally:
            joined.run(_end_here)  # a cluster that was there before stays, and need not hold our models


def _joblib() -> Any:
    try:
        import joblib
    except ImportError as error:
        raise MissingPackageError("joblib is not installed. Install it with: pip install 'selfmm[video]'") from error
    return joblib
