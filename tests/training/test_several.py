"""Trainings in workers whose text encoder cannot be loaded: said once, before any worker starts."""

from __future__ import annotations

from pathlib import Path

import pytest

import selfmm
from selfmm.core.errors import WeightsError
from selfmm.data.store import Dataset


def test_an_encoder_that_cannot_be_fetched_starts_no_worker(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def offline(name: str, *_: str) -> str:
        asked.append(name)
        raise WeightsError(f"cannot load {name!r}")

    monkeypatch.setattr("selfmm.models.text.why_offline", offline)
    monkeypatch.setattr("selfmm.training.several.Pool", None)
    with pytest.raises(WeightsError, match="cannot load 'nobody/model'"):
        selfmm.train_seeds(planted, seeds=[1, 2, 3], text_encoder="nobody/model", model="lf_dnn", out=tmp_path / "runs")
    assert asked == ["nobody/model"]
