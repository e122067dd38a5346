"""Write and read the small recordings of the demo with PyAV."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.features.media.opening import pyav
from selfmm.features.streams import SOUND_RATE, Floats

FRAME_RATE = 25
ON_TWOS = 2
"""Pictures per drawing, as in cartoons: half the work, and just as lively."""
DRAWING = ON_TWOS / FRAME_RATE
"""Seconds that a drawing is shown."""


def write_film(path: Path, drawings: Iterable[npt.NDArray[np.uint8]], sound: Floats, size: tuple[int, int]) -> None:
    """Write an mp4 file: H.264 (MPEG-4 if PyAV has no such encoder) and AAC.

    Args:
        drawings: (H, W, 3) RGB, each shown for ``DRAWING`` seconds.
        sound: (n,) mono in [-1, 1] at ``SOUND_RATE``, as long as the drawings.
        size: width and height, even.
    """
    av = pyav()
    # With one thread, and without the library's version in the file, the same drawings give the same bytes.
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        pictures = container.add_stream(codec, rate=FRAME_RATE, options=_OPTIONS[codec])
        pictures.width, pictures.height = size
        pictures.pix_fmt, pictures.thread_count = "yuv420p", 1
        voice = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        voice.bit_rate = 48_000
        _encode_sound(av, container, voice, sound)
        _encode_pictures(av, container, pictures, drawings)


_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "26", "flags": "+bitexact"},
    "mpeg4": {"qscale": "4", "flags": "+bitexact+qscale"},
}


def _encode_sound(av: Any, container: Any, stream: Any, sound: Floats) -> None:
    frame = av.AudioFrame.from_ndarray(sound[None, :], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE, Fraction(1, SOUND_RATE), 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_pictures(av: Any, container: Any, stream: Any, drawings: Iterable[npt.NDArray[np.uint8]]) -> None:
    reformatter = av.video.reformatter.VideoReformatter()  # shared, because preparing it takes longer than its work
    for number, drawing in enumerate(drawings):
        picture = reformatter.reformat(av.VideoFrame.from_ndarray(drawing, format="rgb24"), format="yuv420p")
        picture.time_base = Fraction(1, FRAME_RATE)
        for again in range(ON_TWOS):
            picture.pts = ON_TWOS * number + again
            container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def read_sound(path: Path) -> Floats:
    """Return the sound of a short file, (n,) mono in [-1, 1] at ``SOUND_RATE``."""
    av = pyav()
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE)
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    pieces = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.float32)


def repeat_film(source: Path, path: Path, loop: float, seconds: float) -> None:
    """Write a film repeatedly into one file, without encoding it again.

    Args:
        source: the film to repeat.
        path: the file to write.
        loop: length of ``source`` in seconds: whole pictures and sound packets, or the two would drift apart.
        seconds: length of the new file; packets that begin later are left out.
    """
    av = pyav()
    with av.open(str(source)) as film, av.open(str(path), "w", format="mp4") as container:
        streams = [container.add_stream_from_template(stream) for stream in film.streams]
        # Packets before 0 and after the end are padding of the sound encoder.
        packets = [part for part in film.demux() if part.size and 0 <= part.pts * part.time_base < loop]
        for turn in range(math.ceil(seconds / loop)):
            for packet in packets:
                if packet.pts * packet.time_base + turn * loop < seconds:
                    container.mux(_later(av, packet, streams[packet.stream.index], turn * loop))


def _later(av: Any, packet: Any, stream: Any, seconds: float) -> Any:
    """Return a copy of a packet that is ``seconds`` later and in another stream."""
    copy, shift = av.Packet(bytes(packet)), round(seconds / packet.time_base)
    copy.pts, copy.dts, copy.duration = packet.pts + shift, packet.dts + shift, packet.duration
    copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, stream
    return copy
