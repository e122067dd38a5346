"""Ids that a spreadsheet has changed, in every reader that compares ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.builders import savez
from selfmm.core.errors import SourceError
from selfmm.data.altered_ids import altered
from selfmm.data.ratings import find_problems
from selfmm.data.tables.reader import read_table_source


@pytest.mark.parametrize(
    ("given", "known", "was"),
    [
        ("7", {"007", "8"}, "'7' was '007'"),
        ("7.0", {"007"}, "'7.0' was '007'"),
        ("2.02304E+16", {"20230401123456789"}, "was a longer number"),
        ("2,02304E+16", {"x"}, "was a longer number"),
        ("04-Mar", {"3-4"}, "was no date"),
        ("2024-03-04 00:00:00", {"3-4"}, "was no date"),
    ],
)
def test_each_change_is_named(given: str, known: set[str], was: str) -> None:
    assert was in altered([given], known)


def test_other_ids_are_left_alone() -> None:
    assert not altered(["x", "clip7", "-3g5y"], {"007", "clip07"})
    assert not altered(["007", "7"], {"007"}), "the table has both"


def test_ratings_of_a_sheet() -> None:
    table = pd.DataFrame({"id": ["7"], "modality": ["text"], "label": [1.0]})
    [problem] = find_problems(table, {"007"}, ["text"], (-3.0, 3.0))
    assert problem.startswith("the data set has no clips with these ids: '7'. A spreadsheet seems to have changed")


def test_features_are_not_lost_in_part(tmp_path: Path) -> None:
    """Without this, clip 010 keeps its features and 007 seems to have none."""
    savez(tmp_path / "audio.npz", {"007": np.ones((2, 3)), "10": np.ones((2, 3))})
    (tmp_path / "clips.csv").write_text("id,label,text\n7,1,good\n10,-1,bad\n")
    with pytest.raises(SourceError, match=r"audio.npz does not fit the table. A spreadsheet .* '7' was '007'"):
        read_table_source(tmp_path / "clips.csv")
