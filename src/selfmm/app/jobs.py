"""Jobs: long work, done by commands of selfmm in separate processes, which outlive the server.

A job is a folder in the private folder of the app. ``job.json`` holds what to do, ``state.json`` its state, and
``log.txt`` what the commands printed. :mod:`selfmm.app.runner` runs it. The runner and the command that it started hold
the lock of the folder as long as one of them lives. So the app knows whether a job was interrupted, and no job runs
twice at the same time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from selfmm.api import parts
from selfmm.app.errors import NotHereError
from selfmm.app.locks import is_held
from selfmm.app.state import private_folder, read_json

Status = Literal["waiting", "running", "finished", "failed", "stopped", "interrupted"]

_TAIL = 20_000  # bytes of the log that are shown
_LINES = 200
_START = 20.0  # seconds that the process of a job may take to start
_PROGRESS = re.compile(r"(?:^|\n)(?:epoch|clips?|seed|run|trial)s? (\d+) of (\d+)")
_STEP = re.compile(r"(?:^|\n)epoch (\d+)(?:, step (\d+)| of \d+)(?: of (\d+))?")
_ENDED = "error: ended by SIGTERM; "  # what a command prints that was stopped


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        id: its name, which cannot be guessed.
        title: what it does, for people.
        commands: the arguments of each ``selfmm`` command, in order.
        out: name in the folder of its result, such as a run; empty if it has none there.
        about: name in the folder of what it works on.
        created: seconds since 1970.
        status: ``waiting`` for another job; ``interrupted`` if its process was killed.
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
        self._changing = threading.Lock()  # two clicks on a button start one process

    def start(self, title: str, commands: Sequence[Sequence[str]], *, out: str = "", about: str = "") -> Job:
        """Start a job. If another one is running, it waits, because two trainings only slow each other down.

        Args:
            title, out, about: see :class:`Job`.
            commands: the arguments of each command. When an interrupted command is run again, it must continue: a
                training needs ``--resume``.

        Raises:
            OutputError: if it cannot be written.
        """
        job = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        private_folder(self._folder / job)
        content: dict[str, Any] = {"title": title, "commands": [list(map(str, command)) for command in commands]}
        content |= {"out": out, "about": about, "created": time.time()}
        parts.write_text(self._folder / job / "job.json", json.dumps(content))
        self._run(job)
        return self.get(job)

    def get(self, job: str) -> Job:
        """Return a job.

        Raises:
            NotHereError: if there is no such job.
        """
        content = read_json(self._path(job) / "job.json")
        if not content:
            raise NotHereError("There is no such job. It may have been removed.")
        alive = is_held(self._path(job) / "lock")
        state = read_json(self._path(job) / "state.json")  # read last: a job that has just ended has written it
        status = state.get("status", "waiting")
        if status in ("waiting", "running") and not alive and not is_starting(state):
            status = "interrupted"
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
        text = text.replace(_ENDED, "stopped; ")
        return "\n".join(text.replace("\r", "\n").splitlines()[-_LINES:])

    def progress(self, job: str) -> tuple[int, int] | None:
        """Return the progress of the current command, as (done, total) epochs, clips or runs; None if unknown."""
        matches = _PROGRESS.findall(self.log(job).rpartition("$ selfmm ")[2])
        return (int(matches[-1][0]), int(matches[-1][1])) if matches else None

    def within(self, job: str) -> tuple[int, int, int] | None:
        """Return the epoch, step and steps of a training in the middle of an epoch; None if unknown."""
        matches = _STEP.findall(self.log(job).rpartition("$ selfmm ")[2])
        epoch, step, steps = matches[-1] if matches else ("", "", "")
        return (int(epoch), int(step), int(steps)) if step else None

    def stop(self, job: str) -> Job:
        """Ask a job to stop, as Ctrl-C would; it saves what it has. A second call ends it immediately."""
        with self._changing:
            deadline = time.monotonic() + _START / 2
            while (pid := read_json(self._path(job) / "state.json").get("pid")) is None and time.monotonic() < deadline:
                if self.get(job).over:
                    break
                time.sleep(0.05)  # it is about to start
            if pid is not None and is_held(self._path(job) / "lock"):
                _terminate(int(pid))
        return self.get(job)

    def resume(self, job: str) -> Job:
        """Continue a job that was stopped or interrupted, or that failed."""
        with self._changing:
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
        state = {"status": "waiting", "done": read_json(folder / "state.json").get("done", 0), "since": time.time()}
        parts.write_text(folder / "state.json", json.dumps(state))
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "selfmm.app.runner", str(folder)],
                cwd=self._root,
                env={**os.environ, "PYTHONSAFEPATH": "1"},  # never import a file of the folder that is shown
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=process.wait, daemon=True).start()  # so that it leaves no zombie


def _terminate(pid: int) -> None:
    """Send SIGTERM to the process of a job; if it was killed, to the command that it had started.

    The command is in the group of the process, whose number the system gives to no other while the group lives.
    """
    try:
        lives = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        lives = False
    with suppress(ProcessLookupError):
        (os.kill if lives else os.killpg)(pid, signal.SIGTERM)


def is_starting(state: Mapping[str, Any]) -> bool:
    """Return whether a job with this ``state.json`` was started a moment ago, and does not hold its lock yet."""
    return not state.get("pid") and time.time() - state.get("since", 0.0) < _START
