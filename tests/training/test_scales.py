"""Training on any range of labels: the same data on another scale gives the same model, moved and stretched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import selfmm
from selfmm.api.first_steps import final_recovery
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.data.store import Dataset
from selfmm.data.writer import write_dataset
from selfmm.labels.audit.recovery import DESCRIPTIONS
from selfmm.recordings.model import SentimentModel

SETTINGS = PlantedSettings(clips=160, noise={"audio": 0.2, "vision": 0.3})
QUICK = ["modalities=audio,vision", "training.max_epochs=6", "stream.audio.hidden=8", "stream.vision.hidden=8"]


def moved(path: Path, low: float, high: float) -> Dataset:
    """The planted data with labels from ``low`` to ``high`` instead of -3 to 3."""
    source = planted_source(SETTINGS)
    table = source.table.copy()
    for column in [name for name in table.columns if str(name).startswith("label")]:
        table[column] = np.clip(low + (table[column] + 3) * (high - low) / 6, low, high)
    return write_dataset(replace(source, table=table, label_range=(low, high)), path)


def train(folder: Path, low: float, high: float) -> tuple[Dataset, SentimentModel]:
    dataset = moved(folder / f"{low}-{high}", low, high)
    return dataset, selfmm.train(dataset, preset="quickstart", overrides=QUICK, out=folder / f"run-{low}-{high}")


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(1.0, 5.0), (-5.0, -1.0)])
def test_a_moved_scale_gives_the_moved_model(low: float, high: float, tmp_path: Path) -> None:
    (_, plain), (_, other) = train(tmp_path, -2.0, 2.0), train(tmp_path, low, high)
    middle = (low + high) / 2
    np.testing.assert_allclose(other.predictions["score"] - middle, plain.predictions["score"], atol=2e-2)
    np.testing.assert_allclose(other.labels["u_label"] - middle, plain.labels["u_label"], atol=2e-2)
    np.testing.assert_allclose(other.labels["weight"], plain.labels["weight"], atol=2e-2)
    figures, expected = (model.metrics["splits"]["test"]["fusion"]["values"] for model in (other, plain))
    assert figures == pytest.approx(expected, abs=2e-2)
    found, wanted = final_recovery(other), final_recovery(plain)
    np.testing.assert_allclose(found[list(DESCRIPTIONS)], wanted[list(DESCRIPTIONS)], atol=2e-2)
    assert wanted["corr"].min() > 0.8


@pytest.mark.slow
def test_a_wide_scale_gives_the_stretched_model(tmp_path: Path) -> None:
    (_, plain), (_, wide) = train(tmp_path, -3.0, 3.0), train(tmp_path, 0.0, 90.0)
    np.testing.assert_allclose(wide.predictions["score"] / 15 - 3, plain.predictions["score"], atol=2e-2)
    np.testing.assert_allclose(wide.labels["u_label"] / 15 - 3, plain.labels["u_label"], atol=2e-2)
    np.testing.assert_allclose(wide.labels["weight"], plain.labels["weight"], atol=2e-2)
    again = selfmm.load(wide.folder.path).predict(tmp_path / "0.0-90.0")
    np.testing.assert_allclose(again["score"], wide.predictions["score"], atol=1e-3)
