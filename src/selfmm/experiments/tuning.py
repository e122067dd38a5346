"""The result of a search, and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from selfmm.config.settings import Settings
from selfmm.core.files import write_table, write_text
from selfmm.core.version import __version__
from selfmm.experiments.search import Search, with_values
from selfmm.experiments.study import Ended

BEST, TRIALS = "best.toml", "trials.csv"


@dataclass(frozen=True)
class Tuning:
    """The result of a search.

    Attributes:
        folder: the folder that holds ``best.toml``, ``trials.csv`` and the journal.
        search: the spaces, and the settings that the search started from.
        trials: the trials that have ended, in the order they started.
        importance: share of each setting in the variance of the complete trials; empty if they are too few.
    """

    folder: Path
    search: Search
    trials: tuple[Ended, ...]
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def start(self) -> Ended | None:
        """The trial with the settings that the search started from; None before it has ended."""
        return next((trial for trial in self.trials if trial.start and not trial.killed), None)

    @property
    def best(self) -> Ended:
        """The complete trial with the lowest validation MAE; the start counts too."""
        return min(self._complete, key=lambda trial: trial.outcome.mae or 0.0)

    @property
    def settings(self) -> Settings:
        """The settings of the best trial."""
        return with_values(self.search.base, self.best.values)

    @property
    def preset(self) -> Path:
        """The file with the settings of the best trial, for ``--preset``."""
        return self.folder / BEST

    @property
    def counts(self) -> Counter[str]:
        """Number of ``complete``, ``pruned`` and ``failed`` trials; killed ones are not counted."""
        return Counter(trial.outcome.state for trial in self.trials if not trial.killed)

    @property
    def table(self) -> pd.DataFrame:
        """One row per trial: number, state, valid_mae, best_epoch, each setting by its key, seconds, reason."""
        first, rows = ["number", "state", "valid_mae", "best_epoch"], []
        for trial in self.trials:
            outcome = trial.outcome
            row = dict(zip(first, (trial.number, outcome.state, outcome.mae, outcome.epoch), strict=True))
            rows.append({**row, **trial.values, "seconds": round(outcome.seconds, 3), "reason": outcome.reason})
        return pd.DataFrame(rows, columns=[*first, *self.search.spaces, "seconds", "reason"]).astype(
            {"valid_mae": "float64", "best_epoch": "Int64"}
        )

    @property
    def _complete(self) -> list[Ended]:
        return [trial for trial in self.trials if trial.outcome.state == "complete"]

    def write(self, origin: Sequence[str]) -> None:
        """Write ``trials.csv`` and, once there is a best trial, ``best.toml``.

        Args:
            origin: lines about the data, the model and the command.
        """
        write_table(self.folder / TRIALS, self.table)
        if self._complete:
            source = f"Found by selfmm {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC."
            comments = "".join(f"# {_one_line(line)}\n" for line in [source, *origin, *self._summary()])
            write_text(self.preset, f"{comments}\n{self.settings.to_toml()}")

    def _summary(self) -> list[str]:
        best, start = self.best, self.start
        first = f"{start.outcome.mae:.6f}" if start is not None and start.outcome.mae is not None else "no result"
        return [
            f"trials: {describe_counts(self.counts)}",
            f"validation MAE: {best.outcome.mae:.6f} (trial {best.number}, epoch {best.outcome.epoch}); {first} with "
            "the settings at the start. The best of several trials is an optimistic estimate.",
        ]


def describe_counts(counts: Mapping[str, int]) -> str:
    """Return the number of trials by state, as text.

    >>> describe_counts({"complete": 3, "pruned": 1, "failed": 0})
    '3 complete, 1 pruned, 0 failed'
    """
    return ", ".join(f"{counts[state]} {state}" for state in ("complete", "pruned", "failed"))


def _one_line(text: str) -> str:
    """Return text for one line of a comment, even if the name of a data set contains line ends."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
