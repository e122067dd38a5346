"""Splits into train, valid and test that keep the clips of a video together, and the rows of the training clips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.config.settings import Settings
from selfmm.data.store import Dataset

if TYPE_CHECKING:
    from selfmm.core.tensors import Positions  # importing it takes torch, which an inspection does not need

SHARES = {"train": 0.7, "valid": 0.1, "test": 0.2}


def seeded_split(videos: Sequence[str], seed: int) -> list[str]:
    """Assign each clip to a split, as close to 70/10/20 of the clips as whole videos allow.

    Args:
        videos: (N,) the video of each clip. A model must not meet the speakers of the training clips in the test.
        seed: the same seed and videos give the same split.

    Returns:
        (N,) ``train``, ``valid`` or ``test``. With three videos or more no split is empty; a single video is ``train``,
        and of two videos one is ``test``.

    >>> seeded_split(["a", "a", "a", "b"], seed=0)
    ['train', 'train', 'train', 'test']
    """
    sizes = Counter(videos)
    shuffled = np.random.default_rng(seed).permutation(sorted(sizes)).tolist()
    largest_first = sorted(shuffled, key=lambda video: -sizes[video])
    lacking = {split: share * len(videos) for split, share in SHARES.items()}
    empty = ["train", "test", "valid"]
    chosen: dict[str, str] = {}
    for place, video in enumerate(largest_first):
        forced = len(largest_first) - place <= len(empty)  # one video is left for each empty split
        split = empty[0] if forced else max(lacking, key=lambda name: lacking[name])
        chosen[video] = split
        lacking[split] -= sizes[video]
        if split in empty:
            empty.remove(split)
    return [chosen[video] for video in videos]


def split_rated(videos: Sequence[str], rated: npt.NDArray[np.bool_], seed: int) -> list[str]:
    """Assign the rated clips as ``seeded_split`` does; clips without a label are ``test``, where nothing needs one."""
    assigned = iter(seeded_split([video for video, known in zip(videos, rated, strict=True) if known], seed))
    return [next(assigned) if known else "test" for known in rated]


def shared_videos(table: pd.DataFrame) -> list[str]:
    """Return the videos with rated clips in more than one split. A clip without a rating teaches and tests nothing."""
    splits = table[table["label"].notna()].groupby("video")["split"].nunique()
    return [str(video) for video in splits.index[splits > 1]]


def training_rows(dataset: Dataset, settings: Settings) -> Positions:
    """Return the row numbers of the training clips: all, or the fraction ``training.share`` of them."""
    rows = dataset.rows("train")
    share = settings.training.share
    if share >= 1:
        return rows
    # With the same seed, a smaller share is a subset of a larger one.
    order = np.random.default_rng([settings.seed, 7]).permutation(len(rows))
    return rows[np.sort(order[: max(1, round(share * len(rows)))])]
