"""Annotation on the command line, from a run to people and back into the data set."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from annotation.journals import rate, rated
from annotation.studio import annotation, complaints, exported
from cli.command_line import complains, selfmm
from selfmm.data.store import Dataset, open_dataset
from selfmm.runs.trained_model import TrainedModel


@pytest.fixture
def run(trained: TrainedModel, tmp_path: Path) -> Path:
    """A copy of the run and of its data, as if it had been trained on the copy."""
    shutil.copytree(trained.info.dataset_path, tmp_path / "data")
    path = tmp_path / "run"
    shutil.copytree(trained.folder.path, path)
    info = json.loads((path / "run.json").read_text("utf-8"))
    (path / "run.json").write_text(json.dumps({**info, "dataset_path": str(tmp_path / "data")}), encoding="utf-8")
    return path


def test_a_sheet_there_and_back(run: Path, tmp_path: Path) -> None:
    result = selfmm("annotate", run, "sheet.csv", "--most", "5", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "sheet.csv: 5 clips. Fill in label_text, label_audio, label_vision" in result.stdout
    complains(selfmm("annotate", run, "sheet.csv", cwd=tmp_path), "exists already", "--force")
    sheet = pd.read_csv(tmp_path / "sheet.csv")
    sheet["label_audio"] = [2.0, None, -1.25, None, None]
    sheet.to_csv(tmp_path / "filled.csv", index=False)
    result = selfmm("labels", run, "--import", "filled.csv", "--weight", "0.5", "--source", "Ann", cwd=tmp_path)
    assert "filled.csv: 2 ratings by 1 rater (audio 2): 2 new." in result.stdout
    assert "corrections.parquet: 2 corrections in all." in result.stdout
    assert "agreement is unknown" in result.stdout
    listed = selfmm("corrections", "data", cwd=tmp_path)
    assert listed.stdout.startswith("id,modality,label,weight,ratings,source")
    assert len(listed.stdout.splitlines()) == 3
    assert "audio: 2 ratings of 2 clips by 1 rater" in listed.stderr
    assert "audio 2" in selfmm("inspect", "data", cwd=tmp_path).stdout
    assert "deleted 2 ratings" in selfmm("corrections", "data", "--forget", "Ann", cwd=tmp_path).stdout
    assert len(open_dataset(tmp_path / "data").corrections) == 0


def test_label_studio_there_and_back(run: Path, tmp_path: Path) -> None:
    result = selfmm("annotate", run, "tasks.json", "--most", "3", cwd=tmp_path)
    assert "3 tasks with pre-annotations; tasks-config.xml" in result.stdout
    assert "no media" in result.stdout
    tasks = json.loads((tmp_path / "tasks.json").read_text("utf-8"))
    config = (tmp_path / "tasks-config.xml").read_text("utf-8")
    assert [complaints(config, task) for task in tasks] == [[]] * 3
    export = [exported(tasks[0], 1, annotation({"label_vision": 1.5}, {})), *(exported(t, 2) for t in tasks[1:2])]
    (tmp_path / "export.json").write_text(json.dumps(export), encoding="utf-8")
    result = selfmm("labels", "data", "--import", "export.json", cwd=tmp_path)
    assert "export.json: 1 rating by 1 rater (vision 1): 1 new." in result.stdout
    found = open_dataset(tmp_path / "data").corrections
    assert found[["id", "modality", "label"]].to_numpy().tolist() == [[tasks[0]["data"]["clip"], "vision", 1.5]]


def test_several_raters(run: Path, tmp_path: Path) -> None:
    """A second rater is added; the first one's new rating replaces the old one, and the screen says so."""
    ids = open_dataset(tmp_path / "data").samples["id"].iloc[:3].tolist()
    rated = pd.DataFrame({"id": ids, "label_audio": [1.0, -1.0, 2.0]})
    rated.to_csv(tmp_path / "a.csv", index=False)
    rated.assign(label_audio=[1.0, -0.5, 2.0]).to_csv(tmp_path / "b.csv", index=False)
    selfmm("labels", "data", "--import", "a.csv", "--rater", "Ann", cwd=tmp_path)
    result = selfmm("labels", "data", "--import", "b.csv", "--rater", "Bo", cwd=tmp_path)
    assert "3 new" in result.stdout
    assert "3 corrections in all" in result.stdout
    assert "audio: 6 ratings of 3 clips by 2 raters; Krippendorff's alpha 0.97 (too few to tell)" in result.stdout
    result = selfmm("labels", "data", "--import", "b.csv", "--rater", "Ann", cwd=tmp_path)
    assert "1 replaced, 2 unchanged" in result.stdout
    assert "(Ann): -1 -> -0.5" in result.stdout
    assert len(selfmm("corrections", "data", cwd=tmp_path).stdout.splitlines()) == 4
    every = selfmm("corrections", "data", "--ratings", cwd=tmp_path)
    assert every.stdout.startswith("id,modality,rater,label,weight")
    assert len(every.stdout.splitlines()) == 7
    assert "raters (ratings): Ann (3), Bo (3)" in every.stderr
    result = selfmm("corrections", "data", "--ratings", "--out", "all.csv", cwd=tmp_path)
    assert "alpha 1.00" in result.stderr + result.stdout
    assert "6 unchanged" in selfmm("labels", "data", "--import", "all.csv", cwd=tmp_path).stdout
    complains(selfmm("corrections", "data", "--ratings", "--forget", "x", cwd=tmp_path), "--forget alone")


