"""Recordings for people to see and hear: small pictures, the sound of clips, and copies for web browsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfmm.features.media.clip_sound import Hearing


def thumbnail(path: str | Path, time: float | None = None, *, side: int = 160) -> bytes | None:
    """Return a picture of a recording as the bytes of a JPEG, the right way up; None if it has no pictures.

    Args:
        path: a video or sound file.
        time: seconds in the file; None for its middle. A time after the last picture gives the last one.
        side: pixels of the longer side; a smaller picture keeps its size.

    Raises:
        MediaError: if the recording does not exist, or cannot be read.
        MissingPackageError: if PyAV is not installed.
    """
    from selfmm.features.media.preview import thumbnail

    return thumbnail(Path(path), time, side=side)


def clip_sound(
    path: str | Path, *, start: float | None = None, end: float | None = None, hearing: Hearing = "plain"
) -> bytes:
    """Return the sound of a clip as the bytes of a WAV file: mono, 16 bits, 16,000 samples per second.

    Args:
        path: a video or sound file.
        start, end: seconds in the file; None for its beginning or its end.
        hearing: ``plain``; or ``filtered``, which keeps melody, rhythm and loudness and makes words unintelligible,
            see :func:`selfmm.features.media.clip_sound.clip_sound`.

    Raises:
        MediaError: if the recording does not exist, cannot be read, or has no sound in this span.
        MissingPackageError: if PyAV is not installed.
    """
    from selfmm.features.media.clip_sound import clip_sound

    return clip_sound(Path(path), start=start, end=end, hearing=hearing)


def playable(path: str | Path) -> str:
    """Return the media type under which a web browser plays a recording as it is, or ``""`` if it does not.

    Raises:
        MediaError: if the recording does not exist, or cannot be read.
        MissingPackageError: if PyAV is not installed.
    """
    from selfmm.features.media.playback import playable

    return playable(Path(path))


def playable_copy(
    src: str | Path, dst: str | Path, *, start: float | None = None, end: float | None = None, side: int = 640
) -> None:
    """Write a small copy of a recording that every browser plays, as an mp4 with H.264 and AAC.

    Args:
        src, dst, start, end, side: see :func:`selfmm.features.media.playback.playable_copy`.

    Raises:
        MediaError: if the recording does not exist, or cannot be read.
        MissingPackageError: if PyAV is not installed, or has no H.264 encoder.
        OutputError: if the copy cannot be written.
    """
    from selfmm.features.media.playback import playable_copy

    playable_copy(Path(src), Path(dst), start=start, end=end, side=side)
