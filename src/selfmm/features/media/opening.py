"""Opens recordings so that a file can do nothing but be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from selfmm.core.errors import MediaError, MissingPackageError

# FFmpeg also reads playlists, scripts and session descriptions, which name other files and addresses, and would take
# a picture or a text for a film. Only what holds sound and pictures itself is let in.
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,ivf,rm,dv,h264,hevc,m4v,"
    "wav,w64,mp3,aac,flac,aiff,au,caf,amr,ac3,eac3,wv,ape"
)
_SAFE = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
_BUFFER = 256 * 1024  # bytes; every read goes through Python
_ESTIMATED = {"aac", "ac3", "amr", "eac3", "mp3"}  # of these FFmpeg guesses the length from the file's size
PREROLL = 0.5  # seconds; the first frames after a jump are not yet right in mp3, AAC and Opus
_BACK = (0.0, 5.0, 30.0)  # seconds; where a jump lands too late, it is tried again from so much before
_PEEK = 400  # packets


@dataclass(frozen=True)
class Streams:
    """The streams that count, None where there is none: the best of several, and no cover picture."""

    video: Any
    audio: Any


@contextmanager
def open_recording(path: Path, at: float = 0.0) -> Iterator[Any]:
    """A PyAV container.

    Args:
        path: a file; only it is read, whatever stands in it.
        at: seconds; where it can jump, the next packets are of at least `PREROLL` before; else of the beginning.

    Raises:
        MediaError: no such file, not readable, or no recording.
        MissingPackageError: PyAV is not installed.
    """
    with _bytes(path) as file:
        container = _container(path, file)
        with container:
            if at <= PREROLL or _jump(container, at - PREROLL):
                yield container
                return
    with _bytes(path) as file, _container(path, file) as container:
        yield container


def choose_streams(path: Path, container: Any) -> Streams:
    """The sound and the pictures of a recording.

    Raises:
        MediaError: it has neither.
    """
    import av

    cover = av.stream.Disposition.attached_pic
    videos = [one for one in container.streams.video if one.codec_context is not None and not one.disposition & cover]
    audios = [one for one in container.streams.audio if one.codec_context is not None]
    if not videos and not audios:
        raise MediaError(
            f"{path} has neither pictures nor sound that can be decoded. Play it in a video player; if that works, "
            "convert it to mp4 (H.264 and AAC)."
        )
    best_video, best_audio = container.streams.best("video"), container.streams.best("audio")
    if best_video not in videos:
        best_video = max(videos, key=lambda one: (one.width or 0) * (one.height or 0), default=None)
    return Streams(best_video, best_audio if best_audio in audios else next(iter(audios), None))


def origin(container: Any) -> float:
    """What the recording's clock shows at its beginning, in seconds: not 0 in broadcasts and in many mp3 files."""
    return (container.start_time or 0) / 1e6


def declared_seconds(container: Any) -> float | None:
    """The length that the container tells, in seconds; None where it does not."""
    duration = container.duration
    return None if duration is None or duration <= 0 or container.format.name in _ESTIMATED else duration / 1e6


def _bytes(path: Path) -> BinaryIO:
    try:
        # is_file also keeps away from pipes and devices, on which open would wait.
        if not path.exists():
            raise MediaError(f"{path} does not exist. Check the path.")
        if not path.is_file():
            raise MediaError(f"{path} is {'a folder' if path.is_dir() else 'no file'}; expected is one recording.")
        if path.stat().st_size == 0:
            raise MediaError(f"{path} is empty (0 bytes). Copy or record it again.")
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"cannot read {path}: {reason}. Check the path and its permissions.") from error


def _container(path: Path, file: BinaryIO) -> Any:
    try:
        import av
    except ImportError as error:
        raise MissingPackageError(
            "Reading recordings needs PyAV. Install it with: pip install 'selfmm[video]'"
        ) from error
    try:
        # A Python file instead of a name: no name can be taken for an address or a protocol.
        return av.open(
            file, "r", container_options=dict(_SAFE), buffer_size=_BUFFER, io_open=_refuse, metadata_errors="replace"
        )
    except av.FFmpegError as error:
        file.seek(0)
        if file.read(8)[4:] == b"ftyp":
            raise MediaError(
                f"{path} has no readable index: an mp4 or mov file that was cut off while it was recorded or copied. "
                "Copy or record it again."
            ) from error
        raise MediaError(
            f"{path} is no recording that can be read: expected is a video or sound file (mp4, mov, mkv, webm, avi, "
            "wav, mp3 and others); pictures, texts and playlists are none. Play it in a video player; if that works, "
            "convert it to mp4 (H.264 and AAC)."
        ) from error


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a recording may not open other files")


def _jump(container: Any, at: float) -> bool:
    """Goes to ``at`` seconds or before and tells whether it is there; where not, the container is of no more use."""
    return any(_lands(container, at - back, at + PREROLL / 2) for back in _BACK if at - back > 0)


def _lands(container: Any, at: float, latest: float) -> bool:
    """Goes to ``at`` and tells whether all can be decoded from ``latest`` on: not every container knows its places."""
    import av

    zero = origin(container)
    streams = [one for one in (container.streams.best("video"), container.streams.best("audio")) if one is not None]
    lacking = {stream.index: max(latest + zero, _begins(stream) + 1e-3) for stream in streams}
    try:
        container.seek(round((at + zero) * 1e6), backward=True)
        for packet in islice(container.demux(streams), _PEEK):
            if packet.dts is None or not lacking:
                break
            # Pictures can be decoded from a key picture on; broadcasts may land anywhere.
            if packet.stream.index in lacking and (packet.stream.type != "video" or packet.is_keyframe):
                time = packet.dts if packet.pts is None else packet.pts
                if time * packet.time_base > lacking.pop(packet.stream.index):
                    return False
        container.seek(round((at + zero) * 1e6), backward=True)
    except av.FFmpegError:
        return False
    return not any(container.streams[index].type == "video" for index in lacking)


def _begins(stream: Any) -> float:
    return 0.0 if stream.start_time is None else float(stream.start_time * stream.time_base)
