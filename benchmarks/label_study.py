"""How true are the labels per modality? The rules on planted sets, with the m-label and a ceiling.

    python benchmarks/label_study.py --out planted.csv --calibration calibration.csv    # 5 seeds: docs/label_study.md
    python benchmarks/label_study.py --quick                                            # 2 seeds, 5 sets

Words and frames are pooled to one vector per clip and modality. `posterior` estimates labels from these inputs. For the
rules that work on features in training, small encoders are trained with Self-MM's loss on the estimated labels, and one
generator per rule gets their features.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict
from torch import Tensor, nn

from selfmm.data.planted import LIMIT, MODALITIES, PlantedSettings, planted_source
from selfmm.labels import ModalityEstimate, UnimodalLabelGenerator, estimate_labels
from selfmm.labels.audit.recovery import recovery
from selfmm.labels.ridge import left_out

Array = npt.NDArray[np.float64]
Answers = dict[str, dict[str, Array]]  # rule, modality
Estimates = dict[str, ModalityEstimate]
WIDTH = 32
LOW = {"text": 0.2, "audio": 0.3, "vision": 0.3}
TRAINED_RULES = ("authors", "centre-gap")


@dataclass(frozen=True)
class StudySet:
    name: str
    planted: dict[str, Any] = field(default_factory=dict)
    clips: int = 1000
    epochs: int = 15  # 0: only the rules that need no training
    seeds: int = 5
    spread: bool = False  # Gaussian disagreement everywhere instead of contradictions


SETS = [
    StudySet("agree", {"conflict": 0.0}),
    StudySet("conflict 20 %", {"conflict": 0.2}),
    StudySet("conflict 50 %", {"conflict": 0.5}),
    StudySet("clear", {"conflict": 0.2, "noise": LOW}),
    StudySet("clear, agree", {"conflict": 0.0, "noise": LOW}),
    StudySet("weak vision", {"conflict": 0.2, "noise": {"vision": 3.0}}),
    StudySet("dead vision", {"conflict": 0.2, "strength": {"vision": 0.0}}),
    StudySet("10 : 1", {"conflict": 0.2, "positive_share": 10 / 11}),
    StudySet("100 clips", {"conflict": 0.2}, clips=100),
    StudySet("spread", spread=True),
    StudySet("20000 clips", {"conflict": 0.2, "noise": LOW}, clips=20_000, epochs=0, seeds=1),
]
QUICK = ("agree", "conflict 20 %", "clear", "dead vision", "spread")


def vectors(study: StudySet, seed: int) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """A table with all true labels, and one vector per clip and modality: mean words, means of thirds of the frames."""
    if study.spread:
        return _spread(study.clips, seed)
    source = planted_source(PlantedSettings(clips=study.clips, seed=seed, **study.planted))
    pooled = {"text": np.stack([_bag(text) for text in source.table["text"]])}
    for name, frames in source.frames.items():
        thirds = ([part.mean(0) for part in np.array_split(frames.read(clip), 3)] for clip in range(study.clips))
        pooled[name] = np.stack([np.concatenate(parts) for parts in thirds])
    return source.table, {name: _standard(pooled[name]) for name in MODALITIES}


def _bag(text: str) -> Array:
    words = [np.random.default_rng(zlib.crc32(word.encode())).normal(size=64) for word in text.split()]
    return cast(Array, np.mean(words, axis=0))


def _spread(clips: int, seed: int) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """Modalities that differ from m by a Gaussian everywhere, as far as human labels do: r = .77, .87, .85."""
    rng = np.random.default_rng([seed, 20230502])
    m = np.clip(np.round(rng.normal(-0.3, 1.8, clips) * 5 / 3) * 3 / 5, -LIMIT, LIMIT)
    table, rows = pd.DataFrame({"label": m}), {}
    for name, r, noise in zip(MODALITIES, (0.77, 0.87, 0.85), (1.5, 3.0, 2.5), strict=True):
        truth = r * m + np.sqrt(1 - r * r) * m.std() * rng.normal(size=clips)
        table[f"label_{name}"] = np.clip(truth, -LIMIT, LIMIT)
        signal = (truth + rng.normal(0, noise, clips))[:, None] * rng.normal(size=24) / 2
        rows[name] = _standard(signal + 2 * rng.normal(size=(clips, 24)))
    return table, rows


def _standard(rows: Array) -> Tensor:
    return torch.from_numpy((rows - rows.mean(0)) / (rows.std(0) + 1e-8)).float()


class Small(nn.Module):
    """An encoder, a projection and a score per modality, and the same for all of them together."""

    def __init__(self, widths: dict[str, int]) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict({name: _layers(width) for name, width in widths.items()})
        self.projections = nn.ModuleDict({name: _layers(WIDTH) for name in widths})
        self.scores = nn.ModuleDict({name: nn.Linear(WIDTH, 1) for name in widths})
        self.fusion, self.score = _layers(WIDTH * len(widths)), nn.Linear(WIDTH, 1)

    def forward(self, rows: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor], Tensor, dict[str, Tensor]]:
        encoded = {name: self.encoders[name](rows[name]) for name in self.encoders}
        features = {name: self.projections[name](value) for name, value in encoded.items()}
        fusion = self.fusion(torch.cat(list(encoded.values()), 1))
        scores = {name: self.scores[name](value)[:, 0] for name, value in features.items()}
        return fusion, features, self.score(fusion)[:, 0], scores


def _layers(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, WIDTH), nn.ReLU())


def train(labels: Tensor, rows: Mapping[str, Tensor], targets: Mapping[str, Tensor], epochs: int, seed: int) -> Answers:
    """Train with Self-MM's loss on the labels ``targets``; return the labels that generators make of the features."""
    torch.manual_seed(seed)
    model = Small({name: value.shape[1] for name, value in rows.items()})
    generators = {
        rule: UnimodalLabelGenerator(labels, dict.fromkeys(rows, WIDTH), WIDTH, LIMIT, rule) for rule in TRAINED_RULES
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, epochs + 1):
        for index in torch.split(torch.randperm(len(labels)), 32):
            fusion, features, score, scores = model({name: value[index] for name, value in rows.items()})
            loss = (score - labels[index]).abs()
            for name, own in scores.items():
                target = targets[name][index]
                loss = loss + (target - labels[index]).abs().tanh() * (own - target).abs()
            optimizer.zero_grad()
            torch.autograd.backward(loss.mean())
            values = {name: value.detach() for name, value in features.items()}
            for generator in generators.values():
                generator.update(fusion.detach(), values, index, epoch)
            optimizer.step()
        for generator in generators.values():
            generator.resync()
    return {
        rule: {name: u.double().numpy() for name, u in generator.labels.items()}
        for rule, generator in generators.items()
        if epochs
    }


