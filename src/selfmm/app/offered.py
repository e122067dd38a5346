"""The runs that a server offers to programs: those in the folder of the app, or those given to ``selfmm serve``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError
from selfmm.app.workspace import Workspace


class Offered(Protocol):
    """The runs that a request can name.

    Attributes:
        default: name of the run that is used if a request names none.
    """

    @property
    def default(self) -> str: ...

    def names(self) -> list[str]:
        """Return their names, the default first."""

    def place(self, name: str) -> str | Path:
        """Return ``starter`` or the folder of a run.

        Raises:
            NotHereError: if it is not offered.
        """


class InFolder:
    """The starter, and the runs in the folder of the app."""

    default = parts.STARTER

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def names(self) -> list[str]:
        return [parts.STARTER, *(item.name for item in self._workspace.items("run", "seeds"))]

    def place(self, name: str) -> str | Path:
        return self._workspace.run(name)


class Given:
    """Runs that are chosen when the server starts.

    Args:
        runs: ``starter`` and folders. A run has the name of its folder; or its path, if two folders have that name.

    Raises:
        RunError: if one of them is not a finished run.
    """

    def __init__(self, runs: Sequence[str | Path]) -> None:
        for run in runs:
            parts.open_run(run, seeds=True).require_finished()
        short = [run if str(run) == parts.STARTER else Path(run).resolve().name for run in runs]
        names = [str(name) if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)]
        self._runs: Mapping[str, str | Path] = {
            name: parts.STARTER if str(run) == parts.STARTER else Path(run).resolve()
            for name, run in zip(names, runs, strict=True)
        }
        self.default = names[0]

    def names(self) -> list[str]:
        return list(self._runs)

    def place(self, name: str) -> str | Path:
        if name not in self._runs:
            raise NotHereError(f"There is no run {name[:200]!r} here. Choose one of: {', '.join(self._runs)}.")
        return self._runs[name]


def describe(offered: Offered, name: str) -> dict[str, Any]:
    """Return what programs need to know about a run.

    Returns:
        ``name``; ``problem``: why it cannot score, empty if it can. If it can, also ``model``, ``label_range``,
        ``modalities`` that it scores, ``unscored``: the others with the reason, and ``about``, for runs that come with
        selfmm.
    """
    try:
        info = parts.open_run(offered.place(name), seeds=True).require_finished()
    except (api.SelfmmError, NotHereError) as error:
        return {"name": name, "problem": str(error)}
    return {
        "name": name,
        "problem": "",
        "model": info.model,
        "label_range": list(info.label_range),
        "modalities": list(info.modalities),
        "unscored": dict(info.unscored),
        "about": info.about,
    }
