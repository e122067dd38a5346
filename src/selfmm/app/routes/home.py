"""The first page: what is in the folder, what is running, and what this machine lacks."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.app.errors import RequestError
from selfmm.app.pages import answer, json_of, page, site_of

_SHOWN = 8  # of each kind
_VIDEO = "predict from a video"  # what the doctor calls it
_GET = "selfmm weights get "


def home(request: Request) -> Response:
    site = site_of(request)
    items = {kind: site.workspace.items(kind) for kind in ("dataset", "recordings", "comparison")}
    members = "seed-"  # runs of a folder of seeds, which is shown in their place, or of a comparison
    runs = [
        item for item in site.workspace.items("run", "seeds") if not item.name.rpartition("/")[2].startswith(members)
    ]
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
    """Return what this machine lacks; it takes a second, so the page asks for it when it is shown.

    ``weights``: names of the weights without which no video can be scored.
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
            "weights": [command.removeprefix(_GET) for command in video.commands if command.startswith(_GET)],
        }
    )


async def get_weights(request: Request) -> Response:
    """Start a job that downloads weights: the only thing in the app that uses the network, and only when asked."""
    names = (await json_of(request)).get("names")
    known = {weights.name for weights in api.list_weights()}
    if not isinstance(names, list) or not names or not set(map(str, names)) <= known:
        raise RequestError(f"Name the weights to get: {', '.join(sorted(known))}.")
    jobs = site_of(request).jobs
    job = await run_in_threadpool(jobs.start, f"Get {' and '.join(names)}", [["weights", "get", *names]])
    return answer({"job": job.id}, 201)


routes = [Route("/", home), Route("/v1/machine", machine), Route("/v1/weights", get_weights, methods=["POST"])]
