"""The private files of the app for one folder: the token, uploads with their scores, and jobs.

They are in ``$XDG_STATE_HOME/selfmm/<name>-<hash>`` (by default below ``~/.local/state``), which only the user can
read, and never in the folder that is shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfmm import api
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
        """Return the private folder for ``root``; make it if it is missing.

        Raises:
            OutputError: if it cannot be made.
        """
        digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
        state = cls(state_home() / f"{parts.safe_name(root.name) or 'root'}-{digest}")
        for folder in (state.path, state.uploads, state.jobs):
            private_folder(folder)
        return state

    @property
    def uploads(self) -> Path:
        """Recordings that were uploaded, with their scores."""
        return self.path / "uploads"

    @property
    def jobs(self) -> Path:
        """Commands that run, and those that ended."""
        return self.path / "jobs"

    @property
    def requests(self) -> Path:
        """Recordings that programs sent, until they are scored."""
        return self.path / "requests"

    def token(self) -> str:
        """Return the secret that the opened link carries. It stays the same, so links work after a restart.

        Raises:
            OutputError: if it cannot be written.
        """
        file = self.path / "token"
        with suppress(OSError, ValueError):
            token = file.read_text(encoding="ascii").strip()
            if len(token) >= 32:
                return token
        token = secrets.token_urlsafe(32)
        parts.write_text(file, token)
        file.chmod(0o600)
        return token


def state_home() -> Path:
    """Return the folder that holds all private folders.

    Raises:
        OutputError: if the user has no home folder.
    """
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state").absolute() / "selfmm"
    except RuntimeError as error:  # a user without a home, as in some containers
        raise api.OutputError("there is no home folder; set XDG_STATE_HOME to a folder that selfmm may use.") from error


def private_folder(path: Path) -> None:
    """Make a folder that only the user can read.

    Raises:
        OutputError: if it cannot be made, or belongs to somebody else.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.stat().st_uid != os.geteuid():
            raise api.OutputError(f"{path} belongs to another user; set XDG_STATE_HOME to a folder of your own.")
        path.chmod(0o700)
    except OSError as error:
        problem = parts.explain(error, path)
        raise api.OutputError(
            f"{problem} selfmm keeps its private files there; set XDG_STATE_HOME to keep them in another folder."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a private file; empty if the file does not exist, or is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
