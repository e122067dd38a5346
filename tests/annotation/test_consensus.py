"""Means over raters, and the clips on which they disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.journals import rate, rated
from selfmm.annotation.consensus import disagreements, m_labels, mean_labels


def test_means_and_disagreements(tmp_path: Path) -> None:
    ratings = rated(
        tmp_path / "j-ratings.jsonl",
        rate("b", 1),
        rate("a", -1),
        rate("a", 2, "Bo"),
        rate("a", 2, "Cy"),
        rate("b", 1.5, "Bo"),
        rate("b", 3, target="audio"),
    ).ratings()
    table = mean_labels(ratings)
    assert table[["id", "modality", "ratings", "range"]].values.tolist() == [
        ["b", "clip", 2, 0.5],
        ["a", "clip", 3, 3.0],
        ["b", "audio", 1, 0.0],
    ]
    assert m_labels(ratings) == {"b": pytest.approx(1.25), "a": pytest.approx(1.0)}
    worst = disagreements(ratings)
    assert worst["id"].tolist() == ["a", "b"]
    assert worst["labels"].tolist() == [{"Ann": -1, "Bo": 2, "Cy": 2}, {"Ann": 1, "Bo": 1.5}]


def test_without_ratings(tmp_path: Path) -> None:
    ratings = rated(tmp_path / "j-ratings.jsonl").ratings()
    assert mean_labels(ratings).empty
    assert disagreements(ratings).empty
    assert m_labels(ratings) == {}
