"""Several seeds: the same numbers as one by one, and what one seed's death costs the others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from safetensors.torch import load_file

import selfmm
from conftest import QUICK
from selfmm.core.errors import OutputError, RunError, SettingsError, TrainingError
from selfmm.core.listener import Listener
from selfmm.data.store import Dataset
from selfmm.training.seeds import SeedRuns, parse_seeds
from selfmm.training.trainer import EpochRecord

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]
"""Two epochs without words: under a second."""


@pytest.fixture(scope="module")
def two(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    """Two seeds at once; not to be changed."""
    out = tmp_path_factory.mktemp("two") / "seeds"
    return selfmm.train_seeds(planted, seeds="5,7-7", overrides=STREAMS, out=out, jobs=2)


def test_lists() -> None:
    assert parse_seeds("1111-1115") == (1111, 1112, 1113, 1114, 1115)
    assert parse_seeds(" 9 , 3-4,0") == (9, 3, 4, 0)
    assert parse_seeds("7-7,4294967295") == (7, 2**32 - 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'' is not a seed"),
        ("1,,2", "'' is not a seed"),
        ("a-b", "'a-b' is not a seed"),
        ("-5", "'-5' is not a seed"),
        ("1-2-3", "'1-2-3' is not a seed"),
        ("1.5", "'1.5' is not a seed"),
        ("9" * 5000, "is not a seed"),
        ("1115-1111", "1115-1111 is in the wrong order; write 1111-1115"),
        ("1-3,2", "2 given more than once"),
        ("4294967296", "4294967296 is not a whole number from 0 to 4294967295"),
        ("0-4294967295", "more than 1000; give fewer"),
    ],
)
def test_bad_lists(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_seeds(text)


@pytest.mark.parametrize("seeds", [[], [-1], [2**32], [1, 1], [1.0], list(range(1001))])
def test_bad_numbers(planted: Dataset, tmp_path: Path, seeds: list[int]) -> None:
    with pytest.raises(SettingsError, match="seeds: "):
        selfmm.train_seeds(planted, seeds=seeds, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def same(one: Path, other: Path) -> None:
    """Two run folders hold the same numbers, bit for bit."""
    first, second = selfmm.load(one), selfmm.load(other)
    pd.testing.assert_frame_equal(first.predictions, second.predictions, check_exact=True)
    pd.testing.assert_frame_equal(first.labels, second.labels, check_exact=True)
    assert first.metrics == second.metrics
    weights, expected = load_file(first.folder.weights), load_file(second.folder.weights)
    assert weights.keys() == expected.keys()
    assert all((weights[key] == expected[key]).all() for key in expected)


@pytest.mark.slow
def test_each_seed_is_that_of_a_training_of_its_own(two: SeedRuns, planted: Dataset, tmp_path: Path) -> None:
    assert list(two.runs) == [5, 7]
    assert two.failed == {}
    for seed in (5, 7):
        alone = selfmm.train(planted, seed=seed, overrides=STREAMS, out=tmp_path / str(seed))
        same(two.runs[seed].path, alone.folder.path)
        assert two.runs[seed].settings() == alone.folder.settings()
    scores = [two.runs[seed].predictions()["score"] for seed in (5, 7)]
    assert (scores[0] != scores[1]).any()


@pytest.mark.slow
def test_summary(two: SeedRuns) -> None:
    files = [two.folder / f"seed-{seed}" for seed in (5, 7)]
    metrics = [json.loads((path / "metrics.json").read_text()) for path in files]
    mae = [entry["splits"]["test"]["fusion"]["values"]["mae"] for entry in metrics]
    row = two.summary.loc["test_mae"]
    assert row["mean"] == pytest.approx(sum(mae) / 2, rel=1e-12)
    assert row["std"] == pytest.approx(np.sqrt(sum((m - sum(mae) / 2) ** 2 for m in mae)), rel=1e-9)
    assert two.figures.T["test_mae"].tolist() == mae
    audio = [entry["splits"]["valid"]["audio"]["values"]["corr"] for entry in metrics]
    assert two.figures.T["valid_audio_corr"].tolist() == audio
    assert two.figures.T["best_epoch"].tolist() == [entry["best_epoch"] for entry in metrics]
    assert two.figures.T["epochs"].tolist() == [2, 2]
    assert (two.figures.loc["peak_memory"] > 50e6).all()
    table = pd.read_csv(two.folder / "summary.csv", index_col="metric")
    assert table.columns.tolist() == ["mean", "std", "runs", "seed_5", "seed_7"]
    assert table["seed_7"].to_dict() == pytest.approx(two.figures[7].to_dict(), nan_ok=True)
    content = json.loads((two.folder / "summary.json").read_text())
    assert content["figures"]["test_mae"]["mean"] == row["mean"]
    assert content["figures"]["device_peak_memory"]["mean"] is None
    assert (content["seeds"], content["failed"]) == ([5, 7], {})
    assert not list(two.folder.rglob("*.partial"))


class KillSecond(Listener):
    """Kills the process of seed 2, alone at the time, after its first epoch; sees who was started."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.second: psutil.Process | None = None

    def run_started(self, seed: int, max_epochs: int, done: int) -> None:
        self.seen.append(seed)
        if seed == 2:
            # Looked for now, so that after the epoch nothing delays the kill.
            processes = psutil.Process().children(recursive=True)
            # The last one: before it is the process that it was forked from, which looks the same.
            self.second = [p for p in processes if "selfmm.training.run_worker" in p.cmdline()][-1]

    def run_epoch(self, seed: int, record: EpochRecord) -> None:
        if seed == 2:
            assert self.second is not None
            self.second.kill()


