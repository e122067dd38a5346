"""Means of videos: over the frames of the clips in one split, and only where there are enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from selfmm.data.batches import BatchMaker, frame_statistics
from selfmm.data.centring import centre_of, shifts, video_means
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset

VIDEOS = ["a", "a", "a", "b", "b", "a", "c", "c", "c", "c", None, None, None]
SPLITS = ["train"] * 5 + ["test"] * 8
LENGTHS = [1, 2, 3, 4, 5, 6, 1, 2, 0, 3, 2, 2, 2]


@pytest.fixture
def dataset() -> Dataset:
    lengths = np.array(LENGTHS)
    frames = np.random.default_rng(0).normal(size=(lengths.sum(), 2)).astype(np.float32)
    frames[2] = np.nan  # in the second clip nothing was measured at this time
    table = pd.DataFrame({"id": [str(i) for i in range(len(VIDEOS))], "split": SPLITS, "video": VIDEOS})
    table = table.assign(label=np.nan, text=None, x_offset=np.cumsum(lengths) - lengths, x_length=lengths)
    modality = Modality(kind="frames", dim=2, gaps=True)
    return Dataset(Path(), Manifest(name="x", label_range=(-1, 1), modalities={"x": modality}), table, {"x": frames})


def mean(dataset: Dataset, rows: list[int]) -> np.ndarray:
    result: np.ndarray = np.nanmean(np.concatenate([dataset.frames("x", row) for row in rows]).astype(float), axis=0)
    return result


def test_a_video_has_the_mean_of_its_frames_in_one_split(dataset: Dataset) -> None:
    means = video_means(dataset, "x", np.arange(len(dataset)))
    for rows in ([0, 1, 2], [6, 7, 9]):
        np.testing.assert_allclose(means[rows], np.tile(mean(dataset, rows), (3, 1)))
    # Two clips are too few; of the first video, the test split has one; a clip may lack the modality, or its video.
    assert np.isnan(means[[3, 4, 5, 8, 10, 11, 12]]).all()
    np.testing.assert_array_equal(video_means(dataset, "x", np.array([9, 0])), means[[9, 0]])
    np.testing.assert_array_equal(video_means(dataset.without("train"), "x", np.array([1])), means[[6]])


def test_the_mean_of_a_video_moves_to_the_centre_and_unknown_clips_stay(dataset: Dataset) -> None:
    means = video_means(dataset, "x", np.arange(len(dataset)))
    centre = centre_of(means)
    assert centre is not None
    np.testing.assert_allclose(centre, (means[0] + means[6]) / 2)
    moved = shifts(means, centre)
    np.testing.assert_allclose(means[:3] - moved[:3], [centre] * 3, rtol=1e-6)
    assert not moved[[3, 5, 8, 10]].any()
    assert centre_of(means[3:6]) is None


def test_batches_and_statistics_are_shifted_alike(dataset: Dataset) -> None:
    rows = np.array([0, 1, 2, 8])
    moved = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], dtype=np.float32)
    stream = BatchMaker(dataset, rows, dataset.modalities, shifts={"x": moved}).stream("x", np.array([1, 2, 3]))
    for place, row in enumerate([1, 2, 8]):
        np.testing.assert_array_equal(stream.values[place, : LENGTHS[row]], dataset.frames("x", row) - moved[place + 1])
        assert not stream.values[place, LENGTHS[row] :].any()
    found, deviation = frame_statistics(dataset, rows, "x", moved)
    frames = np.concatenate([dataset.frames("x", row) - moved[place] for place, row in enumerate(rows)])
    np.testing.assert_allclose(found, np.nanmean(frames, axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, np.nanstd(frames, axis=0), rtol=1e-5)
