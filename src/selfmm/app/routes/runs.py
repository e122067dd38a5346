"""The runs: a table of all, and a page of each."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from selfmm.api import parts
from selfmm.app.comparison_table import comparison_rows
from selfmm.app.pages import page, site_of
from selfmm.app.routes import run_data, run_page
from selfmm.app.run_table import Summary, columns_of, differing, setting_text

_SHOWN = 200  # rows on a page
_SETTINGS = 5  # columns of settings that differ, unless the link asks for all
_QUERY = ("data", "model", "state", "q", "seeds", "sort", "settings")
_STATES = ("finished", "training", "unfinished", "damaged")


def table(request: Request) -> Response:
    """Return the page with the table of runs; the link names which are shown, and in which order."""
    site = site_of(request)
    if "compare" in request.query_params:
        return RedirectResponse(f"/runs/compare?{request.url.query}", status_code=303)
    query = {key: request.query_params.get(key, "") for key in _QUERY}
    everything = site.runs.all()
    listed = [run for run in everything if query["seeds"] == "each" or not run.member]
    chosen = [run for run in listed if _matches(run, query)]
    chosen = _sorted(chosen, query["sort"])
    shown = chosen[:_SHOWN]
    metrics = list(columns_of(shown))
    differ = differing(shown)
    keys = differ if query["settings"] == "all" else differ[:_SETTINGS]
    return page(
        request,
        "runs.html",
        query=query,
        link=lambda **changes: _link(query, changes),
        total=len(everything),
        hidden=len(everything) - len(listed),
        more=len(chosen) - len(shown),
        heads=[_head(column, shown) for column in metrics],
        rows=[_row(run, metrics, keys, _best(run, shown)) for run in shown],
        keys=keys,
        differ=len(differ),
        datasets=sorted({run.data for run in listed if run.data}),
        models=sorted({run.model for run in listed if run.model}),
        states=[state for state in _STATES if any(run.state == state for run in listed)],
        tests=any(run.counts.get("test") for run in shown),
        several=len({run.data for run in shown if run.data}) > 1,
        comparisons=comparison_rows(site.workspace),
        has_data=bool(site.workspace.items("dataset")),
    )


def _matches(run: Summary, query: Mapping[str, str]) -> bool:
    words = query["q"].casefold().split()
    about = f"{run.name} {run.model} {run.data}".casefold()
    return (
        query["data"] in ("", run.data)
        and query["model"] in ("", run.model)
        and query["state"] in ("", run.state)
        and all(word in about for word in words)
    )


def _sorted(runs: Sequence[Summary], sort: str) -> list[Summary]:
    """Return runs in the order that the link names; by a metric of the validation split, never of the test split."""
    key = sort.removeprefix("-")
    texts = {"name": lambda run: run.name, "data": lambda run: run.data, "model": lambda run: run.model}
    if key in texts:
        return sorted(runs, key=lambda run: texts[key](run).casefold(), reverse=sort.startswith("-"))
    if key == "changed" or not key:
        return sorted(runs, key=lambda run: run.modified, reverse=not sort.startswith("-"))
    ordered = [keys for keys in columns_of(runs) if key in keys]
    if not ordered:
        return list(runs)
    values = {run.name: run.value("valid", ordered[0])[1] for run in runs}
    known = [run for run in runs if not math.isnan(values[run.name])]
    best_first = sorted(known, key=lambda run: values[run.name], reverse=parts.HIGHER_IS_BETTER[ordered[0][0]])
    if sort.startswith("-"):
        best_first.reverse()
    return best_first + [run for run in runs if math.isnan(values[run.name])]


def _link(query: Mapping[str, str], changes: Mapping[str, str]) -> str:
    values = {key: value for key, value in {**query, **changes}.items() if value}
    return f"/runs?{urlencode(values)}" if values else "/runs"


def _head(keys: Sequence[str], runs: Sequence[Summary]) -> dict[str, str]:
    key = next((key for key in keys for run in runs if key in run.metrics.get("valid", {})), keys[0])
    return {"key": keys[0], "title": parts.head(key), "meaning": parts.DESCRIPTIONS[key].partition(": ")[2]}


def _best(run: Summary, runs: Sequence[Summary]) -> bool:
    """Return whether a run has the lowest validation error of two or more finished runs on its data set."""
    rivals = [other for other in runs if other.data == run.data and other.state == "finished"]
    values = {other.name: other.value("valid", ("mae",))[1] for other in rivals}
    known = [value for value in values.values() if not math.isnan(value)]
    return len(known) > 1 and values.get(run.name) == min(known)


def _row(run: Summary, columns: Sequence[Sequence[str]], keys: Sequence[str], best: bool) -> dict[str, Any]:
    cells = {}
    for split in ("valid", "test"):
        cells[split] = [_cell(run, split, column) for column in columns]
    fused = None if run.worth is None else run.worth.measured(parts.FUSION)
    return {
        "run": run,
        "cells": cells,
        "worth": "" if run.worth is None else worth_text(run.worth),
        "informs": fused is not None and fused.informs,
        "best": best,
        "when": when(run.modified),
        "settings": [setting_text(run.settings[key]) if key in run.settings else "–" for key in keys],
        "state": state_text(run),
    }


def _cell(run: Summary, split: str, keys: Sequence[str]) -> dict[str, str]:
    key, value = run.value(split, keys)
    if math.isnan(value):
        return {"text": "–", "more": ""}
    spread = run.spread.get(split, {}).get(key, math.nan)
    if math.isnan(spread) and split == "valid" and key == "mae":
        spread = run.margin
    return {"text": _figure(key, value), "more": "" if math.isnan(spread) else f"± {_figure(key, spread)}"}


def _figure(key: str, value: float) -> str:
    """Return a metric with as many digits as a few hundred clips justify."""
    text = f"{value:.3f}" if key in ("mae", "corr") else f"{100 * value:.1f}"
    return text.replace("-", "−")


def worth_text(worth: parts.RunWorth) -> str:
    """Return by how much the fused score beats a constant on the run's own clips, in words."""
    fused = worth.measured(parts.FUSION)
    if fused is None or not fused.clips:
        return parts.skill_text(fused)
    few = "" if fused is worth.scores[parts.FUSION] else f" on {parts.clips(fused.clips)}"
    return f"{parts.verdict(fused) or parts.skill_text(fused)}{few}"


def state_text(run: Summary) -> str:
    """Return the state of a run, in a sentence; empty if it is finished and undamaged."""
    if run.state == "training":
        return f"Being trained; {parts.count(run.epochs, 'epoch')} finished." if run.epochs else "Being trained."
    if run.state == "unfinished" and not run.seeds:
        done = f" after {parts.count(run.epochs, 'epoch')}" if run.epochs else ""
        return f"Not finished: it ended{done}. It can be continued."
    if run.gone:
        return f"{run.problem} Its data set was moved or deleted; scores and metrics are still here.".strip()
    return run.problem


def when(seconds: float) -> str:
    """Return a past time for people to read, such as ``2 hours ago``."""
    ago = time.time() - seconds
    if ago >= 14 * 86400:
        return time.strftime("%Y-%m-%d", time.localtime(seconds))
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if ago >= size:
            return f"{parts.count(int(ago // size), unit)} ago"
    return "just now"


routes = [Route("/runs", table), *run_page.routes, *run_data.routes]
