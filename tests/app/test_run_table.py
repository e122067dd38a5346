"""Runs as rows of a table: what is read of them, and when it is read again."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from app.run_builders import make, make_mean
from selfmm.app.comparison_table import comparison_rows
from selfmm.app.locks import acquire
from selfmm.app.routes.runs import _sorted, when, worth_text
from selfmm.app.run_table import RunTable, differing, setting_text
from selfmm.app.workspace import Workspace
from selfmm.recordings.model import SentimentModel


@pytest.fixture(scope="module")
def root(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(workspace, tmp_path_factory.mktemp("table") / "root")


@pytest.fixture
def table(root: Path) -> RunTable:
    return RunTable(Workspace(root))


def test_a_run_has_its_metrics_and_what_they_are_worth(table: RunTable) -> None:
    run = table.of("runs/first")
    assert (run.state, run.model, run.data, run.dataset, run.gone) == ("finished", "self_mm", "data", "data", False)
    assert run.metrics["valid"]["mae"] == pytest.approx(run.value("valid", ("mae",))[1])
    assert run.counts["valid"] > 0
    assert 0 < run.margin < 1
    assert run.worth is not None
    assert worth_text(run.worth)
    assert run.epochs == 4


def test_the_mean_of_runs_is_a_run_without_epochs(
    workspace: Path, averaged: SentimentModel, members: list[Path], tmp_path: Path
) -> None:
    root = make_mean(workspace, averaged.folder.path, tmp_path / "root")
    run = RunTable(Workspace(root)).of("runs/mean")
    assert (run.state, run.model, run.dataset, run.seed, run.epochs) == ("finished", "ensemble", "data", None, 0)
    assert run.averaged == [path.name for path in members[:2]]
    assert run.metrics["test"]["mae"] == averaged.metrics["splits"]["test"]["fusion"]["values"]["mae"]


def test_seeds_are_means_with_their_deviation(table: RunTable) -> None:
    seeds, one = table.of("runs/seeds"), table.of("runs/seeds/seed-1")
    assert seeds.seeds == 2
    assert seeds.metrics["test"]["mae"] == pytest.approx(one.metrics["test"]["mae"])  # their metrics are the same
    assert seeds.spread["test"]["mae"] == 0
    assert one.member
    assert not seeds.member


def test_only_settings_that_differ_are_listed(table: RunTable) -> None:
    assert differing([table.of("runs/first"), table.of("runs/gone")]) == []
    assert differing([table.of("runs/first"), table.of("runs/second")]) == ["training.batch_size"]
    assert [setting_text(value) for value in (None, True, (), ("a", "b"), 0.5, 16)] == [
        "–",
        "yes",
        "all",
        "a, b",
        "0.5",
        "16",
    ]


def test_runs_are_sorted_by_validation_only(table: RunTable) -> None:
    runs = table.all()
    by_error = [run.value("valid", ("mae",))[1] for run in _sorted(runs, "mae")]
    known = [value for value in by_error if not math.isnan(value)]
    assert known == sorted(known)
    assert all(math.isnan(value) for value in by_error[len(known) :])  # damaged ones come last
    by_corr = [run.value("valid", ("corr",))[1] for run in _sorted(runs, "corr")][: len(known)]
    assert by_corr == sorted(by_corr, reverse=True)  # the best first
    assert [run.name for run in _sorted(runs, "test_mae")] == [run.name for run in runs]


def test_a_run_that_a_process_trains_is_told_from_one_that_was_interrupted(table: RunTable, root: Path) -> None:
    import os

    if not Path("/proc/locks").is_file():
        pytest.skip("this system does not tell who holds a lock")
    assert table.of("runs/unfinished").state == "unfinished"
    lock = acquire(root / "runs" / "unfinished" / ".lock")
    assert lock is not None
    try:
        assert table.of("runs/unfinished").state == "training"
    finally:
        os.close(lock)
    assert table.of("runs/unfinished").state == "unfinished"
    assert table.of("runs/unfinished").metrics["valid"]["mae"] > 0  # of its best epoch so far


def test_a_run_that_has_changed_is_read_again(table: RunTable, root: Path, tmp_path: Path) -> None:
    path = root / "runs" / "changing"
    shutil.copytree(root / "runs" / "first", path)
    try:
        before = table.of("runs/changing")
        content: dict[str, Any] = json.loads((path / "metrics.json").read_text())
        content["splits"]["valid"]["fusion"]["values"]["mae"] = 0.123
        (path / "metrics.json").write_text(json.dumps(content))
        assert table.of("runs/changing").metrics["valid"]["mae"] == 0.123 != before.metrics["valid"]["mae"]
        (path / "metrics.json").write_text("{")
        damaged = table.of("runs/changing")
        assert damaged.state == "damaged"
        assert "metrics.json is damaged" in damaged.problem
    finally:
        shutil.rmtree(path)


def test_a_comparison_says_what_follows(root: Path) -> None:
    broken, two = sorted(comparison_rows(Workspace(root)), key=lambda entry: entry.name)
    assert "cannot be read" in broken.problem
    assert [row.verdict for row in two.rows] == ["the others are compared with this one", "better than lf_dnn", ""]
    assert two.rows[0].cells[0] == ("0.6000", "± 0.0500")


def test_times_are_told_as_people_do() -> None:
    import time

    now = time.time()
    assert [when(now - ago) for ago in (5, 90, 7200, 3 * 86400)] == [
        "just now",
        "1 minute ago",
        "2 hours ago",
        "3 days ago",
    ]
    assert when(now - 90 * 86400).count("-") == 2
