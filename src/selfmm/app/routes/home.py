"""The first page: the items of the folder, the jobs, and what this machine lacks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.app.errors import RequestError
from selfmm.app.pages import answer, page, site_of, takes_json
from selfmm.app.workspace import is_seed

_SHOWN = 8  # of each kind
_VIDEO = "predict from a video"  # name of this task in the diagnosis
_GET = "selfmm weights get "


def home(request: Request) -> Response:
    """Show the first page."""
    site = site_of(request)
    items = {kind: site.workspace.items(kind) for kind in ("dataset", "recordings", "comparison")}
    runs = [item for item in site.workspace.items("run", "seeds") if not is_seed(item.name)]
    jobs = site.jobs.all()
    return page(
        request,
        "home.html",
        shown=_SHOWN,
        datasets=items["dataset"],
        recordings=items["recordings"],
        comparisons=items["comparison"],
        runs=runs,
        jobs=[job for job in jobs if not job.over],
        over=[job for job in jobs if job.over][:3],
    )


def machine(request: Request) -> Response:
    """Return what this machine has and lacks. It takes a second, so the page asks for it once it is shown.

    ``weights``: names of the weights without which no video can be scored. ``unwritable``: what does not work because
    the folder cannot be written; empty if it can.
    """
    diagnosis = api.doctor()
    missing = [
        {"name": job.name, "missing": list(job.missing), "commands": list(job.commands)}
        for job in diagnosis.jobs
        if job.missing
    ]
    [video] = [job for job in diagnosis.jobs if job.name == _VIDEO]
    return answer(
        {
            "gpu": diagnosis.gpu,
            "threads": diagnosis.threads,
            "missing": missing,
            "unwritable": site_of(request).workspace.unwritable(),
            "weights": [command.removeprefix(_GET) for command in video.commands if command.startswith(_GET)],
        }
    )


@takes_json
def get_weights(request: Request, content: dict[str, Any]) -> Response:
    """Start a job that downloads weights. Nothing else in the app uses the network."""
    names = content.get("names")
    known = {weights.name for weights in api.list_weights()}
    if not isinstance(names, list) or not names or not set(map(str, names)) <= known:
        raise RequestError(f"Name the weights to get: {', '.join(sorted(known))}.")
    job = site_of(request).jobs.start(f"Get {' and '.join(names)}", [["weights", "get", *names]])
    return answer({"job": job.id}, 201)


routes = [Route("/", home), Route("/v1/machine", machine), Route("/v1/weights", get_weights, methods=["POST"])]
