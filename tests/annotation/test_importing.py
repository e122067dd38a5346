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
from selfmm.data.manifest import Modality
from selfmm.data.ratings import CORRECTIONS, RATINGS
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.tables.cells import from_text
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


def test_a_sheet_as_a_spreadsheet_there_and_back(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    dataset = small(tmp_path / "data", id=FORMULAS)
    labels = u_labels()
    labels["id"] = labels["id"].map(dict(zip(TRAIN, FORMULAS, strict=False)))
    path = tmp_path / "sheet.xlsx"
    write_sheet(path, clips_to_annotate(dataset, labels, MODALITIES), MODALITIES)
    book = openpyxl.load_workbook(path)
    header, *rows = book.active.iter_rows()
    places = [cell.value for cell in header]
    ratings = {}
    for row, rating in zip(rows, [1.5, -2, 0.25, 3], strict=True):
        assert row[places.index("label_text")].value is None
        row[places.index("label_text")].value = rating
        ratings[from_text(row[places.index("id")].value)] = rating
    book.save(path)
    import_corrections(dataset, path)
    assert {clip: value for (clip, _), (value, _, _) in stored(dataset).items()} == ratings
    assert set(ratings) == set(FORMULAS[:4])


@pytest.mark.parametrize("form", ["semicolons", "tabs", "xlsx", "xlsx with text", "csv that is xlsx"])
def test_ratings_from_a_spreadsheet_of_people_who_write_decimal_commas(
    dataset: Dataset, tmp_path: Path, form: str
) -> None:
    path = tmp_path / ("sheet.xlsx" if form.startswith("xlsx") else "sheet.csv")
    if "xlsx" in form:
        pytest.importorskip("openpyxl")
        labels = ["-2,5", "1,25"] if "text" in form else [-2.5, 1.25]
        pd.DataFrame({"id": ["a", "b"], "label_text": labels}).to_excel(tmp_path / "sheet.xlsx", index=False)
        (tmp_path / "sheet.xlsx").rename(path)
    else:
        rows = ["id;text;label_text", 'a;"gut; nein, sehr gut";-2,5', "b;;1,25", ";;"]
        path.write_text("\n".join(row.replace(";", "\t") if form == "tabs" else row for row in rows), "utf-16")
    import_corrections(dataset, path)
    assert stored(dataset) == {
        ("a", "text"): (-2.5, 1.0, path.name),
        ("b", "text"): (1.25, 1.0, path.name),
    }


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
    assert (done.counts, done.added, done.replaced, done.total) == ({"text": 1, "audio": 1, "vision": 1}, 3, 0, 3)
    assert done.raters == ("Ann",)
    assert [note for note in done.notes if "without a rater" not in note] == []
    assert stored(dataset) == {
        ("b", "audio"): (2.5, 0.5, "Ann"),
        (TRAIN[2], "text"): (-0.25, 0.5, "Ann"),
        (TRAIN[2], "vision"): (0.0, 0.5, "Ann"),
    }
    table = open_dataset(dataset.path).ratings
    assert list(table.columns) == list(RATINGS)
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
        ("a", "text"): (1.5, pytest.approx(20 / 21), "export.json"),  # one clip hardly says how reliable they are
        ("a", "audio"): (-1.5, 1.0, "export.json"),
        ("e", "vision"): (0.5, 1.0, "export.json"),
    }
    table = open_dataset(dataset.path).corrections.set_index(["id", "modality"])
    assert table["annotators"].to_dict() == {("a", "text"): "12, 7", ("a", "audio"): "7", ("e", "vision"): "7"}
    assert any("1 rating left out of training" in note and "lacks the modality" in note for note in done.notes)
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


def sheet(tmp_path: Path, text: str, name: str = "one.csv") -> Path:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


def test_the_same_rater_again_replaces_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    import_corrections(dataset, sheet(tmp_path, "id,label_text,label_audio\na,1,1\nb,-1,\n"))
    path = sheet(tmp_path, "id,label_text,label_audio\na,2,1\nv,-2,\n")
    done = import_corrections(open_dataset(dataset.path), path)
    assert (done.counts, done.added, done.replaced, done.unchanged) == ({"text": 2, "audio": 1}, 1, 1, 1)
    assert done.total == 4
    assert any("text of a (one.csv): 1 -> 2" in note for note in done.notes)
    assert any("1 rating left out of training" in note for note in done.notes)
    assert {key: label for key, (label, _, _) in stored(dataset).items()} == {
        ("a", "audio"): 1.0,
        ("a", "text"): 2.0,
        ("b", "text"): -1.0,
        ("v", "text"): -2.0,
    }
    again = import_corrections(open_dataset(dataset.path), path, weight=0.5)
    assert (again.added, again.replaced, again.unchanged) == (0, 3, 0)
    assert any("weights changed in 3" in note for note in again.notes)


