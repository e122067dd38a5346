"""Two runs clip by clip: where one is right and the other wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import RequestError
from selfmm.app.pages import answer, page, path_part, site_of
from selfmm.app.routes.run_data import folder_of
from selfmm.app.run_scores import predictions, samples_of, texts

_LARGE = 40_000_000  # clips times recordings: more would take gigabytes
_SPLITS = ("valid", "test", "train")


def view(request: Request) -> Response:
    """Return the page of two runs, which the link names as ``a`` and ``b``, or as ``run`` twice."""
    site = site_of(request)
    chosen = request.query_params.getlist("run") + request.query_params.get("compare", "").split(",")
    names = [request.query_params.get("a", ""), request.query_params.get("b", "")]
    if any(chosen) and not any(names):
        a, b, *_ = [*filter(None, chosen), "", ""]
        return RedirectResponse(f"/runs/compare?a={path_part(a)}&b={path_part(b)}", status_code=303)
    runs = [run for run in site.runs.all() if run.state == "finished" or run.seeds]
    by_name = {run.name: run for run in runs}
    problem = ""
    if all(names):
        missing = [name for name in names if name not in by_name]
        if missing:
            problem = f"There is no finished run {missing[0][:100]!r} in this folder. Choose another one."
        elif names[0] == names[1]:
            problem = "Both are the same run. Choose another one to compare it with."
        elif by_name[names[0]].data != by_name[names[1]].data:
            problem = (
                f"{names[0]} was trained on {by_name[names[0]].data}, and {names[1]} on {by_name[names[1]].data}. "
                "Only clips that both have scored are compared; there may be none."
            )
    split = request.query_params.get("split", "valid")
    if split not in _SPLITS:
        raise RequestError(f"`split` in the link is {split[:20]!r}; it must be one of: {', '.join(_SPLITS)}.")
    ready = all(name in by_name for name in names) and names[0] != names[1]
    data = by_name[names[0]].dataset if ready else None
    values: dict[str, Any] = {
        "a": names[0],
        "b": names[1],
        "split": split,
        "ready": ready,
        "dataset": data,
    }
    return page(request, "compare.html", **values, runs=runs, problem=problem)


def compared(request: Request) -> Response:
    """Return the clips of a split that both runs have scored, as columns, and how certain the difference is."""
    _, first = folder_of(request, "a")
    _, second = folder_of(request, "b")
    split = request.query_params.get("split", "valid")
    info, other = first.info(), second.info()
    tables = [_scored(folder, split) for folder in (first, second)]
    both = tables[0].merge(tables[1], on="id", suffixes=("_a", "_b"), validate="one_to_one")
    workspace = site_of(request).workspace
    words = texts(workspace, first)
    same = bool((both["label_a"] - both["label_b"]).abs().max() < 1e-6) if len(both) else True
    neutral = parts.LabelScale.of(info.label_range).neutral
    return answer(
        {
            "split": split,
            "range": info.label_range,
            "neutral": neutral,
            "notes": [*_notes(tables, both, split, same), *(_fitted(info, other, split))],
            "summary": _summary(samples_of(workspace, first), info.label_range, both, neutral),
            "id": both["id"].tolist(),
            "label": both["label_a"].round(3).tolist(),
            "a": both["score_a"].round(3).tolist(),
            "b": both["score_b"].round(3).tolist(),
            "text": [words.get(name, "") for name in both["id"]],
        }
    )


def _scored(folder: parts.RunFolder, split: str) -> Any:
    table = predictions(folder)
    if not {"split", "label"} <= set(table):
        raise api.RunError(f"{folder.path} has no scores of labelled clips, so it cannot be compared clip by clip.")
    table = table[table["split"] == split].dropna(subset=["label", "score"])
    return table.assign(id=table["id"].astype(str)).drop_duplicates("id")[["id", "label", "score"]]


def _notes(tables: list[Any], both: Any, split: str, same: bool) -> list[str]:
    """Return what to know about the clips that are compared, one sentence each."""
    notes = []
    left = [len(table) - len(both) for table in tables]
    if any(left):
        notes.append(
            f"Only {parts.clips(len(both), ('was', 'were'))} scored by both; {left[0]} of A and {left[1]} of B are "
            "left out."
        )
    if not same:
        notes.append("The labels of some clips differ between the two: they were rated again. Those of A are shown.")
    if split == "test":
        notes.append(
            "Use the test split only at the end. A run that you choose here looks better than it is: choose on the "
            "validation split, and look at this once."
        )
    if split == "train":
        notes.append("Training clips: both runs have seen these labels, so neither is as good as it looks here.")
    if split == "valid":
        notes.append("Validation clips also chose the epoch of each run, so both look slightly too good.")
    return notes


def _fitted(first: Any, second: Any, split: str) -> list[str]:
    if split != "test" and first.closed_form != second.closed_form:
        return [
            "One of the two is adapt: its scores of rated clips come from fits without their recording. The other run "
            "learned from the training clips. On validation and training clips, the comparison is not quite fair."
        ]
    return []


def _summary(samples: Any, label_range: tuple[float, float], both: Any, neutral: float) -> dict[str, Any]:
    """Return mean errors, shares of right signs, and the difference of the errors with its interval."""
    if not len(both):
        return {}
    label, a, b = (both[name].to_numpy(dtype=np.float64) for name in ("label_a", "score_a", "score_b"))
    sided, errors = label != neutral, [np.abs(score - label) for score in (a, b)]
    signs = [((score > neutral) == (label > neutral))[sided] for score in (a, b)]
    summary: dict[str, Any] = {
        "clips": len(both),
        "mae": [float(error.mean()) for error in errors],
        "signs": [float(sign.mean()) if sided.any() else math.nan for sign in signs],
        "sided": int(sided.sum()),
        "only": [int((signs[0] & ~signs[1]).sum()), int((signs[1] & ~signs[0]).sum())],
        "neither": int((~signs[0] & ~signs[1]).sum()),
        "closer": [int((errors[0] < errors[1]).sum()), int((errors[1] < errors[0]).sum())],
    }
    difference = _difference(samples, label_range, both, label, a, b, neutral)
    return summary | ({} if difference is None else {"difference": difference})


def _difference(
    samples: Any, label_range: tuple[float, float], both: Any, label: Any, a: Any, b: Any, neutral: float
) -> dict[str, Any] | None:
    """Return the MAE of B minus that of A with its 95 % interval over recordings, and what follows; None if unknown."""
    groups = None
    if samples is not None and "video" in samples:
        videos = dict(zip(samples["id"].astype(str), samples["video"].astype(str), strict=True))
        groups = np.array([videos.get(name, name) for name in both["id"]], dtype=object)
    if len(both) * len(set(both["id"] if groups is None else groups)) > _LARGE:
        return None
    scale = parts.scale_for(label_range)
    result = parts.compare_systems("mae", [b], [a], label, scale, neutral=neutral, groups=groups)
    if result is None:
        return None
    content = {"value": result.value, "low": result.low, "high": result.high, "p": result.p}
    count = len(set(groups)) if groups is not None else 0
    return content | {"recordings": count, "verdict": "b" if result.high < 0 else "a" if result.low > 0 else "open"}


routes = [Route("/runs/compare", view), Route("/v1/run-compare", compared)]