def test_ratings_from_the_app(planted: Dataset, tmp_path: Path) -> None:
    ids = planted.samples["id"].tolist()
    rated(tmp_path / "data-ratings.jsonl", rate(ids[0], 2.5), rate(ids[1], -1, target="audio"), label_range=(-3, 3))
    result = selfmm("labels", planted.path, "--import", "data-ratings.jsonl", "--out", "copy", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "copy with 1 m-label and 1 correction by people. Train on it: selfmm train copy" in result.stdout.replace(
        f": a copy of {planted.path}", ""
    )
    copy = open_dataset(tmp_path / "copy")
    assert copy[ids[0]].label == 2.5
    assert copy.corrections["id"].tolist() == [ids[1]]
    assert planted[ids[0]].label != 2.5


def test_labels_of_a_data_set_without_training(planted: Dataset, tmp_path: Path) -> None:
    features = ("--set", "modalities=audio,vision")
    result = selfmm("labels", planted.path, *features, "--out", "labels.csv", cwd=tmp_path)
    assert result.stdout == "labels.csv: 150 rows; labels.md: what they are, and how far to trust them\n", result.stderr
    table = pd.read_csv(tmp_path / "labels.csv")
    assert list(table)[:7] == ["id", "video", "text", "split", "label", "label_audio", "label_vision"]
    complains(selfmm("labels", planted.path, "--out", "labels.csv", cwd=tmp_path), "exists already", "--force")
    result = selfmm("labels", planted.path, *features, "--long", "--split", "test", cwd=tmp_path)
    assert len(result.stdout.splitlines()) == 2 * (table["split"] == "test").sum() + 1
    audit = selfmm("labels", planted.path, *features, "--audit", cwd=tmp_path)
    assert "u-labels, estimated before training" in audit.stdout
    assert "audio: " in audit.stdout
    assert "the known labels" in audit.stdout
    content = json.loads(selfmm("labels", planted.path, *features, "--audit", "--json", cwd=tmp_path).stdout)
    assert set(content["verdicts"]) == {"audio", "vision"}
    assert content["by_split"][0]["split"] == "train"
    complains(selfmm("labels", planted.path, *features, "--epoch", "2", cwd=tmp_path), "leave out --epoch")
    complains(selfmm("labels", planted.path, *features, "--split", "tset", cwd=tmp_path), "there are labels of: train")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["labels.csv", "labels.md"]


def test_labels_of_a_run_say_which_epoch_they_are_of(trained: TrainedModel, tmp_path: Path) -> None:
    best = trained.metrics["best_epoch"]
    result = selfmm("labels", trained.folder.path, cwd=tmp_path)
    assert f"note: these are the labels of epoch {best} of 4, whose weights the run keeps." in result.stderr
    assert "only training clips have labels" in result.stderr
    assert result.stdout.startswith("id,video,text,split,label,label_text")
    complains(selfmm("labels", trained.folder.path, "--preset", "mosi"), "a run has settings of its own")
    note = f"note: these are the labels of epoch {best} of 4"
    assert note in selfmm("annotate", trained.folder.path, "sheet.csv", cwd=tmp_path).stdout


def test_mistakes(run: Path, tmp_path: Path) -> None:
    before = sorted(file.name for file in (tmp_path / "data").glob("[!.]*"))  # but for the lock
    complains(selfmm("annotate", run, "tasks.ods", cwd=tmp_path), "ends in .csv or .xlsx or .parquet or .json")
    complains(selfmm("annotate", run, "data/tasks.json", cwd=tmp_path), "is in a data set")
    complains(selfmm("annotate", run, "x.csv", "--media-root", "/x", cwd=tmp_path), "Label Studio")
    complains(selfmm("annotate", "data", "x.csv", cwd=tmp_path), "is not a run folder")
    complains(selfmm("labels", "data", "--import", "none.csv", cwd=tmp_path), "none.csv does not exist")
    complains(selfmm("labels", "nowhere", "--import", "none.csv", cwd=tmp_path), "nowhere does not exist")
    complains(selfmm("labels", run, "--weight", "1", cwd=tmp_path), "--import FILE")
    complains(selfmm("labels", run, "--rater", "Ann", cwd=tmp_path), "--import FILE")
    complains(selfmm("labels", run, "--import", "x.csv", "--out", "y.csv", cwd=tmp_path), "--out")
    complains(selfmm("corrections", "data", "--forget", "x", cwd=tmp_path), "sources are: none")
    (tmp_path / "bad.csv").write_text("id,label_text\nnobody,9\n")
    complains(selfmm("labels", "data", "--import", "bad.csv", cwd=tmp_path), "nothing was changed", "nobody", "9")
    assert sorted(file.name for file in (tmp_path / "data").glob("[!.]*")) == before
