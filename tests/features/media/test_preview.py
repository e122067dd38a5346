"""Small pictures of recordings whose pictures tell their time by their brightness."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from features.recordings import grey, noise, tone, write_recording
from selfmm.core.errors import MediaError
from selfmm.features.media import preview
from selfmm.features.media.preview import picture, thumbnail


def read_jpeg(content: bytes) -> np.ndarray[Any, Any]:
    with av.open(io.BytesIO(content), format="mjpeg") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"))


def time_of(path: Path, time: float | None) -> float:
    image = picture(path, time, side=160)
    assert image is not None
    return (float(image.mean()) - 20) / 50


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".ts"])
def test_the_picture_is_that_of_its_time(tmp_path: Path, suffix: str) -> None:
    codec = "libx264" if suffix in (".mp4", ".ts") else ""  # with pictures that need later ones
    path = write_recording(tmp_path / f"film{suffix}", seconds=4, sound=tone(4), pictures=grey, video_codec=codec)
    for time in (0.0, 0.04, 1.3, 2.98, 3.9):
        assert time_of(path, time) == pytest.approx(time, abs=0.2 if suffix == ".ts" else 0.06)
    assert time_of(path, None) == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("time", [4.0, 100.0])
def test_after_the_last_picture_it_is_the_last(tmp_path: Path, time: float) -> None:
    path = write_recording(tmp_path / "film.mp4", seconds=4, sound=tone(9), pictures=grey)
    assert time_of(path, time) == pytest.approx(3.96, abs=0.06)


def test_before_the_first_picture_it_is_the_first(tmp_path: Path) -> None:
    times = [1 + place / 10 for place in range(10)]
    path = write_recording(tmp_path / "late.mkv", times=times, pictures=grey, sound=tone(2))
    assert time_of(path, 0.0) == pytest.approx(1, abs=0.06)


def test_only_the_pictures_near_it_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_recording(tmp_path / "long.mp4", seconds=60, pictures=grey, frame_rate=10)
    seen: list[Any] = []
    own = preview._pictures

    def noting(*args: Any) -> Iterator[Any]:
        for frame in own(*args):
            seen.append(frame)
            yield frame

    monkeypatch.setattr(preview, "_pictures", noting)
    assert thumbnail(path, 50.0) is not None
    assert 0 < len(seen) < 50  # of 600


def test_a_thumbnail_is_a_small_upright_jpeg(tmp_path: Path) -> None:
    stored = np.zeros((480, 960, 3), dtype=np.uint8)
    stored[:, :480] = (200, 0, 0)
    path = write_recording(tmp_path / "turned.mp4", seconds=0.4, pictures=lambda time: stored, rotation=90)
    content = thumbnail(path)
    assert content is not None
    assert content[:2] == b"\xff\xd8"
    assert len(content) < 6000
    image = read_jpeg(content).astype(int)
    assert image.shape == (160, 80, 3)
    assert np.abs(image[100:] - (200, 0, 0)).mean() < 8  # anticlockwise: what was at the left is at the bottom
    assert image[:60].mean() < 8


@pytest.mark.parametrize("size", [(48, 64), (2, 300), (301, 17)])
def test_pictures_of_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, dtype=np.uint8)
    path = write_recording(tmp_path / "odd.mkv", times=[0], pictures=lambda time: image, video_codec="ffv1")
    content = thumbnail(path)
    assert content is not None
    scale = min(1, 160 / max(size))
    assert read_jpeg(content).shape[:2] == tuple(max(round(pixels * scale), 1) for pixels in size)


def test_sound_has_no_picture(tmp_path: Path) -> None:
    assert thumbnail(write_recording(tmp_path / "voice.wav", sound=tone(1))) is None


def test_files_that_are_not_recordings(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="does not exist"):
        thumbnail(tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("words", encoding="utf-8")
    with pytest.raises(MediaError, match="cannot be read as a recording"):
        thumbnail(tmp_path / "text.mp4")


def test_a_file_that_is_cut_off_shows_its_last_picture(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    write_recording(path, seconds=8, sound=tone(8), pictures=noise, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert thumbnail(path, 7.0) is not None
