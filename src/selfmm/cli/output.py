"""Where the results of a command go: a file that may be written, a terminal, or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from selfmm.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

TABLES = (".csv", ".parquet")


def check_out(out: Path | None, run: Path, force: bool, suffixes: Collection[str] = TABLES) -> None:
    """Nothing that is there already is lost by a wrong name."""
    if out is None:
        return
    if out.suffix not in suffixes:
        raise OutputError(f"cannot tell the format of {out}: name a file that ends in {' or '.join(suffixes)}.")
    from selfmm.training.folder import refuse_inside

    refuse_inside(out, run)
    if out.exists() and not force:
        raise OutputError(f"{out} exists already. Choose another name, or pass --force to replace it.")


def deliver(table: pd.DataFrame, out: Path | None) -> None:
    """To a file by its suffix, to a terminal as a table, else as CSV."""
    if out is not None:
        from selfmm.training.folder import write_table

        write_table(out, table)
        typer.echo(f"{out}: {len(table)} rows")
    elif sys.stdout.isatty():
        from rich.console import Console

        from selfmm.cli.tables import plain_table

        Console().print(plain_table(table))
    else:
        typer.echo(table.to_csv(index=False), nl=False)
