"""Commands that serve: the app, a page in the browser."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from selfmm import api
from selfmm.cli import options

PANEL = "App"
Host = Annotated[str, typer.Option(help="Address to listen on; the default is reached from this machine alone.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; default: the first free one from 8765 on.")]
Names = Annotated[
    list[str] | None, typer.Option("--name", help="A further host name under which it is reached. Repeatable.")
]


def register(root: typer.Typer) -> None:
    options.register(root, PANEL, app=app, serve=serve)


def app(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder with your data sets, runs and recordings.")
    ] = Path(),
    host: Host = "127.0.0.1",
    port: Port = None,
    name: Names = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the link, and open no browser.")] = False,
) -> None:
    """Open a page in the browser: score, look at data, rate clips, train, and compare runs."""
    with _installed():
        from selfmm.app.server import run

    def ready(link: str) -> None:
        typer.echo(f"selfmm is at {link}\nPress Ctrl-C to end it. Running trainings continue.")
        sys.stdout.flush()
        if not no_browser:
            webbrowser.open(link)

    with _until_the_end():
        run(folder, host=host, port=port, names=name or (), ready=ready)


def serve(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]",
            help="Run folders, or starter; the first one scores if a request names none. Left out: starter.",
        ),
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    name: Names = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the token that requests must carry; or set SELFMM_TOKEN. Needed unless --host is this "
            "machine alone."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of processes that score; each holds the run in memory.")
    ] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Number of requests that may wait; more are refused (429).")] = 32,
    timeout: Annotated[float, typer.Option(min=1.0, help="Seconds that scoring one request may take (504).")] = 600.0,
    max_upload: Annotated[float, typer.Option(min=1.0, help="Largest recording, in MB (413).")] = 500.0,
    max_length: Annotated[float, typer.Option(min=1.0, help="Longest recording, in seconds (413).")] = 3600.0,
) -> None:
    """Serve scores to programs over HTTP: POST /v1/predict. See docs/deploy.md."""
    with _installed():
        from selfmm.app.service import run
        from selfmm.app.site import Limits

    def ready(link: str) -> None:
        typer.echo(f"selfmm serves {link}/v1/predict; the API is described at {link}/v1/openapi.json")
        sys.stdout.flush()

    with _until_the_end():
        run(
            runs or (),
            host=host,
            port=port,
            names=name or (),
            token=_token(token_file),
            limits=Limits(upload=round(max_upload * 1e6), seconds=max_length),
            workers=workers,
            waiting=queue,
            timeout=timeout,
            ready=ready,
        )


def _token(file: Path | None) -> str:
    if file is None:
        return os.environ.get("SELFMM_TOKEN", "").strip()
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise api.SourceError(
            f"cannot read the token in {file}: {reason}. Make one with: openssl rand -hex 32"
        ) from None
    if not token:
        raise api.SourceError(f"{file} is empty. Write a token to it: openssl rand -hex 32")
    return token


@contextmanager
def _installed() -> Iterator[None]:
    """Say which extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "selfmm":
            raise
        raise api.MissingPackageError(
            f"this needs the package {error.name}. Install it with: pip install 'selfmm[app]'"
        ) from error


@contextmanager
def _until_the_end() -> Iterator[None]:
    """End with a message at Ctrl-C, the usual way to end a server, and at SIGTERM."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("selfmm has ended.")
