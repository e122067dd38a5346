"""Folders that are written at once, with a marker in them."""

from __future__ import annotations

from pathlib import Path

from selfmm.core.folders import atomic_folder

MARKER = "marker.json"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make(path: Path, content: str = "new", *, force: bool = False) -> None:
    with atomic_folder(path, marker=MARKER, force=force) as folder:
        (folder / MARKER).write_text(content)
