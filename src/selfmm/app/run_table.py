"""The runs of the folder that is shown, as rows of a table: finished ones, those in training, and damaged ones."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from selfmm import api
from selfmm.api import parts
from selfmm.app.locks import seems_held
from selfmm.app.workspace import Item, Workspace, changed_at, is_seed

State = Literal["finished", "training", "unfinished", "damaged"]

METRICS = (("mae",), ("corr",), ("acc2_non0", "acc2"))
"""Columns of the table; each shows the first of its keys that a run has."""
_RECENT = 180.0  # seconds; a training that wrote something more recently is running
_Z = 1.645  # of a 90 % interval
_QUIET = frozenset({"seed"})  # settings that are shown in a column of their own


@dataclass(frozen=True)
class Summary:
    """A run, or a folder of seeds, of the folder that is shown.

    Attributes:
        name: its name in the folder.
        seeds: number of finished seeds of a folder of seeds; 0 for a run.
        state: its state; ``training`` if a process holds its lock or, where the system does not show that, if something
            was written in the last minutes.
        problem: why it cannot be read, or what is missing, as a sentence; empty if nothing is wrong.
        modified: time of its last change, in seconds since 1970.
        model, data: names of its model and of its data set, in the folder if it is there; empty if unknown.
        dataset: name of the data set in the folder; None if it is not in it.
        gone: whether the data set no longer exists.
        seed: of a run; None for a folder of seeds.
        labels: source of the labels per modality.
        closed_form: whether it was fitted in closed form, without epochs.
        averaged: the runs whose mean it is, by their names in the folder (of another folder, the last part); empty if
            it was trained.
        metrics: per split, the metrics of the fused score; means for seeds.
        spread: per split, their standard deviation over seeds; empty for a run.
        counts: per split, number of clips with a label.
        margin: half of the 90 % interval of the validation MAE, from the number of clips; NaN if unknown.
        worth: what its scores are worth; None if unknown.
        settings: all settings, by key.
        label_range: lowest and highest label.
        epochs: number of finished epochs.
    """

    name: str
    seeds: int
    state: State
    problem: str
    modified: float
    model: str = ""
    data: str = ""
    dataset: str | None = None
    gone: bool = False
    seed: int | None = None
    labels: str = ""
    closed_form: bool = False
    averaged: Sequence[str] = ()
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    spread: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    margin: float = math.nan
    worth: parts.RunWorth | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    label_range: tuple[float, float] = (-3.0, 3.0)
    epochs: int = 0

    @property
    def outside(self) -> bool:
        """Whether its data set exists, but not in the folder that is shown."""
        return self.dataset is None and not self.gone and bool(self.settings.get("_dataset_path"))

    @property
    def member(self) -> bool:
        """Whether it is one of several seeds, which are shown together."""
        return is_seed(self.name)

    def value(self, split: str, keys: Sequence[str]) -> tuple[str, float]:
        """Return the first of several metrics that it has, and its value; NaN if it has none."""
        values = self.metrics.get(split, {})
        return next(((key, values[key]) for key in keys if key in values), (keys[0], math.nan))


class RunTable:
    """The runs of a folder. Each is read once, and again when its files change.

    Args:
        workspace: the folder that is shown.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._known: dict[str, tuple[object, Summary]] = {}

    def all(self) -> list[Summary]:
        """Return all runs and folders of seeds, the last changed first."""
        summaries = [self._summary(item) for item in self._workspace.items("run", "seeds")]
        return sorted(summaries, key=lambda run: -run.modified)

    def of(self, name: str) -> Summary:
        """Return one run.

        Raises:
            NotHereError: if there is no such folder.
        """
        path = self._workspace.path(name)
        is_run = (path / "run.json").is_file()
        return self._summary(Item("run" if is_run else "seeds", name, path.stat().st_mtime))

    def _summary(self, item: Item) -> Summary:
        path = self._workspace.root / item.name
        files = sorted(path.glob("seed-*/run.json")) if item.kind == "seeds" else [path / "run.json"]
        files += [file.with_name(name) for file in files for name in ("metrics.json", "history.jsonl")]
        state = tuple(changed_at(file) for file in files)
        modified = max(state, default=0) / 1e9 or item.modified
        with self._lock:
            known = self._known.get(item.name)
        if known is not None and known[0] == state:
            return self._fresh(known[1])
        try:
            summary = (_of_seeds if item.kind == "seeds" else _of_run)(item.name, path, modified)
        except (api.SelfmmError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            summary = Summary(item.name, 0, "damaged", f"It cannot be read: {error}", modified)
        with self._lock:
            self._known[item.name] = (state, summary)
        return self._fresh(summary)

    def _fresh(self, summary: Summary) -> Summary:
        """Return a summary, updated with what depends on other folders and on the time."""
        if summary.state in ("training", "unfinished"):
            works = None if summary.seeds else seems_held(self._workspace.root / summary.name / ".lock")
            works = time.time() - summary.modified < _RECENT if works is None else works
            summary = replace(summary, state="training" if works else "unfinished")
        place = summary.settings.get("_dataset_path", "")
        exists = bool(place) and (Path(place) / parts.MANIFEST).is_file()
        dataset = self._workspace.name_of(place) if exists else None
        # Two data sets of one name are told apart by their places.
        averaged = [self._workspace.name_of(run) or Path(run).name for run in summary.averaged]
        summary = replace(summary, averaged=averaged)
        return replace(summary, dataset=dataset, data=dataset or summary.data, gone=bool(place) and not exists)


def differing(runs: Sequence[Summary]) -> list[str]:
    """Return the settings that are not the same in all of several runs, in order."""
    known = [run.settings for run in runs if run.settings]
    keys = dict.fromkeys(key for settings in known for key in settings if not key.startswith("_"))
    return [
        key for key in keys if key not in _QUIET and len({setting_text(settings.get(key)) for settings in known}) > 1
    ]


def setting_text(value: object) -> str:
    """Return the value of a setting for people to read."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)


def _of_run(name: str, path: Path, modified: float) -> Summary:
    folder = parts.RunFolder(path)
    info, settings = folder.info(), folder.settings()
    flat = {**parts.flatten(settings), "_dataset_path": info.dataset_path}
    summary = Summary(
        name,
        0,
        "finished" if info.status == "finished" else "unfinished",
        "",
        modified,
        model=info.model_name,
        data=info.dataset,
        seed=None if info.members else settings.seed,
        labels=info.labels,
        closed_form=info.closed_form,
        averaged=[member.run for member in info.members],
        settings=flat,
        label_range=info.label_range,
    )
    if info.status != "finished":
        return replace(summary, **_so_far(folder))
    splits = folder.metrics()["splits"]
    metrics = {split: _values(splits[split]["fusion"]) for split in parts.SPLITS}
    return replace(
        summary,
        metrics=metrics,
        counts={split: int(splits[split]["fusion"]["count"]) for split in parts.SPLITS},
        margin=_margin(folder),
        worth=folder.worth(),
        epochs=len(folder.history()),
    )


def _so_far(folder: parts.RunFolder) -> dict[str, Any]:
    """Return the figures of the best epoch so far; none before the first epoch has ended."""
    try:
        history = folder.history()
    except api.RunError:
        return {}
    best = history.iloc[best_epoch(history)]
    values = {key.removeprefix("valid_"): float(best[key]) for key in history.columns if key.startswith("valid_")}
    return {"metrics": {"valid": values}, "epochs": len(history)}


def best_epoch(history: Any) -> int:
    """Return the row of the epoch with the lowest validation error; the last one if none has an error."""
    errors = history["valid_mae"].to_numpy(dtype=float)
    return len(errors) - 1 if np.isnan(errors).all() else int(np.nanargmin(errors))


def _of_seeds(name: str, path: Path, modified: float) -> Summary:
    folder = parts.SeedsFolder(path)
    runs = folder.finished
    summaries = [_of_run(f"{name}/{run.path.name}", run.path, modified) for run in runs.values()]
    first = summaries[0]
    left = len(folder.runs) - len(runs)
    metrics, spread = {}, {}
    for split in parts.SPLITS:
        columns = {key: [run.metrics[split].get(key, math.nan) for run in summaries] for key in first.metrics[split]}
        metrics[split] = {key: sum(values) / len(values) for key, values in columns.items()}
        spread[split] = {key: _deviation(values) for key, values in columns.items()}
    same = {key: value for key, value in first.settings.items() if key != "seed"}
    return replace(
        first,
        name=name,
        seeds=len(runs),
        state="unfinished" if left else "finished",
        problem=f"{parts.count(left, 'seed')} not finished and left out of the means." if left else "",
        metrics=metrics,
        spread=spread,
        margin=math.nan,
        seed=None,
        worth=folder.worth(),
        settings=same,
    )


def _values(task: Mapping[str, Any]) -> dict[str, float]:
    if not task["count"]:
        return {}
    return {key: math.nan if value is None else float(value) for key, value in task["values"].items()}


def _margin(folder: parts.RunFolder) -> float:
    """Return half of the 90 % interval of the validation MAE, as if its clips were independent."""
    try:
        table = folder.predictions()
    except api.RunError:
        return math.nan
    if not {"split", "label"} <= set(table):
        return math.nan
    errors = (table["score"] - table["label"]).abs()[table["split"] == "valid"].dropna()
    return _Z * float(errors.std(ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else math.nan


def _deviation(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan


def columns_of(runs: Sequence[Summary]) -> Iterator[tuple[str, ...]]:
    """Yield the metrics that at least one run has, as the keys of a column."""
    for keys in METRICS:
        if any(not math.isnan(run.value(split, keys)[1]) for run in runs for split in ("valid", "test")):
            yield keys
