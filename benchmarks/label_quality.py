"""Which number predicts the error of a label? Candidates on planted sets, for three rules.

    python benchmarks/label_quality.py             # 7 sets, 2 seeds

Each candidate is small where the label should be good; the figure is its Spearman correlation with the label's true
error |u - truth|: 1 if it ranks the labels by their error, 0 if it is unrelated to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from label_study import SETS, StudySet, all_rules, truths, vectors

from selfmm.evaluation.metrics import pearson

CHOSEN = ("agree", "conflict 20 %", "conflict 50 %", "clear", "weak vision", "10 : 1", "spread")


def measure(study: StudySet, seed: int) -> pd.DataFrame:
    """One row per rule and modality: the rank correlation of each candidate with the error."""
    table, rows = vectors(study, seed)
    labels, truth = table["label"].to_numpy(dtype=np.float64, copy=True), truths(table)
    answers, estimates = all_rules(labels, rows, study.epochs, seed)
    figures = []
    del answers["m-label"]
    for rule, u_labels in answers.items():
        spread = np.ptp(np.stack([*u_labels.values()]), axis=0)
        for name, u in u_labels.items():
            candidates = {"|u - m|": np.abs(u - labels), "spread of the modalities": spread}
            if rule == "posterior":
                estimate = estimates[name]
                candidates |= {
                    "|u - evidence|": np.abs(u - estimate.evidence),
                    "expected error": estimate.expected_error,
                    "1 - trust": 1 - estimate.trust,
                }
            error = pd.Series(np.abs(u - truth[name])).rank()
            ranked = {key: pearson(pd.Series(values).rank(), error) for key, values in candidates.items()}
            figures.append({"set": study.name, "rule": rule, "seed": seed, "modality": name, **ranked})
    return pd.DataFrame(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=400)
    parser.add_argument("--out", type=Path, help="write every measured row to this CSV file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = (options.first_seed, options.first_seed + 1)
    table = pd.concat(measure(study, seed) for study in SETS if study.name in CHOSEN for seed in seeds)
    if options.out:
        table.to_csv(options.out, index=False)
    figures = list(table.columns[4:])
    print(table.groupby("rule", sort=False)[figures].mean().T.round(2).to_string())
    print(table.query("rule == 'posterior'").groupby("set", sort=False)[figures].mean().round(2).to_string())


if __name__ == "__main__":
    main()
