"""Whether a web browser can play a recording, and a copy that it can play."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import MediaError, MissingPackageError
from selfmm.core.files import atomic_file
from selfmm.features.media.opening import choose_streams, open_recording, pyav
from selfmm.features.media.preview import picture
from selfmm.features.media.recording import probe, read_chunks
from selfmm.features.streams import SOUND_RATE, Chunk, Floats, Frame

# Media type by FFmpeg's name of the container, and the codecs that current Chromium, Firefox and Safari play in it.
# AV1 needs recent hardware in Safari.
_NO: frozenset[str] = frozenset()
_PLAYED = {
    "mov": ("mp4", frozenset({"h264", "av1", "vp9"}), frozenset({"aac", "mp3", "opus", "flac"})),
    "webm": ("webm", frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis"})),
    "wav": ("wav", _NO, frozenset({"pcm_s16le", "pcm_s24le", "pcm_u8", "pcm_f32le"})),
    "mp3": ("mpeg", _NO, frozenset({"mp3"})),
    "flac": ("flac", _NO, frozenset({"flac"})),
    "ogg": ("ogg", _NO, frozenset({"opus", "vorbis", "flac"})),
    "aac": ("aac", _NO, frozenset({"aac"})),
}
_PIXELS = {"yuv420p", "yuvj420p"}  # other depths and samplings are played by some browsers only
_HEAD = 64  # bytes, in which WebM gives its name; FFmpeg calls it Matroska
_RATES = (10.0, 30.0)  # pictures per second of a copy
_USUAL = 25.0  # pictures per second if the recording does not say
_PIECE = 1.0  # seconds that are in memory at a time
_H264 = "libx264"
_THREADS = 2  # several recordings may be copied at the same time
_VIDEO = {"preset": "veryfast", "crf": "26"}
_SOUND_BITS = 64_000  # per second


def playable(path: str | Path) -> str:
    """Return the media type under which a web browser plays a recording as it is, or ``""`` if it does not.

    This goes by the container and the codecs, not by the file's name: an .mp4 may hold what no browser plays, and a
    .mov be a plain H.264 film, which browsers accept as ``video/mp4``.

    Args:
        path: a video or sound file.

    Raises:
        MediaError: if the recording does not exist, or cannot be read.
        MissingPackageError: if PyAV is not installed.
    """
    path = Path(path)
    with open_recording(path) as container:
        video, audio = choose_streams(path, container)
        name = container.format.name.split(",")[0]
        name = "webm" if name == "matroska" and _is_webm(path) else name
        kind, films, sounds = _PLAYED.get(name, ("", _NO, _NO))
        shows = video is None or (_codec(video) in films and video.pix_fmt in _PIXELS)
        sounds_fit = audio is None or _codec(audio) in sounds
        return f"{'audio' if video is None else 'video'}/{kind}" if shows and sounds_fit else ""


def _is_webm(path: Path) -> bool:
    with path.open("rb") as file:
        return b"webm" in file.read(_HEAD)


def _codec(stream: Any) -> str:
    return str(stream.codec_context.codec.canonical_name)


def playable_copy(
    src: str | Path, dst: str | Path, *, start: float | None = None, end: float | None = None, side: int = 640
) -> None:
    """Write a small copy of a recording that every browser plays: mp4 with H.264 and AAC, with what the recording has.

    The pictures are upright, at most 30 per second, and the sound is mono at ``SOUND_RATE``; both are on the clock of
    the recording.

    Args:
        src: a video or sound file.
        dst: the .mp4 to write; an existing file is replaced when the copy is complete.
        start, end: seconds in the file; None: its beginning, its end.
        side: pixels of the longer side of the pictures; smaller ones keep their size.

    Raises:
        MediaError: if the recording does not exist, or cannot be read.
        MissingPackageError: if PyAV is not installed, or has no H.264 encoder.
        OutputError: if the copy cannot be written.
    """
    src, dst, av = Path(src), Path(dst), pyav()
    info = probe(src)
    image = _first_picture(src, start or 0.0, side, info.sound) if info.video else None
    if image is not None and _H264 not in av.codecs_available:
        raise MissingPackageError(f"PyAV has no encoder {_H264} here. Install it with: pip install av")
    rate = Fraction(float(np.clip(info.frame_rate or _USUAL, *_RATES))).limit_denominator(1001)
    pictures = None if image is None else float(rate)
    chunks = read_chunks(src, start=start, end=end, frame_rate=pictures, seconds=_PIECE, longest_side=side)
    with (
        atomic_file(dst) as temporary,
        # The index first, so that the browser can begin before it has everything.
        av.open(str(temporary.absolute()), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        writer = _Writer(container, rate, image, info.sound)
        for chunk in chunks:
            writer.write(chunk)
        writer.finish()


def _first_picture(path: Path, time: float, side: int, sound: bool) -> npt.NDArray[np.uint8] | None:
    """Return a picture, to know the size of all; None if none can be decoded, but the sound can."""
    try:
        return picture(path, time, side=side)
    except MediaError:
        if not sound:
            raise
        return None


class _Writer:
    """Encodes chunks into a container.

    Args:
        container: a PyAV container, open for writing.
        rate: pictures per second.
        image: a picture of the right size; None: no pictures.
        sound: whether the chunks have sound.
    """

    def __init__(self, container: Any, rate: Fraction, image: npt.NDArray[np.uint8] | None, sound: bool) -> None:
        self._container, self._rate = container, rate
        self._video: Any = None
        self._audio: Any = None
        self._samples = 0
        if image is not None:
            self._video = container.add_stream(_H264, rate=rate, options=_VIDEO)
            self._video.height, self._video.width = (max(size // 2 * 2, 2) for size in image.shape[:2])
            self._video.pix_fmt, self._video.thread_count = "yuv420p", _THREADS
            self._reformatter = pyav().video.reformatter.VideoReformatter()  # preparing it takes longer than its work
        if sound:
            self._audio = container.add_stream("aac", rate=SOUND_RATE, layout="mono", bit_rate=_SOUND_BITS)

    def write(self, chunk: Chunk) -> None:
        if self._audio is not None and chunk.sound is not None and len(chunk.sound):
            self._write_sound(chunk.sound)
        for frame in (chunk.frames or ()) if self._video is not None else ():
            self._write_picture(frame)

    def finish(self) -> None:
        for stream in (self._audio, self._video):
            if stream is not None:
                self._container.mux(stream.encode(None))

    def _write_sound(self, sound: Floats) -> None:
        frame = pyav().AudioFrame.from_ndarray(np.clip(sound, -1, 1)[None, :], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE, Fraction(1, SOUND_RATE), self._samples
        self._samples += len(sound)
        self._container.mux(self._audio.encode(frame))

    def _write_picture(self, frame: Frame) -> None:
        size = {"width": self._video.width, "height": self._video.height}
        shown = pyav().VideoFrame.from_ndarray(frame.image, format="rgb24")
        encoded = self._reformatter.reformat(shown, format="yuv420p", **size)
        encoded.pts, encoded.time_base = round(frame.time * self._rate), 1 / self._rate
        self._container.mux(self._video.encode(encoded))
