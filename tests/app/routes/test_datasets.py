"""Data sets as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.studio import HOSTILE
from selfmm.data.planted import PlantedSettings, write_planted

_MOST = 500_000  # bytes of an answer


@pytest.fixture(scope="module")
def shown(serve: Callable[..., Any], studio: Path) -> Any:
    return serve(studio)


def get(served: Any, path: str) -> dict[str, Any]:
    status, body, _ = served.fetch(path)
    content: dict[str, Any] = json.loads(body)
    assert status == 200, content
    return content


def test_clips_come_page_by_page(shown: Any) -> None:
    first = get(shown, "/v1/datasets/talks/clips?limit=25&sort=-label")
    assert (first["total"], first["matched"], len(first["rows"])) == (60, 60, 25)
    assert sum(first["histogram"]) == 60
    rest = get(shown, "/v1/datasets/talks/clips?offset=25&limit=100&sort=-label")
    rows = first["rows"] + rest["rows"]
    assert len({row["id"] for row in rows}) == 60
    assert [row["label"] for row in rows] == sorted((row["label"] for row in rows), reverse=True)
    assert "histogram" not in rest


def test_the_histogram_shows_what_brushing_would_bring_back(shown: Any) -> None:
    brushed = get(shown, "/v1/datasets/talks/clips?from=0.5&split=train")
    every = get(shown, "/v1/datasets/talks/clips?split=train")
    assert 0 < brushed["matched"] < every["matched"]
    assert brushed["histogram"] == every["histogram"]


def test_a_row_says_what_a_list_shows(shown: Any) -> None:
    row = get(shown, "/v1/datasets/talks/clips?limit=1")["rows"][0]
    assert set(row) == {
        "id", "split", "label", "text", "video", "missing", "labels", "disagree", "ratings", "warnings", "media",
    }  # fmt: skip
    assert (row["ratings"], row["labels"]["audio"]) == (2, 1.5)
    rows = get(shown, "/v1/datasets/talks/clips")["rows"]
    assert [row["media"] is None for row in rows[-3:]] == [True, True, True]  # gone, elsewhere, none


def test_hostile_ids_and_names(shown: Any) -> None:
    base = f"/v1/datasets/hostile/{quote(HOSTILE)}"
    row = get(shown, f"{base}/clips?q={quote(HOSTILE)}")["rows"][0]
    assert row["id"] == f"{HOSTILE}/a?b#c&d%20e"
    assert get(shown, f"{base}/clip?id={quote(row['id'], safe='')}")["id"] == row["id"]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/datasets/nothing/clips", 404, "There is no 'nothing' in this folder"),
        ("/v1/datasets/films/clips", 404, "'films' is not a data set"),
        ("/v1/datasets/..%2f..%2fetc/clips", 404, "There is no"),
        ("/v1/datasets/clips", 404, "'.' is not a data set"),
        ("/v1/datasets/broken/clips", 422, "Make the data set again"),
        ("/v1/datasets/talks/clips?sort=beauty", 400, "must be one of"),
        ("/v1/datasets/talks/clips?offset=-1", 400, "must be a whole number"),
        ("/v1/datasets/talks/clips?run=runs/none", 404, "no finished run"),
        ("/v1/datasets/talks/clip?id=nobody", 404, "no clip 'nobody'"),
        ("/v1/datasets/talks/media", 404, "no clip ''"),
    ],
)
def test_what_is_wrong_is_told(shown: Any, path: str, status: int, message: str) -> None:
    found, body, _ = shown.fetch(path)
    assert found == status
    assert message in json.loads(body)["error"]


def test_the_inspection_is_told_with_filters(shown: Any) -> None:
    found = get(shown, "/v1/datasets/talks/inspection")
    assert found["problems"] == []
    assert {
        "text": "People rated single modalities: audio (2 clips). Training takes these as true.",
        "query": "rated=yes",
    } in found["notes"]
    altered = get(shown, "/v1/datasets/altered/inspection")["problems"]
    assert [item["text"] for item in altered] == [
        "The file audio.npy has changed since it was written. Make the data set again, or copy it again."
    ]


def test_what_a_run_says_of_a_clip(served: Any) -> None:
    rows = get(served, "/v1/datasets/data/clips?run=runs%2Ffirst&sort=-error&limit=3")["rows"]
    errors = [abs(row["scores"]["score"] - row["label"]) for row in rows]
    assert errors == sorted(errors, reverse=True)
    clip = get(served, "/v1/datasets/data/clip?id=" + next(r["id"] for r in rows))
    (run,) = clip["runs"]
    assert (run["name"], run["model"]) == ("runs/first", "self_mm")
    assert run["scores"]["score"] == rows[0]["scores"]["score"]
    assert set(run["worth"]["scores"]) == set(run["scores"])
    assert run["worth"]["scores"]["score"]["text"].startswith("±")
    assert run["seen"] == (rows[0]["split"] == "train")


def test_ten_thousand_clips(serve: Callable[..., Any], tmp_path: Path) -> None:
    write_planted(tmp_path / "root" / "large", PlantedSettings(clips=10_000, missing=0.05))
    served = serve(tmp_path / "root")
    served.fetch("/v1/datasets/large/clips?limit=1")  # reads it once
    slowest = 0.0
    for query in (
        "",
        "limit=200&offset=9800",
        "q=wonderful&sort=text",
        "disagree=yes&sort=-spread",
        "missing=any&from=-1",
    ):
        began = time.monotonic()
        status, body, _ = served.fetch(f"/v1/datasets/large/clips?{query}")
        slowest = max(slowest, time.monotonic() - began)
        assert status == 200
        assert len(body) < _MOST
    assert slowest < 1.0  # measured: .05 s
    status, body, _ = served.fetch("/data/large")
    assert status == 200
    assert len(body) < _MOST
