"""The first page: what is in the folder, what is running, and what this machine lacks."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.app.pages import answer, page, site_of

_SHOWN = 8  # of each kind


def home(request: Request) -> Response:
    site = site_of(request)
    items = {kind: site.workspace.items(kind) for kind in ("dataset", "recordings", "comparison")}
    runs = site.workspace.items("run", "seeds")
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
    """Return what this machine lacks; it takes a second, so the page asks for it when it is shown."""
    diagnosis = api.doctor()
    missing = [
        {"name": job.name, "missing": list(job.missing), "commands": list(job.commands)}
        for job in diagnosis.jobs
        if job.missing
    ]
    return answer({"gpu": diagnosis.gpu, "threads": diagnosis.threads, "missing": missing})


routes = [Route("/", home), Route("/v1/machine", machine)]
