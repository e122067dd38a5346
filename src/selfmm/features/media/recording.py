"""Recordings of any common kind, read once, in pieces, and only where a clip lies."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from selfmm.core.errors import MediaError
from selfmm.features.media.opening import choose_streams, declared_seconds, open_recording
from selfmm.features.media.reading import Reading, Wanted
from selfmm.features.streams import SOUND_RATE, Chunk


@dataclass(frozen=True)
class MediaInfo:
    """What a recording says of itself.

    Attributes:
        duration: seconds; None where it does not tell.
        sound, video: whether it has any; a cover picture is no video.
        width, height: pixels as they are stored, before the picture is turned upright; 0 without video.
        frame_rate: mean pictures per second; None where it does not tell or has none.
    """

    duration: float | None
    sound: bool
    video: bool
    width: int = 0
    height: int = 0
    frame_rate: float | None = None


def probe(path: Path) -> MediaInfo:
    """Looks at the head of a recording.

    Raises:
        MediaError: there is no such recording, or it has neither sound nor pictures.
        MissingPackageError: PyAV is not installed.
    """
    with open_recording(path) as container:
        streams = choose_streams(path, container)
        video = streams.video
        return MediaInfo(
            duration=declared_seconds(container),
            sound=streams.audio is not None,
            video=video is not None,
            width=video.width if video is not None else 0,
            height=video.height if video is not None else 0,
            frame_rate=float(video.average_rate) if video is not None and video.average_rate else None,
        )


def read_chunks(
    path: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    frame_rate: float | None,
    sound: bool = True,
    seconds: float = 10.0,
    longest_side: int = 640,
    problems: list[str] | None = None,
) -> Iterator[Chunk]:
    """Reads a clip in one pass over its file.

    Sound and pictures are on one clock, whenever each begins. Where there is no sound it is silent. A picture stands at
    the times i / ``frame_rate``, and is the one that a player shows then; times before the first picture and after the
    last have none.

    Args:
        path: a video or sound file.
        start, end: seconds in the file; None: its beginning, its end. An end behind the file's is the file's.
        frame_rate: pictures per second; None: no pictures.
        sound: whether sound is wanted.
        seconds: length of a chunk; the last one is shorter.
        longest_side: pixels; larger pictures are made smaller.
        problems: gets a sentence for everything that is not as it should be, though it could be read: the file is cut
            off, or damaged in places. Complete when the last chunk was given.

    Yields:
        Chunks with times from ``start`` on. ``sound`` is None where the file has none or none is wanted, and so are
        ``frames``.

    Raises:
        MediaError: there is no such recording, nothing of what is wanted, or nothing in this span; partly only when the
            first chunk is asked for.
        MissingPackageError: PyAV is not installed.
    """
    _check_span(path, start, end)
    until = math.inf if end is None else end
    wanted = Wanted(start or 0.0, until, frame_rate, sound, seconds, longest_side)
    return _read(Path(path), wanted, [] if problems is None else problems)


def _check_span(path: Path, start: float | None, end: float | None) -> None:
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise MediaError(f"{path}: the clip's {name} is {value} s; expected are seconds in the file, 0 or more.")
    if end is not None and end <= (start or 0.0):
        raise MediaError(f"{path}: the clip ends at {end} s and starts at {start or 0.0} s; the end must be later.")


def _read(path: Path, wanted: Wanted, problems: list[str]) -> Iterator[Chunk]:
    length = round(wanted.seconds * SOUND_RATE)
    given = 0  # samples
    with open_recording(path, at=wanted.start) as container:
        reading = Reading(path, container, wanted, problems)
        for _ in reading.packets():
            while (given + length) / SOUND_RATE <= wanted.span and reading.complete((given + length) / SOUND_RATE):
                yield reading.chunk(given, given + length)
                given += length
            if reading.complete(wanted.span):
                break
        last = round(min(reading.finish(), wanted.span) * SOUND_RATE)
        while given < last:
            upto = min(given + length, last)
            yield reading.chunk(given, upto)
            given = upto
