"""The server of ``selfmm serve``: only the API for programs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import ScoringError
from selfmm.app.offered import Given
from selfmm.app.routes import service as routes
from selfmm.app.scoring import Scoring
from selfmm.app.scratch import Scratch
from selfmm.app.security import LOOPBACK, Rules
from selfmm.app.server import address, assemble, listen, serve
from selfmm.app.site import Limits, Service
from selfmm.app.state import state_home

HEALTH = "/v1/health"
_SHORTEST = 16  # characters of a token
_MAKE = "Make one with: openssl rand -hex 32"


def run(
    runs: Sequence[str | Path] = (),
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    names: Sequence[str] = (),
    token: str = "",
    limits: Limits | None = None,
    workers: int = 1,
    waiting: int = 32,
    timeout: float = 600.0,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the API until Ctrl-C or SIGTERM.

    Args:
        runs: ``starter`` or run folders; by default the starter. The first one scores if a request names none.
        host, port, names: see :func:`selfmm.app.server.run`.
        token: what requests must carry; empty for none, which is possible only if no other machine reaches ``host``.
        limits: what is accepted.
        workers: number of processes that score. All of them load the first run before the server is ready.
        waiting: number of requests that may wait.
        timeout: seconds that scoring one request may take.
        ready: called with the address when the first run is loaded.

    Raises:
        ArgumentsError: if the address or port cannot be used, or the token is missing or not valid.
        RunError, WeightsError: if a run is not finished, or cannot be loaded.
        OutputError: if the private folder cannot be written.
    """
    _check_token(host, token)
    limits = limits or Limits()
    offered = Given(runs or (parts.STARTER,))
    with listen(host, port) as sock:
        number = sock.getsockname()[1]
        scratch = Scratch(state_home() / "serve")
        first = {"run": str(offered.place(offered.default))}
        scoring = Scoring(workers=workers, waiting=waiting, timeout=timeout, first=first)
        try:
            try:
                scoring.wait_until_ready()
            except ScoringError as error:
                raise api.RunError(str(error)) from error
            ready(address(host, number))
            rules = Rules(LOOPBACK | {host, *names}, token, cookie="", body=limits.upload + 2**20, open_paths={HEALTH})
            service = Service(offered, scoring, scratch, limits)
            serve(assemble(service, routes.routes, rules), sock, scoring, patience=timeout)
        finally:
            scoring.close(0.0)
            scratch.close()


def _check_token(host: str, token: str) -> None:
    if not token and not _is_loopback(host):
        raise api.ArgumentsError(
            [
                f"with `host={host!r}` other machines reach the server, so it needs a token: write one to a file and "
                f"give `token_file=...`, or set SELFMM_TOKEN. {_MAKE}"
            ]
        )
    if token and (len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise api.ArgumentsError([f"the token must have {_SHORTEST} or more ASCII characters, without spaces. {_MAKE}"])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK
