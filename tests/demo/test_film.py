from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from selfmm.core.errors import MissingPackageError
from selfmm.demo.film import DRAWING, read_sound, write_film
from selfmm.features.streams import SOUND_RATE

av = pytest.importorskip("av", reason="films are written by PyAV")
SIZE = (96, 64)
LEVELS = (40, 200, 90, 160, 60, 220, 120, 30, 180, 70, 140, 210)


def _drawings() -> Iterator[npt.NDArray[np.uint8]]:
    """Plain pictures, each with its own red and green."""
    for level in LEVELS:
        image = np.full((SIZE[1], SIZE[0], 3), 90, dtype=np.uint8)
        image[..., 0], image[..., 1] = level, 255 - level
        yield image


def _sound() -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(0)
    noise = np.convolve(rng.normal(size=round(len(LEVELS) * DRAWING * SOUND_RATE)), np.full(8, 1 / 8), mode="same")
    return (0.2 * noise).astype(np.float32)


def test_each_drawing_is_shown_twice_in_its_colours(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", _drawings(), _sound(), SIZE)
    with av.open(str(tmp_path / "film.mp4")) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 2 * len(LEVELS)
    shown = np.array([frame.to_ndarray(format="rgb24").mean(axis=(0, 1)) for frame in frames])
    levels = np.repeat(LEVELS, 2)
    np.testing.assert_allclose(shown, np.stack([levels, 255 - levels, np.full(len(levels), 90)], axis=1), atol=6)


def test_the_sound_is_at_its_place(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mp4", _drawings(), _sound(), SIZE)
    given, read = _sound(), read_sound(tmp_path / "film.mp4")
    match = np.correlate(read[: len(given)], given, mode="full")
    assert np.argmax(match) == len(given) - 1, "not a sample early or late"
    assert np.corrcoef(given, read[: len(given)])[0, 1] > 0.9


def test_without_pyav_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'selfmm\[video\]'"):
        write_film(tmp_path / "film.mp4", _drawings(), _sound(), SIZE)
    assert not list(tmp_path.iterdir())
