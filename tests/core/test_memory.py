"""What a process took, and how many trainings fit."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from multiprocessing.connection import Connection

import pytest

from forked import forkserver
from selfmm.core.memory import fitting, host_peak, memory_now, peak_memory

PEAK = "from selfmm.core.memory import host_peak; print(host_peak())"


@pytest.mark.parametrize(
    ("free", "peak", "running", "warming", "expected"),
    [
        (0, 10, 1, 0, 1),  # full: what runs goes on
        (12, 10, 1, 0, 1),  # not enough for another with its margin
        (13, 10, 1, 0, 2),
        (130, 10, 2, 0, 12),
        (130, 10, 4, 2, 12),  # two have not taken theirs yet
        (10, 10, 3, 2, 1),
        (0, 10, 0, 0, 1),  # one is always tried: else nothing would ever be known
    ],
)
def test_how_many_fit(free: int, peak: int, running: int, warming: int, expected: int) -> None:
    assert fitting(free=free, peak=peak, running=running, warming=warming) == expected


@pytest.mark.slow
def test_the_peak_is_of_the_most_and_of_this_process_alone() -> None:
    if host_peak() is None:
        pytest.skip("this system does not say")
    theirs, ours = multiprocessing.Pipe()
    process = forkserver().Process(target=grow, args=(theirs,))
    process.start()
    before, after, child = ours.recv()
    process.join()
    assert after > before + (150 << 20)
    assert child < after, "a process that a large one starts is not large by that"


def grow(told: Connection) -> None:
    """Takes as much memory as it had at most and 200 MB, and gives it back."""
    before = host_peak() or 0
    block = bytearray(before + (200 << 20) - before % 4096)
    block[::4096] = bytes(len(block[::4096]))
    del block
    after = host_peak()
    child = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    told.send((before, after, int(child.stdout)))


def test_places_without_a_gpu() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    assert list(memory_now()) == ["host"]
    assert memory_now()["host"].free > 0
    assert peak_memory()["device"] is None
