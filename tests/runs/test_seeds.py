"""What a folder is: a folder of seeds, or anything else; and which of its seeds count."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from selfmm.core.errors import RunError
from selfmm.recordings.model import SentimentModel
from selfmm.runs.seeds import SeedsFolder, mean_scores, open_folder


def copies(trained: SentimentModel, folder: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(trained.folder.path, folder / name)
    return folder


def change(run: Path, **values: object) -> None:
    content = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**content, **values}), encoding="utf-8")


def test_a_folder_of_seeds(trained: SentimentModel, tmp_path: Path) -> None:
    folder = open_folder(copies(trained, tmp_path / "seeds", "seed-12", "seed-3"))
    assert isinstance(folder, SeedsFolder)
    assert list(folder.finished) == [3, 12], "by number"
    assert folder.require_finished() == trained.info
    assert not any("not finished" in note for note in folder.notes())


def test_everything_else_is_not(trained: SentimentModel, tmp_path: Path) -> None:
    others = [trained.folder.path, Path(trained.info.dataset_path), tmp_path / "nowhere", tmp_path]
    others.append(copies(trained, tmp_path / "models", "mult", "seed-x", "seed-"))
    (tmp_path / "file").touch()
    (tmp_path / "empty" / "seed-1").mkdir(parents=True)
    inside = copies(trained, tmp_path / "both", "seed-1")
    shutil.copy(trained.folder.path / "run.json", inside)
    for path in (*others, tmp_path / "file", tmp_path / "empty", inside):
        assert not isinstance(open_folder(path), SeedsFolder), path


def test_seeds_that_are_not_finished_are_left_out_and_named(trained: SentimentModel, tmp_path: Path) -> None:
    path = copies(trained, tmp_path / "seeds", "seed-1", "seed-2", "seed-5")
    change(path / "seed-1", status="training")
    change(path / "seed-5", status="training")
    folder = SeedsFolder(path)
    assert list(folder.finished) == [2]
    assert folder.notes()[0] == "2 seeds not finished and left out: 1, 5."
    change(path / "seed-2", status="training")
    with pytest.raises(
        RunError, match=r"none is finished\. Continue with: selfmm train .* --seeds 1,2,5 --out .*--resume"
    ):
        SeedsFolder(path).require_finished()


@pytest.mark.parametrize("values", [{"fingerprint": "0"}, {"model": "mult"}, {"label_range": [0, 1]}])
def test_seeds_of_different_trainings(trained: SentimentModel, tmp_path: Path, values: dict[str, object]) -> None:
    path = copies(trained, tmp_path / "seeds", "seed-1", "seed-2")
    change(path / "seed-2", **values)
    with pytest.raises(RunError, match="different trainings: seed 2 has another"):
        SeedsFolder(path).require_finished()


def test_a_damaged_seed(trained: SentimentModel, tmp_path: Path) -> None:
    path = copies(trained, tmp_path / "seeds", "seed-1", "seed-2")
    (path / "seed-2" / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"seed-2.*run\.json is not valid"):
        SeedsFolder(path).require_finished()


def test_the_worth_of_the_mean_score(trained: SentimentModel, tmp_path: Path) -> None:
    path = copies(trained, tmp_path / "seeds", "seed-1", "seed-2")
    own = trained.folder.worth()
    assert own is not None
    same = SeedsFolder(path).worth()
    assert same is not None
    assert same.scores["fusion"].half_width(0.0) == pytest.approx(own.scores["fusion"].band), "they always agree"
    plain = replace(same.scores["fusion"], factor=math.nan, floor=math.nan)
    assert replace(same, scores={**same.scores, "fusion": plain}) == own, "the mean of a score and itself"
    table = pd.read_parquet(path / "seed-2" / "predictions.parquet")
    table.assign(score=table["score"] + 2).to_parquet(path / "seed-2" / "predictions.parquet")
    worth = SeedsFolder(path).worth()
    assert worth is not None
    scores, samples = (
        trained.predictions["score"] + 1,
        pd.read_parquet(Path(trained.info.dataset_path) / "samples.parquet"),
    )
    test = (samples["split"] == "test") & samples["label"].notna()
    assert worth.scores["fusion"].mae == pytest.approx((scores - samples["label"])[test].abs().mean(), abs=1e-5)
    assert worth.training_clips == own.training_clips
    for seed in ("seed-1", "seed-2"):
        change(path / seed, dataset_path=str(tmp_path / "gone"))
    assert SeedsFolder(path).worth() is None


def test_means() -> None:
    first = pd.DataFrame({"id": ["a", "b"], "split": "test", "label": [1.0, np.nan], "score": [1.0, 2.0]})
    first["score_text"] = [np.nan, 1.0]
    second = first.assign(score=[2.0, 2.0], score_text=[np.nan, 3.0])
    mean = mean_scores([first, second])
    assert mean["score"].tolist() == [1.5, 2.0]
    assert mean["deviation"].tolist() == pytest.approx([0.5**0.5, 0.0])
    assert np.isnan(mean["score_text"][0])
    assert mean["score_text"][1] == 2.0
    assert mean_scores([first])["deviation"].isna().all()
    with pytest.raises(RunError, match="different clips"):
        mean_scores([first, second.iloc[:1]])
