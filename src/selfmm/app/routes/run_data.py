"""What the page of a run requests after it is shown: epochs, scores of clips, the pictures of the report."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.pages import answer, path_part, site_of
from selfmm.app.run_scores import predictions, texts
from selfmm.app.run_table import best_epoch

_MOST = 20_000  # clips in a picture
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_GROUPS = (
    ("labels-over-epochs-", "Distribution of the labels"),
    ("u-against-m-", "Differences from the m-label"),
    ("outcomes", "Outcomes and trust"),
    ("trust", "Outcomes and trust"),
    ("centres-", "Class centres"),
    ("predictions-", "Predictions"),
    ("", "Training"),
)


def folder_of(request: Request, key: str = "run") -> tuple[str, parts.RunFolder]:
    """Return the name and folder of the run that a request names.

    Raises:
        RequestError, NotHereError: if it names none, or it is not there.
    """
    name = request.query_params.get(key, "").strip("/")
    if not name:
        raise RequestError(f"The link names no run: add {key}=NAME.")
    folder = parts.open_run(site_of(request).workspace.path(name), seeds=True)
    if not folder.is_run:
        raise NotHereError(f"{name[:200]!r} is not a run.")
    return name, folder


def history(request: Request) -> Response:
    """Return the epochs of a run so far, for the curves."""
    site = site_of(request)
    content: dict[str, Any] = {"state": "", "epochs": [], "columns": {}, "best": None, "problem": ""}
    try:
        name, folder = folder_of(request)
    except NotHereError as error:  # a job that is about to make it
        return answer({**content, "problem": str(error)})
    summary = site.runs.of(name)
    content["state"] = summary.state
    content["most"] = summary.settings.get("training.max_epochs")
    job = next((job for job in site.jobs.all() if job.out == name), None)
    content["job"] = None if job is None else {"id": job.id, "status": job.status, "over": job.over}
    try:
        table = folder.history()
    except api.RunError as error:
        content["problem"] = "" if summary.state != "finished" else str(error)
        return answer(content)
    content["epochs"] = table["epoch"].tolist()
    content["columns"] = {
        key: table[key].astype(float).tolist()
        for key in map(str, table.columns)
        if key.startswith(("valid_", "loss_")) or key == "seconds"
    }
    content["best"] = None if table.empty else int(table["epoch"].iloc[best_epoch(table)])
    return answer(content)


def clips(request: Request) -> Response:
    """Return label, score and words of the clips of one split, as columns."""
    _, folder = folder_of(request)
    split = request.query_params.get("split", "valid")
    table = predictions(folder)
    if {"split", "label"} <= set(table):
        table = table[table["split"] == split].dropna(subset=["label", "score"]).head(_MOST)
    else:
        table = table.head(0)
    ids = table["id"].astype(str).tolist()
    words = texts(site_of(request).workspace, folder)
    return answer(
        {
            "split": split,
            "range": folder.info().label_range,
            "id": ids,
            "x": table["label"].astype(float).round(3).tolist() if ids else [],
            "y": table["score"].astype(float).round(3).tolist() if ids else [],
            "text": [words.get(name, "") for name in ids],
        }
    )


def pictures(request: Request) -> Response:
    """Return the pictures of the report, in groups; the first time, they are drawn."""
    name, folder = folder_of(request)
    made = site_of(request).analyses.report(folder.path) / "pictures"
    groups: dict[str, list[dict[str, str]]] = {title: [] for _, title in _GROUPS}
    for file in sorted(made.glob("*.svg")):
        title = next(title for prefix, title in _GROUPS if file.stem.startswith(prefix))
        link = f"/v1/run-picture?run={path_part(name)}&name={file.stem}"
        groups[title].append({"name": file.stem, "alt": file.stem.replace("-", " "), "link": link})
    return answer([{"title": title, "pictures": entries} for title, entries in groups.items() if entries])


def picture(request: Request) -> Response:
    """Return one of these pictures, as SVG, or as PNG to download."""
    _, folder = folder_of(request)
    name, suffix = request.query_params.get("name", ""), request.query_params.get("as", "svg")
    made = site_of(request).analyses.report(folder.path) / "pictures"
    file = next((file for file in made.glob("*.*") if file.stem == name and file.suffix == f".{suffix}"), None)
    if file is None:
        raise NotHereError("The report has no such picture.")
    if suffix == "png":
        return FileResponse(file, filename=file.name)
    headers = {"content-security-policy": _SVG_POLICY, "cache-control": "private, max-age=60"}
    return FileResponse(file, media_type="image/svg+xml", headers=headers)


def report(request: Request) -> Response:
    """Return the report as one page to keep.

    Raises:
        RequestError: if the data set, whose clips the report shows, lies outside the folder that is shown.
    """
    (name, folder), site = folder_of(request), site_of(request)
    if site.runs.of(name).outside:
        raise RequestError(f"The data set of this run is not in this folder. Run in a terminal: selfmm report {name}")
    file = site.analyses.report(folder.path) / "report.html"
    return FileResponse(file, filename=f"{parts.safe_name(folder.path.name)}-report.html", media_type="text/html")


routes = [
    Route("/v1/run-history", history),
    Route("/v1/run-clips", clips),
    Route("/v1/run-pictures", pictures),
    Route("/v1/run-picture", picture),
    Route("/v1/run-report", report),
]
