"""Every model learns the planted data: it is clearly better than the mean on clips that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import selfmm
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.models import MODELS, find_model

QUICK = (
    *("training.max_epochs=8", "training.batch_size=16", "training.accumulation=1", "text.max_tokens=40"),
    *("text.lr=2e-3", "stream.audio.lr=5e-3", "stream.vision.lr=5e-3", "fusion.lr=2e-3", "align=pool"),
)


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """150 clips with little noise and no contradictions, so that few steps tell a model that learns from one that does
    not: on the common planted clips a model that overfits is no better than the mean by chance of its seed.
    """
    plain = PlantedSettings(clips=150, seed=3, conflict=0.0, noise={"text": 0.1, "audio": 0.2, "vision": 0.2})
    return write_planted(tmp_path_factory.mktemp("clear") / "data", plain)


LESS = ("options.dim=20", "options.layers=1", "options.attention_dropout=0")
SMALLER = {"mult": LESS, "tetfn": LESS}
"""Of models that would take long at their own sizes."""


FAST = ("self_mm", "lmf")
"""One of the models with labels per modality, and one without."""


@pytest.mark.parametrize(
    "name", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_it_beats_the_mean(name: str, clear: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    overrides = [*QUICK, f"model={name}", *SMALLER.get(name, ())]
    run = selfmm.train(clear, text_encoder=tiny_encoder, overrides=overrides, out=tmp_path / "run")
    table = run.predictions
    unseen = table[table["split"] != "train"]
    mean = float(table.loc[table["split"] == "train", "label"].mean())
    error = float(np.abs(unseen["score"] - unseen["label"]).mean())
    assert error < 0.8 * float(np.abs(unseen["label"] - mean).mean())
    again = selfmm.load(run.folder.path).predict(clear)
    same = (table["split"] == "test") | (not find_model(name).closed_form)  # otherwise, scores are left out
    np.testing.assert_allclose(again["score"][same], table["score"][same], atol=1e-5)
