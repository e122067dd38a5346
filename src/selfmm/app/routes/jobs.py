"""The pages of jobs: trainings and extractions, which continue while the page is closed."""

from __future__ import annotations

import shlex
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm.api import parts
from selfmm.app.jobs import Job
from selfmm.app.pages import answer, page, path_part, site_of
from selfmm.app.site import Site

STATUS = {
    "waiting": "It is waiting for another job to end.",
    "running": "It is running. You can close this page; it continues.",
    "finished": "It is finished.",
    "failed": "It failed.",
    "stopped": "It was stopped. What it finished is saved, and Resume continues from there.",
    "interrupted": "Its process was killed, or this machine was restarted. What it finished is saved, and Resume "
    "continues from there.",
}


def jobs(request: Request) -> Response:
    """Return the page with all jobs."""
    site = site_of(request)
    return page(request, "jobs.html", jobs=[described(site, job) for job in site.jobs.all()])


def job(request: Request) -> Response:
    """Return the page of a job."""
    site = site_of(request)
    content = described(site, site.jobs.get(request.path_params["job"]), log=True)
    return page(request, "job.html", job=content, statuses=STATUS)


def described(site: Site, job: Job, *, log: bool = False) -> dict[str, Any]:
    """Return what pages show of a job."""
    progress = site.jobs.progress(job.id) if job.status == "running" else None
    made = site.workspace.name_of(job.out) if job.out else None
    exists = bool(made) and (site.workspace.root / str(made)).exists()
    kind = "runs" if exists and not (site.workspace.root / str(made) / parts.MANIFEST).is_file() else "data"
    content = {
        "id": job.id,
        "title": job.title,
        "status": job.status,
        "sentence": _sentence(site, job, progress),
        "problem": job.problem,
        "over": job.over,
        "resumable": job.resumable,
        "done": job.done,
        "commands": [f"selfmm {shlex.join(command)}" for command in job.commands],
        "progress": None if progress is None else list(progress),
        "within": _within(site, job),
        "out": job.out,
        "link": f"/{kind}/{path_part(str(made))}" if exists else None,
        "training": _trains(job),
        "created": time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created)),
    }
    return content | ({"log": site.jobs.log(job.id)} if log else {})


def _trains(job: Job) -> bool:
    return bool(job.commands) and job.commands[min(job.done, len(job.commands) - 1)][0] == "train"


def _sentence(site: Site, job: Job, progress: tuple[int, int] | None) -> str:
    if job.status == "stopped" and not job.done and not site.jobs.log(job.id):
        return "It was stopped before it started. Resume starts it."
    if job.status == "running" and _trains(job) and progress is None:
        return f"{STATUS['running']} The first epoch may take minutes."
    return STATUS[job.status]


def _within(site: Site, job: Job) -> str:
    """Return how far the current epoch of a training is; empty if that is unknown."""
    known = site.jobs.within(job.id) if job.status == "running" else None
    return "" if known is None else f"epoch {known[0]:,}, step {known[1]:,} of {known[2]:,}"


def state(request: Request) -> Response:
    """Return a job, with the end of its log."""
    site = site_of(request)
    return answer(described(site, site.jobs.get(request.path_params["job"]), log=True))


def all_states(request: Request) -> Response:
    """Return all jobs, without their logs."""
    site = site_of(request)
    return answer([described(site, job) for job in site.jobs.all()])


def stop(request: Request) -> Response:
    site = site_of(request)
    return answer(described(site, site.jobs.stop(request.path_params["job"]), log=True))


def resume(request: Request) -> Response:
    site = site_of(request)
    return answer(described(site, site.jobs.resume(request.path_params["job"]), log=True))


def remove(request: Request) -> Response:
    """Forget a job that is over; what it made stays."""
    site = site_of(request)
    site.jobs.remove(request.path_params["job"])
    return answer({"removed": True})


routes = [
    Route("/jobs", jobs),
    Route("/jobs/{job}", job),
    Route("/v1/jobs", all_states),
    Route("/v1/jobs/{job}", state),
    Route("/v1/jobs/{job}", remove, methods=["DELETE"]),
    Route("/v1/jobs/{job}/stop", stop, methods=["POST"]),
    Route("/v1/jobs/{job}/resume", resume, methods=["POST"]),
]
