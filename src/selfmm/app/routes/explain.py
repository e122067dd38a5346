"""The page that explains a score: what each modality, word and frame of a clip contributes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import RequestError
from selfmm.app.pages import answer, page, site_of
from selfmm.app.run_scores import predictions, shortened
from selfmm.app.run_table import Summary

_LISTED = 400  # clips to choose from


def view(request: Request, run: Summary, common: dict[str, Any]) -> Response:
    """Return the page that explains a clip; without one, a list of clips to choose from."""
    data, problem = request.query_params.get("data", "").strip("/") or run.dataset or "", ""
    rows: list[dict[str, Any]] = []
    clip = request.query_params.get("clip", "")
    if run.seeds:
        problem = "These are several seeds. Open one of them to see why it scores a clip as it does."
    elif run.state != "finished":
        problem = "This run is not finished. Continue it first."
    elif not data:
        problem = "The data set of this run is not in this folder, so none of its clips can be explained."
    else:
        try:
            rows = _clips(request, data, request.query_params.get("q", ""), clip)
        except api.DatasetError as error:
            problem = str(error)
    datasets = [item.name for item in site_of(request).workspace.items("dataset")]
    query = {"q": request.query_params.get("q", ""), "clip": clip, "data": data}
    values: dict[str, Any] = {"query": query, "rows": rows, "problem": problem, "datasets": datasets, "most": _LISTED}
    values["shown"] = _left_out(request, run, clip) if data == run.dataset else ""
    return page(request, "explain.html", **common, title=run.name, band=_band(run), **values)


def _left_out(request: Request, run: Summary, clip: str) -> str:
    """Return the score of a clip on the page of a run in closed form, from a fit without its recording, else ""."""
    if not clip or not run.closed_form or run.state != "finished":
        return ""
    table = predictions(parts.RunFolder(site_of(request).workspace.path(run.name)))
    scores = table["score"][table["id"].astype(str) == clip].dropna()
    return f"{scores.iloc[0]:.4f}" if len(scores) else ""


def _band(run: Summary) -> str:
    """Return how far to trust the scores of a run, in a sentence; empty if unknown."""
    fused = run.worth.scores.get(parts.FUSION) if run.worth is not None else None
    if fused is None or math.isnan(fused.band):
        return ""
    if problem := parts.verdict(fused):
        return f"Do not rely on this score: the scores of this run for new clips are worth little ({problem})."
    where = "The" if run.worth is None or run.worth.measured(parts.FUSION) is fused else _OF_START
    return f"{where} label of 4 of 5 new clips of the same kind is within {parts.band_text(fused.band)} of the score."


_OF_START = "This was measured only for the run that it started from: the"


def _clips(request: Request, data: str, words: str, clip: str) -> list[dict[str, Any]]:
    """Return clips whose id or text has all the words, validation and test clips first; none if one is chosen."""
    if clip:
        return []
    samples = api.open_dataset(site_of(request).workspace.path(data)).samples
    texts = samples["text"].fillna("") if "text" in samples else samples["id"]
    about = (samples["id"].astype(str) + " " + texts.astype(str)).str.casefold()
    chosen = samples[[all(word in line for word in words.casefold().split()) for line in about]]
    order = chosen["split"].map({"valid": 0, "test": 1, "train": 2}).fillna(3)
    chosen = chosen.loc[order.sort_values(kind="stable").index[:_LISTED]]
    return [
        {
            "id": str(row["id"]),
            "split": row["split"],
            "label": row["label"],
            "text": shortened(row.get("text")),
        }
        for row in chosen.to_dict("records")
    ]


def explanation(request: Request) -> Response:
    """Return the explanation of a clip of a data set in the folder, by default that of the run."""
    site = site_of(request)
    name, data, clip = (request.query_params.get(key, "") for key in ("run", "data", "clip"))
    if not (name and clip):
        raise RequestError("The link must name a run and a clip: run=NAME&clip=ID.")
    run = site.workspace.run(name)
    data = data or (site.runs.of(name).dataset if isinstance(run, Path) else None) or ""
    if not data:
        raise RequestError("The data set of this run is not in this folder. Add data=NAME, a data set that is.")
    return answer(site.explanations.of(run, site.workspace.path(data), clip))


routes = [Route("/v1/explain", explanation)]
