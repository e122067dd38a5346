"""Find the recording of a clip in the folder that is shown, or say why it cannot be played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from selfmm.app.workspace import Workspace


def recording_of(workspace: Workspace, dataset: Path, stored: str) -> Path | None:
    """Return the path of a recording; None if it is not in the folder that is shown.

    Args:
        workspace: the folder that is shown.
        dataset: the folder of the data set.
        stored: the path as the data set has it: absolute, or relative to the folder in which `selfmm extract` ran,
            which may be the one that is shown, one above it, or one below.
    """
    for path in _places(workspace.root, dataset, stored):
        try:
            if path.is_file() and (found := path.resolve()).is_relative_to(workspace.root):
                return found
        except (OSError, ValueError):  # a null character, or a name that is too long
            return None
    return None


def why_not(workspace: Workspace, dataset: Path, stored: str) -> str:
    """Return a sentence for a clip whose recording is not in the folder: why it cannot be played, and what to do."""
    if not stored:
        return "This data set holds features without recordings, so there is nothing to play."
    name = PureWindowsPath(stored).name
    try:
        outside = any(path.is_file() for path in _places(workspace.root, dataset, stored))
    except (OSError, ValueError):
        outside = False
    if outside:
        return (
            f"The recording {name} is outside the folder that this app shows. Start selfmm app with a folder that "
            "contains both."
        )
    return (
        f"The recording {name} is not where the data set says it is. Move it to the folder that this app shows, under "
        "the path it had, to play it."
    )


def _places(root: Path, dataset: Path, stored: str) -> Iterator[Path]:
    path = Path(stored)
    if not stored:
        return
    yield root / path
    if path.is_absolute():
        parts = path.parts[1:]
    else:
        yield dataset / path
        yield dataset.parent / path
        parts = path.parts
    for place, part in enumerate(parts[:-1]):  # the folder was moved, or is inside the one in which extract ran
        if part == root.name:
            yield root.joinpath(*parts[place + 1 :])
