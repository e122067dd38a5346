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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from selfmm.errors import PartError

Backend = Literal["local", "ray", "dask"]
Job = dict[str, Any]
Answer = dict[str, Any]

_WAVE = 16
_MINE = threading.local()
_ALL: list[_ClipProcess] = []


class _ClipProcess:
    """A process that answers jobs, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selfmm.features.clip_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, job: Job) -> Answer | None:
        """The answer; None where the process died of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if line.endswith("\n"):
            answer: Answer = json.loads(line)
            return answer
        return None

    def end(self) -> str:
        """Ends it; how it ended."""
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        self._process.kill()  # one that is in the midst of a clip does not see the end of its input
        code = self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def ask_process(job: Job) -> Answer:
    """Has a job done by the process of this thread."""
    process = getattr(_MINE, "process", None)
    if process is None:
        process = _MINE.process = _ClipProcess()
        _ALL.append(process)
    answer: Answer | None = process.ask(job)
    if answer is not None:
        return answer
    with suppress(ValueError):  # all were ended meanwhile
        _ALL.remove(process)
    _MINE.process = None
    how = process.end()
    return {"reason": f"the process that read it died ({how}): the file is damaged, or memory ran out."}


def _numbered(place: int, job: Job) -> tuple[int, Answer]:
    return place, ask_process(job)


def in_workers(jobs: Sequence[Job], *, at_once: int, backend: Backend = "local") -> Iterator[tuple[int, Answer]]:
    """Has every job done, in any order; yields its number and the answer.

    Args:
        jobs: what :func:`selfmm.features.clip_process.answer` takes.
        at_once: so many at a time; on a cluster, tasks.
        backend: where. A cluster that runs already is joined as Ray and Dask find it by themselves (``RAY_ADDRESS``,
            ``DASK_SCHEDULER_ADDRESS``); else one is started on this machine, and ended afterwards.

    Raises:
        PartError: joblib, or what the backend needs, is not installed.
    """
    joblib = _joblib()
    # Ray's part of joblib gives nothing before all is done, so it gets its jobs in waves.
    wave = at_once * _WAVE if backend == "ray" else len(jobs)
    how = "list" if backend == "ray" else "generator_unordered"
    numbered = list(enumerate(jobs))
    with _cluster(backend), joblib.parallel_config(backend="threading" if backend == "local" else backend):
        run = joblib.Parallel(n_jobs=at_once, return_as=how, pre_dispatch="n_jobs", batch_size=1)
        try:
            for first in range(0, len(numbered), wave):
                part = numbered[first : first + wave]
                yield from run(joblib.delayed(_numbered)(place, job) for place, job in part)
        finally:
            while _ALL:
                _ALL.pop().end()
            _MINE.__dict__.clear()


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
        raise PartError("--backend ray needs Ray. Install it with: pip install 'selfmm[ray]'") from error
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
        raise PartError("--backend dask needs Dask. Install it with: pip install 'selfmm[dask]'") from error
    client: Any = Client  # it has no types
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    with (
        config.set({"distributed.worker.daemon": False}),
        client(address) if address else client(processes=True, threads_per_worker=1, dashboard_address=None),
    ):
        yield


def _joblib() -> Any:
    try:
        import joblib
    except ImportError as error:
        raise PartError("joblib is not installed. Install it with: pip install 'selfmm[video]'") from error
    return joblib
