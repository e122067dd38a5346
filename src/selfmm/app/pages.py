"""Pages from templates, and how errors are shown: always a sentence that says what to do, never a traceback."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import BusyError, NotHereError, RequestError, TooLargeError

if TYPE_CHECKING:
    from selfmm.app.site import Site

_STATUS: tuple[tuple[type[Exception], int], ...] = (  # the first that fits
    (NotHereError, 404),
    (TooLargeError, 413),
    (BusyError, 429),
    (RequestError, 400),
    (api.OutputError, 507),
    (api.MissingPackageError, 503),
    (api.WeightsError, 503),
    (api.SelfmmError, 422),
)


def site_of(request: Request) -> Site:
    """Return what the handlers of this server share."""
    site: Site = request.app.state.site
    return site


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("selfmm.app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["path"] = path_part
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
        .render(folder=site.workspace.root.name, version=parts.__version__, here=request.url.path, **values)
    )
    return HTMLResponse(text.encode("utf-8", "replace"), status_code=status)


async def json_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    Raises:
        RequestError: if there is none.
    """
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RequestError("The body of the request is not a JSON object.")
    return content


def answer(content: Any, status: int = 200) -> Response:
    """Return JSON; NaN and infinity become null."""
    text = json.dumps(parts.without_nan(content), ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode("utf-8", "replace"), status_code=status, media_type="application/json")


EXPECTED = (*(kind for kind, _ in _STATUS), OSError)
"""Exceptions that are no bugs."""


def on_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request that failed: JSON below ``/v1/``, a page elsewhere."""
    status, message, headers = _described(error)
    if request.url.path.startswith("/v1/"):
        return JSONResponse({"error": message}, status_code=status, headers=headers)
    response = page(request, "error.html", status=status, message=message)
    response.headers.update(headers)
    return response


def _described(error: Exception) -> tuple[int, str, dict[str, str]]:
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status, str(error) or "The request is too large.", {"retry-after": "5"} if status == 429 else {}
    if isinstance(error, OSError):
        return 507, f"The disk says: {error.strerror or error}. Free some space, or check the permissions.", {}
    return 500, "This is a bug in selfmm. The terminal in which it runs shows where it happened.", {}


def on_status(request: Request, error: Exception) -> Response:
    """Return the answer for an HTTP status that Starlette raises, such as 404 for an unknown path."""
    status = int(getattr(error, "status_code", 500))
    message = {404: "There is no such page.", 405: "This address does not take such a request."}.get(status)
    message = message or str(getattr(error, "detail", "")) or "The request failed."
    if request.url.path.startswith("/v1/"):
        return JSONResponse({"error": message}, status_code=status, headers=getattr(error, "headers", None))
    return page(request, "error.html", status=status, message=message)
