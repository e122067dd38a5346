"""The label study on real inputs: clips composed from an MMSA pickle, so that the true labels per modality are known.

    python benchmarks/label_study_real.py mosi.pkl     # 6 sets, 3 seeds: the second table of docs/label_study.md

The text of one clip, the audio of another and the vision of a third make a new clip. The true label of each modality is
the label of the clip it comes from; the m-label follows a common factor with which these truths are correlated as human
labels per modality are (.77 / .87 / .85). Every clip is used once per modality. Text is the mean of the last layer of
a frozen encoder, audio and vision are means over the frames; encoders are trained for 30 epochs, until they have
memorised. Nothing of the data is written anywhere.
"""

from __future__ import annotations

import argparse
import tempfile
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
from selfmm.labels.audit.recovery import recovery
from selfmm.labels.leave_one_out import leave_one_out
from selfmm.models.text import load_pretrained, tokenise

EPOCHS = 30
RULES = ("authors", "centre-gap", "posterior")
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


def measure(study: RealSet, labels: Array, inputs: dict[str, Array], seed: int) -> pd.DataFrame:
    """One row per rule and modality; `half, left out` and `ceiling` are ridge heads on the inputs themselves."""
    table, rows = compose(study, labels, inputs, seed)
    m = torch.from_numpy(table["label"].to_numpy(dtype=np.float64, copy=True))
    generators = label_study.train(m, rows, EPOCHS, seed)
    every_clip = torch.ones(len(m), dtype=torch.bool)
    predicted = {name: leave_one_out(value, m, every_clip) for name, value in rows.items()}
    answers = {"m-label": dict.fromkeys(rows, m)}
    answers |= {rule: {name: u.double() for name, u in generators[rule].labels.items()} for rule in RULES}
    answers["half, left out"] = {name: (m + value) / 2 for name, value in predicted.items()}
    truths = {name: torch.from_numpy(table[f"label_{name}"].to_numpy(dtype=np.float64, copy=True)) for name in rows}
    answers["ceiling"] = {
        name: leave_one_out(torch.cat([value.double(), m[:, None]], 1), truths[name], every_clip)
        for name, value in rows.items()
    }
    tables = [
        recovery(table, {name: u.numpy() for name, u in answer.items()}).reset_index().assign(rule=rule)
        for rule, answer in answers.items()
    ]
    return pd.concat(tables).assign(set=study.name, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pickle", type=Path, help="a pickle of the field with raw text, such as MMSA's MOSI")
    parser.add_argument("--encoder", default="minilm", help="text encoder; default minilm, see `selfmm weights get`")
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write every measured row to this CSV file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    labels, inputs = read(options.pickle, options.encoder)
    tables = []
    for study in SETS:
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            tables.append(measure(study, labels, inputs, seed))
            print(f"{study.name}, seed {seed}", flush=True)
            if options.out:
                pd.concat(tables).to_csv(options.out, index=False)
    means = pd.concat(tables).groupby(["set", "rule", "modality"], sort=False)[["corr", "right", "flipped"]].mean()
    print(means.unstack("modality").round(3).to_string())


if __name__ == "__main__":
    main()
