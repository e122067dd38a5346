"""Pictures and sound of recordings for the browser. Worker processes make them, and they are kept in files.

The files are in the private folder of the app. Their names depend on the path of the recording, its size and the time
of its last change, so a recording that changes gets new files.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfmm import api
from selfmm.app.errors import BusyError
from selfmm.app.scoring import Scoring, Task
from selfmm.app.state import private_folder

_WORKERS = 2
_WAITING = 300  # a table that is scrolled quickly asks for many pictures
_TIMEOUT = 900.0  # seconds
_LIMIT = 2 * 2**30  # bytes of all files
_OTHERWISE = "application/octet-stream"
_TYPES = {".mov": "video/mp4", ".m4v": "video/mp4", ".m4a": "audio/mp4", ".flac": "audio/flac", ".wav": "audio/wav"}
"""Media types under which browsers play files and that Python guesses otherwise."""


class Media:
    """Pictures and sound of recordings.

    Args:
        folder: where to keep them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._tasks: dict[Path, Task] = {}  # by the file that they make
        self._scoring: Scoring | None = None

    def thumbnail(self, path: Path, time: float | None) -> Path | None:
        """Return the JPEG of a picture of a recording at a time in seconds; None if it has no pictures.

        Raises:
            BusyError: if too much is waiting.
            MediaError: if the recording does not exist, or cannot be read.
            MissingPackageError: if PyAV is not installed.
        """
        file = self._made(".jpg", do="thumbnail", path=path, time=time)
        return file if file.stat().st_size else None

    def sound(self, path: Path, start: float | None, end: float | None, hearing: str = "plain") -> Path:
        """Return the WAV file of a clip; ``filtered`` makes its words unintelligible. Errors as above."""
        return self._made(".wav", do="sound", path=path, start=start, end=end, hearing=hearing)

    def playable(self, path: Path) -> str:
        """Return the media type under which a browser plays a recording as it is, or ``""``. Errors as above."""
        return self._made(".type", do="playable", path=path).read_text(encoding="ascii")

    def copy(self, path: Path, start: float | None = None, end: float | None = None) -> Path:
        """Return a copy of a recording, or of a part of it, that every browser plays. Errors as above."""
        return self._made(".mp4", do="copy", path=path, start=start, end=end)

    def close(self) -> None:
        """End the processes, and remove the oldest files if they take too much space."""
        if self._scoring is not None:
            self._scoring.close(patience=0.0)
        with suppress(OSError):
            _prune(self._folder)

    def _made(self, suffix: str, **request: Any) -> Path:
        path: Path = request["path"]
        try:
            status = path.stat()
        except OSError as error:
            raise api.MediaError(f"{path.name} cannot be read: {error.strerror or error}.") from error
        named = {**request, "path": str(path)}
        key = json.dumps([named, status.st_size, status.st_mtime_ns], sort_keys=True)
        file = self._folder / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40] + suffix)
        if not file.is_file():
            private_folder(self._folder)
            with self._lock:  # requests for the same file wait for the same task
                task = self._tasks.get(file)
                if task is None:
                    task = self._tasks[file] = self._workers().submit(Task({**named, "out": str(file)}))
            task.wait()
            with self._lock:
                self._tasks.pop(file, None)
            if task.error:
                kind = getattr(api, task.error_kind, api.MediaError)
                raise kind(task.error.replace(str(path), path.name))
            if not file.is_file():
                raise BusyError("The server is about to end.")
        return file

    def _workers(self) -> Scoring:
        if self._scoring is None:
            self._scoring = Scoring(
                workers=_WORKERS, waiting=_WAITING, timeout=_TIMEOUT, module="selfmm.app.media_worker"
            )
        return self._scoring


def media_type(name: str) -> str:
    """Return the media type under which to send a recording of this name: of sound or video, never that of a page.

    >>> media_type("talk.MOV"), media_type("talk.html")
    ('video/mp4', 'application/octet-stream')
    """
    kind = _TYPES.get(Path(name).suffix.lower()) or mimetypes.guess_type(name)[0] or _OTHERWISE
    return kind if kind.startswith(("video/", "audio/")) else _OTHERWISE


def _prune(folder: Path) -> None:
    """Remove the oldest files until the rest fit in the limit."""
    files = [(file.stat(), file) for file in folder.iterdir()] if folder.is_dir() else []
    total = 0
    for status, file in sorted(files, key=lambda entry: -entry[0].st_mtime):
        total += status.st_size
        if total > _LIMIT:
            file.unlink(missing_ok=True)
