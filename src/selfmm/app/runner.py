"""The process of one job: ``python -m selfmm.app.runner FOLDER`` runs its commands, one after the other.

The commands hold the locks of the job too. If this process is killed, the job counts as running until its current
command has ended, and no other job starts before that.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from selfmm import api
from selfmm.api import parts
from selfmm.app.jobs import is_starting
from selfmm.app.locks import acquire, is_held
from selfmm.app.state import read_json

_LOOK = 5.0  # seconds to wait for the lock: the server holds it for a moment to see whether the job runs
_TRY = 0.2  # seconds between two tries to take the turn
_WIDTH = "110"  # columns of the log


class _Runner:
    """Runs one job.

    Args:
        folder: of the job.
        lock: descriptor of its lock.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder, self.lock = folder, lock
        content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self.commands: list[list[str]] = content["commands"]
        self.created: float = content["created"]
        self.done = _number(folder / "done")
        self.stopping = False
        self.child: subprocess.Popen[bytes] | None = None
        signal.signal(signal.SIGTERM, self._stop)

    def run(self) -> None:
        try:
            self._run()
        except (api.SelfmmError, OSError, ValueError) as error:  # a full disk, for example
            with suppress(api.SelfmmError, OSError):
                self._write("failed", str(error))

    def _run(self) -> None:
        self._write("waiting")
        turn = self._turn()
        while self.done < len(self.commands) and not self.stopping:
            self._write("running")
            code = self._command(self.commands[self.done], (self.lock, turn))
            if code == 0:
                self.done += 1
                parts.write_text(self.folder / "done", str(self.done))
            elif not self.stopping:
                self._write("failed", self._problem(code))
                return
        self._write("finished" if self.done == len(self.commands) else "stopped")

    def _turn(self) -> int:
        """Wait until no other job runs, and return the descriptor of the lock; -1 if the job is stopped."""
        while not self.stopping:
            if self._is_next() and (turn := acquire(self.folder.parent / ".turn")) is not None:
                return turn
            time.sleep(_TRY)
        return -1

    def _is_next(self) -> bool:
        """Return whether no older job is waiting."""
        for folder in self.folder.parent.iterdir():
            state = read_json(folder / "state.json")
            if folder != self.folder and state.get("status") == "waiting":
                created = read_json(folder / "job.json").get("created", math.inf)
                if created < self.created and (is_starting(state) or is_held(folder / "lock")):
                    return False
        return True

    def _command(self, command: list[str], locks: tuple[int, int]) -> int:
        with (self.folder / "log.txt").open("ab") as log:
            log.write(f"$ selfmm {' '.join(command)}\n".encode("utf-8", "replace"))
            log.flush()
            environment = {**os.environ, "COLUMNS": _WIDTH, "PYTHONUNBUFFERED": "1"}
            self.child = subprocess.Popen(
                [sys.executable, "-m", "selfmm", *command], stdout=log, stderr=log, env=environment, pass_fds=locks
            )
            if self.stopping:  # the signal arrived while it was started
                self.child.terminate()
            return self.child.wait()

    def _stop(self, *_: object) -> None:
        """Pass SIGTERM on to the command, which saves what it has; a second one ends it immediately."""
        self.stopping = True
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()

    def _problem(self, code: int) -> str:
        if (error := _last_error(self.folder / "log.txt")) and code > 0:
            return error
        if code == -signal.SIGKILL:
            return "The command was killed, perhaps because this machine ran out of memory. Resume continues it."
        return f"The command ended unexpectedly (code {code}). The log may show why."

    def _write(self, status: str, problem: str = "") -> None:
        content = {"status": status, "done": self.done, "problem": problem, "pid": os.getpid(), "since": time.time()}
        parts.write_text(self.folder / "state.json", json.dumps(content))


def main(folder: Path) -> None:
    """Run a job, unless it is running already."""
    if (lock := acquire(folder / "lock", _LOOK)) is not None:
        _Runner(folder, lock).run()


def _number(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def _last_error(log: Path) -> str:
    """Return the last error that the last command printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    start = max((number for number, line in enumerate(lines) if line.startswith("$ selfmm ")), default=0)
    errors = [number for number in range(start, len(lines)) if lines[number].startswith("error: ")]
    return " ".join(lines[errors[-1] :]).removeprefix("error: ")[:2000] if errors else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
