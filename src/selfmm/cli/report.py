"""The command ``selfmm report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfmm.cli.runs import RunArgument


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page, .html; default <run>-report.html beside the run.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Also write each picture as PNG and SVG to this folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the page and the pictures if they exist.")] = False,
) -> None:
    """Make one page of HTML from a run: scores, generated labels, pictures, clips to look at."""
    from selfmm.report.report import write_report

    written = write_report(run, out, pictures, force=force)
    typer.echo(f"{written[0]}")
    if pictures is not None:
        typer.echo(f"{pictures}: {len(written) - 1} pictures")
