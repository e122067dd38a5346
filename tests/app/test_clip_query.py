"""What a link asks of the clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import pytest

from selfmm.api import open_dataset
from selfmm.app.clip_query import SORTS, ClipQuery
from selfmm.app.clip_table import ClipTable
from selfmm.app.errors import RequestError


@pytest.fixture(scope="module")
def talks(studio: Path) -> ClipTable:
    return ClipTable.of(open_dataset(studio / "talks"))


def select(table: ClipTable, **values: str) -> list[Any]:
    query = ClipQuery.of({"from" if name == "low" else name: value for name, value in values.items()})
    return list(query.select(table).tolist())


def test_every_filter_holds_what_it_says(talks: ClipTable) -> None:
    rows = np.arange(len(talks))
    assert select(talks) == rows.tolist()
    assert select(talks, split="valid") == rows[talks.splits == "valid"].tolist()
    assert select(talks, missing="audio") == rows[talks.missing["audio"]].tolist()
    assert select(talks, missing="any") == rows[np.any(list(talks.missing.values()), axis=0)].tolist()
    assert select(talks, missing="smell") == []
    assert select(talks, warnings="yes") == [2, 5]
    assert select(talks, rated="yes") == [0, 1]
    assert select(talks, rated="no") == rows[2:].tolist()
    assert select(talks, labelled="no") == []
    assert select(talks, disagree="yes") == rows[talks.disagree].tolist()
    assert select(talks, low="-1", to="0.5") == rows[(talks.labels >= -1) & (talks.labels <= 0.5)].tolist()


def test_all_words_of_a_search_must_occur_in_any_order_and_case(talks: ClipTable) -> None:
    text = talks.texts[3]
    first, last = text.split()[0], text.split()[-1]
    found = select(talks, q=f"{last.upper()} {first}")
    assert 3 in found
    assert all(first in talks.words[row] and last in talks.words[row] for row in found)
    assert select(talks, q=talks.ids[7]) == [7]
    assert select(talks, q="nothing of that kind") == []


@pytest.mark.parametrize("name", sorted(SORTS))
def test_every_order_is_an_order_of_the_same_clips(talks: ClipTable, name: str) -> None:
    scores = np.where(np.arange(60) % 7, talks.labels + np.linspace(0, 1, 60), np.nan)
    up = ClipQuery.of({"sort": name}).select(talks, scores)
    down = ClipQuery.of({"sort": f"-{name}"}).select(talks, scores)
    assert sorted(up) == sorted(down) == list(range(60))
    keys = SORTS[name](talks, scores)
    if isinstance(keys, list):
        assert [keys[row] for row in up] == sorted(keys)
    else:
        known = np.isfinite(keys)
        assert (np.diff(keys[up][: known.sum()]) >= 0).all()
        assert (np.diff(keys[down][: known.sum()]) <= 0).all()
        assert not known[up[known.sum() :]].any()  # unknown ones come last, either way
        assert not known[down[known.sum() :]].any()


def test_a_link_says_the_same_again() -> None:
    values = {
        "q": "so good & <b>",
        "split": "test",
        "from": "-1.1",
        "to": "2",
        "sort": "-label",
        "run": "runs/a",
        "view": "grid",
    }
    query = ClipQuery.of({**values, "clip": "x", "other": "y"})
    assert dict(parse_qsl(query.link())) == values
    assert ClipQuery.of({}).link() == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"split": "dev"}, "`split` in the link is 'dev'; it must be one of: train, valid, test"),
        ({"sort": "beauty"}, "`sort` in the link is 'beauty'"),
        ({"rated": "maybe"}, "it must be one of: yes, no"),
        ({"from": "low"}, "`from` in the link is 'low'; it must be a label, a number"),
        ({"to": "nan"}, "must be a label"),
    ],
)
def test_a_wrong_link_is_told(values: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        ClipQuery.of(values)
