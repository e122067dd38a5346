"""Where the results and messages of a command go: a file, a terminal, or a pipe."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from selfmm.api import parts

_PARAMETER = re.compile(r"`(\w+)=([^`]*)`")
_NAMES = {"overrides": "set", "spaces": "space"}  # options with another name than the parameter


def as_options(message: str) -> str:
    """Replace parameters of Python functions in a message by options of the command.

    >>> as_options("Pass `resume=True`, or choose another `out=...`; or `text_encoder='minilm'`.")
    'Pass --resume, or choose another --out; or --text-encoder minilm.'
    >>> as_options("Import again with `label_range=(LOW, HIGH)`, or train with `overrides=['align=pool']`.")
    'Import again with --label-range LOW,HIGH, or train with --set align=pool.'
    >>> as_options("name it again: `model='/my nets/net.py:Net'`")
    "name it again: --model '/my nets/net.py:Net'"
    """

    def option(match: re.Match[str]) -> str:
        name, value = match.groups()
        option = f"--{_NAMES.get(name, name).replace('_', '-')}"
        if value in ("True", "..."):
            return option
        text = value[1:-1] if value.startswith(("'", '"')) else re.sub(r"[\[\]()'\" ]", "", value)
        return f"{option} {text if value.startswith('(') else shlex.quote(text)}"

    return _PARAMETER.sub(option, message)


def speaks() -> bool:
    """Return whether this process prints; of several that a launcher has started, only one does."""
    return not _is_one_of_several() or os.environ.get("RANK", "0") == "0"


def complain(message: str) -> None:
    """Print an error; of several processes, only the first that fails does."""
    if _is_one_of_several() and not parts.first_to_fail():
        return
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty()).print(
        Text.assemble(("error: ", "bold red"), as_options(message))
    )


def note(notes: Iterable[str], *, err: bool = False) -> None:
    """Print each note on its own line."""
    for line in notes:
        typer.echo(f"note: {as_options(line)}", err=err)


@contextmanager
def interruptible(how: str = "continue with the same command and --resume.") -> Iterator[None]:
    """Make Ctrl-C end the command with a message that says how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted; {how}")
        raise typer.Exit(130) from None


def _is_one_of_several() -> bool:
    return os.environ.get("WORLD_SIZE", "1") != "1"
