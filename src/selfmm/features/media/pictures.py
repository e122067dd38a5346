"""The pictures of a recording at an even rate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.features.media.lane import Lane
from selfmm.features.streams import Frame

_ROUNDING = 1e-3  # seconds; Matroska and WebM round time stamps to it
_USUAL = 0.04  # seconds; for how long a picture is shown where nothing tells
_THREADS = 2  # a fixed number: each thread holds pictures, and several recordings are decoded side by side
_ASPECTS = (0.25, 4.0)  # of one pixel; others are mistakes


class PictureLane(Lane):
    """Decodes a stream and keeps the picture that is shown at each time i / ``rate``.

    A picture is shown until the next one, the last one for its own duration. The one time just before the first picture
    gets it too, since few recordings begin with a picture to the millisecond.

    Args:
        stream: PyAV's.
        zero: what its clock shows at the beginning of the clip, in seconds.
        rate: pictures per second to keep.
        longest_side: larger ones are made smaller.
        end: seconds in the clip; no picture from there on is kept.
    """

    def __init__(self, stream: Any, zero: float, *, rate: float, longest_side: int, end: float) -> None:
        super().__init__(stream, zero)
        self._until = -math.inf
        self._rate = rate
        self._end = end
        self._frames: list[Frame] = []
        self._place = 0  # of the next time
        self._shown: Any = None
        self._image: npt.NDArray[np.uint8] | None = None  # of what is shown
        self._turner = _Turner(_pixel_aspect(stream), longest_side)
        self._stays = float(1 / stream.average_rate) if stream.average_rate else _USUAL
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = _THREADS

    @property
    def until(self) -> float:
        return self._until - _ROUNDING

    def finish(self) -> float:
        self.feed(None)
        if self._shown is None:
            return -math.inf
        own = float(self._shown.duration * self._shown.time_base) if self._shown.duration else 0.0
        self._show_until(self._until + (own or self._stays))
        return self._until

    def take(self, end: float) -> tuple[Frame, ...]:
        """The pictures before ``end`` seconds that were not taken yet."""
        count = sum(frame.time < end - 1e-9 for frame in self._frames)
        taken, self._frames = self._frames[:count], self._frames[count:]
        return tuple(taken)

    def _see(self, frame: Any) -> None:
        time = self._until + self._stays if frame.time is None else frame.time - self._zero
        if self._shown is None:
            time = time if math.isfinite(time) else -self._zero  # a stream without any time stamp
            self._place = max(math.floor((time + _ROUNDING) * self._rate + 1e-9), 0)
        elif time <= self._until:
            return  # two pictures for one time
        else:
            self._show_until(time)
        self._shown, self._image, self._until = frame, None, time

    def _show_until(self, time: float) -> None:
        end = min(time - _ROUNDING, self._end)
        while self._place / self._rate < end - 1e-9:
            if self._image is None:
                self._image = self._turner.upright(self._shown)
            self._frames.append(Frame(self._place / self._rate, self._image))
            self._place += 1
        self._until = time


def _pixel_aspect(stream: Any) -> float:
    aspect = float(stream.codec_context.sample_aspect_ratio or 1)
    return aspect if _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0


class _Turner:
    """Makes small, upright RGB pictures. One for a stream: setting up the scaling takes longer than the scaling."""

    def __init__(self, aspect: float, longest_side: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._aspect, self._side = aspect, longest_side
        self._reformatter = VideoReformatter()

    def upright(self, frame: Any) -> npt.NDArray[np.uint8]:
        width = frame.width * self._aspect
        scale = min(1.0, self._side / max(width, frame.height))
        size = {"width": max(round(width * scale), 1), "height": max(round(frame.height * scale), 1)}
        image = np.asarray(self._reformatter.reformat(frame, format="rgb24", **size).to_ndarray(), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))
