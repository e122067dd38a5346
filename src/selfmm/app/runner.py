"""The process of one job: ``python -m selfmm.app.runner FOLDER`` runs its commands, one after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from selfmm.api import parts


class _Stopped(BaseException):
    """SIGTERM arrived."""


def main(folder: Path) -> None:
    """Run a job; leave at once if it is running already."""
    try:
        with FileLock(folder / "lock", timeout=5):  # the server tries it for a moment
            _run(folder, json.loads((folder / "job.json").read_text(encoding="utf-8")))
    except Timeout:
        return


def _run(folder: Path, job: dict[str, Any]) -> None:
    progress = folder / "done"
    done = int(progress.read_text()) if progress.is_file() else 0

    def write(status: str, problem: str = "") -> None:
        content = {"status": status, "done": done, "problem": problem, "pid": os.getpid()}
        parts.write_text(folder / "state.json", json.dumps(content))

    def stop(*_: object) -> None:
        raise _Stopped

    signal.signal(signal.SIGTERM, stop)
    child: subprocess.Popen[bytes] | None = None
    write("waiting")
    try:
        with FileLock(folder.parent / ".turn"), (folder / "log.txt").open("ab") as log:
            for number, command in enumerate(job["commands"]):
                if number < done:
                    continue
                write("running")
                child = subprocess.Popen([sys.executable, "-m", "selfmm", *command], stdout=log, stderr=log)
                code = child.wait()
                if code:
                    write("failed", _last_error(folder / "log.txt") or f"The command ended with code {code}.")
                    return
                done = number + 1
                parts.write_text(progress, str(done))
        write("finished")
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if child is not None and child.poll() is None:
            child.terminate()
            child.wait()
        write("stopped")


def _last_error(log: Path) -> str:
    """Return the last error that a command printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    return " ".join(lines[errors[-1] :]).removeprefix("error: ")[:2000] if errors else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
