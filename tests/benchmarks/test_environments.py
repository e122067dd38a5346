"""Processes that are timed, and the size of what is installed."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path

import pytest
from environments import BenchmarkError, installed_bytes, surroundings, timed, versions

HERE = Path(sys.executable)


@pytest.mark.slow
def test_a_process_is_timed_and_what_it_says_is_kept(tmp_path: Path) -> None:
    busy = "import time; print('said'); end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    took = timed([HERE, "-c", busy], os.environ, tmp_path / "log")
    assert took.wall > 0.3
    assert took.processors > 0.3
    idle = timed([HERE, "-c", "import time; time.sleep(0.5)"], os.environ, tmp_path / "idle")
    assert idle.wall > 0.5
    assert idle.processors < took.processors
    assert (tmp_path / "log").read_text() == "said\n"


def test_a_program_that_fails_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"code 3.*\n.*no such thing"):
        timed([HERE, "-c", "print('no such thing'); raise SystemExit(3)"], os.environ, tmp_path / "log")


def test_a_killed_program_is_told_to_want_less_memory(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="fewer --clips"):
        timed([HERE, "-c", "import os; os.kill(os.getpid(), 9)"], os.environ, tmp_path / "log")


def test_both_programs_get_the_same_threads_and_no_network() -> None:
    around = surroundings(3, "cpu")
    wanted = {"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": "3", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    assert wanted.items() <= around.items()


@pytest.mark.slow
def test_installed_size_counts_each_file_of_a_need_once() -> None:
    def own(name: str) -> int:
        paths = {Path(str(file.locate())) for file in metadata.files(name) or ()}
        return sum(path.stat().st_size for path in paths if path.is_file())

    alone = installed_bytes(HERE, ["numpy"])
    assert alone == own("numpy")
    assert installed_bytes(HERE, ["numpy", "numpy>=1"]) == alone
    assert installed_bytes(HERE, ["pandas"]) >= own("pandas") + alone
    extra = "pandas; python_version < '3'"
    assert installed_bytes(HERE, ["numpy", extra]) == alone


def test_versions_are_those_of_the_other_environment() -> None:
    assert versions(HERE, ["numpy", "torch"]) == {name: metadata.version(name) for name in ("numpy", "torch")}
