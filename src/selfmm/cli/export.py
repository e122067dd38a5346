"""The command ``selfmm export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfmm.cli.runs import RunArgument


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="The file to make.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights as 8-bit integers: smaller, faster, a little less accurate.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Make one ONNX file of a run, which scores clips without selfmm and PyTorch; checked against PyTorch."""
    from selfmm.exporting.export import export as export_

    made = export_(run, out, int8=int8, force=force)
    typer.echo(f"fp32: {_megabytes(made.fp32_size)}, scores differ from PyTorch's by {made.difference:.1g} at most")
    if int8:
        typer.echo(f"int8: {_megabytes(made.size)}")
        for loss in made.int8_losses:
            typer.echo(
                f"  MAE on {loss.split} ({loss.clips} clips): fp32 {loss.fp32:.4f}, int8 {loss.int8:.4f} "
                f"({loss.int8 - loss.fp32:+.4f}); scores differ by {loss.difference:.4f} on average"
            )
        if not made.int8_losses:
            typer.echo("  MAE not measured: the data set of the training is not there, was changed, or has no labels")
    typer.echo(f"{out}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
