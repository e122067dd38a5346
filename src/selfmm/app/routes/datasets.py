"""The data sets of the folder as JSON: their clips, page by page; one clip; and the findings of an inspection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_media import recording_of
from selfmm.app.clip_query import ClipQuery, Rows
from selfmm.app.clip_runs import ClipRun
from selfmm.app.clip_table import ClipTable, Floats, disagreement, scale_text
from selfmm.app.errors import NotHereError, RequestError
from selfmm.app.findings import to_fix, to_know
from selfmm.app.pages import answer, site_of
from selfmm.app.site import Site
from selfmm.app.workspace import changed_at

_PAGE = 100  # clips in an answer
_MOST = 200
_RUNS = 12  # that are shown with their scores of a clip
_TEXT = 240  # characters of a clip's words in a list


def table_of(request: Request) -> ClipTable:
    """Return the clips of the data set in the path of a request; without a name, of the folder itself.

    Raises:
        NotHereError: if there is no such folder, or it is not a data set.
        RequestError: if its path is not UTF-8.
        DatasetError: if it cannot be read.
    """
    return named_table(site_of(request), request.path_params.get("name") or ".")


def named_table(site: Site, name: str) -> ClipTable:
    """Return the clips of a data set with the ratings that people gave in the app. Errors as in :func:`table_of`."""
    path = site.workspace.source(name)
    if not (path / parts.MANIFEST).is_file():
        raise NotHereError(f"{name!r} is not a data set. It may have been moved or deleted.")
    try:
        journal = site.rating.journal(name)
    except api.SelfmmError:  # the Rate screen shows the problem
        journal = None
    return site.tables.of(path, journal)


def clip_of(request: Request) -> tuple[ClipTable, int]:
    """Return the table and the row of the clip that a request names with ``id``.

    Raises:
        NotHereError: if there is no such clip or data set.
        DatasetError: if the data set cannot be read.
    """
    table, name = table_of(request), request.query_params.get("id", "")
    if name not in table.places:
        raise NotHereError(f"There is no clip {name[:200]!r} in this data set.")
    return table, table.places[name]


def selected(request: Request, table: ClipTable) -> tuple[ClipQuery, ClipTable, Rows, dict[str, Floats]]:
    """Return what a link asks for: the query, the table, the rows in order, and the scores of the run in the query.

    In a data set without labels per modality, the table has the disagreement of the run's scores.
    """
    site, query = site_of(request), ClipQuery.of(request.query_params)
    scores: dict[str, Floats] = {}
    if query.run:
        scores = dict(site.clip_runs.scores(site.clip_runs.named(query.run, table.dataset.path), table))
        heads = {name.removeprefix("score_"): values for name, values in scores.items() if name != "score"}
        if not table.by_modality and heads:
            spread, disagree = disagreement(heads, len(table), table.dataset.manifest.label_range)
            table = replace(table, spread=spread, disagree=disagree)
    return query, table, query.select(table, scores.get("score")), scores


def clips(request: Request) -> Response:
    """Return a page of the clips that pass the filters of the link, and the histogram of their labels."""
    return answer(clips_page(request, table_of(request)))


def clips_page(request: Request, table: ClipTable) -> dict[str, Any]:
    """Return the content of the answer of :func:`clips`.

    Returns:
        ``total`` and ``matched``: numbers of clips; ``rows``, starting at ``offset``. The first page also has the
        ``histogram``: the numbers of clips per bar that pass all filters but that of the label, and ``unlabelled``; and
        with a run ``worth``, see :meth:`selfmm.app.clip_runs.ClipRuns.worth`.
    """
    offset, limit = _count(request, "offset", 0), min(_count(request, "limit", _PAGE), _MOST)
    query, table, rows, scores = selected(request, table)
    content: dict[str, Any] = {"total": len(table), "matched": len(rows), "offset": offset}
    content["rows"] = [_row(request, table, row, scores) for row in rows[offset : offset + limit].tolist()]
    if not offset:
        unbrushed = rows if query.low is None and query.high is None else query.select(table, by_label=False)
        content["histogram"] = table.histogram(unbrushed)
        content["unlabelled"] = int(np.isnan(table.labels[unbrushed]).sum())
        if query.run:
            runs = site_of(request).clip_runs
            content["worth"] = runs.worth(runs.named(query.run, table.dataset.path))
    return content


def _row(request: Request, table: ClipTable, row: int, scores: dict[str, Floats]) -> dict[str, Any]:
    stored, _, _ = table.media(row)
    path = recording_of(site_of(request).workspace, table.dataset.path, stored)
    text = table.texts[row]
    return {
        "id": table.ids[row],
        "split": str(table.splits[row]),
        "label": table.labels[row],
        "text": text if len(text) <= _TEXT else f"{text[:_TEXT]}…",
        "video": table.videos[row][:_TEXT],
        "missing": [name for name, values in table.missing.items() if values[row]],
        "labels": {name: values[row] for name, values in table.by_modality.items()},
        "disagree": bool(table.disagree[row]),
        "ratings": int(table.ratings[row]),
        "warnings": table.warnings[row][:_TEXT],
        "media": None if path is None else changed_at(path) // 1_000_000,
        **({"scores": {name: values[row] for name, values in scores.items()}} if scores else {}),
    }


def clip(request: Request) -> Response:
    """Return how the runs in the folder score a clip, and the labels per modality that they generated for it."""
    site, (table, row) = site_of(request), clip_of(request)
    runs = [_seen_by(request, run, table, row) for run in site.clip_runs.of(table.dataset.path)[:_RUNS]]
    return answer({"id": table.ids[row], "label": table.labels[row], "runs": runs})


def _seen_by(request: Request, run: ClipRun, table: ClipTable, row: int) -> dict[str, Any]:
    site = site_of(request)
    seen = table.splits[row] == "train" and not run.left_out
    content: dict[str, Any] = {"name": run.name, "model": run.model, "seen": bool(seen)}
    try:
        content["scores"] = {name: values[row] for name, values in site.clip_runs.scores(run, table).items()}
        content["worth"] = site.clip_runs.worth(run, table.ids[row])
        if run.generated:
            content["generated"] = site.clip_runs.labels(run, table.ids[row])
    except api.RunError as error:
        content["problem"] = str(error)
    return content


def summary(request: Request) -> Response:
    """Return what the card of a data set shows: ``facts``, phrases; and ``bars``, the heights of its histogram."""
    table = table_of(request)
    counts = table.histogram(np.arange(len(table)))
    return answer({"facts": facts(table), "bars": [count / max(*counts, 1) for count in counts]})


def facts(table: ClipTable) -> list[str]:
    """Return what a data set holds, in a few phrases."""
    dataset, labelled = table.dataset, int(np.isfinite(table.labels).sum())
    scale = scale_text(dataset.manifest.label_range)
    phrases = [parts.clips(len(table)), ", ".join(dataset.modalities), f"labels from {scale}"]
    if labelled < len(table):
        phrases.append(f"{labelled:,} labelled" if labelled else "no clip has a label yet")
    if dataset.manifest.language:
        phrases.append(parts.language_name(dataset.manifest.language))
    return phrases


def inspection(request: Request) -> Response:
    """Return the findings of an inspection: ``problems`` to fix before training, and ``notes``.

    Each has ``text``, and ``query``: the filter that shows the clips, or an empty text.
    """
    table = table_of(request)
    if table.problem:
        return answer({"problems": [{"text": table.problem, "query": ""}], "notes": []})
    found = api.inspect(table.dataset)
    return answer({"problems": list(map(vars, to_fix(found))), "notes": list(map(vars, to_know(found)))})


def _count(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, "")
    if not value:
        return default
    if not value.isdecimal() or len(value) > 9:
        raise RequestError(f"`{name}` is {value[:40]!r}; it must be a whole number, 0 or more.")
    return int(value)


_DATA = "/v1/datasets"
routes = [
    Route(f"{place}/{name}", handler)
    for place in (_DATA, f"{_DATA}/{{name:path}}")
    for name, handler in (("clips", clips), ("clip", clip), ("summary", summary), ("inspection", inspection))
]
