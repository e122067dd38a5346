"""A process that scores for the server. It reads requests and writes events, one JSON object per line.

A request has ``run`` (``starter`` or a folder), and

- nothing else: the run is loaded; or
- ``text``: a list of sentences; or
- ``explain``: an object with ``clip``, the id of a clip, and ``data``, the folder of its data set; the event is then
  ``{"explanation": ...}``; or
- ``clips``: a list of objects with ``path`` and, optionally, ``id``, ``start``, ``end`` (seconds) and ``text``;
- ``watch``: a recording for the Score screen, see :mod:`selfmm.app.score_worker`; or
- ``sentences``: texts for that screen, explained if the run can be explained.

With ``text`` and ``clips``, it can also have ``options``: ``explain``, ``window``, ``hop``, ``by_sentence``,
``recogniser``, ``language`` of :func:`selfmm.predict_each`; and with ``clips``, ``longest``: seconds, longer clips are
refused before anything is scored.

The events are ``{"prediction": ...}`` for each clip, window or sentence, ``{"failure": ...}`` for a clip that cannot be
scored, and at the end ``{"over": true}``; or ``{"error": ..., "kind": ...}`` with the name of an exception of
:mod:`selfmm.api`, or ``TooLongError``, ``MemoryError`` or ``CrashError``.

The process ends when its standard input closes, even in the middle of a request.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from selfmm import api
from selfmm.api import parts
from selfmm.app.score_worker import score
from selfmm.app.workspace import run_version

_KEPT = 3  # runs in memory
_NO_MEMORY = "There is not enough memory. Try a shorter recording, or fewer sentences at once."


class TooLongError(api.SelfmmError):
    """A recording is longer than the server takes."""


def main() -> None:
    """Answer requests until standard input closes."""
    models: OrderedDict[str, Any] = OrderedDict()
    answer_all(lambda request, answers: _answer(request, models, answers))


def answer_all(answer: Callable[[dict[str, Any], TextIO], None]) -> None:
    """Call a function, which writes events, for each request on standard input until that closes."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not get between the events
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with suppress(OSError):  # if memory runs out, the system kills this process and not the server
        Path("/proc/self/oom_score_adj").write_text("500")
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, lines), daemon=True).start()
    while True:
        line = lines.get()
        try:
            answer(json.loads(line), answers)
            _send(answers, {"over": True})
        except api.SelfmmError as error:
            _send(answers, {"error": str(error), "kind": type(error).__name__})
        except Exception as error:  # a damaged file fails in many unexpected ways
            if isinstance(error, MemoryError) or "allocate memory" in str(error):  # torch's error is a RuntimeError
                _send(answers, {"error": _NO_MEMORY, "kind": "MemoryError"})
                continue
            first = (str(error).strip() or "no message").splitlines()[0][:300]
            what = f"{type(error).__name__}: {first}. The file is damaged, or this is a bug in selfmm."
            _send(answers, {"error": what, "kind": "CrashError"})


def _read(requests: TextIO, lines: queue.SimpleQueue[str]) -> None:
    """Pass on requests; at their end, the server has ended, so end this process too."""
    for line in requests:
        lines.put(line)
    os._exit(0)


def _answer(request: dict[str, Any], models: OrderedDict[str, Any], answers: TextIO) -> None:
    model = _model(request["run"], models)
    if "explain" in request:
        _send(answers, {"explanation": _explained(model, request["explain"])})
        return
    options = request.get("options", {})
    if "watch" in request:
        score(model, request["watch"], lambda event: _send(answers, dict(event)))
        return
    if "sentences" in request:
        for prediction in _sentences(model, request["sentences"]):
            _send(answers, {"prediction": prediction.to_json()})
        return
    if "text" in request:
        for prediction in api.predict_texts(model, request["text"], explain=bool(options.get("explain"))):
            _send(answers, {"prediction": prediction.to_json()})
        return
    clips = [
        api.Clip(**{**clip, "path": Path(clip["path"])})  # the names of its fields are those of the request
        for clip in request.get("clips", ())
    ]
    for clip in clips if request.get("longest") is not None else ():
        _check_length(clip, float(request["longest"]))
    for result in api.predict_each(model, clips, **options) if clips else ():
        if isinstance(result, api.Failure):
            _send(answers, {"failure": {"id": result.id, "reason": result.reason}})
        else:
            _send(answers, {"prediction": result.to_json()})


def _sentences(model: Any, texts: list[str]) -> list[api.Prediction]:
    """Return the predictions of sentences, explained if the model can be explained."""
    try:
        return api.predict_texts(model, texts, explain=True)
    except api.RunError:
        return api.predict_texts(model, texts)


def _model(run: str, models: OrderedDict[str, Any]) -> Any:
    """Return a loaded run; one whose folder has changed since is loaded again."""
    folder = parts.open_run(run, seeds=True)
    key = f"{folder.path}:{run_version(folder.path)}"
    if key not in models:
        models[key] = api.load(run)
        while len(models) > _KEPT:
            models.popitem(last=False)
    models.move_to_end(key)
    return models[key]


def _check_length(clip: Any, longest: float) -> None:
    whole = parts.seconds_of(clip.path)
    if whole is None:
        return  # its length is unknown; the time limit of a task applies
    seconds = min(whole, clip.end if clip.end is not None else whole) - (clip.start or 0.0)
    if seconds > longest:
        raise TooLongError(
            f"The recording lasts {seconds:.0f} s, and this server takes {longest:g} s at most. Cut it, or choose a "
            "part of it with start and end."
        )


def _explained(model: Any, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the explanation of a clip, with the label that people gave it."""
    explanation: Any = api.explain(model, asked["data"], clip=asked["clip"])
    content: dict[str, Any] = explanation.to_json()
    samples = api.open_dataset(asked["data"]).samples
    row = samples[samples["id"] == asked["clip"]].iloc[0]
    names = ("label", *(f"label_{part['modality']}" for part in content["contributions"]))
    known = {name: float(row[name]) for name in names if name in samples}
    return content | {"labels": known, "split": str(row["split"])}


def _send(answers: TextIO, event: dict[str, Any]) -> None:
    answers.write(json.dumps(parts.without_nan(event), default=str) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
