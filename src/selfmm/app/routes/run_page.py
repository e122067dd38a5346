"""The page of a run: what its scores are worth, how it was trained, and its largest errors."""

from __future__ import annotations

import math
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_table import scale_text
from selfmm.app.errors import RequestError
from selfmm.app.pages import page, path_part, site_of
from selfmm.app.routes import explain, labels
from selfmm.app.run_scores import predictions, texts
from selfmm.app.run_table import Summary, setting_text
from selfmm.app.site import Site

_WORST = 8  # clips
VIEWS = {"": "Overview", "labels": "Labels", "explain": "Explain"}


def show(request: Request) -> Response:
    """Return the page of a run or of a folder of seeds; ``view`` in the link names a part of it."""
    site, name = site_of(request), request.path_params["name"].rstrip("/") or "."
    path = site.workspace.path(name)
    if name == "." and not (path / "run.json").is_file() and not _members(site, name):
        return RedirectResponse("/runs", status_code=303)
    if (path / "comparison.json").is_file():
        return RedirectResponse(f"/runs#{path_part(name)}", status_code=303)
    summary, view = site.runs.of(name), request.query_params.get("view", "")
    if view not in VIEWS:
        raise RequestError(f"A run has no part {view[:40]!r}. Choose one of: overview, labels, explain.")
    if summary.state == "damaged":
        return page(request, "run_damaged.html", run=summary, members=_members(site, name))
    common = {"run": summary, "view": view, "views": _views(summary), "has_labels": summary.labels == "generated"}
    if view == "labels":
        return labels.view(request, summary, common)
    if view == "explain":
        return explain.view(request, summary, common)
    return _overview(request, site, path, summary, common)


def _views(run: Summary) -> list[tuple[str, str]]:
    generated = run.labels == "generated" and not run.seeds
    return [
        (key, title)
        for key, title in VIEWS.items()
        if key == "" or (key == "labels" and generated) or (key == "explain" and not run.seeds)
    ]


def _overview(request: Request, site: Site, path: Path, run: Summary, common: dict[str, Any]) -> Response:
    folder = parts.open_run(path, seeds=True)
    finished = run.state == "finished" or bool(run.seeds)
    info = folder.info()
    job = next((job for job in site.jobs.all() if job.out == run.name), None)
    rivals = [other.name for other in site.runs.all() if other.name != run.name and other.data == run.data]
    return page(
        request,
        "run.html",
        **common,
        title=run.name,
        finished=finished,
        job=job,
        about=_about(run, info),
        range=scale_text(run.label_range),
        neutral=parts.LabelScale.of(run.label_range).neutral,
        modalities=list(info.modalities),
        command=_command(site, run, info, job),
        rivals=[other for other in rivals if not other.startswith(f"{run.name}/")][:100],
        members=_members(site, run.name) if run.seeds else [],
        settings=[(key, setting_text(value)) for key, value in run.settings.items() if not key.startswith("_")],
        facts=_facts(site, folder, run, info),
        **(_scores(site, folder, run) if finished else _NO_SCORES),
    )


_NO_SCORES: dict[str, Any] = dict.fromkeys(
    (
        *("cautions", "notes", "headline", "worth", "worth_heads", "worth_title", "worth_notes"),
        *("splits", "metrics", "tasks", "task_metrics", "task_split", "worst", "worst_split"),
    ),
    (),
)


def _about(run: Summary, info: Any) -> str:
    """Return, in a sentence, where the labels per modality came from."""
    if run.closed_form:
        return "It was fitted to the rated clips in closed form, on top of the starter, without labels per modality."
    if run.averaged:
        return f"Its scores are the means of those of {parts.count(len(run.averaged), 'run')}."
    return {
        "generated": f"Its labels per modality were generated, by the rule {run.settings.get('labels.rule', '')}.",
        "human": "Its labels per modality were given by people.",
        "none": "It was trained on the label of the whole clip alone.",
    }.get(info.labels, "")


def _scores(site: Site, folder: parts.RunFolder, run: Summary) -> dict[str, Any]:
    worth = run.worth
    neutral = parts.LabelScale.of(run.label_range).neutral
    first = next(iter(folder.finished.values())) if isinstance(folder, parts.SeedsFolder) else folder
    content = first.metrics()["splits"]
    by_split = {split: run.metrics[split] for split in parts.SPLITS if run.metrics.get(split)}
    order = [split for split in ("valid", "test", "train") if split in by_split]
    last = "valid" if "valid" in by_split else "test"
    tasks = {task: dict(entry["values"]) for task, entry in content[last].items() if entry["count"]}
    spread = run.spread
    rows = parts.metric_rows({split: parts.without_nan(by_split[split]) for split in order}, neutral)
    if run.seeds:
        deviations = parts.metric_rows({split: parts.without_nan(spread[split]) for split in order}, neutral)
        rows = [
            parts.Row(row.name, row.meaning, [f"{a} ± {b}" for a, b in zip(row.cells, more.cells, strict=True)])
            for row, more in zip(rows, deviations, strict=True)
        ]
    return {
        "cautions": parts.cautions(worth),
        "notes": [
            *folder.notes(),
            *([_GONE] if run.gone else [_OUTSIDE] if run.outside else []),
            *([_SEEDS] if run.seeds else []),
        ],
        "headline": parts.headline(worth),
        "worth": []
        if worth is None
        else list(zip(parts.worth_rows(worth), (score.informs for score in worth.scores.values()), strict=True)),
        "worth_heads": parts.HEADS,
        "worth_title": "" if worth is None else parts.worth_title(worth),
        "worth_notes": [] if worth is None else parts.worth_notes(worth),
        "splits": [f"{parts.SPLIT_NAMES[split]} ({run.counts[split]:,})" for split in order],
        "metrics": rows,
        "tasks": [] if run.seeds else [_task(task) for task in tasks],
        "task_metrics": [] if run.seeds else parts.metric_rows(tasks, neutral),
        "task_split": parts.SPLIT_NAMES[last],
        **_worst(site, folder, run),
    }


