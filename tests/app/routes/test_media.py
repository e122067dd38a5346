"""Recordings of the folder, and pictures and copies of clips."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.studio import TALK


@pytest.fixture(scope="module")
def shown(serve: Callable[..., Any], studio: Path) -> Any:
    return serve(studio)


@pytest.fixture(scope="module")
def ids(shown: Any) -> list[str]:
    return [row["id"] for row in json.loads(shown.fetch("/v1/datasets/talks/clips")[1])["rows"]]


def test_a_recording_is_served_in_parts(shown: Any, studio: Path) -> None:
    content = (studio / "films" / "talk.mp4").read_bytes()
    status, body, headers = shown.fetch("/media/films/talk.mp4", range="bytes=100-199")
    assert (status, body) == (206, content[100:200])
    assert headers["content-type"] == "video/mp4"
    assert headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert shown.fetch("/media/films/talk.mp4")[1] == content


@pytest.mark.parametrize(
    "path", ["talks/dataset.json", "films", "films/gone.mp4", "..%2Felsewhere.wav", "%2Fetc%2Fpasswd", "films%00.mp4"]
)
def test_nothing_else_is_served(shown: Any, path: str) -> None:
    assert shown.fetch(f"/media/{path}")[0] == 404


def test_how_to_play_each_clip(shown: Any, ids: list[str]) -> None:
    def media(row: int) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(shown.fetch(f"/v1/datasets/talks/media?id={ids[row]}")[1])
        return content

    assert media(3) == {"url": "/media/films/talk.mp4", "type": "video/mp4", "start": 1.5, "end": 2.0}
    copied = media(TALK)
    assert copied["type"] == "video/mp4"
    assert (copied["start"], copied["end"]) == (0.0, None)
    status, body, headers = shown.fetch(copied["url"])
    assert (status, headers["content-type"]) == (200, "video/mp4")
    assert body[4:8] == b"ftyp"
    assert media(TALK + 15)["type"] == "audio/wav"
    assert "gone.mp4 is not where the data set says" in media(57)["why"]
    assert "Start selfmm app with a folder that contains both" in media(58)["why"]
    assert "features without recordings" in media(59)["why"]


def test_pictures_of_clips(shown: Any, ids: list[str]) -> None:
    def get(what: str, row: int) -> tuple[int, bytes, dict[str, str]]:
        answer: tuple[int, bytes, dict[str, str]] = shown.fetch(f"/v1/datasets/talks/{what}?id={ids[row]}")
        return answer

    status, body, headers = get("thumbnail", 3)
    assert (status, headers["content-type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert "max-age" in headers["cache-control"]
    assert len(body) < 10_000
    assert get("thumbnail", TALK + 15)[2]["content-type"] == "image/svg+xml"  # sound alone
    assert get("thumbnail", 57)[2]["content-type"] == "image/svg+xml"  # gone
    assert get("copy", 57)[0] == 404
