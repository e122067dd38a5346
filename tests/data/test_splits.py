"""The seeded split."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from selfmm.data.splits import SHARES, seeded_split, shared_videos, split_rated


@given(videos=st.lists(st.sampled_from("abcdefghij"), max_size=200), seed=st.integers(0, 5))
def test_videos_stay_together_and_no_split_is_empty(videos: list[str], seed: int) -> None:
    splits = seeded_split(videos, seed)
    assert len({(video, split) for video, split in zip(videos, splits, strict=True)}) == len(set(videos))
    expected = [set(), {"train"}, {"train", "test"}, set(SHARES)]
    assert set(splits) == expected[min(3, len(set(videos)))]
    assert splits == seeded_split(videos, seed)


@given(sizes=st.lists(st.integers(1, 8), min_size=60, max_size=120), seed=st.integers(0, 100))
def test_shares_are_close_where_videos_are_many(sizes: list[int], seed: int) -> None:
    videos = [str(video) for video, size in enumerate(sizes) for _ in range(size)]
    counts = Counter(seeded_split(videos, seed))
    for split, share in SHARES.items():
        assert abs(counts[split] - share * len(videos)) <= max(sizes)


def test_another_seed_is_another_split() -> None:
    videos = [str(video) for video in range(30)]
    assert seeded_split(videos, 0) != seeded_split(videos, 1)


def test_the_order_of_the_clips_does_not_matter() -> None:
    videos = [str(video % 10) for video in range(30)]
    forward = dict(zip(videos, seeded_split(videos, 3), strict=True))
    assert forward == dict(zip(videos[::-1], seeded_split(videos[::-1], 3), strict=True))


def test_a_video_is_shared_only_by_rated_clips() -> None:
    """Clips without a rating are in the test split, whatever the split of the others of their video."""
    videos, rated = ["a", "a", "b", "c", "c"], np.array([True, False, True, True, True])
    split = split_rated(videos, rated, seed=0)
    table = pd.DataFrame({"video": videos, "split": split, "label": np.where(rated, 1.0, np.nan)})
    assert split[1] == "test"
    assert shared_videos(table) == []
    assert shared_videos(table.assign(split=["train", "test", "train", "train", "valid"])) == ["c"]
