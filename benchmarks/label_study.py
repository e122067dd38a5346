"""How true are generated u-labels? Every label rule on several planted sets, with the m-label and a ceiling.

    python benchmarks/label_study.py             # all sets, 5 seeds: the table of docs/label_study.md
    python benchmarks/label_study.py --quick     # 2 seeds, 5 sets: about 2 minutes
    python benchmarks/label_study.py --loop      # the library's own training loop instead (audio and vision)

Words and frames are pooled to vectors and small encoders are trained by Self-MM's objective under the rule
``posterior``; generators with the other rules get the same features, so that all rules have the same evidence.
``--loop`` measures what a rule does to the features by its own gradient. Only the training clips are used.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Iterable
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

from selfmm.config.settings import Settings
from selfmm.core.listener import Listener
from selfmm.data.planted import LIMIT, MODALITIES, PlantedSettings, planted_source, write_planted
from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.audit.recovery import recovery
from selfmm.labels.feature_space import FeatureSpace
from selfmm.labels.leave_one_out import leave_one_out
from selfmm.labels.rules import RULES
from selfmm.runs.folder import RunFolder
from selfmm.training.run import Run

Array = npt.NDArray[np.float64]
WIDTH = 32
LOW = {"text": 0.2, "audio": 0.3, "vision": 0.3}


@dataclass(frozen=True)
class StudySet:
    name: str
    planted: dict[str, Any] = field(default_factory=dict)
    clips: int = 1000
    epochs: int = 15
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
    StudySet("20000 clips", {"conflict": 0.2, "noise": LOW}, clips=20_000, epochs=4, seeds=1),
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


def train(labels: Tensor, rows: dict[str, Tensor], epochs: int, seed: int) -> dict[str, UnimodalLabelGenerator]:
    """Train with Self-MM's loss under ``posterior`` and pass every step to a generator of each rule."""
    torch.manual_seed(seed)
    model = Small({name: value.shape[1] for name, value in rows.items()})
    generators = {
        rule: UnimodalLabelGenerator(labels, dict.fromkeys(rows, WIDTH), WIDTH, LIMIT, rule) for rule in RULES
    }
    leader = generators["posterior"]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(1, epochs + 1):
        for index in torch.split(torch.randperm(len(labels)), 32):
            fusion, features, score, scores = model({name: value[index] for name, value in rows.items()})
            weights, targets = leader.weights(index), leader.labels
            loss = (score - labels[index]).abs()
            for name, own in scores.items():
                loss = loss + weights[name] * (own - targets[name][index]).abs()
            optimizer.zero_grad()
            loss.mean().backward()
            for generator in generators.values():
                generator.update(
                    fusion.detach(), {name: value.detach() for name, value in features.items()}, index, epoch
                )
            optimizer.step()
        for generator in generators.values():
            generator.resync()
    return generators


def ceiling(generator: UnimodalLabelGenerator, name: str, truth: Array, labels: Array) -> Array:
    """Out-of-fold predictions of a model trained on the truth, from the same features and the m-label."""
    bank = cast(FeatureSpace, generator.streams[f"of_{name}"]).bank
    predicted = leave_one_out(bank, torch.from_numpy(truth), torch.ones(len(truth), dtype=torch.bool)).numpy()
    model = HistGradientBoostingRegressor(max_leaf_nodes=8, max_iter=60, learning_rate=0.08, min_samples_leaf=20)
    return cast(Array, cross_val_predict(model, np.column_stack([labels, predicted]), truth, cv=5))


def measure(study: StudySet, seed: int) -> pd.DataFrame:
    """One row per rule and modality."""
    table, rows = vectors(study, seed)
    labels = table["label"].to_numpy(dtype=np.float64, copy=True)
    generators = train(torch.from_numpy(labels), rows, study.epochs, seed)
    truths = {name: table[f"label_{name}"].to_numpy(dtype=np.float64, copy=True) for name in MODALITIES}
    answers: dict[str, dict[str, Array]] = {"m-label": dict.fromkeys(MODALITIES, labels)}
    answers |= {r: {n: u.numpy().astype(np.float64) for n, u in g.labels.items()} for r, g in generators.items()}
    answers["ceiling"] = {n: ceiling(generators["posterior"], n, truths[n], labels) for n in MODALITIES}
    return pd.concat([_recovered(table, rule, study.name, seed, u) for rule, u in answers.items()])


def _recovered(table: pd.DataFrame, rule: str, name: str, seed: int, u_labels: dict[str, Array]) -> pd.DataFrame:
    return recovery(table, u_labels).reset_index().assign(rule=rule, set=name, seed=seed)


def loop(seed: int, rules: Iterable[str]) -> pd.DataFrame:
    """Train with the library's own loop, one run per rule, so that each rule shapes its own features."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("agree", "conflict 20 %", "clear"):
            planted = next(study.planted for study in SETS if study.name == name)
            data = write_planted(Path(folder) / name, PlantedSettings(clips=900, seed=seed, **planted))
            rows = data.samples.iloc[data.rows("train")].reset_index(drop=True)
            for rule in rules:
                values = {"modalities": ("audio", "vision"), "labels": {"rule": rule}}
                limits = {"fusion": {"projection": WIDTH}, "training": {"max_epochs": 15, "device": "cpu"}}
                out = RunFolder(Path(folder) / f"{name} {rule}")
                settings = Settings.model_validate({"seed": seed, **values, **limits})
                Run(data, settings, out, Listener()).execute(resume=False)
                labels = pd.read_parquet(out.path / "labels.parquet")
                last = labels[labels["epoch"] == labels["epoch"].max()]
                u = {
                    n: part.set_index("id")["u_label"].reindex(rows["id"]).to_numpy()
                    for n, part in last.groupby("modality")
                }
                tables.append(_recovered(rows, rule, name, seed, cast(dict[str, Array], u)))
    return pd.concat(tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--loop", action="store_true")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write every measured row to this CSV file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = []
    if options.loop:
        tables = [loop(options.first_seed, ["authors", "posterior"])]
    for study in [] if options.loop else SETS:
        if options.quick and study.name not in QUICK:
            continue
        for seed in range(options.first_seed, options.first_seed + min(study.seeds, 2 if options.quick else 5)):
            started = time.perf_counter()
            tables.append(measure(study, seed))
            print(f"{study.name}, seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
            if options.out:
                pd.concat(tables).to_csv(options.out, index=False)
    table = pd.concat(tables)
    if options.out:
        table.to_csv(options.out, index=False)
    columns = ["corr", "right", "flipped"]
    means = table.groupby(["set", "rule", "modality"], sort=False)[columns].mean().unstack("modality")
    print(means.round(3).to_string())


if __name__ == "__main__":
    main()
