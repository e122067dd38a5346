"""Private folders for the time of one request. If the server is killed, its next start removes them."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from selfmm.app.state import private_folder


class Scratch:
    """A place for such folders. It also removes those of servers that were killed.

    Args:
        home: folder that several servers may share. Each has its own folder there, and holds a lock.

    Attributes:
        count: number of folders in use.

    Raises:
        OutputError: if the folder cannot be made.
    """

    def __init__(self, home: Path) -> None:
        self.count = 0
        private_folder(home)
        name = secrets.token_hex(8)
        self._folder, self._lock = home / name, FileLock(home / f"{name}.lock")
        with FileLock(home / ".start"):
            for lock in home.glob("*.lock"):
                with suppress(Timeout, OSError), FileLock(lock, timeout=0):
                    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                    lock.unlink()
            self._lock.acquire()
            private_folder(self._folder)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Yield an empty folder, which is removed at the end.

        Raises:
            OutputError: if it cannot be made, for example because the disk is full.
        """
        folder = self._folder / secrets.token_hex(8)
        private_folder(folder)
        self.count += 1
        try:
            yield folder
        finally:
            self.count -= 1
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):
            Path(self._lock.lock_file).unlink()
