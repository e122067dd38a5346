"""Which number predicts the error of a generated label? Candidates for a quality, on planted sets and three rules.

    python benchmarks/label_quality.py             # 7 sets, 2 seeds: the table of docs/inspection.md

Each candidate is a distance, small where the label should be good; the figure is its Spearman correlation with the
label's true error |u - truth|: 1 if it ranks the labels by their error, 0 if it is unrelated to it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from label_study import SETS, WIDTH, Small, StudySet, vectors

from selfmm.data.planted import LIMIT
from selfmm.evaluation.metrics import pearson
from selfmm.labels import UnimodalLabelGenerator

Array = npt.NDArray[np.float64]
CHOSEN = ("agree", "conflict 20 %", "conflict 50 %", "clear", "weak vision", "10 : 1", "spread")
RULES = ("authors", "centre-gap", "posterior")


def train(labels: torch.Tensor, rows: dict[str, torch.Tensor], epochs: int, seed: int, rule: str) -> list[Array]:
    """Train under ``rule``; return (modalities, clips) u-labels of the last two epochs, and the heads' scores."""
    torch.manual_seed(seed)
    model = Small({name: value.shape[1] for name, value in rows.items()})
    generator = UnimodalLabelGenerator(labels, dict.fromkeys(rows, WIDTH), WIDTH, LIMIT, rule)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    last_two: list[Array] = []
    for epoch in range(1, epochs + 1):
        for index in torch.split(torch.randperm(len(labels)), 32):
            fusion, features, score, scores = model({name: value[index] for name, value in rows.items()})
            weights = generator.weights(index)
            loss = (score - labels[index]).abs()
            for name, own in scores.items():
                loss = loss + weights[name] * (own - generator.labels[name][index]).abs()
            optimizer.zero_grad()
            torch.autograd.backward(loss.mean())
            values = {name: value.detach() for name, value in features.items()}
            generator.update(fusion.detach(), values, index, epoch)
            optimizer.step()
        generator.resync()
        last_two = [*last_two, np.stack([u.double().numpy().copy() for u in generator.labels.values()])][-2:]
    with torch.no_grad():
        heads = np.stack([own.double().numpy() for own in model(rows)[3].values()])
    return [*last_two, heads]


def measure(study: StudySet, seed: int, rule: str) -> pd.DataFrame:
    """One row per modality: the rank correlation of each candidate with the error."""
    table, rows = vectors(study, seed)
    labels = table["label"].to_numpy(dtype=np.float64, copy=True)
    before, last, heads = train(torch.from_numpy(labels).float(), rows, study.epochs, seed, rule)
    spread = np.ptp(last, axis=0)
    tables = []
    for number, name in enumerate(rows):
        u, head, drift = last[number], heads[number], np.abs(last[number] - before[number])
        candidates = {
            "|u - m|": np.abs(u - labels),
            "|u - own head|": np.abs(u - head),
            "|u - own head| + drift": np.abs(u - head) + drift,
            "drift": drift,
            "|u - m| + |u - own head|": np.abs(u - labels) + np.abs(u - head),
            "spread of the modalities": spread,
            "|u - m| + half the spread": np.abs(u - labels) + spread / 2,
        }
        error = pd.Series(np.abs(u - table[f"label_{name}"].to_numpy(dtype=np.float64))).rank()
        figures = {key: pearson(pd.Series(values).rank(), error) for key, values in candidates.items()}
        tables.append({"set": study.name, "rule": rule, "seed": seed, "modality": name, **figures})
    return pd.DataFrame(tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=300)
    parser.add_argument("--out", type=Path, help="write every measured row to this CSV file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    studies = [study for study in SETS if study.name in CHOSEN]
    seeds = (options.first_seed, options.first_seed + 1)
    table = pd.concat(measure(study, seed, rule) for study in studies for seed in seeds for rule in RULES)
    if options.out:
        table.to_csv(options.out, index=False)
    figures = list(table.columns[4:])
    print(table.groupby("rule")[figures].mean().T.round(2).to_string())
    print(table.groupby(["rule", "set"], sort=False)[figures[:1]].mean().unstack("rule").round(2).to_string())


if __name__ == "__main__":
    main()
