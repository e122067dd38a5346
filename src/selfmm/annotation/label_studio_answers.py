"""Reader of Label Studio exports: JSON (whole tasks) or JSON-MIN (one record per annotation).

Formats: https://labelstud.io/guide/task_format and https://labelstud.io/guide/export. Only completed annotations count:
no skipped ones (``was_cancelled``), drafts or predictions of selfmm. The rater is ``completed_by`` (JSON) or
``annotator`` (JSON-MIN); if one person annotated a task twice, the later annotation counts.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selfmm.annotation.label_studio import CLIP
from selfmm.annotation.ratings import PREFIX, Ratings
from selfmm.core.encodings import read_text
from selfmm.core.errors import SourceError
from selfmm.core.messages import clips, count, first_line, some
from selfmm.data.manifest import TEXT

LARGEST = 256 << 20
"""Largest file that is read, in bytes; parsing needs several times as much memory."""


def read_label_studio(path: Path) -> Ratings:
    """Read the ratings of an export; raise ``SourceError`` if it is not an export of tasks from `Project`."""
    return _Reader(_load(path)).read()


def _load(path: Path) -> list[Mapping[str, Any]]:
    expected = "Expected: an export of Label Studio, JSON or JSON-MIN, with a list of tasks."
    try:
        if path.stat().st_size > LARGEST:
            raise SourceError(f"{path} is larger than {LARGEST >> 20} MiB. Export in parts, or choose JSON-MIN.")
        content = json.loads(read_text(path))
    except RecursionError as error:
        raise SourceError(f"{path} is nested too deeply to be an export. {expected}") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}. {expected}") from error
    except ValueError as error:
        raise SourceError(f"cannot read {path}: {first_line(error)}. {expected}") from error
    if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
        what = "a list of other things" if isinstance(content, list) else f"a {type(content).__name__}"
        raise SourceError(f"{path} holds {what}. {expected}")
    return content


class _Reader:
    """Reads the tasks once and collects ratings, problems and what was left out."""

    def __init__(self, tasks: Iterable[Mapping[str, Any]]) -> None:
        self.tasks = tasks
        self.ratings = Ratings()
        self.others: list[str] = []
        self.skipped = 0
        self.misshapen: list[str] = []
        self.task_of: dict[str, object] = {}
        self.repeated: list[str] = []
        self.unnamed: Counter[str] = Counter()

    def read(self) -> Ratings:
        for number, task in sorted(enumerate(self.tasks, start=1), key=lambda entry: _time(entry[1])):
            if "data" in task or "annotations" in task:
                self._task(task, f"task {number}")
            else:
                self._record(task, f"record {number}")
        problems, notes = self.ratings.problems, self.ratings.notes
        if self.misshapen:
            problems.append(f"parts are not as Label Studio writes them: {some(self.misshapen)}.")
        if self.repeated:
            repeated = list(dict.fromkeys(self.repeated))
            problems.append(
                f"{clips(len(repeated), ('has', 'have'))} several tasks: {some(repeated)}. Keep one task per clip."
            )
        if self.skipped:
            notes.append(f"{count(self.skipped, 'skipped annotation')} left out.")
        if self.others:
            notes.append(f"answers to other questions were left out: {some(list(dict.fromkeys(self.others)))}.")
        if several := [clip for clip, times in self.unnamed.items() if times > 1]:
            notes.append(
                f"{clips(len(several), ('has', 'have'))} several annotations without a person: {some(several)}. Each "
                "counts as another person's rating."
            )
        return self.ratings

    def _task(self, task: Mapping[str, Any], where: str) -> None:
        data, annotations = task.get("data"), task.get("annotations")
        clip = data.get(CLIP) if isinstance(data, dict) else None
        if not isinstance(clip, str) or not isinstance(annotations, list):
            self.misshapen.append(f"{where} (it has no data.{CLIP}, or no list of annotations)")
            return
        self._note_words(clip, data)
        # A file that did not come from Label Studio may lack the numbers of the tasks.
        self._note_task(clip, task.get("id", where))
        for annotation in sorted(annotations, key=_time):
            if not isinstance(annotation, dict) or not isinstance(annotation.get("result"), list):
                self.misshapen.append(f"{where}, an annotation without a list result")
            elif annotation.get("was_cancelled"):
                self.skipped += 1
            else:
                self._results(clip, annotation["result"], _person(annotation.get("completed_by")), where)

    def _results(self, clip: str, results: list[Any], rater: str, where: str) -> None:
        ratings_of: Counter[str] = Counter()
        turn = self._turn(clip, rater)
        for result in results:
            name = result.get("from_name") if isinstance(result, dict) else None
            value = result.get("value") if isinstance(result, dict) else None
            if not isinstance(name, str) or not name.startswith(PREFIX):
                self.others += [name] if isinstance(name, str) else []
                continue
            ratings_of[name] += 1
            self.ratings.add(clip, name.removeprefix(PREFIX), _of_number(value), rater, turn)
        if any(times > 1 for times in ratings_of.values()):
            self.misshapen.append(f"{where}, an annotation that rates one modality twice")

    def _record(self, record: Mapping[str, Any], where: str) -> None:
        clip = record.get(CLIP)
        if not isinstance(clip, str):
            self.misshapen.append(f"{where} (it has no {CLIP})")
            return
        self._note_words(clip, record)
        self._note_task(clip, record.get("id"))
        rater = _person(record.get("annotator"))
        turn = self._turn(clip, rater)
        for name, value in record.items():
            if not name.startswith(PREFIX):
                continue
            values = value if isinstance(value, list) else [value]
            if len(values) > 1:
                self.misshapen.append(f"{where}, an annotation that rates one modality twice")
            for rating in values:
                self.ratings.add(clip, name.removeprefix(PREFIX), _of_number(rating), rater, turn)

    def _turn(self, clip: str, rater: str) -> int:
        """Return 1 for a named rater; otherwise count the annotations of the clip that name nobody."""
        if rater:
            return 1
        self.unnamed[clip] += 1
        return self.unnamed[clip]

    def _note_words(self, clip: str, data: object) -> None:
        text = data.get(TEXT) if isinstance(data, Mapping) else None
        if isinstance(text, str):
            self.ratings.texts.append((clip, text))

    def _note_task(self, clip: str, task: object) -> None:
        if self.task_of.setdefault(clip, task) != task:
            self.repeated.append(clip)


def _of_number(value: object) -> object:
    """Return the value of a Number control, ``{"number": 1.5}``."""
    return value.get("number", value) if isinstance(value, dict) else value


def _person(value: object) -> str:
    """Return the number of a user in Label Studio, or the mail address if there is no number."""
    if isinstance(value, dict):
        value = value.get("id", value.get("email"))
    return "" if value is None or isinstance(value, dict | list) else str(value)


def _time(entry: object) -> str:
    """Return when an annotation was last changed (ISO 8601), or an empty string if it does not say."""
    return str(entry.get("updated_at") or entry.get("created_at") or "") if isinstance(entry, dict) else ""
