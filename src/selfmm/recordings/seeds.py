"""Several seeds of one training, used as one model: the mean of their scores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pandas as pd

from selfmm.core.errors import RunError
from selfmm.data.store import Dataset
from selfmm.evaluation.seeds import SeedMetrics
from selfmm.models.ensemble import Ensemble
from selfmm.recordings.model import SentimentModel
from selfmm.runs.folder import RunFolder
from selfmm.runs.seeds import SeedsFolder, mean_scores
from selfmm.runs.trained_model import open_data


@dataclass(frozen=True, repr=False)
class SeedModels(SentimentModel):
    """The finished seeds of one training as an ensemble. Scores are means over the seeds.

    Attributes:
        folder: the folder of seeds.
        info, device: those of the first seed.
        assembly: the networks of all seeds as one.
        members: the model of each seed.
    """

    members: dict[int, SentimentModel]

    @classmethod
    def load(cls, path: RunFolder | Path, model: str | None = None, trust: bool = False) -> Self:
        """Load the finished seeds of a folder; see :func:`selfmm.load`."""
        folder = SeedsFolder(path.path if isinstance(path, RunFolder) else path)
        members = {seed: SentimentModel.load(run, model, trust) for seed, run in folder.finished.items()}
        first = next(iter(members.values()))
        mean = Ensemble([member.assembly.model for member in members.values()])
        return cls(folder, first.info, replace(first.assembly, model=mean), first.device, members)

    def _summary(self) -> dict[str, str]:
        summary = {**next(iter(self.members.values()))._summary(), "run": str(self.folder.path)}
        summary.pop("test MAE", None)
        return summary | {"seeds": ", ".join(map(str, self.members))}

    @property
    def metrics(self) -> dict[str, Any]:
        """Not one file for several seeds; raise ``RunError`` that says where they are."""
        raise RunError(f"{self.folder.path} holds several seeds: see {self.folder.path / 'summary.json'}.")

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The mean scores of the training data set, see :meth:`score`."""
        return mean_scores([member.predictions for member in self.members.values()])

    def evaluate(self, data: Dataset | str | Path | None = None, split: str = "test") -> SeedMetrics:
        """Return the metrics of each seed, and their mean and deviation; the scores are not averaged."""
        chosen: Dataset | str | Path = self.folder.training_data() if data is None else data
        with open_data(chosen) as dataset:
            return SeedMetrics.of({seed: member.evaluate(dataset, split) for seed, member in self.members.items()})
