"""How tasks share a machine: workers at once, threads of each, and devices."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from selfmm.core.errors import SettingsError
from selfmm.core.machine import cores


@dataclass(frozen=True)
class Plan:
    """How tasks share a machine.

    Attributes:
        jobs: maximum number of tasks at once.
        threads: CPU threads of each. They do not depend on the free memory, because the last bits of a result depend
            on them.
        devices: the GPUs as ``CUDA_VISIBLE_DEVICES`` names them; empty without a GPU.
        measured: whether memory decides how many of ``jobs`` run at once; otherwise all do.
    """

    jobs: int
    threads: int
    devices: tuple[str, ...] = ()
    measured: bool = True


def make_plan(tasks: int, jobs: int | None, cores: int, threads: int, devices: Sequence[str] = ()) -> Plan:
    """Plan one worker per core, or per device if there are several; ``jobs`` overrides this.

    Args:
        tasks: number of tasks.
        jobs: number of tasks at once that the user asked for; None to choose it.
        cores: number of cores that this process may use.
        threads: CPU threads of a task that runs alone.
        devices: the GPUs, as in `Plan`.

    Raises:
        SettingsError: if ``jobs`` is below 1.
    """
    check_jobs(jobs)
    most = min(tasks, jobs or (len(devices) if len(devices) > 1 else cores))
    return Plan(most, max(1, min(threads, cores // most)), tuple(devices), measured=jobs is None)


def machine_plan(tasks: int, jobs: int | None, device: str) -> Plan:
    """Return :func:`make_plan` for this machine and ``training.device``."""
    import torch

    cuda = device in ("auto", "cuda") and torch.cuda.is_available()
    if device in ("auto", "mps") and not cuda and torch.backends.mps.is_available():
        jobs = 1 if jobs is None else jobs  # the memory that a process takes on such a device cannot be measured
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    devices = (named or [str(number) for number in range(torch.cuda.device_count())]) if cuda else []
    return make_plan(tasks, jobs, cores(), torch.get_num_threads(), devices)


def check_jobs(jobs: int | None) -> None:
    """Raise ``SettingsError`` if ``jobs`` is below 1."""
    if jobs is not None and jobs < 1:
        raise SettingsError([f"jobs = {jobs}: give 1 or more, or leave it out to have it chosen"])
