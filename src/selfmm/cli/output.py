"""Where the results of a command go: a file that may be written, a terminal, or a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")


def speaks() -> bool:
    """Whether this process tells people how it goes; of several that a launcher has started, one does."""
    return not _of_several() or os.environ.get("RANK", "0") == "0"


def complain(message: str) -> None:
    """One message of what went wrong; of several processes from the one that failed first."""
    if _of_several():
        from selfmm.core.processes import first_to_fail

        if not first_to_fail():
            return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty()).print(
        Text.assemble(("error: ", "bold red"), message)
    )


@contextmanager
def interruptible(how: str = "go on with the same command and --resume.") -> Iterator[None]:
    """Ctrl-C ends the command with a message of how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted; {how}")
        raise typer.Exit(130) from None


def _of_several() -> bool:
    return os.environ.get("WORLD_SIZE", "1") != "1"


def check_out(out: Path | None, run: Path, force: bool, suffixes: Collection[str] = TABLES) -> None:
    """Nothing that is there already is lost by a wrong name."""
    if out is None:
        return
    if out.suffix not in suffixes:
        raise OutputError(f"cannot tell the format of {out}: name a file that ends in {' or '.join(suffixes)}.")
    from selfmm.runs.folder import refuse_inside

    refuse_inside(out, run)
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Choose another name, or pass --force to replace it.")


def deliver(table: pd.DataFrame, out: Path | None) -> None:
    """To a file by its suffix, to a terminal as a table, else as CSV."""
    if out is not None:
        from selfmm.core.files import write_table

        write_table(out, table)
        typer.echo(f"{out}: {len(table)} rows")
    elif sys.stdout.isatty():
        from rich.console import Console

        from selfmm.cli.tables import plain_table

        Console().print(plain_table(table))
    else:
        typer.echo(table.to_csv(index=False), nl=False)
