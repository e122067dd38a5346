"""The private files of the app for one folder: the token, uploads with their scores, and jobs.

They lie in ``$XDG_STATE_HOME/selfmm/<name>-<hash>`` (by default below ``~/.local/state``), which only the user can
read, and never in the folder that is shown.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from selfmm.api import parts


@dataclass(frozen=True)
class State:
    """The private folder.

    Attributes:
        path: the folder. ``uploads`` and ``jobs`` are in it.
    """

    path: Path

    @classmethod
    def of(cls, root: Path) -> State:
        """Return the private folder for ``root``, which is made if it is missing.

        Raises:
            OutputError: if it cannot be made.
        """
        digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        state = cls(home / "selfmm" / f"{parts.safe_name(root.name) or 'root'}-{digest}")
        for folder in (state.path, state.uploads, state.jobs):
            private_folder(folder)
        return state

    @property
    def uploads(self) -> Path:
        """Recordings that were uploaded, with their scores."""
        return self.path / "uploads"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    def token(self) -> str:
        """Return the secret that the opened link carries. It stays the same, so that links live through a restart."""
        file = self.path / "token"
        if not file.is_file() or len(file.read_text(encoding="ascii")) < 32:
            parts.write_text(file, secrets.token_urlsafe(32))
            file.chmod(0o600)
        return file.read_text(encoding="ascii")


def private_folder(path: Path) -> None:
    """Make a folder that only the user can read.

    Raises:
        OutputError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise parts.explain(error, path) from error
