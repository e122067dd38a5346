"""What ``predict`` of a loaded run takes: data sets, sentences, one recording, and many."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("av", reason="recordings are read by PyAV")

import selfmm
from selfmm.core.errors import SettingsError, SourceError
from selfmm.data.store import Dataset
from selfmm.recordings.model import SentimentModel
from selfmm.recordings.prediction import Prediction, Predictions


@pytest.fixture
def files(demo_clips: Path) -> list[Path]:
    return sorted(demo_clips.parent.glob("*.mp4"))[:2]


def same(got: Prediction, expected: Prediction) -> None:
    assert got.id == expected.id
    assert got.score == pytest.approx(expected.score, abs=1e-5)
    assert got.transcript == expected.transcript


@pytest.mark.slow
def test_many_recordings_are_what_each_of_them_is(clip_run: SentimentModel, files: list[Path]) -> None:
    expected = [clip_run.predict(file) for file in files]
    lists: tuple[Sequence[str | Path | selfmm.Clip], ...] = (
        files,
        tuple(files),
        [str(file) for file in files],
        [selfmm.Clip(files[0]), files[1]],
    )
    for many in lists:
        made = clip_run.predict(many)
        assert isinstance(made, Predictions)
        assert made.failures == ()
        for got, one in zip(made, expected, strict=True):
            same(got, one)
        assert made.table()["id"].tolist() == [file.stem for file in files]


@pytest.mark.slow
def test_a_folder_and_a_table_of_recordings(clip_run: SentimentModel, files: list[Path], tmp_path: Path) -> None:
    for file in files:
        shutil.copy(file, tmp_path)
    (tmp_path / f"{files[1].stem}.txt").write_text("the plot was wonderful")
    made = clip_run.predict(tmp_path)
    assert [one.id for one in made] == [file.stem for file in files]
    assert [one.transcript.text for one in made] == ["", "the plot was wonderful"]
    same(clip_run.predict(tmp_path / files[1].name), made[1])
    table = tmp_path / "clips.csv"
    pd.DataFrame({"id": ["b"], "path": [files[1].name], "text": ["the plot was wonderful"]}).to_csv(table, index=False)
    [of_table] = clip_run.predict(table)
    same(replace(of_table, id=files[1].stem), made[1])


def test_a_recording_that_cannot_be_scored_is_not_lost(
    clip_run: SentimentModel, files: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_text("no film")
    with pytest.warns(UserWarning, match="2 of 3 recordings could not be scored"):
        made = clip_run.predict([tmp_path / "gone.mp4", files[0], broken])
    assert [one.id for one in made] == [files[0].stem]
    assert [(failure.id, failure.path) for failure in made.failures] == [
        ("gone", str(tmp_path / "gone.mp4")),
        ("broken", str(broken)),
    ]
    assert all(failure.path in failure.reason for failure in made.failures)


def test_a_string_is_words_only_as_text(clip_run: SentimentModel, tmp_path: Path) -> None:
    for sentences in (["the plot was wonderful"], ["good", "bad " * 100]):
        with pytest.raises(SourceError, match=r"is not a file\. A list .* to score sentences, use: .*text="):
            clip_run.predict(sentences)
    for sentence in ("the plot was wonderful", "bad " * 100):
        with pytest.raises(SourceError, match=r"does not exist\. .* to score words, use `text="):
            clip_run.predict(sentence)
    table = clip_run.predict(text="the plot was wonderful")
    assert table["id"].tolist() == ["text_1"]
    pd.testing.assert_frame_equal(clip_run.predict(text=["the plot was wonderful"]), table)


def test_inputs_that_make_no_sense(clip_run: SentimentModel, planted: Dataset, files: list[Path]) -> None:
    inputs: list[tuple[Any, str]] = [
        ([], "the list is empty"),
        ([3], "holds file names, paths or clips, but this one holds 3"),
        ([planted.path, files[0]], "is not a recording, but other inputs are"),
    ]
    for data, message in inputs:
        with pytest.raises(SourceError, match=message):
            clip_run.predict(data)
    with pytest.raises(SettingsError, match="one data set or table at a time"):
        clip_run.predict([planted.path, planted.path])
    for arguments in ({}, {"data": files[0], "text": "so"}):
        with pytest.raises(SettingsError, match=r"give either `data=\.\.\.` or `text="):
            clip_run.predict(**arguments)  # type: ignore[call-overload]
    with pytest.raises(SettingsError, match="a text has no splits"):
        clip_run.predict(text="so", split="test")  # type: ignore[call-overload]


def test_explanations_of_all_kinds(clip_run: SentimentModel, demo_clips: Path, files: list[Path]) -> None:
    assert clip_run.predict(files[0], explain=True).explanation is not None
    [made] = clip_run.predict(files[:1], explain=True)
    assert made.explanation is not None
    table = clip_run.predict(text=["the plot was wonderful"], explain=True)
    np.testing.assert_allclose(table["base"] + table["by_text"], table["score"], atol=1e-5)


def test_a_clips_journey_reads_the_run_and_makes_the_recipe_once(
    clip_run: SentimentModel, files: list[Path], run_reads: list[str]
) -> None:
    selfmm.load(clip_run.folder.path).predict(files[0])
    assert sorted(run_reads) == ["recipe", "run.json"]


def test_short_forms(clip_run: SentimentModel, files: list[Path]) -> None:
    assert repr(clip_run).startswith("<SentimentModel run: ")
    assert "modalities: text, audio" in repr(clip_run)
    made = clip_run.predict([selfmm.Clip(files[0], id="<i>a", text="<script>evil()</script>")])
    assert repr(made[0]).startswith("<Prediction '<i>a': ")
    assert repr(made).startswith("<Predictions: 1, failures: 0>\n  <Prediction ")
    for shown in (made._repr_html_(), made[0]._repr_html_()):
        assert "<script>" not in shown
        assert "&lt;script&gt;evil()" in shown
        assert "&lt;i&gt;a" in shown
    stranger = replace(clip_run, info=clip_run.info.model_copy(update={"dataset": "<b>x</b>"}))
    assert "&lt;b&gt;x" in stranger._repr_html_()
