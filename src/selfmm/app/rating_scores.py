"""Scores and generated labels to propose to raters, and to order clips by."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.api import parts
from selfmm.app.clip_runs import ClipRuns
from selfmm.app.rating import CLIP, Source
from selfmm.app.workspace import Workspace, run_version

if TYPE_CHECKING:
    import pandas as pd

GENERATED = "labels:"
"""Prefix of the name of a run: propose the labels per modality that it generated, not its scores."""


class Proposals:
    """Scores of runs for the clips of a source.

    Args:
        workspace: the folder that is shown.
        runs: the runs in it.
        folder: where to keep scores that a job makes, private to the app.
    """

    def __init__(self, workspace: Workspace, runs: ClipRuns, folder: Path) -> None:
        self._workspace, self._runs, self._folder = workspace, runs, folder

    def choices(self, source: Source) -> list[dict[str, Any]]:
        """Return what can be proposed: ``by``, its ``title``, and whether it is ``ready``. Ready ones come first."""
        rows = []
        own = {run.name: run for run in self._runs.of(source.path)} if source.is_dataset else {}
        for name in (parts.STARTER, *(item.name for item in self._workspace.items("run"))):
            ready = name in own or self.file(source, name).is_file()
            rows.append({"by": name, "title": f"scores of {name}", "ready": ready})
            if name in own and own[name].generated:
                rows.append({"by": f"{GENERATED}{name}", "title": f"generated labels of {name}", "ready": True})
        return sorted(rows, key=lambda row: not row["ready"])

    def table(self, source: Source, by: str) -> pd.DataFrame | None:
        """Return scores or generated labels for the clips of a source, on the scale of its ratings.

        Returns:
            ``id``, ``score``, ``score_<modality>``; ``low``, ``high``, ``low_<modality>`` and so on, between which 4 of
            5 labels lie, where the run knows its error; ``text`` for recordings. None if
            ``by`` is empty, or a job has to make the scores first.

        Raises:
            NotHereError: if there is no such run.
            RunError: if its files are damaged.
        """
        import pandas as pd

        if not by:
            return None
        name = by.removeprefix(GENERATED)
        own = {run.name: run.path for run in self._runs.of(source.path)} if source.is_dataset else {}
        if by.startswith(GENERATED):
            return _generated(parts.RunFolder(self._workspace.path(name)))
        if (saved := self.file(source, name)).is_file():
            table = pd.read_parquet(saved)
        elif name in own:
            folder = parts.RunFolder(own[name])
            table = parts.with_trust(folder.predictions(), folder.worth())
        else:
            return None
        range_of_run, (low, high) = self._range(name), source.ratings.label_range
        if range_of_run != (low, high):
            first, last = range_of_run
            for column in [column for column in table if str(column).split("_")[0] in ("score", "low", "high")]:
                table[column] = low + (table[column] - first) / (last - first) * (high - low)
        return table

    def file(self, source: Source, run: str) -> Path:
        """Return where a job puts the scores of a run for the clips of a source. A changed run gets another file."""
        version = run_version(self._workspace.run(run))
        key = json.dumps([source.name, run, version]).encode("utf-8", "surrogatepass")
        return self._folder / f"scores-{hashlib.sha256(key).hexdigest()[:24]}.parquet"

    def _range(self, run: str) -> tuple[float, float]:
        return (-3.0, 3.0) if run == parts.STARTER else parts.RunFolder(self._workspace.path(run)).info().label_range


def _generated(folder: parts.RunFolder) -> pd.DataFrame | None:
    """Return the generated labels of the epoch whose weights a run keeps, as a table of scores."""
    labels = folder.labels()
    epochs = set(labels["epoch"])
    if len(epochs) > 1:
        labels = labels[labels["epoch"] == folder.metrics()["best_epoch"]]
    wide = labels.pivot_table(index="id", columns="modality", values="u_label", aggfunc="first")
    return wide.rename(columns=lambda name: f"score_{name}").rename_axis(columns=None).reset_index()


def proposed(
    scores: pd.DataFrame | None, ids: Sequence[str], target: str, label_range: tuple[float, float]
) -> dict[str, dict[str, Any]]:
    """Return what to propose for each of these clips that has a score, on the scale of the labels.

    Returns:
        By id, ``proposal``, and ``band``: the interval that holds 4 of 5 labels; null if the run does not know it.
    """
    end = "" if target == CLIP else f"_{target}"
    columns = [f"{name}{end}" for name in ("score", "low", "high")]
    if scores is None or columns[0] not in scores:
        return {}
    rows = scores.drop_duplicates("id").set_index("id").reindex(index=list(ids), columns=columns).astype("float64")
    rows = rows[rows[columns[0]].notna()].clip(*label_range).round(2)
    return {
        str(clip): {"proposal": score, "band": None if math.isnan(low) else [low, high]}
        for clip, score, low, high in rows.itertuples()
    }
