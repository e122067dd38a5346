"""The runs that were trained on a data set: their scores of its clips, and the labels that they generated."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from selfmm import api
from selfmm.api import parts
from selfmm.app.clip_table import ClipTable, Floats
from selfmm.app.errors import NotHereError
from selfmm.app.workspace import Workspace, changed_at

_KEPT = 8  # tables of scores in memory


@dataclass(frozen=True)
class ClipRun:
    """A finished run.

    Attributes:
        name: its name in the folder that is shown.
        path: its folder.
        model: name of its model.
        dataset: the folder of the data set that it was trained on.
        generated: whether it generated labels per modality.
        left_out: whether its scores of the clips that it was fitted to come from fits without them.
    """

    name: str
    path: Path
    model: str
    dataset: Path
    generated: bool
    left_out: bool


class ClipRuns:
    """Runs by the data set that they were trained on. What was read is used again until the files change.

    Args:
        workspace: the folder that is shown.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._lock = threading.Lock()
        self._known: dict[tuple[Path, int], ClipRun | None] = {}
        self._scores: OrderedDict[tuple[Path, int], Any] = OrderedDict()

    def of(self, dataset: Path) -> list[ClipRun]:
        """Return the finished runs in the folder that were trained on the data set of this path, the newest first."""
        runs = [self._run(item.name) for item in self._workspace.items("run")]
        return [run for run in runs if run is not None and run.dataset == dataset]

    def named(self, name: str, dataset: Path) -> ClipRun:
        """Return a run on a data set by its name.

        Raises:
            NotHereError: if there is no such run, or it was trained on another data set.
        """
        for run in self.of(dataset):
            if run.name == name:
                return run
        raise NotHereError(f"There is no finished run {name[:200]!r} on this data set. Choose another one.")

    def scores(self, run: ClipRun, table: ClipTable) -> Mapping[str, Floats]:
        """Return the scores of all clips: ``score`` and ``score_<modality>``, (N,) each; NaN where there is none.

        Raises:
            RunError: if they cannot be read.
        """
        rows = self._predictions(run).reindex(table.ids)
        columns = [str(name) for name in rows.columns if str(name) == "score" or str(name).startswith("score_")]
        return {name: rows[name].to_numpy(dtype=np.float64) for name in columns}

    def _predictions(self, run: ClipRun) -> Any:
        key = (run.path, changed_at(run.path / "predictions.parquet"))
        with self._lock:
            if key not in self._scores:
                predictions = parts.RunFolder(run.path).predictions()
                self._scores[key] = predictions.drop_duplicates("id").set_index("id")
                while len(self._scores) > _KEPT:
                    self._scores.popitem(last=False)
            return self._scores[key]

    def worth(self, run: ClipRun, clip: str | None = None) -> dict[str, Any]:
        """Return what the scores of a run are worth, in words for people.

        With ``clip``, the band of the score of all modalities is that of this clip, see :meth:`Worth.half_width`.

        Returns:
            ``scores``: per score, ``score`` or ``score_<modality>``, its ``band`` (the half-width of the interval that
            holds 4 of 5 labels; NaN if unknown), the band as ``text``, and ``verdict`` (why not to use it; empty if
            it informs). ``cautions``: reasons not to trust the scores, the most important first.
        """
        try:
            worth = parts.RunFolder(run.path).worth()
        except api.RunError:
            worth = None
        return {
            "scores": {
                "score" if name == parts.FUSION else f"score_{name}": self._worth(
                    score, self._deviation(run, name, clip)
                )
                for name, score in (worth.scores.items() if worth else ())
            },
            "cautions": parts.cautions(worth),
        }

    @staticmethod
    def _worth(score: parts.Worth, deviation: float | None) -> dict[str, Any]:
        band = float(score.half_width(deviation))
        text = "" if math.isnan(band) else parts.band_text(band)
        return {"band": band, "text": text, "verdict": parts.verdict(score)}

    def _deviation(self, run: ClipRun, name: str, clip: str | None) -> float | None:
        """Return how far the runs of an ensemble deviate on a clip; None if it is not one, or has no such clip."""
        if clip is None or name != parts.FUSION:
            return None
        table = self._predictions(run)
        return float(table["deviation"][clip]) if "deviation" in table and clip in table.index else None

    def labels(self, run: ClipRun, clip: str) -> dict[str, Any]:
        """Return the labels per modality that a run generated for a clip, for a picture.

        Returns:
            ``modalities``: per modality ``labels`` (one per epoch, or a single one if they were estimated before
            training), ``outcome`` (what became of the last one), ``trust`` and ``expected_error`` (estimated ones
            only). ``epochs``: their numbers; empty if estimated. ``best``: the epoch whose weights the run keeps. Empty
            if it made no labels for this clip.

        Raises:
            RunError: if they cannot be read.
        """
        rows = parts.RunFolder(run.path).labels(clip).sort_values("epoch", kind="stable")
        if rows.empty:
            return {}
        estimated = "trust" in rows
        details = [name for name in ("outcome", "trust", "expected_error") if name in rows]
        return {
            "modalities": {
                str(name): {"labels": group["u_label"].astype(float).tolist(), **group[details].iloc[-1].to_dict()}
                for name, group in rows.groupby("modality", sort=False)
            },
            "epochs": [] if estimated else sorted({int(epoch) for epoch in rows["epoch"]}),
            "best": None if estimated else self._best(run),
        }

    def _best(self, run: ClipRun) -> int | None:
        try:
            return int(parts.RunFolder(run.path).metrics()["best_epoch"])
        except (api.RunError, KeyError, TypeError, ValueError):
            return None

    def _run(self, name: str) -> ClipRun | None:
        """Return a run; None if it is not finished, or its ``run.json`` is damaged."""
        try:
            path = self._workspace.path(name)
        except NotHereError:
            return None
        key = (path, changed_at(path / "run.json"))
        if key not in self._known:
            try:
                info = parts.RunFolder(path).info()
            except api.RunError:
                self._known[key] = None
            else:
                dataset, generated = (
                    Path(info.dataset_path).resolve(),
                    info.labels == "generated" and not info.closed_form,
                )
                run = ClipRun(name, path, info.model_name, dataset, generated, info.closed_form)
                self._known[key] = run if info.status == "finished" and not info.about else None
        return self._known[key]
