"""The words before a clip: in the order of the recording, of every split, and never guessed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import DatasetError
from selfmm.data.context import earlier_texts, with_earlier
from selfmm.data.importing import import_dataset
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset


def dataset_of(ids: list[str], videos: list[str | None] | str = "v", **columns: Any) -> Dataset:
    """Clips whose text is their id."""
    table = pd.DataFrame({"id": ids, "split": "test", "label": np.nan, "text": ids, "video": videos}).assign(**columns)
    manifest = Manifest(name="x", label_range=(-1, 1), modalities={"text": Modality(kind="text")})
    return Dataset(Path(), manifest, table)


def earlier(dataset: Dataset, count: int = 2) -> dict[str, list[str]]:
    texts = earlier_texts(dataset, np.arange(len(dataset)), count)
    return dict(zip(dataset.samples["id"], texts, strict=True))


@pytest.mark.parametrize("form", ["{}$_${}", "{}_{}", "{}[{}]", "{}$_$clip{:04d}"])
@given(numbers=st.lists(st.integers(0, 3000), min_size=1, max_size=12, unique=True), count=st.integers(1, 4))
def test_the_order_is_that_of_the_numbers(form: str, numbers: list[int], count: int) -> None:
    ids = {number: form.format("a7", number) for number in numbers}
    expected = [ids[number] for number in sorted(numbers)]
    for clip, before in earlier(dataset_of(list(ids.values())), count).items():
        place = expected.index(clip)
        assert before == expected[max(0, place - count) : place]


@given(starts=st.lists(st.floats(0, 1e4), min_size=1, max_size=12, unique=True), seed=st.integers(0, 99))
def test_times_count_more_than_numbers(starts: list[float], seed: int) -> None:
    ids = [f"v_{place}" for place in range(len(starts))]
    expected = [clip for _, clip in sorted(zip(starts, ids, strict=True))]
    rows = list(range(len(starts)))
    random.Random(seed).shuffle(rows)
    table = dataset_of([ids[row] for row in rows], start=[starts[row] for row in rows], path="talk.mp4")
    for clip, before in earlier(table).items():
        place = expected.index(clip)
        assert before == expected[max(0, place - 2) : place]


def test_only_the_same_recording_and_every_split() -> None:
    ids = ["a_2", "b_1", "a_10", "a_1", "b_2", "single", "other"]
    dataset = dataset_of(ids, ["a", "b", "a", "a", "b", "single", None], split=["train", "test", *["valid"] * 5])
    assert earlier(dataset) == {
        "a_1": [],
        "a_2": ["a_1"],
        "a_10": ["a_1", "a_2"],
        "b_1": [],
        "b_2": ["b_1"],
        "single": [],
        "other": [],
    }
    assert earlier_texts(dataset, np.array([2, 4]), 1) == [["a_2"], ["b_1"]]
    assert earlier_texts(dataset.without("train"), np.array([1]), 1) == [["a_1"]]  # the row of a_10 in this view


def test_a_clip_without_words_is_an_earlier_clip_without_words() -> None:
    dataset = dataset_of(["a_1", "a_2", "a_3"], text=["first", None, "third"])
    assert earlier(dataset) == {"a_1": [], "a_2": ["first"], "a_3": ["first", ""]}


def test_several_files_of_a_speaker_are_several_recordings() -> None:
    paths, starts = ["one", "two", "one", "two"], [3.0, 0.0, 1.0, 2.0]
    dataset = dataset_of(["w", "x", "y", "z"], path=paths, start=starts)
    assert earlier(dataset) == {"w": ["y"], "x": [], "y": [], "z": ["x"]}


def test_times_of_clips_in_files_of_their_own_say_nothing() -> None:
    dataset = dataset_of(["a_10", "a_9"], path=["10.mp4", "9.mp4"], start=[0.0, 0.0])
    assert earlier(dataset) == {"a_9": [], "a_10": ["a_9"]}


@pytest.mark.parametrize(
    ("ids", "starts"),
    [
        (["yes", "no"], None),
        (["a_1", "b_2"], None),
        (["a_1", "a_01"], None),
        (["a_1_5", "a_2_5"], None),
        (["yes", "no"], [1.0, np.nan]),
        (["yes", "no"], [1.0, 1.0]),
    ],
)
def test_an_unknown_order_is_not_guessed(ids: list[str], starts: list[float] | None) -> None:
    dataset = dataset_of(ids) if starts is None else dataset_of(ids, start=starts)
    with pytest.raises(DatasetError, match=f"order of the clips of 'v' in the input is not known.*{ids[0]!r}"):
        earlier(dataset)


def test_texts_that_are_given() -> None:
    dataset = with_earlier(dataset_of(["yes", "no"]), [[], ["one", "two", "three"]])
    assert earlier(dataset) == {"yes": [], "no": ["two", "three"]}


def test_mosi(mosi_pickle: Path, tmp_path: Path) -> None:
    """Its rows are in the order of strings: 1, 10, 11, ..., 2, 20."""
    dataset, _ = import_dataset(mosi_pickle, tmp_path / "mosi")
    texts = dict(zip(dataset.samples["id"], dataset.samples["text"], strict=True))
    before = earlier(dataset, 1)
    assert before["2iD-tVS8NPw$_$10"] == [texts["2iD-tVS8NPw$_$9"]]
    assert sum(not each for each in before.values()) == dataset.samples["video"].nunique()
