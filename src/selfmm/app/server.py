"""The server of ``selfmm app``, and how it and that of ``selfmm serve`` listen and end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from selfmm import api
from selfmm.app.clip_table import warm_up
from selfmm.app.pages import EXPECTED, on_error, on_status
from selfmm.app.routes import (
    compare,
    data,
    datasets,
    explain,
    home,
    jobs,
    labels,
    media,
    rate,
    runs,
    score,
    service,
    training,
)
from selfmm.app.scoring import Scoring
from selfmm.app.security import LOOPBACK, Guard, Rules
from selfmm.app.site import Service, Site
from selfmm.app.state import State
from selfmm.app.workspace import Workspace

PORT = 8765
_PORTS = 20  # to try, from the first one
_STATIC = Path(__file__).with_name("static")
_HEAD = 20.0  # seconds that the head of a request may take to arrive
_CONNECTIONS = 512
_LEAVE = 10.0  # seconds that what is being scored may take after the end was asked for
_ROUTES: tuple[Sequence[BaseRoute], ...] = (
    home.routes,
    service.routes,
    score.routes,
    training.routes,  # before those of the runs, which can have any name
    compare.routes,
    runs.routes,
    labels.routes,
    explain.routes,
    jobs.routes,
    data.routes,
    datasets.routes,
    media.routes,
    rate.routes,
)


def build(site: Site, rules: Rules) -> ASGIApp:
    """Return the web application of the app, which any ASGI server can run."""
    static = Mount("/static", StaticFiles(directory=_STATIC), name="static")
    routes = [static, *(route for routes in _ROUTES for route in routes)]
    return assemble(site.service, routes, rules, site)


def assemble(service: Service, routes: Sequence[BaseRoute], rules: Rules, site: Site | None = None) -> ASGIApp:
    """Return a web application.

    Args:
        service: what the routes for programs share.
        routes: its routes.
        rules: what requests must fulfil.
        site: what the pages share; None if there are none.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if site is not None:
            threading.Thread(target=warm_up, daemon=True).start()
        yield
        service.scoring.close(0.0 if service.scoring.hurried else _LEAVE)
        service.scratch.close()
        if site is not None:
            site.media.close()

    handlers: dict[Any, Any] = {HTTPException: on_status, Exception: on_error, **dict.fromkeys(EXPECTED, on_error)}
    app = Starlette(routes=routes, exception_handlers={**handlers, ClientDisconnect: _gone}, lifespan=lifespan)
    app.state.service = service
    if site is not None:
        app.state.site = site
    return Guard(app, rules)  # outermost, so that answers to bugs have its headers too


def _gone(request: Request, error: Exception) -> Response:
    """Return an answer for a client that has disconnected; nobody receives it."""
    return Response(status_code=400)


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
        ready(f"{address(host, number)}/?token={token}")
        serve(build(site, rules), sock, site.scoring)


def address(host: str, port: int) -> str:
    """Return the address of a server as a link.

    >>> address("127.0.0.1", 80), address("::", 80)
    ('http://localhost:80', 'http://[::]:80')
    """
    name = "localhost" if host in LOOPBACK else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def serve(app: ASGIApp, sock: socket.socket, scoring: Scoring, *, patience: float = _LEAVE) -> None:
    """Run a web application on a socket until Ctrl-C or SIGTERM.

    It then accepts nothing more and finishes what it has accepted, within ``patience`` seconds. A second Ctrl-C or
    SIGTERM ends it immediately.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    engine(app, scoring, patience=patience).run(sockets=[sock])


def engine(app: ASGIApp, scoring: Scoring, *, patience: float = _LEAVE) -> uvicorn.Server:
    """Return what :func:`serve` runs."""
    config = uvicorn.Config(
        app,
        http=_Patient,
        ws="none",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    return _Server(config, scoring, patience)


class _Server(uvicorn.Server):
    """Ends when everything that was accepted is scored; until then it answers that it is shutting down."""

    def __init__(self, config: uvicorn.Config, scoring: Scoring, patience: float) -> None:
        super().__init__(config)
        self._scoring, self._patience = scoring, patience
        self._told = False  # what it waits for

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        again = self._scoring.stopping
        self._scoring.stop(hurry=again)
        super().handle_exit(sig, frame)
        self.should_exit = again  # see on_tick

    async def on_tick(self, counter: int) -> bool:
        if self._scoring.stopping and not self.should_exit:
            busy = self._scoring.running + self._scoring.waiting
            if busy and not self._told:
                what = "Finishing what is being scored"
                print(f"{what}, for {self._patience:.0f} s at most. Press Ctrl-C again to end at once.", flush=True)
                self._told = True
            self._patience -= 0.1  # between two ticks
            if self._patience <= 0:
                self._scoring.stop(hurry=True)
            self.should_exit = not busy or self._patience <= 0
        return await super().on_tick(counter)


class _Patient(H11Protocol):
    """A connection that closes if the head of a request does not arrive in time."""

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_clock()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_clock()
        elif self._clock is None:
            self._clock = self.loop.call_later(_HEAD, self.transport.close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


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
            problem = getattr(error, "strerror", None) or "a port is a number from 0 to 65535"
        else:
            return sock
    where = f"{host}, port {port or f'{PORT} to {PORT + _PORTS - 1}'}"
    raise api.ArgumentsError([f"cannot listen on {where}: {problem}. Choose another `port=...`."])
