"""One small picture of a recording, as a JPEG. What comes before the picture is not read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import MediaError
from selfmm.features.media.lanes import ROUNDING, Turner, decode_in_threads, pixel_aspect
from selfmm.features.media.opening import choose_streams, declared_seconds, open_recording, origin, pyav

_QUALITY = {"qmin": "3", "qmax": "6"}  # of 2 (best) to 31; 160 x 90 pixels take about 4 kB


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
    image = picture(path, time, side=side)
    return None if image is None else _jpeg(image)


def picture(path: str | Path, time: float | None = None, *, side: int) -> npt.NDArray[np.uint8] | None:
    """Return the picture that a player shows at a time, (H, W, 3) RGB; arguments and errors as in `thumbnail`."""
    path = Path(path)
    with open_recording(path) as container:
        video, _ = choose_streams(path, container)
        if video is None:
            return None
        length = declared_seconds(container)
    asked = (length or 0.0) / 2 if time is None else time
    asked = asked if length is None else min(asked, length)
    for at in sorted({asked, 0.0}, reverse=True):  # a jump to the end may find no picture
        with open_recording(path, at=at) as container:
            video, _ = choose_streams(path, container)
            frame = _frame(path, container, video, asked)
            if frame is not None:
                return Turner(pixel_aspect(video), side).upright(frame)
    return None


def _frame(path: Path, container: Any, video: Any, time: float) -> Any:
    """Return the last picture that begins at ``time`` or before, else the first one after it."""
    latest, until = None, origin(container) + time + ROUNDING
    for frame in _pictures(path, container, video):
        if latest is not None and frame.time is not None and frame.time > until:
            break
        latest = frame
    return latest


def _pictures(path: Path, container: Any, video: Any) -> Iterator[Any]:
    """Decode the pictures from the position of the container; skip damaged ones.

    Raises:
        MediaError: if all are damaged.
    """
    av, error, count = pyav(), None, 0
    decode_in_threads(video)
    try:
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.FFmpegError as problem:
                error = problem
                continue
            count += len(frames)
            yield from frames
    except av.FFmpegError as problem:  # the file ends too early
        error = problem
    if error is not None and not count:
        raise MediaError(
            f"no picture of {path} can be decoded ({error.strerror}): it is damaged. Copy or record it again."
        ) from error


def _jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    av = pyav()
    context = av.CodecContext.create("mjpeg", "w")
    context.height, context.width = image.shape[:2]
    context.pix_fmt, context.time_base, context.options = "yuvj420p", Fraction(1, 25), _QUALITY
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuvj420p", dst_color_range="JPEG")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
