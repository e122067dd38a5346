"""Small recordings for tests, written by PyAV with encoders that its wheel always has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from selfmm.features.streams import SOUND_RATE

Sound = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

_CODECS = {  # by ending: of the pictures, of the sound
    ".mp4": ("mpeg4", "aac"),
    ".mov": ("mpeg4", "aac"),
    ".mkv": ("mpeg4", "aac"),
    ".webm": ("libvpx", "libopus"),
    ".avi": ("mpeg4", "pcm_s16le"),
    ".ts": ("mpeg2video", "aac"),
    ".m4a": ("", "aac"),
    ".mp3": ("", "libmp3lame"),
    ".wav": ("", "pcm_s16le"),
    ".flac": ("", "flac"),
    ".ogg": ("", "libopus"),
}
_TICKS = Fraction(1000)  # per second: Matroska and WebM know no finer ones


def write_recording(
    path: Path,
    *,
    seconds: float = 2.0,
    sound: Sound | None = None,
    pictures: Callable[[float], Picture] | None = None,
    frame_rate: float = 25.0,
    times: Sequence[float] | None = None,
    sound_from: float = 0.0,
    rotation: int = 0,
    video_codec: str = "",
    audio_codec: str = "",
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a recording and returns its path; the ending chooses the container and the codecs.

    Args:
        path: .mp4, .mov, .mkv, .webm, .avi, .ts, .m4a, .mp3, .wav, .flac or .ogg.
        seconds: length of the pictures, if ``times`` are not given; the sound is as long as it is.
        sound: (n,) in [-1, 1], mono at ``SOUND_RATE``; None: no sound.
        pictures: from the time in seconds to (H, W, 3) uint8 RGB, H and W even; None: no pictures.
        frame_rate: pictures per second.
        times: of the pictures, to the millisecond; a variable frame rate. None: at ``frame_rate``.
        sound_from: seconds at which the sound begins.
        rotation: degrees that a player turns the pictures by, anticlockwise: 90, 180 or 270 (.mp4, .mov).
        video_codec, audio_codec: other encoders, like libx264.
        options: of the container, like ``{"movflags": "faststart"}``.
    """
    of_video, of_audio = _CODECS[path.suffix.lower()]
    rate = Fraction(frame_rate).limit_denominator(1001)
    ticks = rate if path.suffix.lower() == ".avi" else _TICKS  # AVI counts pictures
    if times is None:
        times = [place / frame_rate for place in range(round(seconds * frame_rate))]
    with av.open(str(path), "w", options=options or {}) as container:
        streams: dict[str, Any] = {}
        if pictures is not None:
            streams["video"] = _video(container, video_codec or of_video, pictures(0.0), rate, ticks, rotation)
        if sound is not None:
            streams["audio"] = container.add_stream(audio_codec or of_audio, rate=SOUND_RATE, layout="mono")
        blocks = iter(()) if sound is None else _blocks(sound, sound_from)
        heard = -1.0
        for time, image in _shown(pictures, times):
            while heard <= time and (block := next(blocks, None)) is not None:
                container.mux(streams["audio"].encode(block))
                heard = block.time
            container.mux(streams["video"].encode(_frame(image, time, ticks)))
        for block in blocks:
            container.mux(streams["audio"].encode(block))
        for stream in streams.values():
            container.mux(stream.encode(None))
    return path


def tone(seconds: float, *, hertz: float = 440.0, loudness: float = 0.5) -> Sound:
    """(n,) a sine."""
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    return (loudness * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def grey(time: float, *, width: int = 64, height: int = 48, per_second: float = 50.0) -> Picture:
    """A picture that tells its time by its brightness: 20 + ``per_second`` * time, up to 240."""
    return np.full((height, width, 3), min(20 + per_second * time, 240), dtype=np.uint8)


def noise(time: float) -> Picture:
    """A picture that hardly compresses, so that a recording has many bytes to lose."""
    return np.random.default_rng(round(time * 1000)).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def _video(container: Any, codec: str, first: Picture, rate: Fraction, ticks: Fraction, rotation: int) -> Any:
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = first.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.bit_rate = 4_000_000
    stream.codec_context.time_base = 1 / ticks
    if rotation:
        stream.set_display_rotation(rotation)
    return stream


def _shown(pictures: Callable[[float], Picture] | None, times: Sequence[float]) -> Iterator[tuple[float, Picture]]:
    if pictures is not None:
        for time in times:
            yield time, pictures(time)


def _frame(image: Picture, time: float, ticks: Fraction) -> Any:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame.pts, frame.time_base = round(time * ticks), 1 / ticks
    return frame


def _blocks(sound: Sound, start: float) -> Iterator[Any]:
    ticks = (np.clip(sound, -1, 1) * 32767).round().astype(np.int16)
    for first in range(0, len(ticks), 1024):
        frame = av.AudioFrame.from_ndarray(ticks[None, first : first + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
        frame.pts = first + round(start * SOUND_RATE)
        yield frame
