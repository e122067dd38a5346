"""Jobs in processes: all are answered, whatever they do to their process, and none is left running."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from selfmm.features import workers
from selfmm.features.workers import in_workers

ECHO = """
import json, os, sys, time
for line in sys.stdin:
    job = json.loads(line)
    if job["do"] == "die":
        os._exit(3)
    if job["do"] == "sleep":
        time.sleep(3600)
    if job["do"] == "meet":  # goes on when as many processes as expected have come
        open(os.path.join(job["place"], str(os.getpid())), "w").close()
        while len(os.listdir(job["place"])) < job["expected"]:
            time.sleep(0.01)
    print("", flush=True)
    told = {"threads": os.environ["OMP_NUM_THREADS"]}
    print(json.dumps({"pid": os.getpid(), "did": job["do"], "job": job["job"], **told}), flush=True)
"""


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_COMMAND", (sys.executable, "-S", "-c", ECHO))


def jobs(*what: str, **more: Any) -> list[dict[str, Any]]:
    return [{"do": task, "job": place, "threads": 3, **more} for place, task in enumerate(what)]


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if ECHO in child.cmdline()]


@pytest.mark.parametrize("at_once", [1, 3])
def test_every_job_is_answered_by_few_processes(at_once: int, tmp_path: Path) -> None:
    asked = jobs(*["meet"] * 8, place=str(tmp_path), expected=at_once)
    answers = dict(in_workers(asked, at_once=at_once))
    assert [answers[place]["job"] for place in range(8)] == list(range(8))
    assert len({answer["pid"] for answer in answers.values()}) == at_once
    assert {answer["threads"] for answer in answers.values()} == {"3"}
    assert not children()


def test_a_process_that_dies_is_replaced() -> None:
    answers = dict(in_workers(jobs("a", "die", "b", "die", "die", "c"), at_once=2))
    assert {place for place, answer in answers.items() if "did" in answer} == {0, 2, 5}
    assert all("died (exit code 3)" in answers[place]["reason"] for place in (1, 3, 4))
    assert not children()


@pytest.mark.slow
def test_stopping_early_leaves_nothing_running(recwarn: pytest.WarningsRecorder) -> None:
    answers = in_workers(jobs("a", *["sleep"] * 5), at_once=3)
    assert next(answers)[1]["did"] == "a"
    answers.close()  # would take an hour if it waited for the others
    assert not children()
    assert not [str(one.message) for one in recwarn.list]


def test_two_at_the_same_time_do_not_end_each_other() -> None:
    one, other = in_workers(jobs("a", "b"), at_once=1), in_workers(jobs("c", "d"), at_once=1)
    assert next(one)[1]["did"] == "a"
    assert next(other)[1]["did"] == "c"
    one.close()
    assert next(other)[1]["did"] == "d"
    other.close()
    assert not children()
