"""Work that takes long: commands of selfmm in processes of their own, which outlive the server.

A job is a folder in the private folder of the app: ``job.json`` says what to do, ``state.json`` how far it is, and
``log.txt`` holds what the commands printed. :mod:`selfmm.app.runner` runs it; it holds the lock of the folder for as
long as it lives, so that a job whose process was killed is known to be interrupted.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from selfmm.api import parts
from selfmm.app.errors import NotHereError
from selfmm.app.state import private_folder

Status = Literal["waiting", "running", "finished", "failed", "stopped", "interrupted"]

_TAIL = 20_000  # bytes of the log that are shown
_LINES = 200


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        id: its name, unguessable.
        title: what it does, for people.
        commands: the arguments of each ``selfmm`` command, in order.
        out: name in the folder of what it makes, such as a run; empty if it makes nothing there.
        about: name in the folder of what it works on.
        created: seconds since 1970.
        status: ``waiting`` for another job; ``interrupted`` if its process ended without a word.
        done: number of commands that are finished.
        problem: why it failed, in one sentence.
    """

    id: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    out: str
    about: str
    created: float
    status: Status
    done: int
    problem: str

    @property
    def over(self) -> bool:
        return self.status not in ("waiting", "running")

    @property
    def resumable(self) -> bool:
        return self.status in ("failed", "stopped", "interrupted")


class Jobs:
    """The jobs of one folder.

    Args:
        folder: the private folder that holds them.
        root: the folder that is shown; the commands run in it.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._root = folder, root

    def start(self, title: str, commands: Sequence[Sequence[str]], *, out: str = "", about: str = "") -> Job:
        """Start a job. It waits if another one is running, because two trainings would only slow each other down.

        Args:
            title, out, about: see :class:`Job`.
            commands: the arguments of each command. One that may be interrupted must continue when it is run again: a
                training needs ``--resume``.

        Raises:
            OutputError: if it cannot be written.
        """
        job = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        private_folder(self._folder / job)
        content = {"title": title, "commands": [list(map(str, command)) for command in commands]}
        content |= {"out": out, "about": about, "created": time.time()}
        parts.write_text(self._folder / job / "job.json", json.dumps(content))
        self._run(job)
        return self.get(job)

    def get(self, job: str) -> Job:
        """Return a job.

        Raises:
            NotHereError: if there is no such job.
        """
        content, state = _read(self._path(job) / "job.json"), _read(self._path(job) / "state.json")
        if not content:
            raise NotHereError("There is no such job. It may have been removed.")
        status = state.get("status", "waiting")
        if status in ("waiting", "running") and not self._alive(job):
            status = _read(self._path(job) / "state.json").get("status", "waiting")  # it may just have ended
            status = "interrupted" if status in ("waiting", "running") else status
        return Job(
            id=job,
            title=content["title"],
            commands=tuple(map(tuple, content["commands"])),
            out=content["out"],
            about=content["about"],
            created=content["created"],
            status=status,
            done=state.get("done", 0),
            problem=state.get("problem", ""),
        )

    def all(self) -> list[Job]:
        """Return all jobs, the newest first."""
        jobs = []
        for folder in self._folder.iterdir():
            with suppress(NotHereError):  # removed in the meantime
                jobs.append(self.get(folder.name))
        return sorted(jobs, key=lambda job: -job.created)

    def log(self, job: str) -> str:
        """Return the last lines that the commands of a job printed."""
        try:
            with (self._path(job) / "log.txt").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.replace("\r", "\n").splitlines()[-_LINES:])

    def stop(self, job: str) -> Job:
        """Ask a job to stop, as Ctrl-C would; it saves what it has."""
        pid = _read(self._path(job) / "state.json").get("pid")
        if pid is not None and self._alive(job):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
        return self.get(job)

    def resume(self, job: str) -> Job:
        """Continue a job that was stopped, interrupted or that failed."""
        if self.get(job).resumable:
            self._run(job)
        return self.get(job)

    def remove(self, job: str) -> None:
        """Forget a job that is over; what it made stays."""
        if self.get(job).over:
            shutil.rmtree(self._path(job), ignore_errors=True)

    def _path(self, job: str) -> Path:
        if not job or job != Path(job).name or job.startswith("."):
            raise NotHereError("There is no such job.")
        return self._folder / job

    def _run(self, job: str) -> None:
        folder = self._path(job)
        (folder / "state.json").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "selfmm.app.runner", str(folder)],
            cwd=self._root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while not _read(folder / "state.json") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def _alive(self, job: str) -> bool:
        """Return whether the process of a job holds its lock."""
        try:
            with FileLock(self._path(job) / "lock", timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file of a job; empty if it does not exist, or is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
