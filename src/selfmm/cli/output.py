"""Where the results and messages of a command go: a file, a terminal, or a pipe."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from selfmm.api import parts

_AGAIN = 0.05  # seconds until a signal is sent again
_PARAMETER = re.compile(r"`(\w+)=([^`]*)`")
_NAMES = {"overrides": "set", "spaces": "space"}  # options with another name than the parameter


def as_options(message: str) -> str:
    """Replace parameters of Python functions in a message by options of the command.

    >>> as_options("Pass `resume=True`, or choose another `out=...`; or `text_encoder='minilm'`.")
    'Pass --resume, or choose another --out; or --text-encoder minilm.'
    >>> as_options("Import again with `label_range=(LOW, HIGH)`, or train with `overrides=['align=pool']`.")
    'Import again with --label-range LOW,HIGH, or train with --set align=pool.'
    >>> as_options("Train with `overrides=['text.projection=128', 'stream.audio.projection=128']`.")
    'Train with --set text.projection=128 --set stream.audio.projection=128.'
    >>> as_options("name it again: `model='/my nets/net.py:Net'`")
    "name it again: --model '/my nets/net.py:Net'"
    """

    def option(match: re.Match[str]) -> str:
        name, value = match.groups()
        option = f"--{_NAMES.get(name, name).replace('_', '-')}"
        if name in _NAMES and (entries := re.findall(r"'([^']*)'", value)):  # one option for each entry of the list
            return " ".join(f"{option} {shlex.quote(entry)}" for entry in entries)
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


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in the same way as Ctrl-C."""

    code = 128 + signal.SIGTERM


@contextmanager
def heeding_sigterm() -> Iterator[None]:
    """Make SIGTERM raise ``Terminated``, so that the command ends with a message; a second one ends it at once.

    Nothing changes for one of several processes, which their launcher ends with SIGTERM when another has failed.
    """
    ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    if ignored or _is_one_of_several() or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    def again(unraisable: Any) -> None:
        """Send a signal again that arrived in a destructor, where Python drops every exception."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        number = signal.SIGINT
        if issubclass(unraisable.exc_type, Terminated):
            number = signal.SIGTERM
            signal.signal(number, end)
        later = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
        later.daemon = True
        later.start()

    before, hook = signal.signal(signal.SIGTERM, end), sys.unraisablehook
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def interruptible(how: str | None = None) -> Iterator[None]:
    """Make Ctrl-C and SIGTERM end the command with a message that says how to continue.

    Args:
        how: how; default: with the same command and ``--resume``, which the message shows in full.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        what = "ended by SIGTERM" if isinstance(interrupt, Terminated) else "interrupted"
        complain(f"{what}; {how or f'continue with: {_resuming()}'}")
        raise typer.Exit(Terminated.code if isinstance(interrupt, Terminated) else 130) from None


def _resuming() -> str:
    """Return this command with ``--resume``."""
    words = sys.argv[1:]
    options = words.index("--") if "--" in words else len(words)
    return shlex.join(["selfmm", *words[:options], *([] if "--resume" in words else ["--resume"]), *words[options:]])


def _is_one_of_several() -> bool:
    return os.environ.get("WORLD_SIZE", "1") != "1"
