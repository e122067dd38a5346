"""The root of the command line: all commands, and how errors and Ctrl-C end them."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from selfmm import api
from selfmm.api import parts
from selfmm.cli import app as app_
from selfmm.cli import compare, data, labels, machine, options, quickstart, score, train
from selfmm.cli.output import complain, heeding_sigterm, interruptible


class _Commands(options.Group):
    """All commands. Without this, Typer ends the program at Ctrl-C without a message."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with interruptible(parts.INTERRUPTED):
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        with interruptible(parts.INTERRUPTED):
            return super().invoke(ctx)


app = typer.Typer(
    name="selfmm",
    cls=_Commands,
    help="Multimodal sentiment analysis: one score for each clip, and the scores of words, voice and face alone.",
    epilog="Start with: selfmm quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selfmm {parts.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


for group in (quickstart, app_, score, train, compare, labels, data, machine):  # the order of the help
    group.register(app)


def run() -> None:
    """Run the command; every error becomes one message and exit code 1."""
    parts.collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal or pipe may support fewer characters than we print
    try:
        with heeding_sigterm():
            app(prog_name="selfmm")  # also as `python -m selfmm`
        sys.stdout.flush()
    except api.SelfmmError as error:
        complain(str(error))
        sys.exit(1)
    except Exception as error:
        # Damaged files fail in many unexpected ways, and a screen of traceback helps no user.
        if os.environ.get("SELFMM_TRACEBACK"):
            raise
        first = (str(error).strip() or "no message").splitlines()[0][:300]
        where = "A file is damaged, or this is a bug in selfmm; set SELFMM_TRACEBACK=1 to see where it happened."
        complain(f"{type(error).__name__}: {first}. {where}")
        sys.exit(1)
