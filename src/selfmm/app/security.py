"""Who may ask what: the host and origin of a request, the token, the size of its body, and what a page may do.

A page of another site must not reach the app through the visitor's browser: not by a form or a script (the origin is
checked, and the cookie is not sent along), and not under a name of its own that leads to this machine (DNS rebinding:
the host is checked).
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from selfmm.app.errors import TooLargeError

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
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}
_WHOLE_YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Rules:
    """What requests must fulfil.

    Attributes:
        hosts: names under which the server may be addressed, without ports.
        token: the secret; empty if none is needed.
        cookie: name of the cookie that carries it; empty if only the header does. Cookies are shared by the ports of a
            machine, so the name differs from port to port.
        body: largest body of a request, in bytes.
        open_paths: paths that need no token.
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
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send))
            return
        await self._app(scope, self._limited(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that does not fulfil the rules; None if it does."""
        headers, path = Headers(scope=scope), str(scope["path"])
        if _host(headers.get("host", "")) not in self._rules.hosts:
            return _refuse(path, 421, "This server is not reached under that host name.")
        if scope["method"] not in _SAFE and not self._same_origin(headers):
            return _refuse(path, 403, "The request comes from another site.")
        if scope["method"] in _SAFE and headers.get("sec-fetch-site") == "cross-site" and path.startswith("/v1/"):
            return _refuse(path, 403, "The request comes from another site.")
        if (length := headers.get("content-length")) is not None and (
            not length.isdecimal() or int(length) > self._rules.body
        ):
            return _refuse(path, 413, f"The request is too large: {self._rules.body // 2**20} MiB at most.")
        if not self._rules.token or path in self._rules.open_paths:
            return None
        return self._unauthorised(scope, headers, path)

    def _unauthorised(self, scope: Scope, headers: Headers, path: str) -> Response | None:
        given = cookie_parser(headers.get("cookie", "")).get(self._rules.cookie, "") if self._rules.cookie else ""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if self._is_token(given) or (kind.lower() == "bearer" and self._is_token(bearer.strip())):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if self._rules.cookie and scope["method"] == "GET" and any(self._is_token(v) for k, v in query if k == "token"):
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            place = "/" + str(scope["path"]).lstrip("/")  # two slashes would lead to another host
            answer = RedirectResponse(f"{place}?{rest}" if rest else place, status_code=303)
            # Lax, so that a link in a message opens; requests of other sites that change something carry no cookie.
            answer.set_cookie(self._rules.cookie, self._rules.token, max_age=_WHOLE_YEAR, httponly=True, samesite="lax")
            return answer
        if self._rules.cookie:
            what = "Open the link that `selfmm app` printed in the terminal: it carries the key to this page."
        else:
            what = "Send the header `Authorization: Bearer TOKEN` with the token that `selfmm serve` was started with."
        return _refuse(path, 401, what)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._rules.token.encode())

    def _same_origin(self, headers: Headers) -> bool:
        """Return whether a request that changes something does not come from a page of another site."""
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")

    def _limited(self, receive: Receive) -> Receive:
        """Return ``receive`` for a body of limited size, also if the request does not say its length."""
        total = 0

        async def limited() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._rules.body:
                raise TooLargeError
            return message

        return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
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


def _refuse(path: str, status: int, why: str) -> Response:
    if path.startswith("/v1/"):
        return JSONResponse({"error": why}, status_code=status)
    return PlainTextResponse(why, status_code=status)
