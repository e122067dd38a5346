"""The label study on real inputs: clips composed from an MMSA pickle, so that the true labels per modality are known.

    python benchmarks/label_study_real.py mosi.pkl --out real.csv --calibration real_calibration.csv  # 3 seeds

The text of one clip, the audio of another and the vision of a third make a new clip. The true label of each modality is
the label of the clip it comes from; the m-label follows a common factor with which these truths are correlated as human
labels per modality are (.77 / .87 / .85). Every clip is used once per modality. Text is the mean of the last layer of
a frozen encoder, audio and vision are means over the frames. Nothing of the data is written anywhere. The rest is as in
label_study.py, with 30 epochs of training.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import label_study
import numpy as np
import pandas as pd
import torch
from label_study import Array
from torch import Tensor

from selfmm.data.importing import import_dataset
from selfmm.data.planted import MODALITIES
from selfmm.data.store import Dataset
from selfmm.labels.ridge import left_out
from selfmm.models.text import load_pretrained, tokenise

EPOCHS = 30
BLUR = {"text": 1.5, "audio": 1.0, "vision": 3.0}


@dataclass(frozen=True)
class RealSet:
    """How clips are composed.

    Attributes:
        correlations: of each truth with the common factor; None where one clip gives all three modalities.
        conflict: share of the clips where one modality has the opposite sentiment.
        blur: noise is added to the inputs.
        dead: the rows of vision are shuffled.
    """

    name: str
    correlations: tuple[float, float, float] | None = (0.77, 0.87, 0.85)
    conflict: float = 0.0
    blur: bool = False
    dead: bool = False


SETS = [
    RealSet("like human labels"),
    RealSet("and 20 % conflict", conflict=0.2),
    RealSet("closer", (0.93, 0.97, 0.96)),
    RealSet("weaker inputs", blur=True),
    RealSet("dead vision", dead=True),
    RealSet("one truth", None),
]


def read(pickle: Path, encoder: str) -> tuple[Array, dict[str, Array]]:
    """Labels (N,), and per modality one row of features per clip, (N, d)."""
    with tempfile.TemporaryDirectory() as folder:
        dataset, _ = import_dataset(pickle, Path(folder) / "data")
        rows = {"text": _texts(dataset, encoder)}
        for name in ("audio", "vision"):
            frames = (dataset.frames(name, row) for row in range(len(dataset)))
            rows[name] = np.stack([np.asarray(part, dtype=np.float64).mean(0) for part in frames])
        return dataset.labels().copy(), rows


@torch.no_grad()
def _texts(dataset: Dataset, encoder: str) -> Array:
    pretrained = load_pretrained(encoder)
    tokens = tokenise(pretrained.tokenizer, dataset.samples["text"].str.lower().tolist(), 50)
    hidden = (pretrained.model(input_ids=torch.from_numpy(ids)[None]).last_hidden_state for ids in tokens)
    return np.stack([rows[0].mean(0).double().numpy() for rows in hidden])


def compose(
    study: RealSet, labels: Array, inputs: dict[str, Array], seed: int
) -> tuple[pd.DataFrame, dict[str, Tensor]]:
    """A table with m-labels and every truth, and the inputs."""
    rng = np.random.default_rng([seed, 77])
    clips = len(labels)
    ranked = np.argsort(labels + 1e-6 * rng.normal(size=clips))
    factor = rng.normal(size=clips)
    latent = {name: factor.copy() for name in MODALITIES}
    for name, r in zip(MODALITIES, study.correlations or (), strict=False):
        latent[name] = r * factor + np.sqrt(1 - r * r) * rng.normal(size=clips)
    torn = np.full(clips, "", dtype="<U8")
    for place, clip in enumerate(rng.permutation(clips)[: int(study.conflict * clips)]):
        torn[clip] = name = MODALITIES[place % 3]
        latent[name][clip] = -np.sign(factor[clip]) * abs(rng.normal())
    sources = {name: ranked[np.argsort(np.argsort(value))] for name, value in latent.items()}
    table = pd.DataFrame({"label": np.sort(labels)[np.argsort(np.argsort(factor))]})
    table = table.assign(**{f"label_{name}": labels[source] for name, source in sources.items()})
    if study.conflict:
        table["conflict"] = torn
    rows = {name: _standard(inputs[name][source]) for name, source in sources.items()}
    if study.blur:
        rows = {name: _standard(value + BLUR[name] * rng.normal(size=value.shape)) for name, value in rows.items()}
    if study.dead:
        rows["vision"] = rows["vision"][rng.permutation(clips)]
    return table, {name: torch.from_numpy(value).float() for name, value in rows.items()}


def _standard(rows: Array) -> Array:
    return cast(Array, (rows - rows.mean(0)) / (rows.std(0) + 1e-8))


def measure(study: RealSet, labels: Array, inputs: dict[str, Array], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per rule and modality, and the calibration of the expected errors."""
    table, rows = compose(study, labels, inputs, seed)
    m, truth = table["label"].to_numpy(dtype=np.float64, copy=True), label_study.truths(table)
    answers, estimates = label_study.all_rules(m, rows, EPOCHS, seed)
    every_clip = np.ones(len(m), dtype=bool)
    answers["ceiling"] = {
        name: left_out([value.numpy(), m[:, None]], truth[name], every_clip) for name, value in rows.items()
    }
    return (
        label_study.recovered(table, answers).assign(set=study.name, seed=seed),
        label_study.calibration(estimates, truth).assign(set=study.name, seed=seed),
    )


def main() -> None:
    parser = label_study.arguments(__doc__, 400)
    parser.add_argument("pickle", type=Path, help="a pickle of the field with raw text, such as MMSA's MOSI")
    parser.add_argument("--encoder", default="minilm", help="text encoder; default minilm, see `selfmm weights get`")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    labels, inputs = read(options.pickle, options.encoder)
    report = label_study.Report(options)
    for study in SETS:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            started = time.perf_counter()
            tables = measure(study, labels, inputs, seed)
            report.add(f"{study.name}, seed {seed}", tables, time.perf_counter() - started)
    report.print()


if __name__ == "__main__":
    main()