def test_another_rater_is_added(dataset: Dataset, tmp_path: Path) -> None:
    path = sheet(tmp_path, "id,label_text\na,1\nb,-1\n")
    import_corrections(dataset, path, rater="Ann")
    path = sheet(tmp_path, "id,label_text\na,2\n", "two.csv")
    done = import_corrections(open_dataset(dataset.path), path, rater="Bo")
    assert (done.added, done.replaced, done.total, done.raters, done.notes) == (1, 0, 2, ("Bo",), ())
    row = open_dataset(dataset.path).corrections.iloc[0]
    assert row[["label", "ratings", "source", "annotators"]].tolist() == [1.5, 2, "one.csv, two.csv", "Ann, Bo"]
    assert done.agreement[["raters", "ratings", "clips", "shared"]].to_numpy().tolist() == [[2, 3, 2, 1]]
    assert forget_corrections(open_dataset(dataset.path), "two.csv") == 1
    assert stored(dataset)["a", "text"] == (1.0, 1.0, "one.csv")
    named = sheet(tmp_path, "id,rater,label_text\na,Cy,2\n", "three.csv")
    done = import_corrections(open_dataset(dataset.path), named, rater="Zed")
    assert done.raters == ("Cy",)
    assert "the file names its raters, so `rater=...` is not used." in done.notes


RATED = {("a", "text", "Ann"): 1.0, ("a", "text", "Bo"): 2.0, ("b", "text", "Ann"): -1.0, ("a", "audio", "Bo"): 0.5}


@pytest.mark.parametrize(
    "text",
    [
        "id,rater,label_text,label_audio\na,Ann,1,\na,Bo,2,.5\nb, Ann ,-1,\n",
        "ID,Annotator,label_T,label_A\na,Ann,1,\na,Bo,2,.5\nb,Ann,-1,\n",
        "id,modality,rater,label\na,text,Ann,1\na,text,Bo,2\na,audio,Bo,0.5\nb,text,Ann,-1\nb,audio,Ann,\n",
        "id,label_text,label_audio,worker_id,label\na,1,,Ann,3\nb,-1,,Ann,3\na,2,.5,Bo,-3\n",
    ],
)
def test_sheets_with_raters(dataset: Dataset, tmp_path: Path, text: str) -> None:
    import_corrections(dataset, sheet(tmp_path, text))
    table = open_dataset(dataset.path).ratings
    assert {(row.id, row.modality, row.rater): row.label for row in table.itertuples()} == RATED


def test_what_is_written_can_be_read_again(dataset: Dataset, tmp_path: Path) -> None:
    import_corrections(dataset, sheet(tmp_path, "id,rater,label_text\na,Ann,1\na,Bo,2\n"))
    before = open_dataset(dataset.path).ratings
    before.to_csv(tmp_path / "out.csv", index=False)
    done = import_corrections(open_dataset(dataset.path), tmp_path / "out.csv")
    assert (done.added, done.replaced, done.unchanged) == (0, 0, 2)


