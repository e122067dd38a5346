"""The words before a clip in its recording: the order of the clips of a data set, and the texts of earlier ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import DatasetError
from selfmm.core.messages import some
from selfmm.core.tensors import Positions
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset

_EARLIER = "earlier_texts"
"""A column of :func:`with_earlier`."""

_NUMBERED = re.compile(r"(.*?)(\d+)(\D?)", re.DOTALL)  # such as video$_$7, video_7 or video[7]


def earlier_texts(dataset: Dataset, rows: Positions, count: int) -> list[list[str]]:
    """Return the texts of up to ``count`` earlier clips of the recording, in order, for each of the clips ``rows``.

    They are clips of the whole data set, whatever their split and whether they have a label. The order of the clips of
    a video is that of their ``start``, or else of the numbers in which their ids end, never that of rows or letters.
    Where a video consists of several files, each of which has several clips with a ``start``, a file is a recording.

    Raises:
        DatasetError: if the order of the clips of a recording is not known.
    """
    samples = dataset.samples
    if _EARLIER in samples:
        return [list(texts)[-count:] if count else [] for texts in samples[_EARLIER].iloc[rows]]
    texts = samples[TEXT].fillna("").astype(str).tolist()
    before: dict[int, list[int]] = {}
    for recording in _recordings(dataset, rows):
        for place, row in enumerate(recording):
            before[row] = recording[max(0, place - count) : place]
    return [[texts[row] for row in before[asked]] for asked in rows.tolist()]


def with_earlier(dataset: Dataset, texts: Sequence[Sequence[str]]) -> Dataset:
    """Return a data set in memory with the texts of earlier clips that are not in it, (n,) in order, for each clip."""
    column = pd.Series(list(map(tuple, texts)), index=dataset.samples.index, dtype=object)
    return replace(dataset, samples=dataset.samples.assign(**{_EARLIER: column}))


def _recordings(dataset: Dataset, rows: Positions) -> Iterator[list[int]]:
    """Yield the rows of each recording that has one of the clips ``rows``, in the order of its clips."""
    samples = dataset.samples
    ids = samples["id"].astype(str).tolist()
    videos = samples["video"].where(samples["video"].notna(), samples["id"]).tolist()
    starts = samples["start"].to_numpy(dtype=np.float64) if "start" in samples else np.full(len(samples), np.nan)
    paths = samples["path"].fillna("").tolist() if "path" in samples else [""] * len(samples)
    asked = {videos[row] for row in rows.tolist()}
    of_video: dict[str, list[int]] = defaultdict(list)
    for row, video in enumerate(videos):
        if video in asked:
            of_video[video].append(row)
    for video, own in of_video.items():
        files: dict[str, list[int]] = defaultdict(list)
        for row in own:
            files[paths[row]].append(row)
        distinct = len({(paths[row], starts[row]) for row in own}) == len(own)
        if np.isfinite(starts[own]).all() and distinct and (len(files) == 1 or len(files) < len(own)):
            yield from (_by(starts[clips], clips) for clips in files.values())
        else:
            yield _by(_numbers([ids[row] for row in own], video, dataset), own)


def _by(keys: npt.NDArray[np.float64] | npt.NDArray[np.object_], rows: list[int]) -> list[int]:
    return [rows[place] for place in np.argsort(keys, kind="stable").tolist()]


def _numbers(ids: Sequence[str], video: str, dataset: Dataset) -> npt.NDArray[np.object_]:
    """Return the numbers in which the ids of the clips of a video end; they must be all that differs between them."""
    matches = [_NUMBERED.fullmatch(clip) for clip in ids]
    around = {match and (match[1], match[3]) for match in matches}
    numbers = [int(match[2]) for match in matches if match]
    if len(ids) > 1 and (None in around or len(around) > 1 or len(set(numbers)) < len(ids)):
        raise DatasetError(
            f"the order of the clips of {video!r} in {dataset.title} is not known, so the words before a clip are not: "
            f"the clips have no start of their own in seconds, and their ids are not numbered: {some(ids)}. Add a "
            "column start with the place of each clip in its recording, and import the table again."
        )
    return np.array(numbers if len(ids) > 1 else [0], dtype=object)