@pytest.mark.slow
def test_a_killed_seed_costs_no_other_and_resuming_does_what_is_missing(planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    # Long enough that the kill comes before its end.
    overrides = [*STREAMS, "training.max_epochs=8", "training.patience=8", "training.batch_size=8"]
    result = selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out, jobs=1, listener=KillSecond())
    assert list(result.runs) == [1]
    assert "was killed (SIGKILL)" in result.failed[2]
    assert result.summary.loc["test_mae", "runs"] == 1
    assert "SIGKILL" in json.loads((out / "summary.json").read_text())["failed"]["2"]
    stamp = (out / "seed-1" / "metrics.json").stat().st_mtime_ns
    with pytest.raises(OutputError, match="Pass `resume=True`"):
        selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out)
    with pytest.raises(RunError, match="started with other settings"):
        selfmm.train_seeds(planted, seeds="2,1", overrides=STREAMS, out=out, resume=True)
    again = KillSecond()
    again.run_epoch = lambda seed, record: None  # type: ignore[method-assign]
    result = selfmm.train_seeds(planted, seeds="2,1", overrides=overrides, out=out, resume=True, listener=again)
    assert again.seen == [2]
    assert result.failed == {}
    assert (out / "seed-1" / "metrics.json").stat().st_mtime_ns == stamp
    alone = selfmm.train(planted, seed=2, overrides=overrides, out=tmp_path / "alone")
    same(out / "seed-2", alone.folder.path)


@pytest.mark.slow
def test_reasons_that_all_seeds_share_are_said_once(planted: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    overrides = [*QUICK, f"text.encoder={tmp_path / 'empty'}"]
    with pytest.raises(TrainingError, match="seeds 1, 2: ") as caught:
        selfmm.train_seeds(planted, seeds=[1, 2], overrides=overrides, out=tmp_path / "out", jobs=2)
    assert str(caught.value).count("cannot load") == 1
    assert not (tmp_path / "out" / "summary.json").exists()


def test_places_that_are_refused(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.tex", planted.path):
        with pytest.raises(OutputError, match="is not a folder of seeds"):
            selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=place, resume=True)
    with pytest.raises(OutputError, match="cannot write"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=tmp_path / "thesis.tex" / "x")
    with pytest.raises(SettingsError, match="seed: give either seed or seeds, not both"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=["seed=3"], out=tmp_path / "x")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="without accelerate launch"):
        selfmm.train_seeds(planted, seeds="1-2", overrides=STREAMS, out=tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
