"""The Rate screen: people rate clips, see how far they agree, and train with their ratings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app import rating as screen
from selfmm.app import rating_plan
from selfmm.app import rating_views as views
from selfmm.app.clip_media import why_not
from selfmm.app.errors import BusyError, NotHereError, RequestError
from selfmm.app.pages import answer, page, site_of, takes_json
from selfmm.app.rating import Source
from selfmm.app.rating_scores import proposed
from selfmm.app.site import Site
from selfmm.app.state import private_folder
from selfmm.app.workspace import write_problem

_MOST = 200  # disagreements in an answer, and acts or clips in a request
_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "parquet": "application/octet-stream",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def sources(request: Request) -> Response:
    """Show what can be rated."""
    site = site_of(request)
    rows = []
    for item in site.workspace.items("recordings", "dataset"):
        try:
            rows.append({"item": item, "problem": "", **views.counts_of(site.rating.journal(item.name))})
        except (api.SelfmmError, NotHereError, RequestError, OSError) as error:
            rows.append({"item": item, "problem": str(error)})
    return page(request, "rate_home.html", rows=rows)


def screen_page(request: Request) -> Response:
    """Show the screen of one source; its script reads from the link what is rated, and how."""
    source = _source(request, request.path_params["name"] or ".")
    return page(request, "rate.html", source=source, place=site_of(request).state.path.name)


def about(request: Request) -> Response:
    """Return what can be rated in a source, in which ways, and how much is done."""
    site, source = site_of(request), _source(request)
    source = source.with_words(site.proposals.table(source, request.query_params.get("by", "")))
    return answer(
        {
            "source": source.name,
            "title": source.title,
            "dataset": source.is_dataset,
            "clips": len(source.clips),
            "modes": {target: source.modes(target) for target in source.targets},
            "range": source.ratings.label_range,
            "keys": screen.key_labels(source.ratings.label_range),
            "scalable": not source.is_dataset and not source.ratings.path.exists(),
            "proposers": site.proposals.choices(source),
            "file": source.ratings.path.name,
            "listing": source.listing,
            "listed": source.listed,
            "problem": write_problem(source.ratings.path.parent),
            **views.counts_of(source.ratings, request.query_params.get("rater", "")),
        }
    )


def tasks(request: Request) -> Response:
    """Return the clips to rate, in order, and what this rater has done.

    ``most`` takes only the first clips of the order, whatever the mode shows: all raters with the same order and seed
    get the same ones.
    """
    query, site, source = request.query_params, site_of(request), _source(request)
    scores = site.proposals.table(source, query.get("by", ""))
    source = source.with_words(scores)
    target = query.get("target", screen.CLIP)
    targets = source.modalities if target == "parts" else [target]
    if not set(targets) <= set(source.targets) or not targets:
        raise RequestError(f"{target[:40]!r} cannot be rated here.")
    order: Any = query.get("order", "given")
    if order not in ("given", "random", "disagreement", "uncertainty"):
        raise RequestError("`order` must be given, random, disagreement or uncertainty.")
    seed, most = _number(query.get("seed", "")), _number(query.get("most", "")) or None
    neutral = parts.LabelScale.of(source.ratings.label_range).neutral
    ids = api.rating_order(list(source.clips.index), order, scores=scores, neutral=neutral, seed=seed)[:most]
    passes = []
    for name in targets:
        mode = screen.mode_of(source, name, query.get("mode") or ("all" if name == screen.CLIP else "blind"))
        usable = screen.usable_ids(source, mode)
        passes.append(
            {"target": name, "mode": mode, "without": [n for n, clip in enumerate(ids) if clip not in usable]}
        )
    return answer(
        {
            "ids": ids,
            "passes": passes,
            "scored": scores is not None,
            "mine": views.acts_of(source, query.get("rater", "")),
        }
    )


def _number(digits: str) -> int:
    """Return a whole number of a link, 0 if it is none."""
    return int(digits[:18]) if digits[:18].isdecimal() else 0


def clips(request: Request) -> Response:
    """Return what to show of some clips: in a blind rating, only what the rater may see or hear."""
    query, site, source = request.query_params, site_of(request), _source(request)
    ids, mode = query.getlist("clip")[:_MOST], query.get("mode", "all")
    scores = site.proposals.table(source, query.get("by", ""))
    source = source.with_words(scores)
    proposals = proposed(scores, ids, query.get("target", screen.CLIP), source.ratings.label_range)
    rows = []
    for clip in ids:
        row, file = screen.clip_row(site.rating, source, clip)
        rows.append(
            {
                "id": clip,
                "text": row["text"] if mode in ("all", "words") else None,
                "proposal": None,
                **proposals.get(clip, {}),
                **(_seen(request, source, clip, row, file, mode) if mode != "words" else {}),
            }
        )
    return answer({"clips": rows})


def _seen(request: Request, source: Source, clip: str, row: dict[str, Any], file: Path | None, mode: str) -> Any:
    """Return the address of the video or sound of a clip, and where the clip starts and ends in it."""
    if file is None:
        return {"problem": why_not(site_of(request).workspace, source.path, row["path"] or "")}
    address = request.url_for("rating_media").include_query_params(source=source.name, clip=clip)
    if mode in ("sound", "filtered sound") or not screen.has_pictures(file.name):
        what = "filtered" if mode == "filtered sound" else "sound"
        return {"sound": _local(address.include_query_params(what=what)), "start": 0, "end": None}
    try:
        is_copy = not site_of(request).media.playable(file)
    except api.SelfmmError as error:
        return {"problem": str(error)}
    place = {"start": 0, "end": None} if is_copy else {"start": row["start"], "end": row["end"]}
    return {"video": _local(address.include_query_params(what="video")), **place}


def _local(address: Any) -> str:
    """Return an address without its scheme and host."""
    return f"{address.path}?{address.query}"


def media(request: Request) -> Response:
    """Return the recording of a clip, its sound, or its sound without understandable words."""
    site, source, query = site_of(request), _source(request), request.query_params
    row, file = screen.clip_row(site.rating, source, query.get("clip", ""))
    if file is None:
        raise NotHereError(why_not(site.workspace, source.path, row["path"] or ""))
    start, end = (None if value != value else value for value in (row["start"], row["end"]))  # NaN: the whole file
    kept = {"cache-control": "private, max-age=600"}
    if query.get("what") == "video":
        kind = site.media.playable(file)
        if kind:
            return FileResponse(file, media_type=kind, headers=kept)
        return FileResponse(site.media.copy(file, start, end), media_type="video/mp4", headers=kept)
    hearing = "filtered" if query.get("what") == "filtered" else "plain"
    return FileResponse(site.media.sound(file, start, end, hearing), media_type="audio/wav", headers=kept)


@takes_json
def add(request: Request, content: dict[str, Any]) -> Response:
    """Record acts of raters. They are on the disk when this answers."""
    site, entries = site_of(request), content.get("acts")
    source = _source(request, str(content.get("source", "")))
    if not isinstance(entries, list) or not 0 < len(entries) <= _MOST:
        raise RequestError(f"`acts` must be a list of 1 to {_MOST} acts.")
    try:
        acts = [api.Act.from_json(entry).checked(source.ratings.label_range) for entry in entries]
    except TypeError as error:
        raise RequestError(f"This is not an act: {error}.") from error
    if unknown := [act.id for act in acts if act.id not in source.clips.index]:
        raise NotHereError(f"There is no clip {unknown[0][:80]!r} in {source.title}.")
    source.ratings.add(*acts)
    site.workspace.look_again()
    return answer({"places": views.standing(source, acts)})


@takes_json
def rescale(request: Request, content: dict[str, Any]) -> Response:
    """Change the scale of a source that has no ratings yet."""
    rating, edges = site_of(request).rating, content.get("range")
    if not isinstance(edges, list) or len(edges) != 2 or not all(type(edge) in (int, float) for edge in edges):
        raise RequestError("`range` must be a list of the lowest and the highest label.")
    source = _source(request, str(content.get("source", "")))
    rating.rescale(source, (edges[0], edges[1]))
    return answer({"range": rating.journal(source.name).label_range})


def summary(request: Request) -> Response:
    """Return how far the raters agree, where they disagree, and what a training would do."""
    source, query = _source(request), request.query_params
    counts = Counter(act.rater for act in source.ratings.acts() if act.act == "rate")
    plan = rating_plan.plan(source, query.get("listed") == "1")
    plan["problem"] = plan["problem"] or rating_plan.cannot_save(site_of(request).rating, source)
    return answer(
        {
            "range": source.ratings.label_range,
            "raters": [{"rater": name, "ratings": number} for name, number in sorted(counts.items())],
            "agreement": views.agreement_rows(source.ratings),
            "disagreements": views.disagreement_rows(source, query.get("target", ""), _MOST),
            "plan": plan,
            "listing": source.listing,
            "listed": source.listed,
            "training": _training(site_of(request), source),
            "damaged": source.ratings.damaged,
        }
    )


def _training(site: Site, source: Source) -> dict[str, str] | None:
    """Return the job and the run of the latest training with the ratings of a source; None without one."""
    title = _title(source)
    jobs = (job for job in site.jobs.all() if job.title == title and job.about == source.name)
    return next(({"job": job.id, "run": job.out} for job in jobs), None)


def _title(source: Source) -> str:
    return f"Train with the ratings of {source.title}"


def download(request: Request) -> Response:
    """Return the ratings as a file."""
    source, suffix = _source(request), request.query_params.get("format", "csv")
    if suffix not in _TYPES:
        raise RequestError(f"`format` must be one of: {', '.join(_TYPES)}.")
    name = f"{source.title}-ratings.{suffix}"
    if suffix == "jsonl":
        if not source.ratings.path.is_file():
            raise RequestError("Nobody has rated a clip yet.")
        return FileResponse(source.ratings.path, filename=name, media_type=_TYPES[suffix])
    with TemporaryDirectory() as folder:
        content = api.save_ratings(source.ratings, Path(folder) / f"ratings.{suffix}").read_bytes()
    disposition = FileResponse(source.ratings.path, filename=name).headers["content-disposition"]
    return Response(content, media_type=_TYPES[suffix], headers={"content-disposition": disposition})


@takes_json
def propose(request: Request, content: dict[str, Any]) -> Response:
    """Start a job that scores the clips of a source, to propose labels and to order the clips."""
    site = site_of(request)
    source, run = _source(request, str(content.get("source", ""))), str(content.get("run", ""))
    if run not in (choice["by"] for choice in site.proposals.choices(source)):
        raise NotHereError(f"There is no run {run[:200]!r} in this folder. Choose another one.")
    private_folder(site.rating.folder)
    scores = site.proposals.file(source, run)
    command = ["predict", str(site.workspace.run(run)), str(source.path), "--out", str(scores), "--force"]
    job = site.jobs.start(f"Score {source.title} with {run}", [command], about=source.name)
    return answer({"job": job.id})


@takes_json
def train(request: Request, content: dict[str, Any]) -> Response:
    """Start a job that trains with the ratings of a source."""
    site, source = site_of(request), _source(request, str(content.get("source", "")))
    title = _title(source)
    if any(job.title == title and job.about == source.name and not job.over for job in site.jobs.all()):
        raise BusyError("A training with these ratings is still running. Wait until it ends, or stop it first.")
    recogniser, listed_labels = str(content.get("recogniser", "tiny.en")), content.get("listed") is True
    commands, run = rating_plan.training(site.rating, source, recogniser, listed_labels)
    job = site.jobs.start(title, commands, out=run, about=source.name)
    return answer({"job": job.id, "run": run})


def _source(request: Request, name: str | None = None) -> Source:
    if name is None:
        name = request.query_params.get("source", "")
    if not name:
        raise RequestError("The request does not name a data set or a folder as its `source`.")
    return site_of(request).rating.source(name)


routes = [
    Route("/rate", sources),
    Route("/rate/{name:path}", screen_page),
    Route("/v1/ratings", about),
    Route("/v1/ratings", add, methods=["POST"]),
    Route("/v1/ratings/tasks", tasks),
    Route("/v1/ratings/clips", clips),
    Route("/v1/ratings/media", media, name="rating_media"),
    Route("/v1/ratings/scale", rescale, methods=["POST"]),
    Route("/v1/ratings/summary", summary),
    Route("/v1/ratings/file", download),
    Route("/v1/ratings/proposals", propose, methods=["POST"]),
    Route("/v1/ratings/train", train, methods=["POST"]),
]
