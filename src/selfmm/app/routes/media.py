"""Recordings of the folder, and pictures and playable copies of the clips of a data set."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_media import recording_of, why_not
from selfmm.app.errors import BusyError, NotHereError
from selfmm.app.media import media_type
from selfmm.app.pages import answer, path_part, site_of
from selfmm.app.routes.datasets import clip_of

_KEEP = {"cache-control": "private, max-age=86400"}
_SIGN = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 90"><rect width="160" height="90" fill="#8b949e"'
    ' fill-opacity=".18"/><path d="{}" fill="none" stroke="#8b949e" stroke-width="4" stroke-linecap="round"/></svg>'
)
_SOUND = _SIGN.format("M60 38v14M70 30v30M80 22v46M90 34v22M100 40v10")
_BROKEN = _SIGN.format("M66 31l28 28M94 31l-28 28")


def recording(request: Request) -> Response:
    """Return a recording of the folder, or a part of it."""
    path = site_of(request).workspace.path(request.path_params["name"])
    if not path.is_file() or path.suffix.lower() not in parts.RECORDINGS:
        raise NotHereError(f"{path.name} is not a recording.")
    return FileResponse(path, media_type=media_type(path.name))


def media(request: Request) -> Response:
    """Return how to play a clip: ``url``, ``type``, ``start`` and ``end`` in seconds; or ``why`` it cannot be played.

    ``copied`` is true if the first answer of ``url`` takes a while because it makes a copy.
    """
    site, (table, row) = site_of(request), clip_of(request)
    stored, start, end = table.media(row)
    path = recording_of(site.workspace, table.dataset.path, stored)
    if path is None:
        return answer({"why": why_not(site.workspace, table.dataset.path, stored)})
    try:
        kind = site.media.playable(path)
    except (api.MediaError, api.MissingPackageError) as error:
        return answer({"why": str(error)})
    if kind:
        name = path.relative_to(site.workspace.root).as_posix()
        return answer({"url": f"/media/{path_part(name)}", "type": kind, "start": start or 0.0, "end": end})
    # Only the clip is copied, which takes about a tenth of its length.
    url = f"{request.url.path.removesuffix('/media')}/copy?{request.url.query}"
    return answer({"url": url, "type": "video/mp4", "start": 0.0, "end": None, "copied": True})


def copy(request: Request) -> Response:
    """Return a clip in a form that every browser plays."""
    path, start, end = _place(request)
    return FileResponse(site_of(request).media.copy(path, start, end), media_type="video/mp4", headers=_KEEP)


def thumbnail(request: Request) -> Response:
    """Return a small picture of a clip, or a sign if it has none."""
    try:
        path, start, end = _place(request)
        middle = start if end is None else ((start or 0.0) + end) / 2
        picture = site_of(request).media.thumbnail(path, middle)
    except BusyError:
        raise
    except (NotHereError, api.SelfmmError):
        return Response(_BROKEN, media_type="image/svg+xml")
    if picture is None:
        return Response(_SOUND, media_type="image/svg+xml", headers=_KEEP)
    return FileResponse(picture, media_type="image/jpeg", headers=_KEEP)


def _place(request: Request) -> tuple[Path, float | None, float | None]:
    site, (table, row) = site_of(request), clip_of(request)
    stored, start, end = table.media(row)
    path = recording_of(site.workspace, table.dataset.path, stored)
    if path is None:
        raise NotHereError(why_not(site.workspace, table.dataset.path, stored))
    return path, start, end


_DATA = "/v1/datasets"
routes = [
    Route("/media/{name:path}", recording),
    *(
        Route(f"{place}/{name}", handler)
        for place in (_DATA, f"{_DATA}/{{name:path}}")
        for name, handler in (("media", media), ("copy", copy), ("thumbnail", thumbnail))
    ),
]
