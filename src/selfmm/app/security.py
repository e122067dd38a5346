"""Checks on every request: its host and origin, the token, and the size of its body; and limits on what a page may do.

A page of another site must not reach the app through the visitor's browser: not by a form or a script (the origin is
checked, and the cookie is not sent along), and not under a name of its own that leads to this machine (DNS rebinding:
the host is checked).
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selfmm.app.errors import TooLargeError, TooSlowError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'; sandbox"
_DATA = ("/v1/", "/media/")
"""Paths of what a browser must not run as a page, whatever a file holds."""
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}
_WHOLE_YEAR = 365 * 24 * 3600
_SMALL = 2 * 2**20  # bytes of a body that is not a file
_FILES = ("multipart/form-data", "application/octet-stream", "video/", "audio/")
_START, _RATE = 30.0, 1024  # a body may take this number of seconds, and one more for this number of bytes
# Bytes and seconds of a refused body that are read, so that the client gets the answer.
_DRAINED, _DRAIN = 32 * 2**20, 2.0


@dataclass(frozen=True)
class Rules:
    """The rules that requests must meet.

    Attributes:
        hosts: names under which clients may address the server, without ports. A numeric address is always allowed:
            no name server can redirect it.
        token: the secret; empty if none is needed.
        cookie: name of the cookie that holds it; empty if only the header does. All ports of a machine share their
            cookies, so the name differs from port to port.
        body: largest body of a request with a file, in bytes.
        open_paths: paths that need no token. ``scope["authorised"]`` says whether the request has it.
    """

    hosts: Collection[str]
    token: str
    cookie: str
    body: int
    open_paths: Collection[str] = ()


class Guard:
    """ASGI middleware that applies :class:`Rules` to every request."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        with suppress(KeyError, UnicodeDecodeError):  # names that are not UTF-8 keep their bytes
            scope = {**scope, "path": unquote(scope["raw_path"].decode("ascii"), errors="surrogateescape")}
        headers = Headers(scope=scope)
        body = _Body(receive, self._limit(headers), waits=headers.get("expect", "").lower() == "100-continue")
        send = _with_headers(send, str(scope["path"]), body)
        answer = self._refusal(scope)
        await (answer or self._app)(scope, body.receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that breaks a rule; None if it breaks none."""
        headers, path = Headers(scope=scope), str(scope["path"])
        if not self._is_ours(_host(headers.get("host", ""))):
            why = "This server does not answer to that host name. Whoever runs it can allow the name with --name."
            return _refuse(path, 421, why)
        if scope["method"] not in _SAFE and not self._same_origin(headers):
            return _refuse(path, 403, "The request comes from another site.")
        if scope["method"] in _SAFE and headers.get("sec-fetch-site") == "cross-site" and path.startswith("/v1/"):
            return _refuse(path, 403, "The request comes from another site.")
        scope["authorised"] = not self._rules.token or self._authorised(headers)
        if (answer := self._with_cookie(scope)) is not None:
            return answer
        if not scope["authorised"] and path not in self._rules.open_paths:
            return self._unauthorised(path)
        limit, length = self._limit(headers), headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal() and len(length) < 20 and int(length) <= limit):
            return _refuse(path, 413, _too_large(limit))
        return None

    def _is_ours(self, host: str) -> bool:
        if host in map(str.lower, self._rules.hosts):
            return True
        with suppress(ValueError):
            ipaddress.ip_address(host)
            return True
        return False

    def _limit(self, headers: Headers) -> int:
        """Return the number of bytes that the body of a request may have."""
        kind = headers.get("content-type", "").strip().lower()
        return self._rules.body if kind.startswith(_FILES) else min(_SMALL, self._rules.body)

    def _authorised(self, headers: Headers) -> bool:
        cookie = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie, "") if self._rules.cookie else ""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        return self._is_token(cookie) or (kind.lower() == "bearer" and self._is_token(bearer.strip()))

    def _with_cookie(self, scope: Scope) -> Response | None:
        """Return a redirect to the same page that moves the token from the link to a cookie; None without one."""
        if not self._rules.cookie or not self._rules.token or scope["method"] != "GET":
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if not any(key == "token" and self._is_token(value) for key, value in query):
            return None
        rest = urlencode([(key, value) for key, value in query if key != "token"])
        place = "/" + quote(str(scope["path"]).lstrip("/\\"), errors="surrogateescape")  # "//" leads to another host
        answer = RedirectResponse(f"{place}?{rest}" if rest else place, status_code=303)
        # Lax, so that a link in a message opens; requests of other sites that change something carry no cookie.
        answer.set_cookie(
            self._rules.cookie,
            self._rules.token,
            max_age=_WHOLE_YEAR,
            httponly=True,
            samesite="lax",
            secure=scope.get("scheme") == "https",
        )
        return answer

    def _unauthorised(self, path: str) -> Response:
        if self._rules.cookie:
            what = "Open the link that `selfmm app` printed in the terminal: it contains the token for this page."
        else:
            what = "Send the header `Authorization: Bearer TOKEN` with the token that `selfmm serve` was started with."
        answer = _refuse(path, 401, what)
        answer.headers["www-authenticate"] = "Bearer"
        return answer

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._rules.token.encode())

    def _same_origin(self, headers: Headers) -> bool:
        """Return whether a request that changes something does not come from a page of another site."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or origin.partition("://")[2] == headers.get("host")


class _Body:
    """The body of a request. Its size and duration are limited, even if the request does not declare its length."""

    def __init__(self, receive: Receive, limit: int, *, waits: bool) -> None:
        self._receive, self._limit, self._waits = receive, limit, waits
        self._size, self._over = 0, False
        self._began = time.monotonic()

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            TooLargeError, TooSlowError: the body is refused.
        """
        if self._over:  # the next message is that the client is gone
            return await self._receive()
        rest = self._began + _START + self._size / _RATE - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(rest, 0.001))
        except TimeoutError:
            self._over = True
            raise TooSlowError("The request arrives too slowly.") from None
        self._size += len(message.get("body", b""))
        self._over = not message.get("more_body", False)
        if self._size > self._limit:
            raise TooLargeError(_too_large(self._limit))
        return message

    async def drain(self) -> None:
        """Read more of a body that is refused: a client that is still sending would not see the answer."""
        if self._waits and not self._size:
            return  # the client waits for permission to send
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):
                while not self._over and self._size < self._limit + _DRAINED:
                    message = await self._receive()
                    self._size += len(message.get("body", b""))
                    self._over = not message.get("more_body", False)


def _with_headers(send: Send, path: str, body: _Body) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                await body.drain()
            headers = MutableHeaders(scope=message)
            headers.setdefault("content-security-policy", _NO_PAGE if path.startswith(_DATA) else _POLICY)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending


def _host(header: str) -> str:
    """Return the name in a Host header, without the port.

    >>> _host("localhost:8765"), _host("[::1]:8765"), _host("evil.example")
    ('localhost', '::1', 'evil.example')
    """
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _too_large(limit: int) -> str:
    return f"The request is too large: {limit / 2**20:,.0f} MiB at most."


def _refuse(path: str, status: int, why: str) -> Response:
    if path.startswith("/v1/"):
        return JSONResponse({"error": why}, status_code=status)
    return PlainTextResponse(why, status_code=status)
