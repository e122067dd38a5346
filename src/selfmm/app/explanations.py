"""Explanations of clips, from a process that scores. One that was asked for twice is computed once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from selfmm import api
from selfmm.app.scoring import Scoring, Task

_TIMEOUT = 600.0  # seconds; a recording that is being scored comes first
_KEPT = 64
_ERRORS = {kind.__name__: kind for kind in (api.RunError, api.DatasetError, api.WeightsError, api.MissingPackageError)}

_Key = tuple[str, str, str, int]


class Explanations:
    """Explanations by run, data set and clip.

    Args:
        scoring: the processes that score.
    """

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, tuple[Task, list[Any]]] = OrderedDict()

    def of(self, run: str | Path, dataset: Path | None, clip: str) -> dict[str, Any]:
        """Return the explanation of a clip as JSON, with ``labels`` (those that people gave) and ``split``.

        Args:
            run: ``starter`` or the folder of a run.
            dataset: the folder of the data set; None for that of the run.
            clip: its id.

        Raises:
            RunError, DatasetError, WeightsError, MissingPackageError: if it cannot be explained.
            BusyError: if too much is waiting.
        """
        key = (str(run), "" if dataset is None else str(dataset), clip, _changed(Path(run) / "run.json"))
        task, results = self._task(key)
        if not task.wait(_TIMEOUT):
            raise api.RunError("Explaining takes long, because something else is being scored. Try again in a while.")
        if task.status != "finished" or not results:
            with self._lock:
                self._known.pop(key, None)
            raise _ERRORS.get(task.error_kind, api.RunError)(task.error or "The explanation was cancelled.")
        explanation: dict[str, Any] = results[0]
        return explanation

    def _task(self, key: _Key) -> tuple[Task, list[Any]]:
        with self._lock:
            if key not in self._known:
                run, dataset, clip, _ = key
                results: list[Any] = []
                request = {"run": run, "explain": {"data": dataset or None, "clip": clip}}
                task = Task(request, on_event=lambda event: results.append(event.get("explanation")))
                self._known[key] = (self._scoring.submit(task), results)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
