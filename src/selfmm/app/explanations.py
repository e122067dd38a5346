"""Explanations of clips, computed by a worker. One that is requested twice is computed once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from selfmm import api
from selfmm.app.scoring import Scoring, Task
from selfmm.app.workspace import dataset_version, run_version

_TIMEOUT = 600.0  # seconds; a recording that is being scored comes first
_KEPT = 64

_Key = tuple[str, str, str, int, tuple[int, ...]]


class Explanations:
    """Explanations by run, data set and clip. One is computed again when the run or the data set has changed.

    Args:
        scoring: the processes that score.
    """

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, tuple[Task, list[Any]]] = OrderedDict()

    def of(self, run: str | Path, dataset: Path, clip: str) -> dict[str, Any]:
        """Return the explanation of a clip as JSON, with ``labels`` (those that people gave) and ``split``.

        Args:
            run: ``starter`` or the folder of a run.
            dataset: the folder of the data set.
            clip: its id.

        Raises:
            ScoringError: if it cannot be explained.
            RunError: if that takes too long, or was cancelled.
            BusyError: if too many tasks wait.
        """
        key = (str(run), str(dataset), clip, run_version(run), dataset_version(dataset))
        task, results = self._task(key)
        if not task.wait(_TIMEOUT):
            raise api.RunError("Explaining takes too long, because something else is being scored. Try again later.")
        if task.status != "finished" or not results:
            with self._lock:
                self._known.pop(key, None)
            task.raise_error()
            raise api.RunError("The explanation was cancelled. Try again.")
        explanation: dict[str, Any] = results[0]
        return explanation

    def _task(self, key: _Key) -> tuple[Task, list[Any]]:
        with self._lock:
            if key not in self._known:
                run, dataset, clip, *_ = key
                results: list[Any] = []
                request = {"run": run, "explain": {"data": dataset, "clip": clip}}
                task = Task(request, on_event=lambda event: results.append(event.get("explanation")))
                self._known[key] = (self._scoring.submit(task), results)
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]
