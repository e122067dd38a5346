"""Are the expected errors of estimated labels right? The picture and the table of docs/label_study.md.

    python benchmarks/label_calibration.py planted.csv real.csv gaussian.csv docs/pictures/expected_error.svg

The CSV files are those of `--calibration` of label_study.py, label_study_real.py and label_study_gaussian.py. The clips
of a modality are ordered by the expected error of their label, or by trust, and cut into tenths. Each point is one
tenth: the mean over modalities and seeds of the expected and of the true absolute error.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

TITLES = ("planted", "composed of real inputs", "simulated like human labels")
MARKERS = "osDv^<>P*Xh"


def draw(tables: list[pd.DataFrame], file: Path) -> None:
    """One column per kind of data, one line per set: true error by expected error, and by trust."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams |= {"svg.hashsalt": "selfmm", "font.size": 8}
    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    for column, title, table in zip(figure.subplots(2, len(tables)).T, TITLES, tables, strict=True):
        by_tenth = table.groupby(["order", "set", "tenth"], sort=False)[["expected", "error"]].mean()
        means, trusted = by_tenth.loc["expected error"], by_tenth.loc["trust"]
        highest = float(max(means.to_numpy().max(), trusted["error"].max())) * 1.05
        column[0].plot([0, highest], [0, highest], color="#999999", linewidth=1)
        for at, name in enumerate(means.index.unique("set")):
            style: dict[str, Any] = {"marker": MARKERS[at], "markersize": 3, "linewidth": 1, "label": name}
            column[0].plot(means.loc[name, "expected"], means.loc[name, "error"], **style)
            column[1].plot(trusted.loc[name, "error"], **style)
        column[0].set(title=title, xlabel="expected error", xlim=(0, highest), ylim=(0, highest))
        column[1].set(xlabel="tenth of the labels, most trusted first", ylim=(0, highest))
        column[1].legend(fontsize=6.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        for axes in column:
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_ylabel("true error")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def rows(table: pd.DataFrame) -> list[str]:
    """Per set, for text / audio / vision: expected and true error, trust, and true error by trust."""
    lines = []
    for name, part in table.groupby("set", sort=False):
        means = part.groupby(["order", "modality"], sort=False)[["expected", "error", "trust"]].mean()
        overall = means.loc["expected error"]
        trusted = part.query("order == 'trust'").groupby(["modality", "tenth"], sort=False)["error"].mean()
        most, least = (trusted.unstack("tenth")[tenths].mean(axis=1) for tenths in ([1, 2], [9, 10]))
        columns = [overall["expected"], overall["error"], overall["trust"], most, least]
        lines.append("| " + " | ".join([str(name), *(_slashed(column) for column in columns)]) + " |")
    return lines


def _slashed(values: pd.Series) -> str:
    return " / ".join(f"{value:.2f}".removeprefix("0") for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs=3, metavar="CSV")
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    tables = [pd.read_csv(file) for file in options.tables]
    draw(tables, options.picture)
    print("| set | expected error | true error | trust | error, most trusted fifth | error, least trusted fifth |")
    print("|---|---|---|---|---|---|")
    print("\n".join(line for table in tables for line in rows(table)))


if __name__ == "__main__":
    main()