_SEEDS = (
    "What the scores are worth is that of their mean over seeds. The metrics below are means over seeds, which are a "
    "little worse."
)
_GONE = "Its data set was moved or deleted, so the words of its clips cannot be shown."
_OUTSIDE = (
    "Its data set is not in this folder, so its clips are not shown. Start `selfmm app` for a folder that holds both."
)


def _task(task: str) -> str:
    return "all together" if task == "fusion" else task.replace("_human", ", against its own label").replace("_", " ")


def _worst(site: Site, folder: parts.RunFolder, run: Summary) -> dict[str, Any]:
    """Return the validation clips with the largest errors, or those of another split if no validation clip has a
    label."""
    table = predictions(folder)
    if not {"split", "label"} <= set(table):
        return {"worst": [], "worst_split": ""}
    table = table.dropna(subset=["label", "score"])
    split = next((split for split in ("valid", "test", "train") if (table["split"] == split).any()), "")
    table = table[table["split"] == split]
    error = (table["score"] - table["label"]).abs().sort_values(ascending=False, kind="stable")
    rows = table.loc[error.index[:_WORST]]
    words = texts(site.workspace, folder)
    band = math.nan if run.worth is None else run.worth.scores[parts.FUSION].band
    worst = [
        {
            "id": str(row["id"]),
            "text": words.get(str(row["id"]), ""),
            "label": row["label"],
            "score": row["score"],
            "shown": [signed(row[key]) for key in ("label", "score")],
            "error": abs(row["score"] - row["label"]),
            "beyond": not math.isnan(band) and abs(row["score"] - row["label"]) > band,
        }
        for row in rows.to_dict("records")
    ]
    return {"worst": worst, "worst_split": parts.SPLIT_NAMES.get(split, split)}


def signed(value: float) -> str:
    """Return a label or score with its sign.

    >>> signed(-0.5), signed(2.0)
    ('−0.50', '+2.00')
    """
    return f"{value:+.2f}".replace("-", "−")


def _command(site: Site, run: Summary, info: Any, job: Any) -> str:
    """Return the command that trains the same again."""
    if job is not None and job.commands:
        return f"selfmm {shlex.join(job.commands[-1])}"
    if run.averaged:
        return f"selfmm {shlex.join(['ensemble', *run.averaged, '--out', f'{run.name}-again'])}"
    place = run.dataset or "DATA"  # never a path outside the folder
    members = _members(site, run.name) if run.seeds else []
    name = f"{run.name}/{members[0]}" if members else run.name
    words = ["train", place, "--preset", f"{name}/settings.toml"]
    if info.code_sha256:
        words += ["--model", info.model]
    if members:
        words += ["--seeds", ",".join(member.removeprefix("seed-") for member in members)]
    return f"selfmm {shlex.join([*words, '--out', f'{run.name}-again'])}"


def _members(site: Site, name: str) -> list[str]:
    """Return the names of the seeds in a folder."""
    return sorted(file.parent.name for file in (site.workspace.root / name).glob("seed-*/run.json"))


def _facts(site: Site, folder: parts.RunFolder, run: Summary, info: Any) -> list[tuple[str, str]]:
    """Return what is known about the training, as pairs of a name and a text."""
    facts = [("trained with", f"selfmm {info.selfmm}")]
    if info.parameters:
        facts.append(("parameters", f"{info.parameters:,}, of which {info.trained_parameters:,} were trained"))
    if info.start is not None:
        facts.append(("started from", site.workspace.name_of(info.start.run) or Path(info.start.run).name))
    if run.state == "finished" and not run.seeds:
        with suppress(api.RunError, KeyError, ValueError):
            history, best = folder.history(), int(folder.metrics()["best_epoch"])
            if info.in_epochs:
                facts.append(("epochs", f"{len(history)}; the weights are those of epoch {best}"))
            facts += [] if info.members else [("time", _seconds(float(history["seconds"].sum())))]
        with suppress(api.RunError):
            memory = folder.peak_memory().get("host", math.nan)
            facts += [] if math.isnan(memory) else [("largest memory", f"{memory / 2**20:,.0f} MiB")]
    used = sum(use.clips for use in info.corrections)
    facts += [("labels by people", f"{used:,} of single modalities")] if used else []
    return facts


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 100:
        return parts.count(round(seconds), "second")
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


routes = [Route("/runs/{name:path}", show)]
