"""What a search came to, and the files that say so."""

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
    """What a search came to.

    Attributes:
        folder: holds ``best.toml``, ``trials.csv`` and the journal.
        search: what could become what, and the settings it started from.
        trials: those that are over, in the order they were asked for.
        importance: by setting, its share in how far the complete trials differ; empty where they are too few.
    """

    folder: Path
    search: Search
    trials: tuple[Ended, ...]
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def start(self) -> Ended | None:
        """The trial with the settings that the search started from; None before it is over."""
        return next((trial for trial in self.trials if trial.start and not trial.killed), None)

    @property
    def best(self) -> Ended:
        """The complete trial with the lowest validation MAE; the start is one of them."""
        return min(self._complete, key=lambda trial: trial.outcome.mae or 0.0)

    @property
    def settings(self) -> Settings:
        """Those of the best trial."""
        return with_values(self.search.base, self.best.values)

    @property
    def preset(self) -> Path:
        """Those of the best trial, for ``--preset``."""
        return self.folder / BEST

    @property
    def counts(self) -> Counter[str]:
        """How many trials are ``complete``, ``pruned`` and ``failed``; those cut off are none of these."""
        return Counter(trial.outcome.state for trial in self.trials if not trial.killed)

    @property
    def table(self) -> pd.DataFrame:
        """A row per trial: number, state, valid_mae, best_epoch, each setting by its key, seconds, reason."""
        rows = []
        for trial in self.trials:
            told = trial.outcome
            row = {"number": trial.number, "state": told.state, "valid_mae": told.mae, "best_epoch": told.epoch}
            rows.append({**row, **trial.values, "seconds": round(told.seconds, 3), "reason": told.reason})
        columns = ["number", "state", "valid_mae", "best_epoch", *self.search.spaces, "seconds", "reason"]
        return pd.DataFrame(rows, columns=columns).astype({"valid_mae": "float64", "best_epoch": "Int64"})

    @property
    def _complete(self) -> list[Ended]:
        return [trial for trial in self.trials if trial.outcome.state == "complete"]

    def write(self, origin: Sequence[str]) -> None:
        """Writes ``trials.csv`` and, once there is a best trial, ``best.toml``.

        Args:
            origin: lines that say what was searched on which data by which command.
        """
        write_table(self.folder / TRIALS, self.table)
        if self._complete:
            head = [f"Found by selfmm {__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.", *origin, *self._found()]
            comments = "".join(f"# {_one_line(line)}\n" for line in head)
            write_text(self.preset, f"{comments}\n{self.settings.to_toml()}")

    def _found(self) -> list[str]:
        counts, best, start = self.counts, self.best, self.start
        first = f"{start.outcome.mae:.6f}" if start is not None and start.outcome.mae is not None else "no result"
        return [
            f"trials: {describe_counts(counts)}",
            f"validation MAE: {best.outcome.mae:.6f} (trial {best.number}, epoch {best.outcome.epoch}); {first} with "
            "the settings at the start. The best of several is optimistic.",
        ]


def describe_counts(counts: Mapping[str, int]) -> str:
    """How many trials ended how.

    >>> describe_counts({"complete": 3, "pruned": 1, "failed": 0})
    '3 complete, 1 pruned, 0 failed'
    """
    return ", ".join(f"{counts[state]} {state}" for state in ("complete", "pruned", "failed"))


def _one_line(text: str) -> str:
    """A name from a stranger's data set ends no comment."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
