"""Decode the sound and the pictures of a recording, each at a constant rate, on the clock of the clip."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.features.streams import SOUND_RATE, Floats, Frame

ROUNDING = 1e-3
"""Seconds: the precision of time stamps in Matroska and WebM."""
_JITTER = 0.04  # seconds; smaller deviations of time stamps are rounding, larger ones are gaps or overlaps
_USUAL = 0.04  # seconds; how long a picture is shown if the file does not say
_WINDOW = SOUND_RATE  # samples; long enough that left and right of a usual recording are never opposite in it
_CANCELLED = 0.1  # share of the power of left and right that must remain in their sum
_THREADS = 2  # not one per core: each thread holds pictures, and several recordings are decoded at the same time
_ASPECTS = (0.25, 4.0)  # plausible aspect ratios of a pixel
_SKIPPING = ("h264", "hevc")  # codecs in which pictures that are not needed are skipped
_EPSILON = 1e-6  # seconds; the rounding of times
_REORDERED = 64  # packets; far more than a picture can be stored away from the one that is shown next


class Lane(ABC):
    """One stream of a recording, on the clock of the clip.

    Args:
        stream: a PyAV stream.
        zero: time of the beginning of the clip on the stream's clock, in seconds.

    Attributes:
        damaged: number of packets and pictures that could not be decoded completely.
        late: seconds that came too late to be used.
    """

    def __init__(self, stream: Any, zero: float) -> None:
        self.damaged = 0
        self.late = 0.0
        self._stream = stream
        self._zero = zero

    @property
    @abstractmethod
    def until(self) -> float:
        """Seconds up to which everything is decoded."""

    @abstractmethod
    def finish(self) -> float:
        """Decode the rest at the end of the file. Return the time at which the stream ends."""

    @abstractmethod
    def _see(self, frame: Any) -> None: ...

    def feed(self, packet: Any) -> None:
        """Decode a packet. The last one is None, or empty."""
        import av

        try:
            frames = self._stream.decode(packet)
        except av.EOFError:  # the last packet came before
            return
        except av.FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            if frame.time_base is None:  # PyAV takes it from the packet, which the last frames lack
                frame.time_base = self._stream.time_base
            # Frames are often incomplete right after a jump.
            self.damaged += bool(frame.is_corrupt) and (frame.time or 0.0) >= self._zero
            self._see(frame)


class SoundLane(Lane):
    """Decodes a stream to mono at ``SOUND_RATE``, with silence in its gaps.

    If left and right are opposite, as after a wrong cable, they would cancel: then half of their difference is taken.

    Attributes:
        opposite: seconds in which left and right were opposite.
    """

    def __init__(self, stream: Any, zero: float) -> None:
        super().__init__(stream, zero)
        self._pieces: list[tuple[int, Floats]] = []
        self._taken = 0  # samples
        self._next = 0  # number of the resampler's next sample
        self._known: int | None = None  # samples
        self.opposite = 0.0
        self._resampler: Any = None
        self._to_stereo: Any = None  # the same for left and right; None for one channel
        # Mono (n,), and left and right (n, 2), of a window that is not complete.
        self._held: list[tuple[Floats, Floats]] = []
        self._kind: tuple[str, str, int] | None = None  # format of the resampler's input
        self._begun = 0.0  # seconds; time of its first input
        self._fed = 0  # samples of its input, at the stream's rate

    @property
    def until(self) -> float:
        return -math.inf if self._known is None else self._known / SOUND_RATE

    def finish(self) -> float:
        self.feed(None)
        self._drain()
        return self.until

    def take(self, first: int, last: int) -> Floats:
        """Return the samples ``first`` to ``last`` - 1, and forget all before ``last``."""
        sound = np.zeros(last - first, dtype=np.float32)
        rest = []
        for start, piece in self._pieces:
            part = piece[max(first - start, 0) : max(last - start, 0)]
            place = max(start - first, 0)
            sound[place : place + len(part)] = part
            if start + len(piece) > last:
                rest.append((start, piece))
        self._pieces, self._taken = rest, last
        return sound

    def _see(self, frame: Any) -> None:
        rate = frame.sample_rate
        expected = self._begun + self._fed / rate
        time = expected if frame.time is None else frame.time - self._zero
        kind = (frame.format.name, frame.layout.name, rate)
        if kind != self._kind or abs(time - expected) > _JITTER:
            self._drain()
            self._begin(time, kind, frame.layout.nb_channels)
        self._fed += frame.samples
        self._resample(frame)

    def _begin(self, time: float, kind: tuple[str, str, int], channels: int) -> None:
        from av.audio.resampler import AudioResampler

        # Not floats: mixed down to floats, two equal channels would become 1.4 times as loud.
        self._resampler = AudioResampler(format="s32", layout="mono", rate=SOUND_RATE)
        self._to_stereo = AudioResampler(format="s32", layout="stereo", rate=SOUND_RATE) if channels > 1 else None
        self._kind, self._begun, self._fed = kind, time, 0
        self._next = round(time * SOUND_RATE)

    def _drain(self) -> None:
        if self._resampler is not None:
            self._resample(None)
            if self._held:
                self._keep(self._mixed(*self._windows()))
            self._resampler = self._kind = None

    def _resample(self, frame: Any) -> None:
        mono = _samples(self._resampler.resample(frame))
        if self._to_stereo is None:
            self._keep(mono)
            return
        self._held.append((mono, _samples(self._to_stereo.resample(frame)).reshape(-1, 2)))
        size = _WINDOW - self._next % _WINDOW
        if sum(len(piece) for piece, _ in self._held) < size:
            return
        mono, both = self._windows()
        while len(mono) >= size:
            self._keep(self._mixed(mono[:size], both[:size]))
            mono, both, size = mono[size:], both[size:], _WINDOW
        self._held = [(mono, both)]

    def _windows(self) -> tuple[Floats, Floats]:
        pieces, self._held = self._held, []
        mono, both = zip(*pieces, strict=True)
        return np.concatenate(mono), np.concatenate(both)

    def _mixed(self, mono: Floats, both: Floats) -> Floats:
        power = [np.square(channel, dtype=np.float64).sum() for channel in (mono, *both.T)]
        if power[0] >= _CANCELLED * (power[1] + power[2]) / 2:
            return mono
        self.opposite += len(mono) / SOUND_RATE
        return (both[:, 0] - both[:, 1]) * np.float32(0.5)

    def _keep(self, piece: Floats) -> None:
        start, self._next = self._next, self._next + len(piece)
        if not len(piece):
            return
        self._known = self._next if self._known is None else max(self._known, self._next)
        if self._next > self._taken:
            self._pieces.append((start, piece))
        if self._taken:  # sound before the clip is not late
            self.late += max(min(self._next, self._taken) - start, 0) / SOUND_RATE


def _samples(frames: list[Any]) -> Floats:
    """Return the samples of s32 frames as one row in [-1, 1]; channels alternate."""
    parts = [np.frombuffer(frame.planes[0], np.int32, frame.samples * len(frame.layout.channels)) for frame in frames]
    return np.concatenate([*parts, np.zeros(0, np.int32)]).astype(np.float32) * np.float32(2.0**-31)


class PictureLane(Lane):
    """Decodes a stream and keeps the picture that is shown at each time i / ``rate``.

    A picture is shown until the next one, the last one for its own duration. The first picture also counts for the time
    i / ``rate`` just before it, because the first picture is rarely exactly at the beginning of a recording.

    Pictures that are not kept, and that no other picture refers to, are not decoded. Others are decoded the same way as
    without this, but damage to the skipped ones is not noticed.

    Args:
        stream, zero: see `Lane`.
        rate: pictures per second to keep.
        longest_side: pixels; larger pictures are made smaller.
        end: seconds in the clip; pictures at this time or later are not kept.
    """

    def __init__(self, stream: Any, zero: float, *, rate: float, longest_side: int, end: float) -> None:
        super().__init__(stream, zero)
        self._until = -math.inf
        self._rate = rate
        self._end = end
        self._frames: list[Frame] = []
        self._place = 0  # number i of the next picture to keep
        self._shown: Any = None
        self._image: npt.NDArray[np.uint8] | None = None  # the same as RGB
        self._turner = Turner(pixel_aspect(stream), longest_side)
        self._held: Any = None  # the last packet: whether it is needed depends on the next one
        self._times: deque[float] = deque(maxlen=_REORDERED)  # of the last packets
        self._may_skip = True
        self._stays = float(1 / stream.average_rate) if stream.average_rate else _USUAL
        decode_in_threads(stream)

    @property
    def until(self) -> float:
        return self._until - ROUNDING

    def feed(self, packet: Any) -> None:
        held, self._held = self._held, packet
        if packet is not None and packet.pts is not None and not packet.is_discard:
            self._times.append(float(packet.pts * packet.time_base) - self._zero)
        if held is not None:
            self._decode(held)
        if packet is None or packet.pts is None:
            self._held = None
            super().feed(packet)

    def _decode(self, packet: Any) -> None:
        """Decode a packet, unless its picture is not needed."""
        if self._needs(packet):
            super().feed(packet)
        elif not packet.is_disposable:
            self._stream.codec_context.skip_frame = "NONREF"
            super().feed(packet)
            self._stream.codec_context.skip_frame = "DEFAULT"

    def _needs(self, packet: Any) -> bool:
        """Return whether a picture may be the last one, or is shown at a time i / ``rate``, as far as is known."""
        if self._shown is None or self.damaged or not self._may_skip:
            return True
        time = float(packet.pts * packet.time_base) - self._zero
        following = min((other for other in self._times if other > time), default=math.inf)
        first = max(math.ceil((time - ROUNDING - _EPSILON) * self._rate), self._place)
        return following == math.inf or first / self._rate < min(following - ROUNDING + _EPSILON, self._end)

    def finish(self) -> float:
        self.feed(None)
        if self._shown is None:
            return -math.inf
        own = float(self._shown.duration * self._shown.time_base) if self._shown.duration else 0.0
        self._show_until(self._until + (own or self._stays))
        return self._until

    def take(self, end: float) -> tuple[Frame, ...]:
        """Return the remaining pictures before ``end`` seconds, and forget them."""
        count = sum(frame.time < end - 1e-9 for frame in self._frames)
        taken, self._frames = self._frames[:count], self._frames[count:]
        return tuple(taken)

    def _see(self, frame: Any) -> None:
        time = self._until + self._stays if frame.time is None else frame.time - self._zero
        if self._shown is None:
            time = time if math.isfinite(time) else -self._zero  # a stream without any time stamp
            self._place = max(math.floor((time + ROUNDING) * self._rate + 1e-9), 0)
        elif time <= self._until:
            return  # two pictures for one time
        else:
            self._show_until(time)
        self._shown, self._image, self._until = frame, None, time
        # A packet may hold half of an interlaced picture, and other codecs may need all pictures.
        self._may_skip &= not frame.interlaced_frame and self._stream.codec_context.name in _SKIPPING

    def _show_until(self, time: float) -> None:
        end = min(time - ROUNDING, self._end)
        while self._place / self._rate < end - 1e-9:
            if self._image is None:
                self._image = self._turner.upright(self._shown)
            self._frames.append(Frame(self._place / self._rate, self._image))
            self._place += 1
        self._until = time


def decode_in_threads(stream: Any) -> None:
    """Decode a stream of pictures in a few threads."""
    stream.thread_type, stream.codec_context.thread_count = "AUTO", _THREADS


def pixel_aspect(stream: Any) -> float:
    """Return the width of a pixel over its height; 1 if the file does not say, or says something implausible."""
    aspect = float(stream.codec_context.sample_aspect_ratio or 1)
    return aspect if _ASPECTS[0] <= aspect <= _ASPECTS[1] else 1.0


class Turner:
    """Returns small, upright RGB pictures. It is reused, as preparing the scaling takes longer than the scaling."""

    def __init__(self, aspect: float, longest_side: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._aspect, self._side = aspect, longest_side
        self._reformatter = VideoReformatter()

    def upright(self, frame: Any) -> npt.NDArray[np.uint8]:
        width = frame.width * self._aspect
        scale = min(1.0, self._side / max(width, frame.height))
        size = {"width": max(round(width * scale), 1), "height": max(round(frame.height * scale), 1)}
        image = np.asarray(self._reformatter.reformat(frame, format="rgb24", **size).to_ndarray(), dtype=np.uint8)
        return np.ascontiguousarray(_oriented(image, frame))


def _oriented(image: npt.NDArray[np.uint8], frame: Any) -> npt.NDArray[np.uint8]:
    """Return the picture as players show it: turned or mirrored, or both.

    The display matrix moves what is stored at (x, y) to (a x + c y, b x + d y), see ISO 14496-12, 8.3.2.
    """
    matrix = next((bytes(data) for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(np.int64)
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
