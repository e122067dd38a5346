"""A process that scores for the server: it reads a request per line, and answers with events, one per line, as JSON.

A request has ``run`` (``starter`` or a folder), and

- ``text``: a list of sentences; or
- ``clips``: a list of objects with ``path`` and, optionally, ``id``, ``start``, ``end`` (seconds) and ``text``;
- ``options``: ``explain``, ``window``, ``hop``, ``by_sentence``, ``recogniser``, ``language`` of
  :func:`selfmm.predict_each`, as far as they are given;
- ``save``: files to write the predictions to, see :func:`selfmm.api.save_predictions`.

The events are ``{"prediction": ...}`` for each clip, window or sentence, ``{"failure": ...}`` for a clip that cannot be
scored, and at the end ``{"over": true}``; or ``{"error": ..., "kind": ...}``.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from selfmm import api
from selfmm.api import parts

_KEPT = 3  # runs in memory


def main() -> None:
    """Answer requests until standard input closes."""
    models: OrderedDict[str, Any] = OrderedDict()
    answer_all(lambda request, answers: _answer(request, models, answers))


def answer_all(answer: Callable[[dict[str, Any], TextIO], None]) -> None:
    """Call a function for each request on standard input, until it closes. It writes its events itself."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not get between the events
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in requests:
        try:
            answer(json.loads(line), answers)
            _send(answers, {"over": True})
        except api.SelfmmError as error:
            _send(answers, {"error": str(error), "kind": type(error).__name__})
        except MemoryError:
            _send(answers, {"error": "There is not enough memory. Try a shorter recording.", "kind": "MemoryError"})
        except Exception as error:  # a damaged file fails in many unexpected ways
            first = (str(error).strip() or "no message").splitlines()[0][:300]
            what = f"{type(error).__name__}: {first}. The file is damaged, or this is a bug in selfmm."
            _send(answers, {"error": what, "kind": "SelfmmError"})


def _answer(request: dict[str, Any], models: OrderedDict[str, Any], answers: TextIO) -> None:
    model = _model(request["run"], models)
    options = request.get("options", {})
    if "text" in request:
        for row in _sentences(model, request["text"], options):
            _send(answers, {"prediction": row})
        return
    clips = [
        api.Clip(**{**clip, "path": Path(clip["path"])})  # the names of its fields are those of the request
        for clip in request["clips"]
    ]
    predictions = []
    for result in api.predict_each(model, clips, **options):
        if isinstance(result, api.Failure):
            _send(answers, {"failure": {"id": result.id, "reason": result.reason}})
        else:
            predictions.append(result)
            _send(answers, {"prediction": result.to_json()})
    for name in request.get("save", ()) if predictions else ():
        api.save_predictions(predictions, name)


def _model(run: str, models: OrderedDict[str, Any]) -> Any:
    """Return a loaded run; one whose folder has changed since is loaded again."""
    folder = parts.open_run(run, seeds=True)
    changed = (folder.path / "run.json").stat().st_mtime_ns if (folder.path / "run.json").is_file() else 0
    key = f"{folder.path}:{changed}"
    if key not in models:
        models[key] = api.load(run)
        while len(models) > _KEPT:
            models.popitem(last=False)
    models.move_to_end(key)
    return models[key]


def _sentences(model: Any, texts: list[str], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the row of each sentence, with the names and figures of a table of scores."""
    table = api.predict(model, text=texts, explain=bool(options.get("explain")))
    return [dict(row) for row in table.to_dict("records")]


def _send(answers: TextIO, event: dict[str, Any]) -> None:
    answers.write(json.dumps(parts.without_nan(event), default=str) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
