"""A folder of seeds, which ``selfmm train --seeds`` makes: several run folders that differ in the seed alone."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.errors import RunError
from selfmm.core.messages import count
from selfmm.data.manifest import MANIFEST
from selfmm.evaluation.worth import RunWorth, Scored, run_worth
from selfmm.runs.folder import RunFolder, RunInfo
from selfmm.runs.material import run_samples

_NAME = re.compile(r"seed-(\d+)")


def open_folder(path: Path) -> RunFolder:
    """Return what a path holds for commands that take a run or a folder of seeds: a `SeedsFolder` if it is one.

    Anything else is returned as a `RunFolder`, whose methods say what it is if it is not a run.
    """
    folder = SeedsFolder(path)
    return folder if folder.runs else RunFolder(path)


@dataclass(frozen=True)
class SeedsFolder(RunFolder):
    """A folder with the run folders ``seed-<seed>``. Its ``run.json`` is that of the first finished seed."""

    @cached_property
    def runs(self) -> dict[int, RunFolder]:
        """The run folders by seed, finished or not; empty if this is not a folder of seeds."""
        if any((self.path / name).exists() for name in ("run.json", MANIFEST)):
            return {}
        names = {file.parent: _NAME.fullmatch(file.parent.name) for file in self.path.glob("seed-*/run.json")}
        return dict(sorted((int(name[1]), RunFolder(path)) for path, name in names.items() if name))

    @property
    def is_run(self) -> bool:
        return bool(self.runs)

    @cached_property
    def finished(self) -> dict[int, RunFolder]:
        """The finished runs by seed.

        Raises:
            RunError: if no seed is finished, a run folder is damaged, or the seeds were trained on different data.
        """
        finished = {seed: run for seed, run in self.runs.items() if run.info().status == "finished"}
        if not finished:
            first = next(iter(self.runs.values()))
            seeds = ",".join(map(str, self.runs))
            words = ["train", first.info().dataset_path, "--preset", str(first.path / "settings.toml")]
            words += ["--seeds", seeds, "--out", str(self.path), "--resume"]
            raise RunError(
                f"{self.path} holds {count(len(self.runs), 'seed')}, and none is finished. Continue with: selfmm "
                f"{shlex.join(words)}"
            )
        kinds = {seed: _trained_on(run.info()) for seed, run in finished.items()}
        one, *others = kinds.items()
        for seed, kind in others:
            if kind != one[1]:
                raise RunError(
                    f"{self.path} holds seeds of different trainings: seed {seed} has another data set, model or "
                    f"modalities than seed {one[0]}. Give one of them, for example {finished[seed].path}."
                )
        return finished

    def info(self) -> RunInfo:
        """Return ``run.json`` of the first finished seed; raise ``RunError`` like ``finished``."""
        return next(iter(self.finished.values())).info()

    def worth(self) -> RunWorth | None:
        """Return what the means of the seeds' scores are worth; None if the data set is gone or was changed, or a seed
        was trained by version 0.2 or before."""
        return self._worth

    @cached_property
    def _worth(self) -> RunWorth | None:
        own = [run.worth() for run in self.finished.values()]
        samples, _ = run_samples(self.info())
        if samples is None or own[0] is None or None in own:
            return None
        scores = mean_scores([run.predictions() for run in self.finished.values()])
        if list(scores["id"]) != list(samples["id"]):
            raise RunError(
                f"the predictions in {self.path} are not of the clips of its data set: train the seeds again."
            )
        return run_worth(Scored.of(scores, samples), self.info().label_range, own[0].training_clips)

    def notes(self) -> tuple[str, ...]:
        """Return a sentence about the seeds that are left out because they are not finished, and notes on others."""
        own = [f"seed {seed}: {note}" for seed, run in self.finished.items() for note in run.notes()]
        return (*self.left_out, *own)

    @property
    def left_out(self) -> list[str]:
        """A sentence about the seeds that are not finished, if there are any."""
        waiting = [str(seed) for seed in self.runs if seed not in self.finished]
        return [f"{count(len(waiting), 'seed')} not finished and left out: {', '.join(waiting)}."] if waiting else []


def _trained_on(info: RunInfo) -> tuple[object, ...]:
    return info.fingerprint, info.model, tuple(info.modalities), info.label_range


def mean_scores(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the first table with the means of all its ``score`` columns, and ``deviation``.

    Args:
        tables: one per seed, with the same clips in the same order.

    Returns:
        The columns of the first table, with means over the seeds; ``deviation`` is the standard deviation of ``score``
        over the seeds (over n - 1; NaN for one seed).

    Raises:
        RunError: if the tables have different clips.
    """
    first = tables[0]
    if any(not table["id"].equals(first["id"]) for table in tables):
        raise RunError("the seeds scored different clips: their predictions are of different data. Train them again.")
    columns = [name for name in map(str, first) if name == "score" or name.startswith("score_")]
    stacked = np.stack([table[columns].to_numpy(dtype=np.float64) for table in tables])
    result = first.copy()
    result[columns] = stacked.mean(axis=0)
    scores = stacked[:, :, columns.index("score")]
    result["deviation"] = scores.std(axis=0, ddof=1) if len(tables) > 1 else np.nan
    return result
