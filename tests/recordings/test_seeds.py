"""A folder of seeds as one model: the mean of the scores, and the metrics of each seed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import selfmm
from conftest import QUICK
from selfmm.core.errors import RunError
from selfmm.data.store import Dataset
from selfmm.evaluation.seeds import SeedMetrics
from selfmm.recordings.model import SentimentModel
from selfmm.recordings.seeds import SeedModels
from selfmm.training.seeds import SeedRuns

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]


@pytest.fixture(scope="module")
def seeds(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    out = tmp_path_factory.mktemp("two") / "seeds"
    return selfmm.train_seeds(planted, seeds="5,7", overrides=STREAMS, out=out, jobs=1)


@pytest.mark.slow
def test_predict_is_the_mean_of_the_seeds(seeds: SeedRuns, planted: Dataset) -> None:
    table = selfmm.predict(seeds.folder, planted, split="test")
    parts = [selfmm.load(run.path).predict(planted, "test") for run in seeds.runs.values()]
    assert isinstance(table, pd.DataFrame)
    assert table["id"].tolist() == parts[0]["id"].tolist()
    for name in ("score", "score_audio", "score_vision"):
        assert np.allclose(table[name], (parts[0][name] + parts[1][name]) / 2)
    assert np.allclose(table["deviation"], abs(parts[0]["score"] - parts[1]["score"]) / 2**0.5)


@pytest.mark.slow
def test_evaluate_gives_the_figures_of_each_seed_and_their_mean(seeds: SeedRuns, planted: Dataset) -> None:
    for data in (None, planted, planted.path):
        metrics = selfmm.evaluate(seeds.folder, data)
        assert isinstance(metrics, SeedMetrics)
        for key, value in metrics.values.items():
            assert value == pytest.approx(seeds.summary.loc[f"test_{key}", "mean"], abs=1e-6, nan_ok=True)
            row = metrics.summary.loc[key]
            assert row["std"] == pytest.approx(seeds.summary.loc[f"test_{key}", "std"], abs=1e-6, nan_ok=True)
    mean = selfmm.load(seeds.folder)
    assert isinstance(mean, SeedModels)
    assert "seeds: 5, 7" in repr(mean)
    with pytest.raises(RunError, match=r"summary\.json"):
        _ = mean.metrics


@pytest.mark.slow
def test_an_explanation_is_the_mean_of_those_of_the_seeds(seeds: SeedRuns, planted: Dataset) -> None:
    table = selfmm.predict(seeds.folder, planted, split="test", explain=True)
    parts = [selfmm.load(run.path).predict(planted, "test", explain=True) for run in seeds.runs.values()]
    assert isinstance(table, pd.DataFrame)
    for name in ("score", "base", "by_audio", "added_vision"):
        assert np.allclose(table[name], (parts[0][name] + parts[1][name]) / 2, atol=1e-5)


@pytest.mark.slow
def test_what_is_of_one_run_says_so(seeds: SeedRuns, planted: Dataset) -> None:
    assert selfmm.corrections(seeds.folder).empty, "corrections are of the data set, which the seeds share"
    for verb in (selfmm.api.labels, selfmm.audit, selfmm.api.report):
        with pytest.raises(RunError, match="Give one of them"):
            verb(seeds.folder)


@pytest.mark.slow
def test_recordings(clip_run: SentimentModel, demo_clips: Path, tmp_path: Path) -> None:
    """The same model twice scores like once."""
    for name in ("seed-1", "seed-2"):
        shutil.copytree(clip_run.folder.path, tmp_path / "seeds" / name)
    clip = sorted(demo_clips.parent.glob("*.mp4"))[0]
    one, mean = (selfmm.load(run).predict(selfmm.Clip(clip)) for run in (clip_run.folder.path, tmp_path / "seeds"))
    assert mean.score == pytest.approx(one.score, abs=1e-6)
    assert mean.scores == pytest.approx(one.scores, abs=1e-6)
    assert mean.deviation == pytest.approx(0.0, abs=1e-6)
    assert one.deviation is None
    [explained] = selfmm.api.predict_each(tmp_path / "seeds", clip, explain=True)
    assert isinstance(explained, selfmm.Prediction)
    assert explained.explanation is not None
    assert explained.explanation.score == pytest.approx(one.score, abs=1e-6)
