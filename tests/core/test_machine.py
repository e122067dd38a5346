"""What this process may use of the machine, and how it starts and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from selfmm.core import machine
from selfmm.core.machine import cores, why_slow


def printed(code: str) -> list[str]:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_cores_are_those_that_may_be_used() -> None:
    assert cores() >= 1
    assert printed(
        "import os; os.sched_setaffinity(0, {0}); from selfmm.core.machine import cores; print(cores())"
    ) == ["1"]


def test_a_process_of_ours_spares_itself_the_search_for_garbage() -> None:
    # The last words are registered first, since what is registered last runs first.
    told = printed(
        "import atexit, gc\n"
        "atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 0))\n"
        "from selfmm.core.machine import collect_rarely\n"
        "collect_rarely()"
    )
    assert told == ["20000", "True"]


def test_a_program_that_uses_us_keeps_its_own_ways() -> None:
    assert printed(
        "import gc; before = gc.get_threshold(); import selfmm.api; print(before == gc.get_threshold())"
    ) == ["True"]


def test_no_library_prepares_to_report_its_use(tmp_path: Path) -> None:
    """ONNX Runtime, which speech recognition uses too, keeps a session file for that in the temporary folder."""
    pytest.importorskip("onnxruntime")
    environment = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key and "USAGE" not in key}
    code = "import os, selfmm, onnxruntime; print(os.environ['HF_HUB_DISABLE_TELEMETRY'])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("load", "now", "own", "threads", "jobs", "says"),
    [
        (0.2, 4, 1, 4, 1, ""),
        (2.0, 3, 1, 1, 2, ""),  # a single thread waits for no other
        (2.0, 3, 1, 2, 1, ""),
        (2.0, 1, 1, 4, 1, ""),  # they have just ended
        (4.0, 4, 4, 4, 1, ""),  # the threads of this process
        (1.1, 4, 1, 4, 1, "other programs use 1 of the 4 cores of this machine, and training uses 4 threads"),
        (3.0, 4, 1, 2, 2, "other programs use 3 of the 4 cores of this machine"),
    ],
)
def test_a_busy_machine_is_named(
    load: float, now: int, own: int, threads: int, jobs: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / "task" / f"{number}").mkdir(parents=True)
        state = "R" if number < own else "S"
        (tmp_path / "task" / f"{number}" / "stat").write_text(f"{number} (a) b) {state} 1 1", encoding="ascii")
    monkeypatch.setattr(machine, "_OWN", tmp_path / "task")
    (tmp_path / "loadavg").write_text(f"{load} 9.00 9.00 {now}/300 4711\n", encoding="ascii")
    monkeypatch.setattr(machine, "_LOAD", tmp_path / "loadavg")
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    warning = why_slow(threads, jobs)
    assert warning.startswith(says)
    assert bool(warning) == bool(says)
    assert not warning or "OMP_NUM_THREADS=1" in warning
