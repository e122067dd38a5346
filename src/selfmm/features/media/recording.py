"""Read recordings of any common format in chunks, once, and only the part that a clip needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from selfmm.core.errors import MediaError
from selfmm.features.media.opening import choose_streams, declared_seconds, open_recording, pyav
from selfmm.features.media.reading import Reading, Wanted
from selfmm.features.streams import SOUND_RATE, Chunk


@dataclass(frozen=True)
class MediaInfo:
    """The header of a recording.

    Attributes:
        duration: seconds; None if unknown.
        sound, video: whether it has any; a cover picture is not a video.
        width, height: stored pixels, before the picture is turned upright; 0 without video.
        frame_rate: mean pictures per second; None without video, or if unknown.
    """

    duration: float | None
    sound: bool
    video: bool
    width: int = 0
    height: int = 0
    frame_rate: float | None = None


def probe(path: Path) -> MediaInfo:
    """Read the header of a recording.

    Raises:
        MediaError: if the recording does not exist, or has neither sound nor pictures.
        MissingPackageError: if PyAV is not installed.
    """
    with open_recording(path) as container:
        video, audio = choose_streams(path, container)
        return MediaInfo(
            duration=declared_seconds(container),
            sound=audio is not None,
            video=video is not None,
            width=video.width if video is not None else 0,
            height=video.height if video is not None else 0,
            frame_rate=float(video.average_rate) if video is not None and video.average_rate else None,
        )


def seconds_of(path: Path) -> float | None:
    """Return the length of a recording; None if it cannot be told without decoding it.

    Where the header does not say it, as in recordings of a browser, the time stamps of the whole file are read.

    Raises:
        MediaError, MissingPackageError: see :func:`probe`.
    """
    declared = probe(path).duration
    if declared is not None:
        return declared
    with open_recording(path) as container:
        av = pyav()
        first, last = math.inf, -math.inf
        with suppress(av.FFmpegError):  # a damaged end
            for packet in container.demux(*[stream for stream in choose_streams(path, container) if stream]):
                if packet.pts is not None and packet.time_base is not None:
                    time = float(packet.pts * packet.time_base)
                    first = min(first, time)
                    last = max(last, time + float((packet.duration or 0) * packet.time_base))
    return last - first if last > first else None


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
    """Read a clip in one pass over its file.

    Sound and pictures are on one clock, even if one begins later. Missing sound is silence. The picture at the time
    i / ``frame_rate`` is the one that a player shows then; there are no pictures before the first and after the last
    picture of the file.

    Args:
        path: a video or sound file.
        start, end: seconds in the file; None: its beginning, its end. A clip ends at the end of the file at the latest.
        frame_rate: pictures per second; None: no pictures.
        sound: whether to read sound.
        seconds: length of a chunk; the last one is shorter.
        longest_side: pixels; larger pictures are scaled down.
        problems: gets a sentence for each fault of a file that could be read, such as a missing end or damaged parts.
            Complete after the last chunk.

    Yields:
        Chunks with times that count from ``start``. ``sound`` and ``frames`` are None if the file has none, or none
        were requested.

    Raises:
        MediaError: if the recording does not exist, or holds no requested content in this span. Some of these errors
            appear only when the first chunk is read.
        MissingPackageError: if PyAV is not installed.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise MediaError(f"{path}: the clip's {name} is {value} s; expected seconds in the file, 0 or more.")
    if end is not None and end <= (start or 0.0):
        raise MediaError(f"{path}: the clip ends at {end} s and starts at {start or 0.0} s; the end must be later.")
    until = math.inf if end is None else end
    wanted = Wanted(start or 0.0, until, frame_rate, sound, seconds, longest_side)
    return _read(Path(path), wanted, [] if problems is None else problems)


def _read(path: Path, wanted: Wanted, problems: list[str]) -> Iterator[Chunk]:
    length = round(wanted.seconds * SOUND_RATE)
    done = 0  # samples that were yielded
    with open_recording(path, at=wanted.start) as container:
        reading = Reading(path, container, wanted, problems)
        for _ in reading.packets():
            while (done + length) / SOUND_RATE <= wanted.span and reading.complete((done + length) / SOUND_RATE):
                yield reading.chunk(done, done + length)
                done += length
            if reading.complete(wanted.span):
                break
        last = round(min(reading.finish(), wanted.span) * SOUND_RATE)
        while done < last:
            yield reading.chunk(done, min(done + length, last))
            done += length
