"""Pages from templates, and the answers to failed requests: a sentence that says what to do, never a traceback."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Awaitable, Callable
from functools import cache, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import (
    KINDS,
    BusyError,
    NotHereError,
    RequestError,
    ScoringError,
    StoppingError,
    TooLargeError,
    TooSlowError,
)

if TYPE_CHECKING:
    from selfmm.app.site import Service, Site

_STATUS: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (NotHereError, 404),
    (TooLargeError, 413),
    (TooSlowError, 408),
    (BusyError, 429),
    (StoppingError, 503),
    (RequestError, 400),
    (ScoringError, 422),  # or that of its kind
    (api.OutputError, 507),
    (api.MissingPackageError, 503),
    (api.WeightsError, 503),
    (api.SelfmmError, 422),
)
_FULL = "The disk is full. Free some space, then try again."
_DENIED = "selfmm may not read or write a file that this page needs. Check the permissions of the folder."
_DISK = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: "The disk is read-only. Start selfmm for a folder that can be written.",
}
_RETRY = frozenset({429, 503})
_OUTSIDE = re.compile(r"(?<![\w:/.~-])/(?:[^\s/\"'`<>|:;,()]+/)+")
"""The folders of an absolute path."""


def site_of(request: Request) -> Site:
    """Return what the handlers of this server share."""
    site: Site = request.app.state.site
    return site


def service_of(request: Request) -> Service:
    """Return what the routes for programs share; a server may have only these routes."""
    service: Service = request.app.state.service
    return service


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("selfmm.app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Those of Jinja cannot quote a name that is not UTF-8.
    environment.filters["path"] = environment.filters["urlencode"] = path_part
    return environment


def path_part(name: str) -> str:
    """Return a name in the folder as part of a URL; slashes stay."""
    return quote(name, safe="/", errors="surrogateescape")


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        template: file in ``templates/``; it extends ``base.html``.
        values: what it shows; every value is escaped.
    """
    site = site_of(request)
    text = (
        _environment()
        .get_template(template)
        .render(folder=site.workspace.root.name, version=parts.__version__, here=request.scope["path"], **values)
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


async def json_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: if the body is something else.
    """
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RequestError("The body of the request is not a JSON object.")
    return content


def takes_json(handler: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Awaitable[Response]]:
    """Decorate a handler that also gets the JSON object in the body of the request; it runs in a thread."""

    @wraps(handler)
    async def handle(request: Request) -> Response:
        return await run_in_threadpool(handler, request, await json_of(request))

    return handle


def answer(content: Any, status: int = 200) -> Response:
    """Return JSON; NaN and infinity become null."""
    text = json.dumps(parts.without_nan(content), ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status_code=status, media_type="application/json")


EXPECTED = (*(kind for kind, _ in _STATUS), OSError)
"""Exceptions that are not bugs."""


def on_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request that failed: JSON for programs, a page for people."""
    status, message = _described(error)
    return _failed(request, status, discreet(request, message), {"retry-after": "5"} if status in _RETRY else {})


def on_status(request: Request, error: Exception) -> Response:
    """Return the answer for an HTTP status that Starlette raises, such as 404 for an unknown path."""
    status = int(getattr(error, "status_code", 500))
    message = {404: "There is no such page.", 405: "This address does not take such a request."}.get(status)
    message = message or str(getattr(error, "detail", "")) or "The request failed."
    return _failed(request, status, message, dict(getattr(error, "headers", None) or {}))


def discreet(request: Request, message: str) -> str:
    """Return a message without the paths of folders outside the one that is shown."""
    site: Site | None = getattr(request.app.state, "site", None)
    if site is not None:
        message = message.replace(f"{site.workspace.root}/", "").replace(str(site.workspace.root), "this folder")
    return _OUTSIDE.sub("", message)


def _failed(request: Request, status: int, message: str, headers: dict[str, str]) -> Response:
    """Return JSON below ``/v1/`` and from a server without pages; otherwise a page."""
    if not hasattr(request.app.state, "site") or str(request.scope["path"]).startswith("/v1/"):
        response = answer({"error": message}, status)
    else:
        response = page(request, "error.html", status=status, message=message)
    response.headers.update(headers)
    return response


def _described(error: Exception) -> tuple[int, str]:
    if isinstance(error, ScoringError):
        kind = getattr(api, error.kind, None)
        known = _status_of(kind) if isinstance(kind, type) and issubclass(kind, api.SelfmmError) else None
        return KINDS.get(error.kind) or known or 422, str(error)
    status = _status_of(type(error))
    if status is not None:
        return status, str(error) or HTTPStatus(status).phrase
    if isinstance(error, FileNotFoundError):
        return 404, "A file of this page is gone. It may have been moved or deleted."
    if isinstance(error, OSError):
        return 507, _DISK.get(
            error.errno or 0,
            f"The file cannot be read or written ({error.strerror or 'an error'}). Check its permissions and the disk.",
        )
    return 500, "This is a bug in selfmm. The terminal in which it runs shows where it happened."


def _status_of(kind: type[Exception]) -> int | None:
    if issubclass(kind, api.SettingsError):
        return 400
    return next((status for known, status in _STATUS if issubclass(kind, known)), None)
