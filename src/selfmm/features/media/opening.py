"""Open recordings. Only the file itself is read, whatever it contains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from selfmm.core.errors import MediaError, MissingPackageError

# FFmpeg also reads playlists, scripts and session descriptions, which name other files and addresses, and it treats
# pictures and texts as films. Only formats that contain sound and pictures themselves are allowed.
_CONTAINERS = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,ivf,rm,dv,h264,hevc,m4v,"
    "wav,w64,mp3,aac,flac,aiff,au,caf,amr,ac3,eac3,wv,ape"
)
_SAFE = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
_BUFFER = 256 * 1024  # bytes; every read goes through Python
_ESTIMATED = {"aac", "ac3", "amr", "eac3", "mp3"}  # FFmpeg estimates their length from the size of the file
# Their headers hold the length, or the time of the end on the recording's own clock: writers differ.
_AMBIGUOUS = {"asf", "matroska,webm", "nut", "ogg"}
_LATE = 0.1  # seconds; a later beginning tells the two apart
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of a RIFF file that was written to a pipe
PREROLL = 0.5  # seconds; in mp3, AAC and Opus the first frames after a jump are wrong
_BACK = (0.0, 5.0, 30.0)  # seconds; if a jump lands too late, jump this much further back
_PEEK = 400  # packets to read after a jump, to see where it landed


@contextmanager
def open_recording(path: Path, at: float = 0.0) -> Iterator[Any]:
    """Open a recording as a PyAV container.

    Args:
        path: a file. Other files are never read, whatever it contains.
        at: seconds. The next packets are at least ``PREROLL`` earlier; at the beginning, if the file allows no jumps.

    Raises:
        MediaError: if there is no such file, it cannot be read, or it is not a recording.
        MissingPackageError: if PyAV is not installed.
    """
    with _bytes(path) as file:
        container = _container(path, file)
        with container:
            if at <= PREROLL or _jump(container, at - PREROLL):
                yield container
                return
    with _bytes(path) as file, _container(path, file) as container:
        yield container


def choose_streams(path: Path, container: Any) -> tuple[Any, Any]:
    """Return the best video and the best audio stream, or None. A cover picture is not a video.

    Raises:
        MediaError: if the recording has neither.
    """
    import av

    cover = av.stream.Disposition.attached_pic
    audios = [stream for stream in container.streams.audio if stream.codec_context is not None]
    videos = [stream for stream in container.streams.video if stream.codec_context is not None]
    videos = [stream for stream in videos if not stream.disposition & cover]
    if not videos and not audios:
        raise MediaError(
            f"{path} has neither pictures nor sound that can be decoded. Play it in a video player; if that works, "
            "convert it to mp4 (H.264 and AAC)."
        )
    best_video, best_audio = container.streams.best("video"), container.streams.best("audio")
    if best_video not in videos:
        best_video = max(videos, key=lambda stream: (stream.width or 0) * (stream.height or 0), default=None)
    return best_video, (best_audio if best_audio in audios else next(iter(audios), None))


def origin(container: Any) -> float:
    """Return the time of a recording's beginning on its own clock, in seconds: not 0 in broadcasts and many mp3s."""
    return (container.start_time or 0) / 1e6


def declared_seconds(container: Any) -> float | None:
    """Return the declared length in seconds; None if the container declares none, or FFmpeg only estimates it."""
    duration, kind = container.duration, container.format.name
    if duration is None or duration <= 0 or kind in _ESTIMATED:
        return None
    return None if kind in _AMBIGUOUS and origin(container) > _LATE else duration / 1e6


def missing_end(path: Path) -> str:
    """Return what a WAV or AVI file lacks at its end by its header, as one sentence; empty if it is whole.

    FFmpeg shortens such files without a word.
    """
    with path.open("rb") as file:
        head = file.read(12)
    size = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or head[8:] not in (b"WAVE", b"AVI ") or size in _UNKNOWN_SIZES:
        return ""
    missing = size + 8 - path.stat().st_size
    if missing <= 1:  # some writers leave out the last byte, which only pads
        return ""
    return f"the file lacks the last {missing / (size + 8):.0%} of what its header declares: it was cut off."


