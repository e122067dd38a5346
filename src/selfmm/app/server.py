"""The server of ``selfmm app``."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from selfmm import api
from selfmm.app.pages import EXPECTED, on_error, on_status
from selfmm.app.routes import data, datasets, home, media, rate
from selfmm.app.security import LOOPBACK, Guard, Rules
from selfmm.app.site import Site
from selfmm.app.state import State
from selfmm.app.workspace import Workspace

PORT = 8765
_PORTS = 20  # to try, from the first one
_STATIC = Path(__file__).with_name("static")
_ROUTES: tuple[Sequence[BaseRoute], ...] = (home.routes, data.routes, datasets.routes, media.routes, rate.routes)


def build(site: Site, rules: Rules) -> Starlette:
    """Return the web application, which any ASGI server can run."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        site.scoring.close()
        site.media.close()

    static = Mount("/static", StaticFiles(directory=_STATIC), name="static")
    app = Starlette(
        routes=[static, *(route for routes in _ROUTES for route in routes)],
        middleware=[Middleware(Guard, rules=rules)],
        exception_handlers={HTTPException: on_status, Exception: on_error, **dict.fromkeys(EXPECTED, on_error)},
        lifespan=lifespan,
    )
    app.state.site = site
    return app


def run(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    names: Sequence[str] = (),
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the app for a folder until Ctrl-C or SIGTERM.

    Args:
        folder: what to show.
        host: address to listen on. Only this machine reaches the default.
        port: port to listen on; None for the first free one from ``PORT`` on.
        names: further host names under which it is reached, for example behind a proxy.
        ready: called with the link to open, which carries the token.

    Raises:
        SourceError: if the folder does not exist.
        ArgumentsError: if the address or port cannot be used.
        OutputError: if the private folder of the app cannot be written.
    """
    workspace = Workspace(folder)
    site = Site(workspace, State.of(workspace.root))
    with listen(host, port) as sock:
        number = sock.getsockname()[1]
        token = site.state.token()
        rules = Rules(
            hosts=LOOPBACK | {host, *names},
            token=token,
            cookie=f"selfmm_{number}",
            body=site.limits.upload + 2**20,
        )
        ready(f"http://{'localhost' if host in LOOPBACK else host}:{number}/?token={token}")
        serve(build(site, rules), sock)


def serve(app: Starlette, sock: socket.socket) -> None:
    """Run a web application on a socket until Ctrl-C or SIGTERM; requests that are running are finished first."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=15
    )
    uvicorn.Server(config).run(sockets=[sock])


def listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ArgumentsError: if the address or port cannot be used.
    """
    ports = range(PORT, PORT + _PORTS) if port is None else [port]
    problem = ""
    for number in ports:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, number))
            sock.listen(128)
        except (OSError, OverflowError) as error:
            sock.close()
            problem = getattr(error, "strerror", None) or str(error)
        else:
            return sock
    where = f"{host}, port {port or f'{PORT} to {PORT + _PORTS - 1}'}"
    raise api.ArgumentsError([f"cannot listen on {where}: {problem}. Choose another `port=...`."])