def test_ids_of_mmsa(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data", id=["x$_$1", "x$_$02", "b", "c", "d", "e"])
    path = sheet(tmp_path, "video_id,clip_id,text,label,label_T,label_A,label_V,mode\nx,02,hm,1,-1,0.4,1,train\n")
    import_corrections(dataset, path)
    assert {key: label for key, (label, _, _) in stored(dataset).items()} == {
        ("x$_$02", "text"): -1.0,
        ("x$_$02", "audio"): 0.4,
        ("x$_$02", "vision"): 1.0,
    }


def test_csv_of_label_studio(tmp_path: Path) -> None:
    """Its ``id`` is the number of the task, which may be the id of another clip."""
    dataset = small(tmp_path / "data", id=["7", "8", "3", "4", "5", "6"])
    text = "clip,id,label_text,annotator,annotation_id,lead_time\n7,3,-2.5,1,55,4.0\n7,3,-2,2,56,4.0\n"
    done = import_corrections(dataset, sheet(tmp_path, text))
    assert {key: label for key, (label, _, _) in stored(dataset).items()} == {("7", "text"): -2.25}
    assert done.raters == ("1", "2")


@pytest.mark.parametrize(
    "header",
    [
        "id,label_text,annotator,annotation_id,lead_time,clip",
        "ID,label_text,annotator,Annotation_ID,x,Clip",
        "id,label_text,annotator,x,lead_time,clip",
        "id,label_text,annotator,x,y,clip",  # only clip holds ids of the data set
    ],
)
def test_csv_of_label_studio_whose_tasks_have_numbers_of_clips(tmp_path: Path, header: str) -> None:
    """id is the number of the task: 3 is a clip too, but another one."""
    numbers = ["7", "3", "5", "6", "8", "9"]
    task = "3" if "y" not in header else "1"
    dataset = small(tmp_path / "data", id=numbers)
    (tmp_path / "export.csv").write_text(f"{header}\n{task},-2.5,1,55,4.0,7\n")
    import_corrections(dataset, tmp_path / "export.csv")
    assert stored(dataset) == {("7", "text"): (-2.5, 1.0, "export.csv")}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("id,label_text,annotator,annotation_id\n3,1,1,55\n", "id is the number of a task"),
        ("id,label_text,annotator,clip\n3,1,1,7\n", "columns id and clip name different clips"),
        ("id,clip,label_text\n3,7,1\n7,7,1\n", "columns id and clip name different clips"),
        ("id,video_id,clip_id,label_text\n3,a,1,1\n", "columns id and video and clip_id name different clips"),
    ],
)
def test_ids_that_could_mean_two_things(tmp_path: Path, content: str, says: str) -> None:
    dataset = small(tmp_path / "data", id=["7", "3", "a$_$1", "6", "8", "9"])
    (tmp_path / "sheet.csv").write_text(content)
    refused(dataset, tmp_path / "sheet.csv", says)


@pytest.mark.parametrize("form", ["csv", "json", "json-min"])
def test_a_rating_with_the_words_of_another_clip(dataset: Dataset, tmp_path: Path, form: str) -> None:
    """A sheet whose rows were mixed by sorting, or that was made from another data set with the same ids."""
    if form == "csv":
        path = tmp_path / "sheet.csv"
        path.write_text('id,text,label_text\na,"Bad  very",1\nb,"bad, very!",2\nt,,1\n')
    else:
        data = {"clip": "a", "text": "bad, very"}
        tasks = [{**data, "label_text": 1}] if form == "json-min" else [{"data": data, "annotations": []}]
        path = studio(tmp_path, tasks)
    refused(dataset, path, "ids and words do not belong together: 'the row of a has the words of b'.")


def test_rows_without_a_rater_are_several_people(dataset: Dataset, tmp_path: Path) -> None:
    done = import_corrections(dataset, sheet(tmp_path, "id,label_text\na,1\na,2\na,3\nb,1\n"), source="crowd")
    assert done.raters == ("crowd", "crowd #2", "crowd #3")
    assert any("several rows without a rater: 'a'" in note for note in done.notes)
    assert stored(dataset)["a", "text"][0] == 2.0


def test_a_rater_with_two_rows_for_a_clip_is_a_mistake(dataset: Dataset, tmp_path: Path) -> None:
    refused(dataset, sheet(tmp_path, "id,rater,label_text\na,Ann,1\na,Ann,2\n"), "'a (Ann)'", "Keep one row")
    long = "id,modality,rater,label\na,text,Ann,1\na,text,Ann,1\na,audio,Ann,1\n"
    refused(dataset, sheet(tmp_path, long), "'a (Ann)'", "Keep one row")


def test_the_later_annotation_of_a_person_counts(dataset: Dataset, tmp_path: Path) -> None:
    late = annotation({"label_text": 2}, {}, by=7, updated_at="2026-03-10T00:00:00Z")
    early = annotation({"label_text": 1, "label_audio": -1}, {}, by=7, updated_at="2026-03-09T00:00:00Z")
    content = [exported(project(dataset).tasks()[0], 1, late, early)]
    for number, form in enumerate((content, min_records(content))):
        done = import_corrections(open_dataset(dataset.path), studio(tmp_path, form))
        assert any("1 earlier rating of the file left out" in note for note in done.notes)
        assert stored(dataset) == {("a", "audio"): (-1, 1, "export.json"), ("a", "text"): (2, 1, "export.json")}
        assert (done.added, done.unchanged) == ((2, 0), (0, 2))[number]


def test_annotations_without_a_person_are_several_people(dataset: Dataset, tmp_path: Path) -> None:
    content = [exported(project(dataset).tasks()[0], 1, *(annotation({"label_text": n}, {}, by=None) for n in (1, 2)))]
    for form in (content, min_records(content)):
        done = import_corrections(open_dataset(dataset.path), studio(tmp_path, form), rater="Ann")
        assert done.raters == ("Ann", "Ann #2")
        assert any("several annotations without a person" in note for note in done.notes)
    assert stored(dataset)["a", "text"][0] == 1.5


