"""The mean features of each video, which `stream.NAME.centre = video` subtracts: they differ by speaker and room."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.tensors import Positions
from selfmm.data.store import Dataset

LEAST = 3
"""Clips of a video, from which its mean is known; the clips of a smaller one are not centred."""


def video_means(dataset: Dataset, modality: str, rows: Positions) -> npt.NDArray[np.float64]:
    """Return the mean of each feature over all frames of the clip's video, (n, d), computed without any label.

    The clips of a video are those in the same split that have the modality, whether or not they are in ``rows``. Frames
    in which nothing could be measured do not count.

    Args:
        dataset: the data set with the frames.
        modality: one with frames.
        rows: (n,) row numbers of the clips.

    Returns:
        Means; NaN for clips without the modality, and for those whose video has fewer than ``LEAST`` clips.
    """
    known = dataset.samples["video"].notna().to_numpy()
    videos = pd.factorize(pd.MultiIndex.from_frame(dataset.samples[["split", "video"]].astype(str)))[0]
    wanted = known & np.isin(videos, videos[rows]) & (dataset.lengths(modality) > 0)
    shape = (int(videos.max(initial=-1)) + 1, dataset.modalities[modality].dim or 0)
    sums, frames, clips = np.zeros(shape), np.zeros((shape[0], 1)), np.zeros(shape[0], dtype=np.int64)
    for row in np.flatnonzero(wanted).tolist():
        values = dataset.frames(modality, row).astype(np.float64)
        values = values[np.isfinite(values).all(axis=1)]  # batches report infinite ones
        sums[videos[row]] += values.sum(axis=0)
        frames[videos[row]] += len(values)
        clips[videos[row]] += len(values) > 0
    means = np.where(clips[:, None] >= LEAST, sums / np.maximum(frames, 1), np.nan)[videos[rows]]
    means[~wanted[rows]] = np.nan
    return means


def shifts(means: npt.NDArray[np.float64], centre: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return what is subtracted from the frames of each clip, (n, d), so that its video's mean becomes ``centre``.

    It is 0 where ``means`` is NaN: a clip of an unknown video keeps its features, as if its video's mean were
    ``centre``.
    """
    return np.nan_to_num(means - centre).astype(np.float32)


def centre_of(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
    """Return the mean of the different video means in (n, d), (d,); None if no mean is known."""
    known = np.unique(means[~np.isnan(means).any(axis=1)], axis=0)
    return known.mean(axis=0) if len(known) else None
