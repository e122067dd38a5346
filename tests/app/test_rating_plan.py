"""The commands of a training with ratings."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from features.recordings import tone, write_recording
from selfmm import api
from selfmm.api import Act
from selfmm.app.errors import RequestError
from selfmm.app.rating import Rating
from selfmm.app.rating_plan import ENOUGH, plan, training
from selfmm.app.workspace import Workspace


def test_a_folder_whose_name_begins_with_a_dash(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "-talks"
    folder.mkdir(parents=True)
    for number in range(ENOUGH):
        write_recording(folder / f"{number}.wav", seconds=0.1, sound=tone(0.1))
    api.open_ratings(folder).add(*(Act(str(number), "clip", "Ann", label=1.0) for number in range(ENOUGH)))
    rating = Rating(Workspace(tmp_path / "root"), tmp_path / "private")
    [extract, train], run = training(rating, rating.source("-talks"), "none")
    assert "--name=-talks" in extract  # alone, the name would be read as an option
    assert not [word for word in extract + train if word.startswith("-t")]
    assert run == "runs/-talks-rated"


def test_the_labels_of_a_table_are_left_out_unless_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "talks"
    folder.mkdir(parents=True)
    for number in range(2 * ENOUGH):
        write_recording(folder / f"{number}.wav", seconds=0.1, sound=tone(0.1))
    rows = [{"id": str(n), "path": f"{n}.wav", "label": 2.0, "label_text": 1.0} for n in range(2 * ENOUGH)]
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    api.open_ratings(folder).add(*(Act(str(number), "clip", "Ann", label=-1.0) for number in range(ENOUGH)))
    rating = Rating(Workspace(tmp_path / "root"), tmp_path / "private")
    source = rating.source("talks")
    assert (source.listing, source.listed) == ("clips.csv", {"clip": 2 * ENOUGH, "text": 2 * ENOUGH})
    assert [plan(source, listed)["labelled"] for listed in (False, True)] == [ENOUGH, 2 * ENOUGH]
    for listed, labels in ((False, {-1.0: ENOUGH}), (True, {-1.0: ENOUGH, 2.0: ENOUGH})):
        [extract, _], _ = training(rating, source, "none", listed)
        table = pd.read_csv(extract[1])
        assert table["label"].value_counts().to_dict() == labels
        assert ("label_text" in table) == listed


def test_a_training_that_could_not_be_saved_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "root" / "talks"
    folder.mkdir(parents=True)
    for number in range(ENOUGH):
        write_recording(folder / f"{number}.wav", seconds=0.1, sound=tone(0.1))
    api.open_ratings(folder).add(*(Act(str(number), "clip", "Ann", label=1.0) for number in range(ENOUGH)))
    rating = Rating(Workspace(tmp_path / "root"), tmp_path / "private")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RequestError, match=r"selfmm may not write to the folder root\. Change its permissions"):
        training(rating, rating.source("talks"), "none")
