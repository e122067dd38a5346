"""Metrics under increasing damage: curves, the areas under them, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from selfmm.core.files import write_table, write_text
from selfmm.evaluation.tables import cell, head
from selfmm.report.pictures import Group, write_pictures
from selfmm.report.style import MUTED, Picture, drawing, modality_colours, panel

_WHICH = ["kind", "modality"]
_TITLES = {"clips": "Missing modalities", "frames": "Lost frames and words", "noise": "Noise"}
_MEANING = {
    "clips": "fraction of clips without it",
    "frames": "fraction of frames or words lost",
    "noise": "noise, in standard deviations",
}


@dataclass(frozen=True)
class Curves:
    """Figures of one training on damaged clips.

    Attributes:
        values: one row per kind, modality, level, metric and run, with the metric's value; NaN if it has none, for
            example the correlation of constant scores. ``modality`` joins the names by + if several were damaged. Runs
            are numbered in the order given.
        notes: what was not evaluated, and why.
    """

    values: pd.DataFrame
    notes: tuple[str, ...] = ()

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row per kind, modality, level and metric: ``mean``, ``std`` (n - 1), ``runs`` (number of runs with a
        value) and ``change``, the mean difference from level 0 of the same run."""
        keys = [*_WHICH, "level", "metric"]
        start = self.values[self.values["level"] == 0].set_index([*_WHICH, "metric", "run"])["value"]
        before = start.loc[pd.MultiIndex.from_frame(self.values[[*_WHICH, "metric", "run"]])].to_numpy()
        table = self.values.assign(change=self.values["value"] - before)
        groups = table.groupby(keys, sort=False)
        points = groups["value"].agg(["mean", "std", "count"]).rename(columns={"count": "runs"})
        return points.assign(change=groups["change"].mean()).reset_index()

    @cached_property
    def areas(self) -> pd.DataFrame:
        """One row per kind, modality and metric: the area under the curve of each run by the trapezoid rule, divided by
        the span of the levels, which makes it the mean over the levels.

        ``mean``, ``std``, ``runs`` and ``change`` are as in ``points``; ``until`` is the last level used: at higher
        levels a run has no value. Runs without a value at level 0 are left out; NaN if no run is left.
        """
        rows = []
        for key, group in self.values.groupby([*_WHICH, "metric"], sort=False):
            curves = group.pivot(index="level", columns="run", values="value")
            areas, until = _areas(curves)
            change = areas - curves.loc[0]
            rows.append((*key, until, areas.mean(), areas.std(ddof=1), areas.count(), change.mean()))
        return pd.DataFrame(rows, columns=[*_WHICH, "metric", "until", "mean", "std", "runs", "change"])

    @property
    def undamaged(self) -> pd.DataFrame:
        """One row per metric at level 0: ``mean``, ``std`` and ``runs``."""
        first = self.points[(self.points[_WHICH] == self.points[_WHICH].iloc[0]).all(axis=1) & (self.points.level == 0)]
        return first.set_index("metric")[["mean", "std", "runs"]]

    def markdown(self) -> str:
        """Return a table of the areas with a row per kind and modality, a column per metric, and remarks below."""
        before, areas = self.undamaged, self.areas
        metrics = list(before.index)
        lines = [["damage", "of", *map(head, metrics)], ["---", "---", *("--:" for _ in metrics)]]
        lines.append(["none", "", *(_cell(key, before.loc[key]) for key in metrics)])
        for (kind, modality), group in areas.groupby(_WHICH, sort=False):
            row = group.set_index("metric")
            lines.append([str(kind), str(modality), *(_cell(key, row.loc[key]) for key in metrics)])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n".join([table, "", *(f"- {line}" for line in self._remarks())]) + "\n"

    def _remarks(self) -> list[str]:
        runs = self.values["run"].nunique()
        lines = [
            "each figure is the mean over the levels of damage (the area under its curve)"
            + (f"; mean ± standard deviation (n - 1) over {runs} runs" if runs > 1 else "; one run")
        ]
        for kind, group in self.values.groupby("kind", sort=False):
            levels = ", ".join(f"{level:g}" for level in sorted(group["level"].unique()))
            lines.append(f"{kind}: {_MEANING[str(kind)]}: {levels}")
            areas, last = self.areas[self.areas["kind"] == kind], group["level"].max()
            for (modality, until), short in areas[areas["until"] < last].groupby(["modality", "until"], sort=False):
                names = ", ".join(head(key) for key in short["metric"])
                lines.append(f"{kind} of {modality}: {names} up to level {until:g}; above it a run has no value")
        return [*lines, *self.notes]

    def write(self, folder: Path) -> list[Path]:
        """Write ``robustness.csv`` (``points``), ``robustness-areas.csv`` and ``robustness.md``, each atomically.

        Raises:
            OutputError: if they cannot be written.
        """
        paths = [folder / name for name in ("robustness.csv", "robustness-areas.csv", "robustness.md")]
        write_table(paths[0], self.points)
        write_table(paths[1], self.areas)
        write_text(paths[2], self.markdown())
        return paths


