"""Memory: how much a training took, how much is free, and how many such trainings fit side by side."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

MARGIN = 1.3
"""Factor on the largest measured peak: the end of a training may take more memory than its epochs."""

_CONTEXT = 1 << 30  # bytes allowed for CUDA itself per process, which torch's figures leave out


@dataclass(frozen=True)
class Memory:
    """Memory of one place (the host, or a device), in bytes.

    Attributes:
        peak: the most that this process has used there so far.
        free: what processes can still use there.
    """

    peak: int
    free: int


def host_peak() -> int | None:
    """Return the peak resident memory of this process in bytes; None where the system does not report it."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Linux's ru_maxrss begins with the peak of the process that started this one.
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts in bytes


def peak_memory() -> dict[str, int | None]:
    """Return the peaks of this process in bytes, for ``environment.json``: ``host``, resident memory; ``device``, what
    torch allocated on the GPU, None without one."""
    return {"host": host_peak(), "device": torch.cuda.max_memory_allocated() if _on_cuda() else None}


def memory_now() -> dict[str, Memory]:
    """Return the memory of this process by place: ``host``, and ``device`` if it computes on a CUDA device."""
    places = {"host": Memory(host_peak() or psutil.Process().memory_info().rss, psutil.virtual_memory().available)}
    if _on_cuda():
        places["device"] = Memory(torch.cuda.max_memory_reserved() + _CONTEXT, torch.cuda.mem_get_info()[0])
    return places


def fitting(free: int, peak: int, running: int, warming: int) -> int:
    """Return how many trainings fit side by side, at least 1.

    Args:
        free: bytes that are free now.
        peak: the most bytes that one of them has taken.
        running: number of trainings that run now.
        warming: how many of these have not shown their peak yet; a share of the free memory is reserved for each.

    >>> fitting(free=10, peak=2, running=1, warming=0)
    4
    """
    return max(1, running + int(free / (MARGIN * peak)) - warming)


def _on_cuda() -> bool:
    return torch.cuda.is_available() and bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]
