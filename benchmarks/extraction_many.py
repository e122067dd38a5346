"""Extract many clips, cut from a few files: with one process, with several, on Ray, and killed in the middle."""

from __future__ import annotations

import csv
import filecmp
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from environments import BenchmarkError, Took, surroundings, timed

LONGEST = 2.0
"""Seconds of a clip; the shortest has half of that."""

_LENGTHS = 11
_WAIT = 600.0
KEPT = "*.safetensors"


@dataclass(frozen=True)
class Cut:
    """A clip: a span of a file, in seconds."""

    path: Path
    start: float
    end: float


def cuts(files: Mapping[Path, float], count: int) -> list[Cut]:
    """``count`` different spans, taken from ``files`` in turn.

    Args:
        files: each file, with its length in seconds.
    """
    made = []
    for number in range(count):
        path = list(files)[number % len(files)]
        turn = number // len(files)
        longest = min(LONGEST, files[path] / 2)
        length = longest * (1 - 0.5 * (turn % _LENGTHS) / _LENGTHS)
        # Steps by the golden ratio never return to the same place.
        start = (turn * 0.618034 % 1) * (files[path] - length)
        made.append(Cut(path, round(start, 3), round(start + length, 3)))
    return made


def write_table(path: Path, clips: Sequence[Cut]) -> None:
    """Write the table that ``selfmm extract`` reads: with words, so that none are recognised, and without ratings."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "path", "start", "end", "text"))
        for number, one in enumerate(clips):
            table.writerow((f"clip_{number:04d}", one.path.absolute(), one.start, one.end, "it was what it was"))


def command(table: Path, folder: Path, jobs: int, backend: str) -> list[str | Path]:
    """Command that extracts all clips into ``folder``/data, with its cache next to it."""
    where: list[str | Path] = [folder / "data", "--cache", folder / "kept"]
    return [sys.executable, "-m", "selfmm", "extract", table, *where, "--jobs", str(jobs), "--backend", backend]


def run(table: Path, folder: Path, jobs: int, backend: str = "local") -> Took:
    """Run one extraction from start to end, including starting its workers and loading the models."""
    folder.mkdir(exist_ok=True)
    return timed(command(table, folder, jobs, backend), surroundings(1, "cpu"), folder / "log")


@dataclass(frozen=True)
class Killed:
    """An extraction that was killed, and then started again.

    Attributes:
        before: number of clips stored when it was killed.
        again: how many of these were missing or written again at the end.
        after: number of clips stored at the end.
        took: cost of the second run.
    """

    before: int
    again: int
    after: int
    took: Took


def kill_and_resume(table: Path, folder: Path, jobs: int, count: int) -> Killed:
    """Kill an extraction of ``count`` clips with SIGKILL when half of them are done, and start it again.

    Raises:
        BenchmarkError: if it ended before.
    """
    folder.mkdir(exist_ok=True)
    with (folder / "killed.log").open("wb") as log:
        process = subprocess.Popen(
            command(table, folder, jobs, "local"), env=surroundings(1, "cpu"), stdout=log, stderr=subprocess.STDOUT
        )
        _wait_for_half(process, folder / "kept", count)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    # The workers notice that their input has ended once their current clip is done.
    left = psutil.wait_procs(children, timeout=_WAIT)[1]
    if left or (folder / "data").exists():
        raise BenchmarkError(f"after a kill, {len(left)} processes are left, or there is a data set of half the clips")
    before = _written(folder / "kept")
    took = run(table, folder, jobs)
    after = _written(folder / "kept")
    again = sum(after.get(path) != written for path, written in before.items())
    return Killed(len(before), again, len(after), took)


def _wait_for_half(process: subprocess.Popen[bytes], kept: Path, count: int) -> None:
    deadline = time.monotonic() + _WAIT
    while len(_written(kept)) < count // 2:
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchmarkError(f"extraction ended, or took too long, before half of {count} clips were done")
        time.sleep(0.05)


def _written(folder: Path) -> dict[Path, int]:
    """Modification time of each stored file."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob(KEPT)}


def differences(one: Path, other: Path) -> list[str]:
    """Paths that are in only one of the two folders, or whose bytes differ."""
    files = [{path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)]
    apart = files[0] ^ files[1]
    same = [path for path in files[0] & files[1] if filecmp.cmp(one / path, other / path, shallow=False)]
    return sorted(os.fspath(path) for path in apart | (files[0] & files[1]) - set(same))