@pytest.mark.parametrize("name", ["x" * 500, "two\nlines", "\ud800", "7.0", "  ", "[red]Ann[/]", "'=Ann"])
def test_odd_names_of_raters(dataset: Dataset, tmp_path: Path, name: str) -> None:
    table = pd.DataFrame({"id": ["a"], "rater": [name.encode("utf-8", "replace").decode()], "label_text": [1.0]})
    table.to_csv(tmp_path / "odd.csv", index=False)
    done = import_corrections(dataset, tmp_path / "odd.csv", rater=name)
    assert len(done.raters[0]) <= 80
    assert "\n" not in done.raters[0]
    expected = {"7.0": "7", "  ": "odd.csv", "'=Ann": "=Ann"}.get(name)
    assert expected in (None, done.raters[0])


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
        ("", "should have a column id|is empty"),
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
        ("\ud800", "is not UTF-8"),
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
    assert done.raters == ("?",)


def test_files_of_another_kind(dataset: Dataset, tmp_path: Path) -> None:
    refused(dataset, tmp_path / "none.csv", "does not exist")
    refused(dataset, tmp_path, "is not a file")
    (tmp_path / "x.txt").write_bytes(b"")
    refused(dataset, tmp_path / "x.txt", "not a kind of file that can be imported")
    (tmp_path / "x.ods").write_bytes(b"")
    refused(dataset, tmp_path / "x.ods", "a kind that is not read. Save it as .xlsx or .csv")
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
        ("id;label_text\na;1,5\nb;1.5\n", "with a comma ('1,5') and with a point ('1.5')"),
        ("id;label_text\na;1,500\n", "thousands or decimals: '1,500'"),
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


def test_exported_labels_are_not_ratings(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,label_text,made_text\na,1.5,left out\nb,1,person\n", encoding="utf-8")
    with pytest.raises(SourceError, match="labels that a program made, in label_text; made_text says how"):
        import_corrections(dataset, path)
    assert open_dataset(dataset.path).corrections.empty


HEAD = '{"selfmm_ratings": 1, "label_range": [-3.0, 3.0]}\n'
ACT = '{"act": "rate", "id": "a", "target": "text", "rater": "Ann", "label": 1.0, "mode": "words"}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEAD.replace("3.0", "1.0") + ACT,
            r"ratings are from -1 to 1, but the labels of the data set .* from -3 to 3",
        ),
        (ACT, "does not state its scale"),
        (HEAD.replace("[-3.0, 3.0]", "null") + ACT, "does not state its scale"),
        (f"[{ACT}]\n", "2 lines cannot be read as ratings of the app, and were left out"),
        ("hello\nyou\n", "2 lines cannot be read"),
        (HEAD + ACT.replace("1.0", "9.0"), "1 line cannot be read"),
        ((HEAD + ACT).rstrip(), "1 line cannot be read"),
    ],
)
def test_ratings_of_the_app_that_are_damaged_or_of_another_scale(
    dataset: Dataset, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "x-ratings.jsonl"
    path.write_text(content)
    with pytest.raises(SourceError, match=message):
        import_corrections(dataset, path)
    assert open_dataset(dataset.path).corrections.empty


@pytest.mark.parametrize("extra", ["garbage\n[]\n", 'null\n{"act": "ra'])
def test_lines_of_the_app_that_cannot_be_read_are_noted(dataset: Dataset, tmp_path: Path, extra: str) -> None:
    path = tmp_path / "x-ratings.jsonl"
    path.write_text(HEAD + ACT + extra)
    done = import_corrections(dataset, path)
    assert done.counts == {"text": 1}
    assert "2 lines cannot be read as ratings of the app, and were left out." in done.notes


def test_names_of_columns_may_have_capitals(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("ID,Label_Text,LABEL_AUDIO\na,1,2\n")
    assert import_corrections(dataset, tmp_path / "x.csv").counts == {"text": 1, "audio": 1}


def test_raters_that_differ_only_in_capitals_are_noted(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,label_text,rater\na,1,Ann\na,2,ann \nb,1,Bo\n")
    done = import_corrections(dataset, tmp_path / "x.csv")
    assert "raters differ only in capitals: 'Ann, ann'. They count as different people." in done.notes


def test_ids_that_differ_only_in_capitals_are_named(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("id,label_text\nA,1\n")
    refused(dataset, tmp_path / "x.csv", "'A' and 'a' differ only in capitals")
