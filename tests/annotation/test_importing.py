"""Annotations are imported all or not at all, and everything wrong is reported at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from annotation.studio import annotation, exported, min_records
from annotation.worlds import MODALITIES, TRAIN, project, small
from selfmm.annotation.clips import clips_to_annotate
from selfmm.annotation.importing import forget_corrections, import_corrections
from selfmm.annotation.sheet import write_sheet
from selfmm.core.errors import OutputError, SourceError
from selfmm.data.corrections import COLUMNS, CORRECTIONS
from selfmm.data.manifest import Modality
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import Frames, Source, sha256, write_dataset

from annotation.worlds import u_labels  # isort: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return small(tmp_path / "data")


def stored(dataset: Dataset) -> dict[tuple[str, str], tuple[float, float, str]]:
    table = open_dataset(dataset.path).corrections
    return {(row.id, row.modality): (row.label, row.weight, row.source) for row in table.itertuples()}  # type: ignore[misc]


def refused(dataset: Dataset, path: Path, *words: str, **options: Any) -> None:
    before = [(file.name, file.read_bytes()) for file in sorted(dataset.path.iterdir())]
    with pytest.raises(SourceError) as error:
        import_corrections(open_dataset(dataset.path), path, **options)
    for word in words:
        assert word in str(error.value)
    assert [(file.name, file.read_bytes()) for file in sorted(dataset.path.iterdir())] == before


def studio(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "export.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_sheet_there_and_back(dataset: Dataset, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sheet.{suffix}"
    write_sheet(path, clips_to_annotate(dataset, u_labels(), MODALITIES), MODALITIES)
    sheet = pd.read_csv(path) if suffix == "csv" else pd.read_parquet(path)
    formula = "'=so so" if suffix == "csv" else "=so so"  # no spreadsheet shall reckon with it
    assert sheet["text"].tolist() == ["good", "bad, very", formula, "真的不好"]
    assert sheet["label_text"].isna().all()
    untouched = path.read_bytes()
    refused(dataset, path, "it has no labels")
    sheet.loc[1, "label_audio"] = 2.5
    sheet.loc[2, "label_text"] = -0.25
    sheet.loc[2, "label_vision"] = 0
    sheet.to_csv(path, index=False) if suffix == "csv" else sheet.to_parquet(path, index=False)
    assert path.read_bytes() != untouched
    done = import_corrections(dataset, path, weight=0.5, source="Ann")
    assert (done.counts, done.replaced, done.total, done.notes) == ({"text": 1, "audio": 1, "vision": 1}, 0, 3, ())
    assert stored(dataset) == {
        ("b", "audio"): (2.5, 0.5, "Ann"),
        (TRAIN[2], "text"): (-0.25, 0.5, "Ann"),
        (TRAIN[2], "vision"): (0.0, 0.5, "Ann"),
    }
    table = open_dataset(dataset.path).corrections
    assert list(table.columns) == list(COLUMNS)
    assert set(table["sha256"]) == {sha256(path)}
    assert pd.to_datetime(table["imported_at"]).dt.tz is not None


@pytest.mark.parametrize("form", ["JSON", "JSON-MIN"])
def test_label_studio_there_and_back(dataset: Dataset, tmp_path: Path, form: str) -> None:
    """Two annotators are averaged and both kept; what was skipped, drafted or only predicted does not count."""
    tasks = project(dataset).tasks()
    both = [
        annotation({"label_text": 1, "label_audio": -1.5}, {}, by=7),
        annotation({"label_text": 2.0}, {}, by={"id": 12, "email": "ann@example.com"}, id=1001),
    ]
    if form == "JSON-MIN":
        both[1]["completed_by"] = 12
    skipped = annotation({"label_text": -3}, {}, was_cancelled=True)
    content = [
        exported(tasks[0], 40, *both, skipped),
        exported(tasks[1], 41, skipped),
        exported(tasks[2], 42),
        exported(tasks[3], 43, annotation({"label_vision": 0.5}, {}, by=7)),
    ]
    path = studio(tmp_path, content if form == "JSON" else min_records(content))
    done = import_corrections(dataset, path)
    assert stored(dataset) == {
        ("a", "text"): (1.5, 1.0, "export.json"),
        ("a", "audio"): (-1.5, 1.0, "export.json"),
        ("e", "vision"): (0.5, 1.0, "export.json"),
    }
    table = open_dataset(dataset.path).corrections.set_index(["id", "modality"])
    assert table["annotators"].to_dict() == {("a", "text"): "12, 7", ("a", "audio"): "7", ("e", "vision"): "7"}
    assert any("1 of them" in note and "without the modality" in note for note in done.notes)
    assert any("2 skipped annotations left out" in note for note in done.notes) == (form == "JSON")


def test_accepted_pre_annotations_are_the_u_labels(dataset: Dataset, tmp_path: Path) -> None:
    """An annotator who submits everything as proposed confirms it, to the step of the control."""
    content = []
    for number, task in enumerate(project(dataset).tasks()):
        proposed = {item["from_name"]: item["value"]["number"] for item in task["predictions"][0]["result"]}
        content.append(exported(task, number, annotation(proposed, {})))
    import_corrections(dataset, studio(tmp_path, content))
    expected = u_labels().set_index(["id", "modality"])["u_label"].drop(("e", "vision")).round(1)
    assert {key: label for key, (label, _, _) in stored(dataset).items()} == expected.to_dict()


def test_newer_replaces_older_and_the_rest_stays(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("id,label_text,label_audio\na,1,1\nb,-1,\n")
    import_corrections(dataset, path)
    path.write_text("id,label_text,label_audio\na,2,\nv,-2,\n")
    done = import_corrections(open_dataset(dataset.path), path, weight=0.25, source="later")
    assert (done.counts, done.replaced, done.total) == ({"text": 2}, 1, 4)
    assert "outside the training split" in done.notes[0]
    assert stored(dataset) == {
        ("a", "audio"): (1.0, 1.0, "one.csv"),
        ("a", "text"): (2.0, 0.25, "later"),
        ("b", "text"): (-1.0, 1.0, "one.csv"),
        ("v", "text"): (-2.0, 0.25, "later"),
    }


def test_forget(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("id,label_text\na,1\n")
    import_corrections(dataset, path)
    path.write_text("id,label_text\nb,1\n")
    import_corrections(open_dataset(dataset.path), path, source="two")
    with pytest.raises(SourceError, match=r"from 'three'; their sources are: one.csv, two"):
        forget_corrections(open_dataset(dataset.path), "three")
    assert forget_corrections(open_dataset(dataset.path), "one.csv") == 1
    assert list(stored(dataset)) == [("b", "text")]
    assert forget_corrections(open_dataset(dataset.path), "two") == 1
    assert not (dataset.path / CORRECTIONS).exists()


def test_everything_wrong_in_a_sheet_is_reported_at_once(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(
        "id,label_text,label_pulse,label_audio,label_vision\n"
        "a,1,0.5,inf,\n"
        "a,,,,3.01\n"
        "nobody,1,,,\n"
        'b,"1,5",,nan,-1e400\n'
    )
    refused(
        dataset,
        path,
        "ids have more than one row: 'a'",
        "the data set has no clips with these ids: 'nobody'",
        "there are labels of 'pulse'; the data set has text, audio, vision",
        "labels are outside [-3, 3]: '3.01 (vision of a)'",
        "labels are not finite numbers: '1,5 (text of b)'",
        "the weight is 1.5",
        weight=1.5,
    )
    refused(dataset, path, "the weight is nan", weight=float("nan"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "should have a column id|cannot read"),
        ("id;label_text\na;1\n", "separated by commas"),
        ("clip,label_text\na,1\n", "should have a column id"),
        ("id,text\na,b\n", "columns label_<modality>"),
        ("id,label_text,label_text \na,1,2\n", "each once"),
        ("id,label_text\na,1,2\n", "rows longer than its header"),
        ("id,label_text\n", "it has no labels"),
    ],
)
def test_sheets_that_are_none(dataset: Dataset, tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "sheet.csv").write_text(content)
    with pytest.raises(SourceError, match=says):
        import_corrections(dataset, tmp_path / "sheet.csv")
    assert not (dataset.path / CORRECTIONS).exists()


def task(clip: object, *annotations: object, **more: object) -> dict[str, Any]:
    return {"id": 1, "data": {"clip": clip}, "annotations": list(annotations), **more}


def rated(value: object, name: str = "label_text") -> dict[str, Any]:
    return {"result": [{"from_name": name, "value": value}]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "cannot read"),
        ("[", "cannot read"),
        ("[" * 100_000, "nested too deeply|cannot read"),
        ('{"a":' * 100_000, "nested too deeply|cannot read"),
        ("[" + "9" * 5000 + "]", "cannot read|a list of other things"),
        ("\ud800", "cannot read"),
        ({"id": 1}, "holds a dict"),
        ([1, 2], "a list of other things"),
        ([], "it has no labels"),
        ([{"id": 1}], r"not as Label Studio writes them: 'record 1 \(it has no clip\)'"),
        ([{"id": 1, "data": {"text": "x"}, "annotations": []}], "it has no data.clip"),
        ([{"id": 1, "data": [], "annotations": []}], "it has no data.clip"),
        ([{"id": 1, "data": {"clip": "a"}, "predictions": [rated({"number": 1})]}], "no list of annotations"),
        ([task(3, rated({"number": 1}))], "it has no data.clip"),
        ([task("a", 5)], "an annotation without a list result"),
        ([task("a", {"result": "x"})], "an annotation without a list result"),
        ([task("a", rated({"rating": 4}))], r"not finite numbers: .\{'rating': 4\} \(text of a\)"),
        ([task("a", rated({"number": True}))], "not finite numbers"),
        ([task("a", rated({"number": [1]}))], "not finite numbers"),
        ([task("a", rated({"number": 10**400}))], "not finite numbers"),
        ('[{"clip": "a", "label_text": [{"number": NaN}]}]', "not finite numbers"),
        ([task("a", rated({"number": 3.5}))], r"outside \[-3, 3\]"),
        ([task("a", rated({"number": 1}, "label_pulse"))], "labels of 'pulse'"),
        ([task("a", {"result": [*rated({"number": 1})["result"], *rated({"number": 2})["result"]]})], "twice"),
        ([{"clip": "a", "label_text": [{"number": 1}, {"number": 2}]}], "twice"),
        ([task("a", rated({"number": 1}), id=1), task("a", rated({"number": 1}), id=2)], "several tasks: 'a'"),
        ([{"clip": "a", "id": 1}, {"clip": "a", "id": 2, "label_text": 1}], "several tasks: 'a'"),
        ([task("\ud800", rated({"number": 1}))], "no clips with these ids"),
    ],
)
def test_json_that_is_no_export(dataset: Dataset, tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "export.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SourceError, match=says):
        import_corrections(dataset, path)
    assert not (dataset.path / CORRECTIONS).exists()


def test_a_huge_json_is_not_read(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    with path.open("wb") as file:
        file.truncate((256 << 20) + 1)
    refused(dataset, path, "larger than 256 MiB")


def test_other_questions_and_empty_answers_are_left_out(dataset: Dataset, tmp_path: Path) -> None:
    results = [
        {"from_name": "comment", "value": {"text": ["hm"]}},
        {"type": "relation"},
        {"from_name": "label_audio", "value": {"number": None}},
        {"from_name": "label_text", "value": {"number": "0.5"}},
    ]
    done = import_corrections(dataset, studio(tmp_path, [task("a", {"result": results, "completed_by": "\ud800"})]))
    assert stored(dataset) == {("a", "text"): (0.5, 1.0, "export.json")}
    assert done.notes == ("answers to other questions were left out: 'comment'.",)


def test_files_of_another_kind(dataset: Dataset, tmp_path: Path) -> None:
    refused(dataset, tmp_path / "none.csv", "does not exist")
    refused(dataset, tmp_path, "is not a file")
    (tmp_path / "x.xlsx").write_bytes(b"")
    refused(dataset, tmp_path / "x.xlsx", "not a kind of file that can be imported")
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    refused(dataset, tmp_path / "x.parquet", "cannot read")


FORMULAS = ["=cmd|'/c calc'!A1", "-3g5yACwYnA$_$10", "'=x", "''", "a", "@b"]


def test_ids_that_look_like_formulas_come_back(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data", id=FORMULAS)
    labels = u_labels()
    labels["id"] = labels["id"].map(dict(zip(TRAIN, FORMULAS, strict=False)))
    path = tmp_path / "sheet.csv"
    write_sheet(path, clips_to_annotate(dataset, labels, MODALITIES), MODALITIES)
    sheet = pd.read_csv(path, dtype=str)
    assert not sheet[["id", "video", "text"]].stack().str.match("[=+@-]").any()
    sheet.assign(label_text="1").to_csv(path, index=False)
    import_corrections(dataset, path)
    assert {clip for clip, _ in stored(dataset)} == set(FORMULAS[:4])


def test_two_imports_at_once_lose_nothing(dataset: Dataset, tmp_path: Path) -> None:
    early, late = open_dataset(dataset.path), open_dataset(dataset.path)
    for opened in (early, late):  # both have read the file before either writes
        assert opened.corrections.empty
    for number, (opened, name) in enumerate([(early, "a"), (late, "b")]):
        (tmp_path / f"{number}.csv").write_text(f"id,label_text\n{name},1\n")
        import_corrections(opened, tmp_path / f"{number}.csv")
    assert set(stored(dataset)) == {("a", "text"), ("b", "text")}
    assert forget_corrections(early, "1.csv") == 1
    assert set(stored(dataset)) == {("a", "text")}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("id,label_text,label_text\na,1,2\n", "each once"),
        ("id,id,label_text\na,b,1\n", "each once"),
        ("id;label_text\na;1,5\n", "semicolons"),
        ("id;label_text\na;1\n", "semicolons"),
        ("id,label_text\na,1_0e-1\n", "not finite numbers"),
    ],
)
def test_sheets_that_could_be_read_in_two_ways(dataset: Dataset, tmp_path: Path, text: str, word: str) -> None:
    (tmp_path / "sheet.csv").write_text(text)
    refused(dataset, tmp_path / "sheet.csv", word)


def test_corrections_that_come_in_while_the_data_set_is_made_again_stay(dataset: Dataset, tmp_path: Path) -> None:
    def import_meanwhile(clip: int) -> Any:
        (tmp_path / "x.csv").write_text("id,label_audio\na,1\n")
        import_corrections(dataset, tmp_path / "x.csv")
        return np.ones((2, 2), dtype="f4")

    table = dataset.samples[["id", "split", "label", "text", "video"]]
    frames = {"audio": Frames(Modality(kind="frames", dim=2), np.full(6, 2), import_meanwhile)}
    with pytest.raises(OutputError, match="corrections that people made"):
        write_dataset(Source(table, frames, "small", (-3.0, 3.0)), dataset.path, force=True)
    assert set(stored(dataset)) == {("a", "audio")}


def test_a_data_set_that_was_corrected_can_be_replaced_once_its_corrections_are_away(
    dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("id,label_audio\na,1\n")
    import_corrections(dataset, tmp_path / "x.csv")
    (dataset.path / CORRECTIONS).rename(tmp_path / CORRECTIONS)
    table = dataset.samples[["id", "split", "label", "text", "video"]]
    assert write_dataset(Source(table, {}, "new", (-3.0, 3.0)), dataset.path, force=True).name == "new"