def several_tracks(container: Any, chosen: Any) -> str:
    """Return which track is read if a recording has several of the kind of ``chosen``; empty if it has one."""
    import av

    cover = av.stream.Disposition.attached_pic
    alike = [stream for stream in getattr(container.streams, chosen.type) if not stream.disposition & cover]
    if len(alike) < 2:
        return ""
    names = ", ".join(chosen.metadata[key] for key in ("language", "title") if chosen.metadata.get(key))
    kind = "sound" if chosen.type == "audio" else "video"
    track = f"{alike.index(chosen) + 1} ({names})" if names else str(alike.index(chosen) + 1)
    return (
        f"the file has {len(alike)} {kind} tracks: only track {track} was read; to read another, save it as a file of "
        "its own."
    )


def _bytes(path: Path) -> BinaryIO:
    try:
        # is_file also refuses pipes and devices, where opening would wait.
        if not path.exists():
            raise MediaError(f"{path} does not exist. Check the path.")
        if not path.is_file():
            raise MediaError(f"{path} is {'a folder' if path.is_dir() else 'not a file'}; expected one recording.")
        if path.stat().st_size == 0:
            raise MediaError(f"{path} is empty (0 bytes). Copy or record it again.")
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"cannot read {path}: {reason}. Check the path and its permissions.") from error


def pyav() -> Any:
    """Return the package ``av``.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingPackageError("Recordings need PyAV. Install it with: pip install 'selfmm[video]'") from error
    return av


def _container(path: Path, file: BinaryIO) -> Any:
    av = pyav()
    try:
        # A Python file, not a name, which FFmpeg could interpret as an address or a protocol.
        return av.open(
            file, "r", container_options=dict(_SAFE), buffer_size=_BUFFER, io_open=_refuse, metadata_errors="replace"
        )
    except av.FFmpegError as error:
        file.seek(0)
        if file.read(8)[4:] == b"ftyp":
            raise MediaError(
                f"{path} has no readable index: it is an mp4 or mov file that was cut off while recording or copying. "
                "Copy or record it again."
            ) from error
        raise MediaError(
            f"{path} cannot be read as a recording: expected a video or sound file (mp4, mov, mkv, webm, avi, wav, mp3 "
            "and others), not a picture, a text or a playlist. Play it in a video player; if that works, convert it to "
            "mp4 (H.264 and AAC)."
        ) from error


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a recording may not open other files")


def _jump(container: Any, at: float) -> bool:
    """Go to ``at`` seconds or before. Return whether that worked; if not, open the container again."""
    return any(_lands(container, at - back, at + PREROLL / 2) for back in _BACK if at - back > 0)


def _lands(container: Any, at: float, latest: float) -> bool:
    """Go to ``at``. Return whether everything since ``latest`` can be decoded: some containers jump too far."""
    av, zero = pyav(), origin(container)
    best = (container.streams.best("video"), container.streams.best("audio"))
    streams = [stream for stream in best if stream is not None]
    begins = {stream.index: float((stream.start_time or 0) * stream.time_base) for stream in streams}
    lacking = {index: max(latest + zero, begin + 1e-3) for index, begin in begins.items()}
    try:
        container.seek(round((at + zero) * 1e6), backward=True)
        for packet in islice(container.demux(streams), _PEEK):
            if packet.dts is None or not lacking:
                break
            # Decoding must start at a key picture; a jump in a broadcast may land anywhere.
            if packet.stream.index in lacking and (packet.stream.type != "video" or packet.is_keyframe):
                time = packet.dts if packet.pts is None else packet.pts
                if time * packet.time_base > lacking.pop(packet.stream.index):
                    return False
        container.seek(round((at + zero) * 1e6), backward=True)
    except av.FFmpegError:
        return False
    return not any(container.streams[index].type == "video" for index in lacking)
