"""Pictures and sound, made by other processes and kept in files."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfmm.app.media import Media, _prune
from selfmm.core.errors import MediaError
from selfmm.features.media.recording import probe


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Media]:
    service = Media(tmp_path_factory.mktemp("state") / "media")
    yield service
    service.close()


def test_what_it_makes(media: Media, studio: Path) -> None:
    films = studio / "films"
    picture = media.thumbnail(films / "talk.mp4", 1.0)
    assert picture is not None
    assert picture.read_bytes()[:2] == b"\xff\xd8"
    assert media.thumbnail(films / "voice.wav", None) is None
    assert media.playable(films / "talk.mp4") == "video/mp4"
    assert media.playable(films / "old.avi") == ""
    plain, filtered = (media.sound(films / "talk.mp4", 1.0, 2.0, hearing) for hearing in ("plain", "filtered"))
    assert plain.stat().st_size == filtered.stat().st_size == 44 + 32000
    assert plain.read_bytes() != filtered.read_bytes()
    assert probe(media.copy(films / "old.avi", 1.0, 3.0)).duration == pytest.approx(2, abs=0.1)
    assert picture.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_made_is_kept_until_the_recording_changes(media: Media, studio: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(studio / "films" / "talk.mp4", tmp_path / "talk.mp4"))
    first = media.thumbnail(path, 1.0)
    assert first is not None
    made = first.stat().st_mtime_ns
    assert media.thumbnail(path, 1.0) == first
    assert first.stat().st_mtime_ns == made
    assert media.thumbnail(path, 2.0) != first
    os.utime(path, ns=(1, 1))
    assert media.thumbnail(path, 1.0) != first


def test_what_cannot_be_read_is_told_without_the_path(media: Media, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"^gone.mp4 cannot be read"):
        media.thumbnail(tmp_path / "gone.mp4", None)
    (tmp_path / "text.mp4").write_text("words", encoding="utf-8")
    with pytest.raises(MediaError, match=r"^text.mp4 cannot be read as a recording"):
        media.playable(tmp_path / "text.mp4")


def test_the_oldest_files_are_removed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(5):
        (tmp_path / str(place)).write_bytes(b"x" * 10)
        os.utime(tmp_path / str(place), ns=(place, place))
    monkeypatch.setattr(sys.modules[Media.__module__], "_LIMIT", 25)
    _prune(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3", "4"]
    _prune(tmp_path / "missing")
