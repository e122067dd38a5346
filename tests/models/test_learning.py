"""Every model learns what was planted: clearly more than the mean says, on clips it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import selfmm
from selfmm.data.store import Dataset
from selfmm.models import MODELS

QUICK = (
    *("training.max_epochs=6", "training.batch_size=16", "training.accumulation=1", "text.max_tokens=40"),
    *("text.lr=2e-3", "stream.audio.lr=5e-3", "stream.vision.lr=5e-3", "fusion.lr=2e-3", "align=pool"),
)


@pytest.mark.parametrize("name", list(MODELS))
def test_it_beats_the_mean(name: str, planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    run = selfmm.train(planted, text_encoder=tiny_encoder, overrides=[*QUICK, f"model={name}"], out=tmp_path / "run")
    table = run.predictions
    unseen = table[table["split"] != "train"]
    mean = float(table.loc[table["split"] == "train", "label"].mean())
    error = float(np.abs(unseen["score"] - unseen["label"]).mean())
    assert error < 0.8 * float(np.abs(unseen["label"] - mean).mean())
    again = selfmm.load(run.folder.path).predict(planted)
    np.testing.assert_allclose(again["score"], table["score"], atol=1e-5)
