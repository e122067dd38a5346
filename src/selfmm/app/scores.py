"""The recordings of the Score screen and their scores: uploads, and recordings in the folder that is shown.

Each is a folder with ``entry.json`` and the uploaded file. For each run, span and words with which it was scored, it
holds a folder with ``result.json``, ``summary.json`` and the files to download.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfmm.api import parts
from selfmm.app.errors import NotHereError
from selfmm.app.receiving import suffix_of
from selfmm.app.scoring import Event, Scoring, Task
from selfmm.app.state import private_folder, read_json
from selfmm.app.workspace import Workspace, run_version

_ID = re.compile(r"[0-9a-f]{16}")
_NAME = 200  # characters
_DAY = 24 * 3600  # seconds

Status = Literal["none", "waiting", "running", "finished", "failed"]


@dataclass(frozen=True)
class Entry:
    """A recording.

    Attributes:
        id: its name in links.
        name: the name of its file, for people.
        created: seconds since 1970.
        path: the recording.
        here: its name in the folder that is shown; empty for an upload.
        text: the corrected transcript; None if it was not corrected.
        words: text, start and end (seconds) of the words that were corrected.
    """

    id: str
    name: str
    created: float
    path: Path
    here: str = ""
    text: str | None = None
    words: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class Wish:
    """How to score an entry: with which run, and from ``start`` to ``end`` (seconds; None: all of it)."""

    run: str
    start: float | None = None
    end: float | None = None


@dataclass
class Progress:
    """The progress of a scoring.

    Attributes:
        stage: the current step, in a few words.
        read, total: seconds of the recording; None if unknown.
        early: the prediction, before it is explained.
        spans: the windows that are scored so far.
        scored: whether the result is complete; files to download may still be written.
    """

    task: Task
    entry: Entry
    stage: str = ""
    read: float | None = None
    total: float | None = None
    early: Any = None
    spans: list[Any] = field(default_factory=list)
    scored: bool = False


class Scores:
    """The entries of one folder.

    Args:
        folder: where they are stored.
        workspace: the folder that is shown.
        scoring: the processes that score.
        kept: bytes of all uploads together, see :class:`selfmm.app.site.Limits`.
        days: see there.

    Attributes:
        server: a random text; another one if the server is started again.
    """

    def __init__(self, folder: Path, workspace: Workspace, scoring: Scoring, *, kept: int, days: float) -> None:
        self._folder, self._workspace, self._scoring = folder, workspace, scoring
        self._kept, self._days = kept, days
        self.server = secrets.token_hex(4)
        self._running: dict[tuple[str, str], Progress] = {}
        self._lock = threading.Lock()
        self._warm = False

    def all(self) -> list[Entry]:
        """Return all entries, the newest first."""
        entries = []
        for folder in self._folder.iterdir():
            with suppress(NotHereError):  # removed in the meantime, or still being sent
                entries.append(self.get(folder.name))
        return sorted(entries, key=lambda entry: (-entry.created, entry.name))

    def get(self, entry: str) -> Entry:
        """Return an entry.

        Raises:
            NotHereError: if there is no such entry, or its recording is gone.
        """
        folder = self._path(entry)
        content = read_json(folder / "entry.json")
        if not content:
            raise NotHereError("This recording is not here any more. Drop it again.")
        path = self._workspace.path(content["here"]) if content["here"] else folder / content["file"]
        words = tuple((str(text), float(start), float(end)) for text, start, end in content.get("words", ()))
        return Entry(entry, content["name"], content["created"], path, content["here"], content.get("text"), words)

    def begin(self, name: str) -> tuple[str, Path]:
        """Return the id and the path of a recording that is about to be sent; call :meth:`arrived` afterwards.

        Raises:
            OutputError: if the folder cannot be made.
        """
        self._tidy()
        entry = secrets.token_hex(8)
        folder = self._path(entry)
        private_folder(folder)
        return entry, folder / f"recording{suffix_of(name)}"

    def arrived(self, entry: str, path: Path, name: str) -> Entry:
        """Note that a recording was sent."""
        shown = name.replace("\\", "/").rpartition("/")[2].strip()[:_NAME] or path.name
        self._write(entry, {"name": shown, "created": time.time(), "file": path.name, "here": ""})
        return self.get(entry)

    def of_folder(self, name: str) -> Entry:
        """Return the entry of a recording in the folder that is shown; make it if there is none.

        Raises:
            NotHereError: if there is no such recording.
        """
        path = self._workspace.path(name)
        here = self._workspace.name_of(path) or name
        if not path.is_file() or path.suffix.lower() not in parts.RECORDINGS:
            raise NotHereError(f"{name[:200]} is not a recording.")
        entry = self.id_of(here)
        if not (self._path(entry) / "entry.json").is_file():
            private_folder(self._path(entry))
            self._write(entry, {"name": path.name[:_NAME], "created": time.time(), "file": "", "here": here})
        return self.get(entry)

    @staticmethod
    def id_of(here: str) -> str:
        """Return the id of a recording in the folder that is shown."""
        return hashlib.sha256(here.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def remove(self, entry: str) -> None:
        """Forget an entry; an upload is deleted, a recording in the folder stays."""
        folder = self._path(entry)
        for (owner, _), progress in list(self._running.items()):
            if owner == entry:
                progress.task.cancel()
        shutil.rmtree(folder, ignore_errors=True)

    def correct(self, entry: Entry, text: str | None, words: tuple[tuple[str, float, float], ...]) -> Entry:
        """Store a corrected transcript, with which the entry is scored; None removes it.

        Args:
            words: the words before the correction, with their times.
        """
        content = read_json(self._path(entry.id) / "entry.json")
        own = words if not entry.words else entry.words  # the recognised words, however often they are corrected
        content |= {"text": text, "words": [list(word) for word in own] if text is not None else []}
        self._write(entry.id, content)
        return self.get(entry.id)

    def start(self, entry: Entry, wish: Wish, *, again: bool = False) -> None:
        """Score an entry, unless it is scored already, or being scored.

        Args:
            again: score it even if that failed before.

        Raises:
            BusyError: if too many tasks wait.
            NotHereError: if there is no such run.
            OutputError: if the folder for the result cannot be made.
        """
        folder = self._result(entry, wish)
        key = (entry.id, folder.name)
        with self._lock:
            if key in self._running or ((folder / "result.json").is_file() and not again):
                return
            summary = read_json(folder / "summary.json")
            if summary.get("error") and not again:
                return
            private_folder(folder)
            (folder / "summary.json").unlink(missing_ok=True)
            watch = {"clip": self._clip(entry, wish), "folder": str(folder)}
            request = {"run": str(self._workspace.run(wish.run)), "watch": watch}
            task = Task(request, lambda event: self._note(key, folder, event), lambda: self._end(key, folder))
            self._running[key] = Progress(task, entry)
            try:
                self._scoring.submit(task)
            except Exception:
                del self._running[key]
                raise

    def warm(self) -> None:
        """Load the starter the first time, so that the first score comes soon, and remove old uploads.

        If the starter cannot be loaded, the first scoring reports it.
        """
        with self._lock, suppress(Exception):
            if not self._warm and not self._running:
                self._warm = True
                self._tidy()
                self._scoring.submit(Task({"run": parts.STARTER}))

    def cancel(self, entry: Entry, wish: Wish) -> None:
        """Stop scoring an entry."""
        progress = self._running.get((entry.id, self._result(entry, wish).name))
        if progress is not None:
            progress.task.cancel()

    def state(self, entry: Entry, wish: Wish, seen: int = 0) -> dict[str, Any]:
        """Return the state of an entry as JSON types.

        ``status``, and ``error`` if it failed; while it is scored, ``stage``, ``read``, ``total``, ``early`` and
        ``spans``, starting at number ``seen``; ``summary`` when it is finished.
        """
        folder = self._result(entry, wish)
        progress = self._running.get((entry.id, folder.name))
        if progress is not None and not progress.scored:
            status: Status = "waiting" if progress.task.status == "waiting" else "running"
            own = {"stage": progress.stage, "read": progress.read, "total": progress.total}
            return {"status": status, **own, "early": progress.early, "spans": progress.spans[seen:]}
        summary = read_json(folder / "summary.json")
        if summary.get("error"):
            return {"status": "failed", "error": summary["error"], "kind": summary.get("kind", "")}
        if not summary:
            return {"status": "none"}
        files = sorted(path.suffix[1:] for path in folder.glob("scores.*"))
        return {"status": "finished", "summary": summary, "complete": progress is None, "files": files}

    def file(self, entry: Entry, wish: Wish, name: str) -> Path:
        """Return a file of a result: ``result.json``, or one to download.

        Raises:
            NotHereError: if it does not exist; the message gives the reason.
        """
        folder = self._result(entry, wish)
        path = folder / name
        if path.is_file():
            return path
        why = read_json(folder / "missing.json").get(name)
        raise NotHereError(str(why or "This has not been scored yet. Wait for the scores."))

    def media(self, entry: Entry) -> Path:
        """Return the recording, or its copy that a browser can play if there is one."""
        copy = self._path(entry.id) / "playable.mp4"
        return copy if copy.is_file() else entry.path

    def _clip(self, entry: Entry, wish: Wish) -> dict[str, Any]:
        clip: dict[str, Any] = {"path": str(entry.path), "id": Path(entry.name).stem[:100] or "recording"}
        if wish.start is not None:
            clip |= {"start": wish.start}
        if wish.end is not None:
            clip |= {"end": wish.end}
        whole = Wish(wish.run)
        known = read_json(self._result(entry, whole) / "words.json") if wish != whole else {}
        if known:  # the words of a part are those of the whole
            start, end = wish.start or 0.0, wish.end if wish.end is not None else float("inf")
            words = [(text, a, b) for text, a, b in known["words"] if start <= (a + b) / 2 < end]
            clip["words"] = [(text, max(a - start, 0.0), max(b - start, 0.0)) for text, a, b in words]
        elif entry.text is not None:
            clip |= {"text": entry.text, "words": list(entry.words)}
        return clip

    def _note(self, key: tuple[str, str], folder: Path, event: Event) -> None:
        """Handle an event of the worker."""
        progress = self._running.get(key)
        if progress is None:
            return
        if "stage" in event:
            progress.stage = event["stage"]
        elif "read" in event:
            progress.read, progress.total, progress.stage = event["read"], event["total"], ""
        elif "early" in event:
            progress.early = event["early"]
        elif "span" in event:
            progress.spans.append(event["span"])
        elif "result" in event:
            self._keep(folder, event["result"])
            progress.scored = True
        elif "no_file" in event:
            missing = read_json(folder / "missing.json")
            parts.write_text(folder / "missing.json", json.dumps({**missing, event["no_file"]: event["why"]}))

    def _keep(self, folder: Path, result: Mapping[str, Any]) -> None:
        words = [word[:3] for word in result["timeline"]["words"]]
        parts.write_text(folder / "words.json", json.dumps({"words": words}))
        parts.write_text(folder / "result.json", json.dumps(result))
        parts.write_text(folder / "summary.json", json.dumps(_summary(result)))

    def _end(self, key: tuple[str, str], folder: Path) -> None:
        """Note the end of a task."""
        progress = self._running[key]
        task = progress.task
        if task.status == "failed" and task.error and not progress.scored:
            with suppress(Exception):  # a full disk, or the entry was removed: it counts as not scored
                # The path is that of a private folder; the user knows the name.
                content = {"error": task.error.replace(str(progress.entry.path), progress.entry.name)}
                content["kind"] = task.error_kind
                parts.write_text(folder / "summary.json", json.dumps(content))
        self._running.pop(key, None)

    def _result(self, entry: Entry, wish: Wish) -> Path:
        """Return the folder of a result: it depends on the run as it is now, the span and the words."""
        version = run_version(self._workspace.run(wish.run))
        content = json.dumps([wish.run, version, wish.start, wish.end, entry.text])
        return self._path(entry.id) / hashlib.sha256(content.encode()).hexdigest()[:16]

    def _path(self, entry: str) -> Path:
        if not _ID.fullmatch(entry):
            raise NotHereError("There is no such recording.")
        return self._folder / entry

    def _write(self, entry: str, content: Mapping[str, Any]) -> None:
        parts.write_text(self._path(entry) / "entry.json", json.dumps(content))

    def _tidy(self) -> None:
        """Remove old uploads, the oldest if they are too large together, and those that never arrived in full."""
        now, room = time.time(), self._kept
        for folder in self._folder.iterdir():
            with suppress(OSError):
                if not (folder / "entry.json").exists() and now - folder.stat().st_mtime > _DAY:
                    shutil.rmtree(folder, ignore_errors=True)
        for entry in self.all():
            if entry.here:
                continue
            with suppress(OSError):
                room -= entry.path.stat().st_size
            if room < 0 or now - entry.created > self._days * _DAY:
                self.remove(entry.id)


def _summary(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of the table of results shows."""
    timeline, prediction = result["timeline"], result["prediction"]
    curve = timeline["curve"]
    own = {"facts": result["facts"], "seconds": curve[-1]["end"] - curve[0]["start"], "spans": len(curve)}
    own["warnings"] = [warning for warning, _ in timeline["warnings"]]
    if prediction is not None:
        names = ("score", "scores", "intervals", "informs", "sentence")
        return {**own, **{name: prediction[name] for name in names}, "text": prediction["transcript"]["text"]}
    means = {name: _mean([span["scores"][name] for span in curve]) for name in curve[0]["scores"]}
    text = " ".join(word[0] for word in timeline["words"][:60])
    return {
        **own,
        "score": means.get("fusion"),
        "scores": {name: mean for name, mean in means.items() if name != "fusion"},
        "intervals": {},
        "informs": {},
        "sentence": f"mean of {parts.count(len(curve), 'window')}",
        "text": text,
    }


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
