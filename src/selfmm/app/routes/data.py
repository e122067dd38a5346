"""The Data screen: the data sets of the folder, the clips of one, and the page of a clip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm.api import parts
from selfmm.app.clip_query import ClipQuery, Rows
from selfmm.app.clip_table import BINS, ClipTable
from selfmm.app.pages import page, path_part, site_of
from selfmm.app.routes.datasets import clips_page, facts, selected, table_of

_SORTS = (
    ("", "as stored"),
    ("-label", "most positive"),
    ("label", "most negative"),
    ("-spread", "modalities differ most"),
    ("-error", "score furthest from the label"),
    ("-score", "highest score"),
    ("id", "id"),
    ("video", "recording"),
    ("split", "split"),
    ("-length", "most words"),
    ("-ratings", "most ratings"),
)
_AROUND = 6  # clips of the same recording to show before and after


def data_sets(request: Request) -> Response:
    """Show all data sets of the folder."""
    names = [item.name for item in site_of(request).workspace.items("dataset")]
    return page(request, "data.html", sets=[(name, address(name), f"{base(name)}/summary") for name in names])


def data_set(request: Request) -> Response:
    """Show a data set, or the clip that ``clip`` in the link names."""
    name = request.path_params.get("name") or "."
    if name == "." and not (site_of(request).workspace.root / parts.MANIFEST).is_file():
        return data_sets(request)
    table = table_of(request)
    if "clip" in request.query_params:
        return clip_page(request, name, table)
    low, high = table.dataset.manifest.label_range
    runs = site_of(request).clip_runs.of(table.dataset.path)
    content = {
        "page": address(name),
        "base": base(name),
        "range": [low, high],
        "neutral": parts.LabelScale.of((low, high)).neutral,
        "bins": BINS,
        "width": table.bin_width,
        "modalities": list(table.dataset.modalities),
        "labelled": bool(table.by_modality),
        "media": "path" in table.dataset.samples,
        "first": clips_page(request, table),
    }
    return page(
        request,
        "data_set.html",
        name=name,
        facts=facts(table),
        problem=table.problem,
        query=ClipQuery.of(request.query_params),
        runs=[(run.name, f"{run.name} ({run.model})") for run in runs],
        missing=[(modality, modality[:1].upper() + modality[1:]) for modality in table.dataset.modalities],
        sorts=_SORTS if runs else [(key, text) for key, text in _SORTS if key not in ("-error", "-score")],
        can_disagree=bool(table.by_modality or runs),
        modalities=list(table.dataset.modalities),
        any_label=bool(np.isfinite(table.labels).any()),
        warned=any(table.warnings),
        content=json.dumps(parts.without_nan(content), ensure_ascii=False),
    )


def clip_page(request: Request, name: str, table: ClipTable) -> Response:
    """Show a clip: its place among those that pass the filter of the link, its labels, and its neighbours."""
    clip = request.query_params["clip"]
    if clip not in table.places:
        message = f"There is no clip {clip[:200]!r} in this data set. It may have been made again without it."
        return page(request, "data_gone.html", status=404, message=message, back=address(name))
    query, _, rows, _ = selected(request, table)
    row, kept = table.places[clip], query.link()
    low, high = table.dataset.manifest.label_range
    return page(
        request,
        "data_clip.html",
        name=name,
        base=base(name),
        back=f"{address(name)}?{kept}".removesuffix("?"),
        link=lambda clip_id: f"{address(name)}?{kept}{'&' if kept else ''}clip={quote(clip_id, safe='')}",
        clip=_clip(table, row),
        place=_place(table, rows, row),
        siblings=_siblings(table, row),
        label_range=(low, high),
        neutral=parts.LabelScale.of((low, high)).neutral,
        filtered=bool(replace(query, sort="", run="", view="").link()),
    )


def base(name: str) -> str:
    """Return the address of the JSON of a data set; the name ``.`` is left out."""
    return "/v1/datasets" if name == "." else f"/v1/datasets/{path_part(name)}"


def address(name: str) -> str:
    """Return the address of the page of a data set."""
    return f"/data/{path_part('' if name == '.' else name)}"


def _clip(table: ClipTable, row: int) -> dict[str, Any]:
    dataset, clip_id = table.dataset, table.ids[row]
    stored, start, end = table.media(row)
    ratings = table.people[table.people["id"] == clip_id].to_dict("records")
    units = {"text": "words", "tokens": "tokens", "frames": "frames"}
    lengths = {
        name: ("", 0) if table.missing[name][row] else (units[modality.kind], int(dataset.lengths(name)[row]))
        for name, modality in dataset.modalities.items()
    }
    if "text" in lengths and lengths["text"][0] == "words":
        lengths["text"] = ("words", len(table.texts[row].split()))
    return {
        "id": clip_id,
        "split": str(table.splits[row]),
        "label": float(table.labels[row]),
        "text": table.texts[row],
        "video": table.videos[row],
        "file": stored,
        "start": start,
        "end": end,
        "labels": {name: float(values[row]) for name, values in table.by_modality.items()},
        "ratings": ratings,
        "warnings": [text for text in table.warnings[row].split("; ") if text],
        "lengths": lengths,
        "words": json.dumps(_spoken(table, clip_id), ensure_ascii=False),
        "disagree": bool(table.disagree[row]),
    }


def _spoken(table: ClipTable, clip_id: str) -> list[tuple[str, float, float]]:
    """Return each word of a clip with its start and end in the clip, in seconds; nothing if they are not known."""
    try:
        words = pd.read_parquet(table.dataset.path / parts.WORDS, filters=[("id", "==", clip_id)])
        times = words[["start", "end"]].to_numpy(dtype=np.float64).tolist()
        if not np.isfinite(times).all():
            return []
        return [(str(word), start, end) for word, (start, end) in zip(words["word"], times, strict=True)]
    except Exception:  # the file is missing or damaged in some way, and the page works without it
        return []


def _place(table: ClipTable, rows: Rows, row: int) -> Mapping[str, Any]:
    """Return the place of a clip among those that pass the filter, and the ids before and after it."""
    at = np.flatnonzero(rows == row)
    if not len(at):
        return {"number": 0, "count": len(rows), "before": "", "after": ""}
    place = int(at[0])
    return {
        "number": place + 1,
        "count": len(rows),
        "before": table.ids[rows[place - 1]] if place else "",
        "after": table.ids[rows[place + 1]] if place + 1 < len(rows) else "",
    }


def _siblings(table: ClipTable, row: int) -> dict[str, Any]:
    """Return the clips before and after a clip in its recording, in the order of time."""
    samples, video = table.dataset.samples, table.videos[row]
    rows = np.flatnonzero(np.array(table.videos) == video) if video else np.array([row])
    if "start" in samples:
        starts = samples["start"].to_numpy(dtype=np.float64)[rows]
        rows = rows[np.argsort(starts, kind="stable")]
    place = int(np.flatnonzero(rows == row)[0])
    shown = rows[max(place - _AROUND, 0) : place + _AROUND + 1].tolist()
    return {
        "count": len(rows),
        "clips": [
            {"id": table.ids[at], "text": table.texts[at][:160], "label": float(table.labels[at]), "here": at == row}
            for at in shown
        ],
    }


routes = [Route("/data", data_sets), Route("/data/{name:path}", data_set)]
