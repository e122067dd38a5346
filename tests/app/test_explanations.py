"""Explanations are computed once, and errors keep their kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from selfmm.app.errors import ScoringError
from selfmm.app.explanations import Explanations
from selfmm.app.scoring import Task

DATA = Path("data")


class Answers:
    """Stands for the processes that score: it answers every task at once."""

    def __init__(self, explanation: Any = None, error: str = "", kind: str = "") -> None:
        self.explanation, self.error, self.kind = explanation, error, kind
        self.requests: list[Any] = []

    def submit(self, task: Task) -> Task:
        self.requests.append(task.request)
        if self.error:
            task._end("failed", self.error, self.kind)
        else:
            task.on_event({"explanation": self.explanation})
            task._end("finished")
        return task


def test_the_same_clip_is_asked_once_until_the_run_or_the_data_set_changes(tmp_path: Path) -> None:
    scoring = Answers({"score": 1.0})
    explanations = Explanations(scoring)  # type: ignore[arg-type]
    (tmp_path / "run.json").write_text("{}")
    for _ in range(3):
        assert explanations.of(tmp_path, DATA, "a") == {"score": 1.0}
    assert scoring.requests == [{"run": str(tmp_path), "explain": {"data": "data", "clip": "a"}}]
    explanations.of(tmp_path, tmp_path / "other", "a")
    assert len(scoring.requests) == 2
    (tmp_path / "run.json").write_text("{} ")
    os.utime(tmp_path / "run.json", (1, 1))
    explanations.of(tmp_path, DATA, "a")
    assert len(scoring.requests) == 3
    (tmp_path / "other").mkdir()
    explanations.of(tmp_path, tmp_path / "other", "a")
    assert len(scoring.requests) == 4
    (tmp_path / "other" / "corrections.parquet").write_bytes(b"a rating")
    for _ in range(2):
        explanations.of(tmp_path, tmp_path / "other", "a")
    assert len(scoring.requests) == 5


def test_an_error_keeps_its_kind_and_is_not_kept(tmp_path: Path) -> None:
    scoring = Answers(error="there is no clip 'a'.", kind="DatasetError")
    explanations = Explanations(scoring)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(ScoringError, match="no clip 'a'") as caught:
            explanations.of(tmp_path, DATA, "a")
        assert caught.value.kind == "DatasetError"
    assert len(scoring.requests) == 2
