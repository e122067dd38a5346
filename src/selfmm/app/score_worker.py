"""Scores one recording for the Score screen, in the process of :mod:`selfmm.app.worker`.

A request has ``run`` and ``watch``, an object with ``clip`` (the fields of :class:`selfmm.Clip`) and ``folder``, where
the files to download are written. The events, in this order:

- ``{"stage": ...}`` and ``{"read": seconds, "total": seconds or null}``, how far it is;
- ``{"early": ...}``, the prediction before it is explained; or, for a long recording, ``{"span": ...}`` for each
  window, an item of the timeline's ``curve``;
- ``{"result": ...}``, see :func:`_result`;
- ``{"file": name}`` for each file, or ``{"no_file": name, "why": sentence}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfmm import api
from selfmm.api import parts

LONG = 60.0
"""Seconds; a longer recording is scored in windows."""

PIECE = 120.0
"""Seconds of the lanes at their full rate that are in one file, for looking closer."""

_WINDOW = {"window": 10.0, "hop": 5.0}  # seconds
_FILES = ("scores.csv", "scores.json", "scores.srt", "scores.png")

Send = Callable[[Mapping[str, Any]], None]


class FailedError(api.SelfmmError):
    """The recording cannot be scored."""


class _Progress(api.Listener):
    def __init__(self, send: Send) -> None:
        self._send = send
        self.early: api.Prediction | None = None

    def note(self, line: str) -> None:
        """Nothing: what is to be known is in the warnings of the prediction."""

    def stage(self, clip: Any, name: str) -> None:
        self._send({"stage": name})

    def reading(self, clip: Any, seconds: float, total: float | None) -> None:
        self._send({"read": seconds, "total": total})

    def scored(self, clip: Any, prediction: Any) -> None:
        self.early = prediction
        self._send({"early": _plain(prediction)})


def score(model: Any, watch: Mapping[str, Any], send: Send) -> None:
    """Score a recording, and write the files.

    Raises:
        FailedError: if it cannot be scored.
        SelfmmError: see :func:`selfmm.api.predict_each`.
    """
    clip = _clip(model, watch["clip"])
    seconds = _seconds(clip)
    long = seconds is not None and seconds > LONG
    predictions, timeline, unexplained = _predictions(model, clip, long, send)
    if long:
        for number, piece in enumerate(timeline.pieces(PIECE)):
            parts.write_text(Path(watch["folder"]) / f"lanes-{number}.json", json.dumps(piece))
    send({"result": _result(predictions, timeline, long, unexplained)})
    for name in _FILES:
        if name.endswith(".png") and not long and predictions[0].explanation is None:
            continue
        try:
            api.save_predictions(predictions, Path(watch["folder"]) / name)
        except api.SelfmmError as error:
            send({"no_file": name, "why": str(error)})
        else:
            send({"file": name})
    if clip.start is None and clip.end is None:
        _copy(clip.path, Path(watch["folder"]).parent / "playable.mp4", send)


def _predictions(
    model: Any, clip: api.Clip, long: bool, send: Send
) -> tuple[list[api.Prediction], parts.Timeline, str]:
    progress = _Progress(send)
    timeline = parts.Timeline(shift=clip.start or 0.0)
    predictions: list[api.Prediction] = []
    explains = not long and not hasattr(model, "members")  # the mean of several seeds has no explanation
    options: dict[str, Any] = {**(_WINDOW if long else {}), "explain": explains}
    unexplained = ""
    try:
        for result in api.predict_each(model, clip, lanes=True, listener=progress, **options):
            if isinstance(result, api.Failure):
                raise FailedError(result.reason)
            timeline.add(result)
            predictions.append(replace(result, lanes=None) if long else result)  # the lanes of windows overlap
            if long:
                send({"span": timeline.last})
    except api.RunError as error:
        if progress.early is None:
            raise
        predictions, unexplained = [progress.early], str(error)  # this model cannot be explained
        timeline.add(progress.early)
    return predictions, timeline, unexplained


def _result(
    predictions: list[api.Prediction], timeline: parts.Timeline, long: bool, unexplained: str
) -> dict[str, Any]:
    """Return what the page shows.

    ``prediction``: that of the whole; null if it was scored in windows. ``facts``: what holds for all predictions of
    the run. ``timeline``: see :meth:`selfmm.recordings.timeline.Timeline.to_json`. ``unexplained``: why there is no
    explanation, if it was tried. ``piece``: seconds in each file with lanes at their full rate, if there are any.
    """
    first = predictions[0].to_json()
    facts = ("label_range", "unscored", "cautions", "verdicts")
    return {
        "prediction": None if long else _plain(predictions[0]),
        "facts": {name: first[name] for name in facts},
        "language": first["transcript"]["language"],
        "timeline": timeline.to_json(),
        "window": _WINDOW if long else None,
        "piece": PIECE if long else None,
        "unexplained": unexplained,
    }


def _plain(prediction: api.Prediction) -> dict[str, Any]:
    """Return a prediction without its lanes, which are in the timeline."""
    return {name: value for name, value in prediction.to_json().items() if name != "lanes"}


def _clip(model: Any, fields: Mapping[str, Any]) -> api.Clip:
    if "text" not in fields and "words" not in fields:  # perhaps its words are in a file next to it
        listed = api.find_recordings(model, Path(fields["path"]))
        whole = "start" not in fields and "end" not in fields
        for clip in listed.clips if listed is not None else ():
            own = {"path": clip.path, "text": clip.text if whole else None, "subtitles": clip.subtitles}
            return api.Clip(**{**fields, **own})
    words = [parts.Word(str(text), float(start), float(end)) for text, start, end in fields.get("words", ())]
    return api.Clip(**{**fields, "path": Path(fields["path"]), "words": tuple(words)})


def _seconds(clip: api.Clip) -> float | None:
    start, end = clip.start or 0.0, clip.end
    if end is not None and end - start <= LONG:
        return end - start  # however long the recording is
    try:
        whole = parts.seconds_of(clip.path)
    except api.MediaError:
        return None  # scoring it says what is wrong
    ends = [time for time in (end, whole) if time is not None]
    return min(ends) - start if ends else None


def _copy(path: Path, copy: Path, send: Send) -> None:
    """Write a copy for the browser, if it does not play the recording itself."""
    if copy.is_file() or (api.playable(path) and parts.probe(path).duration is not None):
        return
    send({"stage": "making a copy that a browser can play"})
    try:
        api.playable_copy(path, copy)
    except api.SelfmmError as error:
        send({"no_file": copy.name, "why": str(error)})
    else:
        send({"file": copy.name})
