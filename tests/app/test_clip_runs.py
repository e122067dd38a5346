"""The runs on a data set: scores of its clips, and generated labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.run_builders import make_mean
from selfmm.api import open_dataset
from selfmm.app.clip_runs import ClipRuns
from selfmm.app.clip_table import ClipTable
from selfmm.app.errors import NotHereError
from selfmm.app.workspace import Workspace
from selfmm.core.errors import RunError
from selfmm.recordings.model import SentimentModel


@pytest.fixture
def shown(tmp_path: Path, workspace: Path) -> Workspace:
    shutil.copytree(workspace, tmp_path / "root")
    info = tmp_path / "root" / "runs" / "first" / "run.json"
    info.write_text(info.read_text().replace(str(workspace), str((tmp_path / "root").resolve())))
    return Workspace(tmp_path / "root")


def test_runs_are_found_by_their_data_set(shown: Workspace) -> None:
    runs = ClipRuns(shown)
    (run,) = runs.of(shown.root / "data")
    assert (run.name, run.model, run.generated) == ("runs/first", "self_mm", True)
    assert runs.of(shown.root / "other") == []
    with pytest.raises(NotHereError, match="no finished run 'runs/second'"):
        runs.named("runs/second", shown.root / "data")


def test_scores_are_those_of_the_clips(shown: Workspace, trained: SentimentModel) -> None:
    runs, table = ClipRuns(shown), ClipTable.of(open_dataset(shown.root / "data"))
    scores = runs.scores(runs.named("runs/first", table.dataset.path), table)
    assert list(scores) == ["score", "score_text", "score_audio", "score_vision"]
    np.testing.assert_array_equal(scores["score"], trained.predictions["score"])


def test_labels_over_the_epochs(shown: Workspace, trained: SentimentModel) -> None:
    runs = ClipRuns(shown)
    (run,) = runs.of(shown.root / "data")
    labels = trained.labels
    clip = labels["id"].iloc[0]
    found = runs.labels(run, clip)
    assert found["epochs"] == [1, 2, 3, 4]
    assert found["best"] == trained.metrics["best_epoch"]
    expected = labels[(labels["id"] == clip) & (labels["modality"] == "audio")].sort_values("epoch")["u_label"]
    assert found["modalities"]["audio"]["labels"] == expected.tolist()
    assert runs.labels(run, "nobody") == {}


def test_a_run_that_is_damaged_or_not_finished(shown: Workspace) -> None:
    runs, table = ClipRuns(shown), ClipTable.of(open_dataset(shown.root / "data"))
    folder = shown.root / "runs" / "first"
    (folder / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunError, match="cannot read"):
        runs.scores(runs.named("runs/first", table.dataset.path), table)
    info = (folder / "run.json").read_text()
    (folder / "run.json").write_text(info.replace('"finished"', '"training"'))
    assert runs.of(table.dataset.path) == []
    (folder / "run.json").write_text("{")
    assert runs.of(table.dataset.path) == []


def test_a_clip_on_which_the_runs_disagree_has_a_wider_band(
    workspace: Path, averaged: SentimentModel, tmp_path: Path
) -> None:
    root = make_mean(workspace, averaged.folder.path, tmp_path / "root")
    runs, table = ClipRuns(Workspace(root)), averaged.predictions.set_index("id")
    run = runs.named("runs/mean", root / "data")
    clips = table.sort_values("deviation").index.astype(str)
    low, high = (runs.worth(run, clip)["scores"]["score"] for clip in (clips[0], clips[-1]))
    assert low["band"] < high["band"]
    worth = averaged.worth
    assert worth is not None
    assert high["band"] == pytest.approx(worth.scores["fusion"].half_width(table["deviation"].max()))
    assert runs.worth(run)["scores"]["score"]["band"] == worth.scores["fusion"].band
    assert runs.worth(run, "no such clip") == runs.worth(run)
