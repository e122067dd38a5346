"""The commands of a training with ratings."""

from __future__ import annotations

from pathlib import Path

from features.recordings import tone, write_recording
from selfmm import api
from selfmm.api import Act
from selfmm.app.rating import Rating
from selfmm.app.rating_plan import ENOUGH, training
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
