"""Files that a user names for results: whether they may be written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from selfmm.core.errors import OutputError

TABLES = (".csv", ".parquet")


def check_file(path: Path | None, inside: Path, force: bool, suffixes: Collection[str] = TABLES) -> None:
    """Make sure that nothing is lost if ``path`` is written.

    Args:
        path: the file; None passes.
        inside: a run or data-set folder that it must not lie in.
        force: whether it may exist.
        suffixes: the endings it may have.

    Raises:
        OutputError: it must not be written.
    """
    if path is None:
        return
    if path.suffix not in suffixes:
        raise OutputError(f"cannot tell the format of {path}: name a file that ends in {' or '.join(suffixes)}.")
    from selfmm.runs.folder import refuse_inside

    refuse_inside(path, inside)
    if path.exists() and not force:
        raise OutputError(f"{path} exists already. Choose another name, or pass `force=True` to replace it.")