def all_rules(labels: Array, rows: Mapping[str, Tensor], epochs: int, seed: int) -> tuple[Answers, Estimates]:
    """Labels of every rule, and the estimates behind those of `posterior`."""
    inputs = {name: value.numpy() for name, value in rows.items()}
    estimates = estimate_labels(labels, inputs, low=-LIMIT, high=LIMIT)
    posterior = {name: estimate.labels for name, estimate in estimates.items()}
    answers: Answers = {"m-label": dict.fromkeys(rows, labels)}
    targets = {name: torch.from_numpy(u) for name, u in posterior.items()}
    answers |= train(torch.from_numpy(labels), rows, targets, epochs, seed)
    return answers | {"posterior": posterior}, estimates


def ceiling(inputs: Array, truth: Array, labels: Array) -> Array:
    """Out-of-fold predictions of a model trained on the truth, from the same inputs and the m-label."""
    predicted = left_out([inputs], truth, np.ones(len(truth), dtype=bool))
    model = HistGradientBoostingRegressor(max_leaf_nodes=8, max_iter=60, learning_rate=0.08, min_samples_leaf=20)
    return cast(Array, cross_val_predict(model, np.column_stack([labels, predicted]), truth, cv=5))


def truths(table: pd.DataFrame) -> dict[str, Array]:
    return {name: table[f"label_{name}"].to_numpy(dtype=np.float64, copy=True) for name in MODALITIES}


def calibration(estimates: Estimates, truth: Mapping[str, Array]) -> pd.DataFrame:
    """Expected and true mean absolute error by tenths of the clips, ordered by expected error and by trust."""
    rows = []
    for name, estimate in estimates.items():
        error = np.abs(estimate.labels - truth[name])
        for order, values in (("expected error", estimate.expected_error), ("trust", -estimate.trust)):
            for tenth, clips in enumerate(np.array_split(np.argsort(values, kind="stable"), 10), start=1):
                means = {
                    "expected": estimate.expected_error[clips].mean(),
                    "error": error[clips].mean(),
                    "trust": estimate.trust[clips].mean(),
                }
                rows.append({"modality": name, "order": order, "tenth": tenth, **means})
    return pd.DataFrame(rows)


def measure(study: StudySet, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per rule and modality, and the calibration of the expected errors."""
    table, rows = vectors(study, seed)
    labels, truth = table["label"].to_numpy(dtype=np.float64, copy=True), truths(table)
    answers, estimates = all_rules(labels, rows, study.epochs, seed)
    answers["ceiling"] = {name: ceiling(rows[name].numpy(), truth[name], labels) for name in MODALITIES}
    return recovered(table, answers).assign(set=study.name, seed=seed), calibration(estimates, truth).assign(
        set=study.name, seed=seed
    )


def recovered(table: pd.DataFrame, answers: Answers) -> pd.DataFrame:
    return pd.concat([recovery(table, u).reset_index().assign(rule=rule) for rule, u in answers.items()])


class Report:
    """Collects tables, and writes them after each measurement."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.files, self.parts = (options.out, options.calibration), cast(list[list[pd.DataFrame]], [[], []])

    def add(self, what: str, tables: tuple[pd.DataFrame, pd.DataFrame], seconds: float) -> None:
        print(f"{what}: {seconds:.0f} s", flush=True)
        for file, parts, table in zip(self.files, self.parts, tables, strict=True):
            parts.append(table)
            if file:
                pd.concat(parts).to_csv(file, index=False)

    def print(self) -> None:
        columns = ["corr", "right", "flipped"]
        means = pd.concat(self.parts[0]).groupby(["set", "rule", "modality"], sort=False)[columns].mean()
        print(means.unstack("modality").round(3).to_string())
        errors = pd.concat(self.parts[1]).query("order == 'expected error'")
        print(
            errors.groupby(["set", "modality"], sort=False)[["expected", "error", "trust"]].mean().round(3).to_string()
        )


def arguments(description: str | None, seed: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first-seed", type=int, default=seed)
    parser.add_argument("--out", type=Path, help="write every measured row to this CSV file")
    parser.add_argument("--calibration", type=Path, help="write expected and true errors to this CSV file")
    return parser


def main() -> None:
    parser = arguments(__doc__, 400)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = Report(options)
    for study in SETS:
        if options.quick and study.name not in QUICK:
            continue
        for seed in range(options.first_seed, options.first_seed + min(study.seeds, 2 if options.quick else 5)):
            started = time.perf_counter()
            report.add(f"{study.name}, seed {seed}", measure(study, seed), time.perf_counter() - started)
    report.print()


if __name__ == "__main__":
    main()
