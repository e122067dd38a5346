"""Arguments and options of several commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

PRESETS = "best, quickstart, mosi, mosei, sims, simsv2, or a TOML file."
_FORMAT = "Write to this .csv, .xlsx or .parquet file."

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, which `selfmm train` makes.")]
RunOrSeeds = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or the folder of `train --seeds`.")]
Data = Annotated[Path, typer.Argument(metavar="DATA", help="A data-set folder.")]
Dst = Annotated[Path, typer.Argument(metavar="DST", help="The data-set folder to make.")]

ForceDst = Annotated[bool, typer.Option("--force", help="Replace the data set DST.")]
ForceOut = Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")]
OutTable = Annotated[Path | None, typer.Option("--out", "-o", help=_FORMAT)]
OutRuns = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the runs and tables.")]

LabelRange = Annotated[
    str | None,
    typer.Option(metavar="LOW,HIGH", help="Lowest and highest label, for example -3,3; default: chosen by the labels."),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="The model, see `selfmm models`; or your own, path/to/file.py:Class."),
]
OwnModel = Annotated[
    str | None, typer.Option("--model", "-m", help="The code of a run's own model, path/to/file.py:Class.")
]
Trust = Annotated[bool, typer.Option("--trust", help="Run the code that the run names as its own model.")]
Preset = Annotated[str | None, typer.Option("--preset", "-p", help=PRESETS)]
TextEncoder = Annotated[str | None, typer.Option(help="Hub name, local folder, or offline weights: minilm, mpnet, e5.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="A setting, key=value; see `selfmm settings`. Repeatable.")
]
Seeds = Annotated[str, typer.Option(help="For example 1111-1115 or 1111,1120-1122.")]
Columns = Annotated[
    str | None, typer.Option(help="Columns of the tables, such as mae,corr,acc2; also difference,p,parameters,seconds.")
]
Jobs = Annotated[int | None, typer.Option(help="Number of runs at once; default: as many as cores and memory allow.")]
Resume = Annotated[bool, typer.Option("--resume", help="Keep what is finished, and train what is missing.")]


def register(root: typer.Typer, panel: str, /, **commands: Callable[..., None]) -> None:
    """Add commands to a panel of the help; a command's name has no underscore at its end."""
    for name, command in commands.items():
        root.command(name.rstrip("_"), cls=Command, rich_help_panel=panel)(command)


class _NoTypesOfFlags:
    """The help shows no type after an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for flag in (param for param in params if getattr(param, "is_flag", False)):
            flag.metavar = ""
        return params


class Group(_NoTypesOfFlags, TyperGroup):
    """A command with subcommands."""


class Command(_NoTypesOfFlags, TyperCommand):
    """A command that names its arguments in the usage line without braces, as in the list of arguments."""

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]
