"""Explanations as columns: those of each clip by itself, and they add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import selfmm
from conftest import QUICK
from selfmm.core.errors import DatasetError, RunError
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.explain.clip import explain
from selfmm.explain.table import contributions
from selfmm.recordings.model import SentimentModel

MODALITIES = ("text", "audio", "vision")


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Half of the clips lack a stream."""
    return write_planted(tmp_path_factory.mktemp("gappy") / "data", PlantedSettings(clips=60, seed=4, missing=0.5))


@pytest.fixture(scope="module")
def table(trained: SentimentModel, gappy: Dataset) -> pd.DataFrame:
    return contributions(trained, gappy)


def test_they_are_those_of_each_clip_by_itself(table: pd.DataFrame, trained: SentimentModel, gappy: Dataset) -> None:
    assert len(table) == len(gappy)
    for row in range(0, len(gappy), 3):
        one, told = explain(trained, gappy, row), table.iloc[row]
        assert told["id"] == one.id
        assert told["base"] == pytest.approx(one.base, abs=1e-5)
        for part in one.contributions:
            assert told[f"by_{part.modality}"] == pytest.approx(part.value, abs=1e-5)
            assert told[f"added_{part.modality}"] == pytest.approx(part.added, abs=1e-5)
        for name in one.lacking:
            assert np.isnan(told[f"by_{name}"])
            assert np.isnan(told[f"added_{name}"])


def test_they_add_up_next_to_the_scores(table: pd.DataFrame, trained: SentimentModel, gappy: Dataset) -> None:
    pd.testing.assert_frame_equal(table[trained.score(gappy).columns], trained.score(gappy), atol=1e-5)
    assert table.filter(like="by_").isna().to_numpy().any(), "some clips lack a stream"
    np.testing.assert_allclose(table["base"] + table.filter(like="by_").sum(axis=1), table["score"], atol=1e-4)
    assert list(table.columns[-7:]) == ["base", *(f"{what}_{name}" for what in ("by", "added") for name in MODALITIES)]


def test_those_of_an_ensemble_are_the_means_of_its_runs(
    averaged: SentimentModel, members: list[Path], gappy: Dataset
) -> None:
    table, parts = contributions(averaged, gappy), [contributions(selfmm.load(run), gappy) for run in members[:2]]
    for name in parts[0].columns[-7:]:
        np.testing.assert_allclose(table[name], (parts[0][name] + parts[1][name]) / 2, atol=1e-5)
    np.testing.assert_allclose(table["base"] + table.filter(like="by_").sum(axis=1), table["score"], atol=1e-4)
    whole, own = explain(averaged, gappy, 0), [explain(selfmm.load(run), gappy, 0) for run in members[:2]]
    assert whole.base == pytest.approx((own[0].base + own[1].base) / 2, abs=1e-5)
    for part, one, other in zip(whole.contributions, own[0].contributions, own[1].contributions, strict=True):
        for key in ("value", "added", "alone", "content", "gap"):
            assert getattr(part, key) == pytest.approx((getattr(one, key) + getattr(other, key)) / 2, abs=1e-5), key
    values = [[word.value for word in explanation.words] for explanation in (whole, *own)]
    np.testing.assert_allclose(values[0], np.mean(values[1:], axis=0), atol=1e-5)


def test_a_split_and_sentences(table: pd.DataFrame, trained: SentimentModel, gappy: Dataset) -> None:
    test = contributions(trained, gappy, "test")
    expected = table[table["split"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(test, expected, atol=1e-5)
    said = trained.predict(text="the plot was wonderful", explain=True)
    assert said["by_text"].notna().all()
    assert said[["by_audio", "by_vision"]].isna().all(axis=None)
    with pytest.raises(DatasetError, match="no clip in a split 'tset'"):
        contributions(trained, gappy, "tset")


def test_models_that_join_their_streams_earlier(planted: Dataset, tmp_path: Path) -> None:
    overrides = [*QUICK, "modalities=audio,vision", "training.max_epochs=1", "model=ef_lstm", "align=pool"]
    run = selfmm.train(planted, overrides=overrides, out=tmp_path / "run")
    with pytest.raises(RunError, match="ef_lstm fuses them earlier"):
        contributions(run, planted)