def _areas(curves: pd.DataFrame) -> tuple[pd.Series, float]:
    """Return the mean over the levels for each run (a column), and the last level at which all runs have a value."""
    known = curves.loc[:, curves.loc[0].notna()]
    known = known[known.notna().all(axis=1).cummin()]
    if known.empty or len(known) < 2:
        return pd.Series(np.nan, index=curves.columns), np.nan
    levels = known.index.to_numpy(dtype=np.float64)
    areas = np.trapezoid(known.to_numpy(), levels, axis=0) / (levels[-1] - levels[0])
    return pd.Series(areas, index=known.columns), float(levels[-1])


def _cell(key: str, row: pd.Series) -> str:
    mean = cell(key, float(row["mean"]))
    return mean if np.isnan(row["std"]) else f"{mean} ± {cell(key, float(row['std']))}"


def draw_curves(curves: Curves, folder: Path, metrics: Sequence[str] = ("mae", "corr")) -> list[Path]:
    """Draw a picture per kind of damage and metric: ``robustness-<kind>-<metric>.png`` and ``.svg`` in ``folder``.

    Raises:
        OutputError: if matplotlib is not installed or the files cannot be written.
    """
    points = curves.points
    with drawing():
        pictures = [
            _picture(str(kind), metric, group[group["metric"] == metric])
            for kind, group in points.groupby("kind", sort=False)
            for metric in metrics
            if (group["metric"] == metric).any()
        ]
    return write_pictures([Group("Robustness", "", pictures)], folder)


def _picture(kind: str, metric: str, points: pd.DataFrame) -> Picture:
    figure, axes = panel(_TITLES[kind], _MEANING[kind], head(metric))
    names = list(dict.fromkeys(points["modality"]))
    colours = modality_colours([name for name in names if "+" not in name])
    unit = 100 if "%" in head(metric) else 1  # as in tables
    captions = []
    for name in names:
        line = points[points["modality"] == name]
        level, mean, std = line["level"], unit * line["mean"], unit * line["std"].fillna(0)
        colour, label = (colours["fusion"], "all together") if "+" in name else (colours[name], name)
        axes.fill_between(level, mean - std, mean + std, color=colour, alpha=0.15, linewidth=0)
        axes.plot(level, mean, color=colour, label=label, marker=".", markersize=5)
        known = mean.dropna()
        captions.append(
            f"{label} from {known.iloc[0]:.3g} to {known.iloc[-1]:.3g}" if len(known) else f"{label} unknown"
        )
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)
    axes.legend(loc="best")
    return Picture(f"robustness-{kind}-{metric}", f"{head(metric)} by {_MEANING[kind]}: {'; '.join(captions)}.", figure)
