"""Trials side by side, by processes that train nothing: who gets what, who dies, and who is left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.studies import study
from forked import helpers_aside
from selfmm.core.errors import TrainingError
from selfmm.core.jobs.plan import Plan
from selfmm.core.jobs.pool import Pool
from selfmm.core.listener import Listener
from selfmm.experiments.course import Course
from selfmm.experiments.study import Asked, Study, quiet
from selfmm.experiments.trial import Outcome

# Says that it trained six epochs; the figure of each is the value of one setting.
ACTOR = """
import json, os, sys, time
job = json.loads(sys.stdin.readline())
def send(event, **content):
    print(json.dumps({"event": event, **content}), flush=True)
if "threads" in job:
    assert os.environ["OMP_NUM_THREADS"] == job["threads"], os.environ["OMP_NUM_THREADS"]
for trial, line in enumerate(sys.stdin):
    figure = json.loads(line)["values"]["text.projection_dropout"]
    if job.get("broken"):
        send("failed", message="the data are damaged")
        sys.exit(1)
    if trial == job.get("dies_at"):
        os.kill(os.getpid(), 9)
    if figure > job.get("fails_above", 1):
        send("done", outcome={"state": "failed", "reason": f"{figure} is too much"})
        continue
    state = "complete"
    for epoch in range(1, 7):
        send("epoch", epoch=epoch, mae=figure)
        if not json.loads(sys.stdin.readline())["go_on"]:
            state = "pruned"
            break
    send("done", outcome={"state": state, "mae": figure, "epoch": 1, "seconds": epoch})
"""
SPACE = "text.projection_dropout=0..0.9"


class Watch(Listener):
    """What is told, and how many were at work at most."""

    def __init__(self) -> None:
        self.pool: Pool[int] | None = None
        self.outcomes: dict[int, Outcome] = {}
        self.values: dict[int, Any] = {}
        self.most = 0

    def trial_started(self, asked: Asked) -> None:
        self.values[asked.number] = asked.values["text.projection_dropout"]

    def trial_epoch(self, number: int, epoch: int, mae: float) -> None:
        assert self.pool is not None
        assert mae == self.values[number], "each process speaks of its own trial"
        self.most = max(self.most, len(self.pool.running))

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        self.outcomes[number] = outcome


def act(found: Study, trials: int, jobs: int, **job: Any) -> Watch:
    watch = Watch()
    watch.pool = Pool(Plan(jobs, 3, measured=False), (sys.executable, "-c", ACTOR), {"threads": "3", **job})
    saved: list[int] = []
    course = Course(found, trials, watch, lambda: saved.append(len(found.ended())))
    try:
        with quiet():
            watch.pool.run(course)
    finally:
        assert not helpers_aside()
    assert saved == [len(found.ended()) - left for left in reversed(range(len(watch.outcomes)))], "saved after each"
    assert course.complete == trials
    assert found.counts()["running"] == 0
    return watch


def test_as_many_at_once_as_said_and_as_many_in_all(tmp_path: Path) -> None:
    found = study(tmp_path, SPACE)
    watch = act(found, 12, jobs=3)
    assert watch.most == 3
    assert sorted(watch.outcomes) == list(range(12))
    assert {outcome.state for outcome in watch.outcomes.values()} == {"complete", "pruned"}
    assert all(outcome.mae == watch.values[number] for number, outcome in watch.outcomes.items())
    pruned = [number for number, outcome in watch.outcomes.items() if outcome.state == "pruned"]
    assert all(watch.outcomes[number].seconds >= 3 for number in pruned)
    assert act(found, 12, jobs=3).outcomes == {}, "there is nothing left to do"
    assert sorted(act(found, 14, jobs=5).outcomes) == [12, 13]


def test_what_is_tried_at_first_does_not_depend_on_how_many_try(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (act(study(tmp_path / name, SPACE), 8, jobs) for name, jobs in (("one", 1), ("two", 2)))
    assert one.values == two.values


def test_a_process_that_dies_costs_its_trial_and_is_replaced(tmp_path: Path) -> None:
    found = study(tmp_path, SPACE)
    watch = act(found, 6, jobs=2, dies_at=2)
    dead = [outcome for outcome in watch.outcomes.values() if outcome.state == "failed"]
    assert dead
    assert all("was killed (SIGKILL)" in outcome.reason for outcome in dead)
    counts = found.counts()
    assert counts["complete"] + counts["pruned"] == 6


def test_failed_trials_stop_no_other(tmp_path: Path) -> None:
    found = study(tmp_path, SPACE)
    watch = act(found, 8, jobs=2, fails_above=0.3)
    failed = {number for number, outcome in watch.outcomes.items() if outcome.state == "failed"}
    assert failed == {number for number, value in watch.values.items() if value > 0.3}
    assert failed
    assert found.counts()["failed"] == len(failed)


def test_nothing_but_failures_is_an_end(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"15 trials in a row failed, the last of them: 0\.\d+ is too much\n"):
        act(study(tmp_path, SPACE), 8, jobs=2, fails_above=-1)


def test_what_is_wrong_with_all_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the data are damaged"):
        act(study(tmp_path, SPACE), 8, jobs=2, broken=True)
