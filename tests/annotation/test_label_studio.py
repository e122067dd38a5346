"""Tasks and configuration fit together and fit Label Studio: by its documentation here, by its own code where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.studio import annotation, complaints, exported, min_records
from annotation.worlds import MODALITIES, project, small
from selfmm.annotation.label_studio import Project, write_project
from selfmm.data.store import Dataset

PATHS = ["clips/a b.mp4", "https://example.com/b.mp4?x=1", "clips/c.mp4", "clips/e.mp4", "clips/v.mp4", "clips/t.mp4"]


@pytest.fixture
def with_media(tmp_path: Path) -> Dataset:
    return small(tmp_path / "data", path=PATHS, start=[0.0, 1.5, 2, None, 0, 0], end=[1.0, 2.25, None, None, 1, 1])


def tags(config: str) -> dict[str, dict[str, str]]:
    return {tag.get("name", ""): {"tag": tag.tag, **tag.attrib} for tag in ElementTree.fromstring(config).iter()}


def test_tasks_fit_the_configuration(with_media: Dataset) -> None:
    labelling = project(with_media, "/data/local-files/?d=")
    assert [complaints(labelling.config(), task) for task in labelling.tasks()] == [[]] * 4
    assert labelling.notes == []


def test_the_check_of_these_tests_can_fail(with_media: Dataset) -> None:
    labelling = project(with_media)
    task = labelling.tasks()[0]
    del task["data"]["video"]
    task["predictions"][0]["result"][0]["value"]["number"] = 3.1
    task["predictions"][0]["result"][1]["to_name"] = "nothing"
    assert len(complaints(labelling.config(), task)) == 3


def test_media_and_ratings(with_media: Dataset) -> None:
    labelling = project(with_media, "/data/local-files/?d=")
    tags_by_name = tags(labelling.config())
    assert {name: tags_by_name[name]["tag"] for name in ("clip", "text", "audio", "video", "place")} == {
        "clip": "Text",
        "text": "Text",
        "audio": "Audio",
        "video": "Video",
        "place": "Text",
    }
    assert tags_by_name["video"]["muted"] == "true"
    ratings = {name: tag for name, tag in tags_by_name.items() if tag["tag"] == "Number"}
    assert {name: tag["toName"] for name, tag in ratings.items()} == {
        "label_text": "text",
        "label_audio": "audio",
        "label_vision": "video",
    }
    assert all((tag["min"], tag["max"], tag["step"]) == ("-3", "3", "0.1") for tag in ratings.values())
    first, second, third, last = (task["data"] for task in labelling.tasks())
    assert first["video"] == first["audio"] == "/data/local-files/?d=clips/a%20b.mp4"
    assert second["video"] == PATHS[1], "a URL stays as it is"
    assert first["place"] == "from 0 s to 1 s of one"
    assert third["place"] == "from 2 s of three"
    assert last["place"] == "all of three"
    assert last["text"] == "真的不好"
    assert last["u_label_vision"] is None


def test_pre_annotations_are_the_u_labels(with_media: Dataset) -> None:
    tasks = project(with_media).tasks()
    values = [
        {result["from_name"]: result["value"]["number"] for result in task["predictions"][0]["result"]}
        for task in tasks
    ]
    assert values[1] == {"label_text": -1.5, "label_audio": 2.0, "label_vision": -1.5}
    assert values[2]["label_audio"] == 1.3, "1.26, to the step of the control"
    assert values[3] == {"label_text": -2.0, "label_audio": -2.0}, "no rating of a stream that is missing"
    scores = [task["predictions"][0]["score"] for task in tasks]
    assert scores == pytest.approx([1 - 0.1 / 6, 1 - 3.5 / 6, 1 - 0.86 / 6, 1.0])


def test_without_media_there_are_no_players(tmp_path: Path) -> None:
    labelling = project(small(tmp_path / "data"))
    assert "audio" not in tags(labelling.config())
    assert tags(labelling.config())["label_audio"]["toName"] == "clip"
    assert [complaints(labelling.config(), task) for task in labelling.tasks()] == [[]] * 4
    assert "no media" in labelling.notes[0]


def test_sound_alone_and_paths_that_are_no_urls(tmp_path: Path) -> None:
    labelling = project(small(tmp_path / "data", path=["a.wav", "b.WAV", "", "e.wav", "", ""]))
    assert labelling.media == ["audio"]
    assert any("1 clip has no media path" in note for note in labelling.notes)
    assert any("pass `media_root=...`" in note for note in labelling.notes)


@given(
    low=st.floats(-1000, 0),
    width=st.floats(1e-3, 1000),
    place=st.floats(-0.5, 1.5),
)
def test_any_label_range_gives_ratings_in_it(low: float, width: float, place: float) -> None:
    labelling = Project(None, [], (low, low + width), "m")  # type: ignore[arg-type]
    assert 20 * (1 - 1e-6) <= (width / labelling.step) <= 200 * (1 + 1e-6)
    rating = labelling._on_grid(low + place * width)
    assert low <= rating <= low + width
    assert abs(rating - min(max(low + place * width, low), low + width)) <= 0.51 * labelling.step


def test_written_files(with_media: Dataset, tmp_path: Path) -> None:
    labelling = project(with_media)
    write_project(labelling, tmp_path / "tasks.json", tmp_path / "tasks-config.xml")
    assert json.loads((tmp_path / "tasks.json").read_text("utf-8")) == labelling.tasks()
    assert (tmp_path / "tasks-config.xml").read_text("utf-8") == labelling.config()


class TestWithTheRealSdk:
    """Against Label Studio's own code; not among the needs of the tests, for it brings 300 MB and pins older numpy."""

    @pytest.fixture
    def interface(self, with_media: Dataset) -> Any:
        module = pytest.importorskip("label_studio_sdk.label_interface", reason="label-studio-sdk is not installed")
        return module.LabelInterface(project(with_media).config())

    @pytest.fixture
    def labelling(self, with_media: Dataset) -> Project:
        return project(with_media)

    def test_it_accepts_configuration_tasks_and_predictions(self, interface: Any, labelling: Project) -> None:
        interface.validate()
        for task in labelling.tasks():
            assert interface.validate_task({"data": task["data"]})
            for prediction in task["predictions"]:
                assert interface.validate_prediction(prediction, return_errors=True) == []

    def test_it_would_say_what_is_wrong(self, interface: Any, labelling: Project) -> None:
        prediction = labelling.tasks()[0]["predictions"][0]
        prediction["result"][0]["from_name"] = "label_nothing"
        assert interface.validate_prediction(prediction, return_errors=True)
        assert not interface.validate_task({"data": {}})

    def test_its_json_min_is_the_one_of_these_tests(self, interface: Any, labelling: Project, tmp_path: Path) -> None:
        converter = pytest.importorskip("label_studio_sdk.converter").Converter
        to_names = {f"label_{name}": labelling._target(name) for name in MODALITIES}
        first, second = (
            annotation({"label_text": 1.5, "label_audio": -0.5}, to_names, by=7, created_at="2026-03-10T00:00:00Z"),
            annotation({"label_text": 2}, to_names, by=8, created_at="2026-03-09T00:00:00Z"),
        )
        skipped = annotation({"label_text": 3}, to_names, was_cancelled=True)
        tasks = [exported(task, 40 + number, first, second, skipped) for number, task in enumerate(labelling.tasks())]
        for task in tasks:
            assert all(interface.validate_annotation(item) for item in task["annotations"])
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        converter(config=labelling.config(), project_dir=None).convert_to_json_min(
            str(tmp_path / "export.json"), str(tmp_path / "min"), is_dir=False
        )
        theirs = json.loads((tmp_path / "min" / "result.json").read_text("utf-8"))
        assert theirs == min_records(tasks)
