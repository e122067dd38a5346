"""Extract many clips at once through joblib: on the cores of this machine, or on a Ray or Dask cluster.

Each clip is read in a worker process (:mod:`selfmm.features.clip_worker`). If a clip kills its worker (the decoder
crashes, or memory runs out), a new worker goes on with the next clip.
"""

from __future__ import annotations

import os
import queue
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

from selfmm.core.errors import MissingPackageError
from selfmm.core.jobs.worker import ALIVE, Worker, module, stop

Backend = Literal["local", "ray", "dask"]
Job = dict[str, Any]
Answer = dict[str, Any]

_COMMAND = module("selfmm.features.clip_worker")
_PATIENCE = 600.0  # seconds without a sign of life from a busy worker; 10 s of a clip take a few
_WAVE = 16


def thread_limits(threads: int) -> dict[str, str]:
    """Return environment variables that limit the threads of the libraries that a worker uses."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))


class _Workers:
    """The workers of this machine: as many as there are threads that call ``ask``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Worker] = []
        self._idle: list[Worker] = []
        self._over = False

    def ask(self, place: int, job: Job) -> tuple[int, Answer]:
        """Do a job in a worker. Return its number and the answer."""
        with self._lock:
            if self._over:
                return place, {"reason": "it was interrupted."}
            if self._idle:
                worker = self._idle.pop()
            else:
                worker = Worker(_COMMAND, os.environ | thread_limits(job["threads"]), keep_errors=False)
                self._all.append(worker)
        answer, problem = _ask(worker, job)
        if answer is None:
            return place, {"reason": f"the process that read it {problem}: the file is damaged, or memory ran out."}
        self._idle.append(worker)
        return place, answer

    def end(self) -> None:
        """End all workers, even in the middle of a clip."""
        with self._lock:
            self._over = True
        stop(self._all, patience=1)


def _ask(worker: Worker, job: Job) -> tuple[Answer | None, str]:
    """Return the worker's answer, or None and how the worker ended."""
    worker.send(job)
    patience: float | None = None  # no limit while models are loaded, before the first sign of life
    try:
        while (answer := worker.receive(patience)) is ALIVE:
            patience = _PATIENCE
    except queue.Empty:
        worker.wait(0)
        return None, f"gave no sign of life for {_PATIENCE:g} s and was ended"
    if answer is not None:
        return answer, ""
    code = worker.wait(0.5)
    return None, f"died ({f'signal {-code}' if code < 0 else f'exit code {code}'})"


_HERE = _Workers()
"""The workers of this machine if it is part of a cluster."""


def _ask_here(place: int, job: Job) -> tuple[int, Answer]:
    return _HERE.ask(place, job)


def _end_here() -> None:
    global _HERE
    _HERE.end()
    _HERE = _Workers()


def in_workers(
    jobs: Sequence[Job], *, at_once: int, backend: Backend = "local"
) -> Generator[tuple[int, Answer], None, None]:
    """Do every job, in any order. Yield the number of each job and its answer.

    A caller that stops early must close the iterator, which ends the busy workers.

    Args:
        jobs: see :func:`selfmm.features.clip_worker.answer`.
        at_once: number of jobs (on a cluster: tasks) at the same time.
        backend: where to work. Ray and Dask join a running cluster (``RAY_ADDRESS``, ``DASK_SCHEDULER_ADDRESS``) if
            there is one; otherwise they start one on this machine and end it afterwards.

    Raises:
        MissingPackageError: if joblib, or a package that the backend needs, is not installed.
    """
    try:
        import joblib
    except ImportError as error:
        raise MissingPackageError("joblib is not installed. Install it with: pip install 'selfmm[video]'") from error
    numbered = list(enumerate(jobs))
    # With Ray, joblib returns answers only when all jobs are done, so it gets them in waves.
    wave, order = (at_once * _WAVE, "list") if backend == "ray" else (len(numbered), "generator_unordered")
    local = _Workers()
    ask = joblib.delayed(local.ask if backend == "local" else _ask_here)
    clusters: dict[str, Callable[[], AbstractContextManager[None]]]
    clusters = {"local": nullcontext, "ray": _ray, "dask": _dask}
    with (
        clusters[backend](),
        joblib.parallel_config(backend="threading" if backend == "local" else backend),
        joblib.Parallel(n_jobs=at_once, return_as=order, pre_dispatch="n_jobs", batch_size=1) as run,
    ):
        for first in range(0, len(numbered), wave):
            answers = run(ask(place, job) for place, job in numbered[first : first + wave])
            yield from _take(answers, local)


def _take(answers: Any, local: _Workers) -> Iterator[tuple[int, Answer]]:
    """Yield the answers, then end the workers, also if the caller stops early."""
    try:
        for answer in answers:  # noqa: UP028 (`yield from` would close joblib's iterator before the workers end)
            yield answer
    finally:
        local.end()
        if hasattr(answers, "close"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # joblib warns that not all answers were taken
                answers.close()


@contextmanager
def _ray() -> Iterator[None]:
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
    client: Any = Client  # has no type annotations
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    with (
        config.set({"distributed.worker.daemon": False}),
        client(address) if address else client(processes=True, threads_per_worker=1, dashboard_address=None) as joined,
    ):
        try:
            yield
        finally:
            joined.run(_end_here)  # the cluster may go on, so end our workers on it
