"""The API for programs, ``/v1/``: scores, health, runs. ``openapi.json`` documents it."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from selfmm.api import parts
from selfmm.app.errors import BusyError, RequestError, ScoringError, TooLargeError
from selfmm.app.offered import describe
from selfmm.app.pages import answer, discreet, json_of, service_of
from selfmm.app.receiving import Form, receive
from selfmm.app.scoring import Task
from selfmm.app.site import Limits, Service

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_FOR_TEXT = ("text", "run", "explain")
_FOR_RECORDINGS = ("text", "run", "explain", "window", "hop", "by_sentence", "language", "recogniser", "start", "end")


async def predict(request: Request) -> Response:
    """Score a recording, sent as a form; or sentences, sent as JSON."""
    service = service_of(request)
    service.scoring.check()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return answer(await _run(request, service, _texts(service, await json_of(request))))
    if kind != "multipart/form-data":
        raise RequestError(
            "Send a recording as a form (multipart/form-data, field `recording`), or text as JSON "
            '(application/json): {"text": "I loved it"}.'
        )
    if service.scratch.count >= service.scoring.workers + service.scoring.most_waiting:
        raise BusyError("Too many recordings are being sent. Try again later.")
    with service.scratch.folder() as folder:
        form = await receive(request, folder)
        content = _recording(service, form)
        predictions = await _run(request, service, content, form)
    options = content["options"]
    return answer(predictions if options.get("window") or options.get("by_sentence") else predictions[0])


def health(request: Request) -> Response:
    """Return whether the server accepts requests. With the token, the answer says more."""
    service = service_of(request)
    scoring = service.scoring
    content: dict[str, Any] = {"status": "stopping" if scoring.stopping else "ready", "ready": not scoring.stopping}
    if request.scope.get("authorised", True):
        content |= {"version": parts.__version__, "run": service.runs.default, "runs": len(service.runs.names())}
        content |= {"waiting": scoring.waiting, "running": scoring.running, "workers": scoring.workers}
    return answer(content, 503 if scoring.stopping else 200)


def runs(request: Request) -> Response:
    """Return the runs that can score, the default first."""
    offered = service_of(request).runs
    described = [describe(offered, name) for name in offered.names()]
    for run in described:
        run["problem"] = discreet(request, run["problem"])
    return answer({"runs": described})


def openapi(request: Request) -> Response:
    """Return the description of this API."""
    return answer(description())


@cache
def description() -> dict[str, Any]:
    """Return the API as OpenAPI 3.1."""
    file = Path(__file__).parent.with_name("openapi.json")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    content["info"]["version"] = parts.__version__
    return content


async def _run(request: Request, service: Service, content: Mapping[str, Any], form: Form | None = None) -> list[Any]:
    """Let a worker score, and return the predictions. If the client disconnects, cancel the task."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    events: list[Mapping[str, Any]] = []

    def note_end() -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(over.set)

    task = service.scoring.submit(Task(content, events.append, note_end))
    waits = [asyncio.create_task(over.wait()), asyncio.create_task(_gone(request))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        task.cancel()  # has no effect on a finished task
    if task.status == "cancelled":
        raise ClientDisconnect
    failure = next((event["failure"]["reason"] for event in events if "failure" in event), "")
    error, kind = (task.error, task.error_kind) if task.status == "failed" else (failure, "MediaError")
    if error:
        raise ScoringError(error if form is None else error.replace(str(form.recording), form.title), kind)
    return [event["prediction"] for event in events if "prediction" in event]


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _texts(service: Service, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task of scoring sentences."""
    _refuse_unknown(fields, _FOR_TEXT, "Sentences")
    text = fields.get("text")
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list) or not texts or not all(isinstance(entry, str) for entry in texts):
        raise RequestError('`text` is a sentence or a list of sentences: {"text": "I loved it"}.')
    _check_texts(texts, service.limits)
    return {"run": _place(service, fields), "text": texts, "options": {"explain": _flag(fields, "explain")}}


def _recording(service: Service, form: Form) -> dict[str, Any]:
    """Return the task of scoring a recording."""
    fields = form.fields
    _refuse_unknown(fields, _FOR_RECORDINGS, "A recording")
    if form.recording is None:
        raise RequestError("Send a file in the field `recording`; sentences are sent as JSON.")
    clip: dict[str, Any] = {"path": str(form.recording), "id": form.title}
    clip |= {name: _seconds(fields, name, least=0.0) for name in ("start", "end") if name in fields}
    if "text" in fields:
        _check_texts([fields["text"]], service.limits)
        clip["text"] = fields["text"]
    options: dict[str, Any] = {name: _flag(fields, name) for name in ("explain", "by_sentence")}
    options |= {name: _seconds(fields, name, least=0.1) for name in ("window", "hop") if name in fields}
    if (language := fields.get("language")) is not None:
        if not _LANGUAGE.fullmatch(language):
            raise RequestError("`language` is a code of two or three letters, such as de.")
        options["language"] = language
    if (recogniser := fields.get("recogniser")) is not None:
        if recogniser not in _recognisers():  # not a folder, nor a name on a hub
            raise RequestError(f"`recogniser` is one of {', '.join(_recognisers())}.")
        options["recogniser"] = recogniser
    return {
        "run": _place(service, fields),
        "clips": [clip],
        "options": options,
        "longest": service.limits.seconds,
    }


@cache
def _recognisers() -> tuple[str, ...]:
    return "none", *(name for name in parts.KNOWN if parts.KNOWN[name].use == "speech")


def _place(service: Service, fields: Mapping[str, Any]) -> str:
    name = fields.get("run")
    if name is not None and not isinstance(name, str):
        raise RequestError("`run` is the name of a run; /v1/runs lists them.")
    return str(service.runs.place(name or service.runs.default))


def _refuse_unknown(fields: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    if unknown := sorted(set(fields) - set(known)):
        raise RequestError(f"{what} cannot have {unknown[0][:100]!r}. The fields are {', '.join(known)}.")


def _check_texts(texts: list[str], limits: Limits) -> None:
    if len(texts) > limits.texts or sum(map(len, texts)) > limits.text:
        raise TooLargeError(f"One request may have {limits.texts:,} sentences and {limits.text:,} characters at most.")
    if re.search("[\0\ud800-\udfff]", "".join(texts)):
        raise RequestError("A text has characters that are not allowed: null characters, or unpaired surrogates.")


def _flag(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    words = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    if not isinstance(value, bool | str) or value not in words:
        raise RequestError(f"`{name}` is true or false.")
    return words[value]


def _seconds(fields: Mapping[str, Any], name: str, *, least: float) -> float:
    try:
        value = float(fields[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= least):
        raise RequestError(f"`{name}` is a number of seconds, {least:g} or more.")
    return value


routes = [
    Route("/v1/predict", predict, methods=["POST"]),
    Route("/v1/health", health),
    Route("/v1/runs", runs),
    Route("/v1/openapi.json", openapi),
]
