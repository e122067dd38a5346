"""The Score screen: recordings that are dropped, recorded, or in the folder; and sentences."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import BusyError, NotHereError, RequestError, StoppingError
from selfmm.app.media import media_type
from selfmm.app.pages import answer, json_of, page, site_of, takes_json
from selfmm.app.scores import Entry, Wish
from selfmm.app.scoring import Task
from selfmm.app.workspace import is_recording

_CHUNK = 2**20  # bytes that are written at a time
_LISTED = 500  # recordings of a folder that are shown
_FILES = ("csv", "json", "srt", "png")
_PATIENCE = 180.0  # seconds that a sentence may wait for its score
_SENTENCES = 20


def screen(request: Request) -> Response:
    """Return the page for dropping, recording and typing, with the table of results."""
    site = site_of(request)
    site.scores.warm()
    folder = request.query_params.get("folder", "")
    names = _recordings(site.workspace.path(folder)) if folder else []
    return page(
        request,
        "score.html",
        runs=site_of(request).workspace.items("run", "seeds"),
        run=request.query_params.get("run", parts.STARTER),
        limit=site.limits.upload,
        longest=site.limits.text,
        shown=folder,
        recordings=[name if folder == "." else f"{folder}/{name}" for name in names[:_LISTED]],
        more=max(len(names) - _LISTED, 0),
        folders=[item for item in site.workspace.items("recordings") if item.name != folder][:8],
    )


def clip(request: Request) -> Response:
    """Return the page of one recording."""
    scores = site_of(request).scores
    entry = scores.get(request.path_params["id"])
    return page(
        request,
        "score_clip.html",
        entry=entry,
        sound_only=media_type(entry.name).startswith("audio/"),
        runs=site_of(request).workspace.items("run", "seeds"),
        run=request.query_params.get("run", parts.STARTER),
    )


def listed(request: Request) -> Response:
    """Return the entries with their state for one run, and ``server``, see :func:`state`."""
    scores, wish = site_of(request).scores, _wish(request)
    _check(request)
    rows = []
    for entry in scores.all():
        short = {key: value for key, value in scores.state(entry, wish).items() if key not in ("spans", "early")}
        rows.append({"id": entry.id, "name": entry.name, "here": entry.here, "created": entry.created, **short})
    return answer({"entries": rows, "server": scores.server})


async def add(request: Request) -> Response:
    """Add a recording and score it: its bytes, with ``name``; or JSON with ``path``, its name in the folder."""
    scores = site_of(request).scores
    if request.headers.get("content-type", "").startswith("application/json"):
        content = await json_of(request)
        entry = await run_in_threadpool(scores.of_folder, str(content.get("path", "")))
        run = str(content.get("run", parts.STARTER))
    else:
        run = request.query_params.get("run", parts.STARTER)
        entry = await _receive(request, request.query_params.get("name", ""))
    await run_in_threadpool(scores.start, entry, Wish(run))
    return answer({"id": entry.id}, 201)


async def _receive(request: Request, name: str) -> Entry:
    """Write the body of a request to a file."""
    scores = site_of(request).scores
    number, path = await run_in_threadpool(scores.begin, name or "recording")
    try:
        with await run_in_threadpool(path.open, "wb") as file:
            buffer = bytearray()
            async for chunk in request.stream():
                buffer += chunk
                if len(buffer) >= _CHUNK:
                    await run_in_threadpool(file.write, bytes(buffer))
                    buffer.clear()
            await run_in_threadpool(file.write, bytes(buffer))
        if not path.stat().st_size:
            raise RequestError("The file is empty. Choose another one.")
        return await run_in_threadpool(scores.arrived, number, path, name)
    except BaseException:  # also when the browser goes away in the middle
        with suppress(OSError):
            shutil.rmtree(path.parent, ignore_errors=True)
        raise


def state(request: Request) -> Response:
    """Return the state of an entry, see :meth:`selfmm.app.scores.Scores.state`.

    ``server`` differs if the server was started again: it has then forgotten what it was scoring.
    """
    scores, entry = _entry(request)
    try:
        seen = max(int(request.query_params.get("seen", "0")), 0)
    except ValueError:
        seen = 0
    own = scores.state(entry, _wish(request), seen)
    if own["status"] == "none":
        _check(request)
    corrected = entry.text is not None
    return answer({"name": entry.name, "server": scores.server, "corrected": corrected, **own})


@takes_json
def start(request: Request, content: dict[str, Any]) -> Response:
    """Score an entry with a run; with ``start`` and ``end``, a part of it."""
    scores, entry = _entry(request)
    wish = Wish(str(content.get("run", parts.STARTER)), _seconds(content.get("start")), _seconds(content.get("end")))
    if wish.start is not None and wish.end is not None and wish.end - wish.start < 0.1:
        raise RequestError("The selection is shorter than a tenth of a second. Select more.")
    scores.start(entry, wish, again=bool(content.get("again")))
    return answer(scores.state(entry, wish))


def cancel(request: Request) -> Response:
    """Stop scoring an entry."""
    scores, entry = _entry(request)
    scores.cancel(entry, _wish(request))
    return answer({})


def remove(request: Request) -> Response:
    """Forget an entry."""
    site_of(request).scores.remove(request.path_params["id"])
    return answer({})


@takes_json
def correct(request: Request, content: dict[str, Any]) -> Response:
    """Keep a corrected transcript (``text``; null removes it), and score the entry with it."""
    scores, entry = _entry(request)
    text, wish = content.get("text"), Wish(str(content.get("run", parts.STARTER)))
    if text is not None:
        if not isinstance(text, str) or not text.strip():
            raise RequestError("The transcript is empty. Write at least one word, or recognise the words again.")
        if len(text) > site_of(request).limits.text:
            raise RequestError(f"The transcript is too long: {site_of(request).limits.text} characters at most.")
    try:
        words = tuple((str(word), float(begin), float(end)) for word, begin, end in content.get("words", ()))
    except (TypeError, ValueError):
        raise RequestError("Each word is a list of its text, start and end.") from None
    entry = scores.correct(entry, text, words)
    scores.start(entry, wish)
    return answer(scores.state(entry, wish))


def result(request: Request) -> Response:
    """Return the result of a scoring."""
    scores, entry = _entry(request)
    return _packed(request, scores.file(entry, _wish(request), "result.json"))


def piece(request: Request) -> Response:
    """Return part of the lanes at their full rate."""
    scores, entry = _entry(request)
    return _packed(request, scores.file(entry, _wish(request), f"lanes-{request.path_params['number']}.json"))


def _packed(request: Request, path: Path) -> Response:
    content = path.read_bytes()
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(content, media_type="application/json")
    # The lanes and words of an hour are half a megabyte.
    return Response(gzip.compress(content, 5), media_type="application/json", headers={"content-encoding": "gzip"})


def export(request: Request) -> Response:
    """Return the scores as a file to download: csv, json, srt or png."""
    scores, entry = _entry(request)
    ending = request.path_params["ending"]
    if ending not in _FILES:
        raise NotHereError("There is no such file.")
    path = scores.file(entry, _wish(request), f"scores.{ending}")
    name = f"{Path(entry.name).stem[:100] or 'scores'}-scores.{ending}"
    return FileResponse(path, filename=name.encode("utf-8", "replace").decode())


def media(request: Request) -> Response:
    """Return the recording, also in parts, so that a player can jump."""
    scores, entry = _entry(request)
    path = scores.media(entry)
    return FileResponse(path, media_type=media_type(path.name), headers={"content-disposition": "inline"})


def table(request: Request) -> Response:
    """Return the table of results as CSV."""
    scores, wish = site_of(request).scores, _wish(request)
    rows: list[dict[str, Any]] = []
    for entry in scores.all():
        summary = scores.state(entry, wish).get("summary")
        if summary:
            band = summary["intervals"].get("fusion") or (None, None)
            own = {"name": entry.name, "seconds": round(summary["seconds"], 2), "score": summary["score"]}
            own |= {f"score_{name}": score for name, score in summary["scores"].items()}
            own |= {"low": band[0], "high": band[1], "informs": summary["informs"].get("fusion")}
            rows.append({**own, "text": summary["text"], "warnings": "; ".join(summary["warnings"])})
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["name", "score"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows({name: parts.as_text(value) for name, value in row.items()} for row in rows)
    headers = {"content-disposition": 'attachment; filename="scores.csv"'}
    return Response(text.getvalue().encode("utf-8", "replace"), media_type="text/csv", headers=headers)


@takes_json
def sentences(request: Request, content: dict[str, Any]) -> Response:
    """Score sentences by their words alone, explained if the run can be explained."""
    site = site_of(request)
    texts = content.get("texts")
    if not isinstance(texts, list) or not all(isinstance(text, str) and text.strip() for text in texts) or not texts:
        raise RequestError("Type a sentence to score.")
    if len(texts) > _SENTENCES or sum(map(len, texts)) > site.limits.text:
        raise RequestError(f"That is too much at once: {_SENTENCES} sentences, {site.limits.text} characters at most.")
    run = str(site.workspace.run(str(content.get("run", parts.STARTER))))
    predictions: list[Any] = []

    def note(event: Any) -> None:
        if "prediction" in event:
            predictions.append(event["prediction"])

    task = site.scoring.submit(Task({"run": run, "sentences": texts}, on_event=note))
    if not task.wait(_PATIENCE):
        task.cancel()
        raise BusyError("Something else is being scored at the moment. Try again when it is done.")
    task.raise_error()
    if task.status != "finished":
        raise api.SelfmmError("The scoring was stopped. Try again.")
    return answer({"predictions": predictions})


def _check(request: Request) -> None:
    """Raise ``StoppingError`` if the server is about to end: what it cancels was not stopped by anybody."""
    if site_of(request).scoring.stopping:
        raise StoppingError("selfmm is about to end. Start it again in the terminal.")


def _entry(request: Request) -> tuple[Any, Entry]:
    scores = site_of(request).scores
    return scores, scores.get(request.path_params["id"])


def _wish(request: Request) -> Wish:
    query = request.query_params
    return Wish(query.get("run") or parts.STARTER, _seconds(query.get("start")), _seconds(query.get("end")))


def _seconds(value: Any) -> float | None:
    if value in (None, ""):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise RequestError(f"{str(value)[:40]} is not a number of seconds.") from None
    if not 0 <= seconds < 1e6:
        raise RequestError(f"{value} is not a time in a recording: give seconds, 0 or more.")
    return round(seconds, 3)


def _recordings(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise NotHereError(f"{folder.name[:200]!r} is not a folder. Choose a folder with recordings.")
    return sorted(file.name for file in folder.iterdir() if is_recording(file.name) and file.is_file())


routes = [
    Route("/score", screen),
    Route("/score/{id}", clip),
    Route("/v1/scores", listed),
    Route("/v1/scores", add, methods=["POST"]),
    Route("/v1/scores.csv", table),
    Route("/v1/sentences", sentences, methods=["POST"]),
    Route("/v1/scores/{id}", state),
    Route("/v1/scores/{id}", start, methods=["POST"]),
    Route("/v1/scores/{id}", remove, methods=["DELETE"]),
    Route("/v1/scores/{id}/cancel", cancel, methods=["POST"]),
    Route("/v1/scores/{id}/words", correct, methods=["POST"]),
    Route("/v1/scores/{id}/result", result),
    Route("/v1/scores/{id}/lanes/{number:int}", piece),
    Route("/v1/scores/{id}/media", media),
    Route("/v1/scores/{id}/scores.{ending}", export),
]
