"""Weights that training does not change are stored once for all runs of a folder, and each run can leave it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

import selfmm
from conftest import QUICK
from selfmm.core.errors import RunError
from selfmm.data.store import Dataset
from selfmm.training.checkpoint import Checkpoints
from selfmm.training.seeds import SeedRuns
from training.builders import killed_at_the_end

pytestmark = pytest.mark.slow  # a fixture trains or exports for all of them

FROZEN = (*QUICK, "text.finetune=false", "training.max_epochs=2")


def seeds(dataset: Dataset, encoder: str, out: Path, numbers: Sequence[int]) -> SeedRuns:
    return selfmm.train_seeds(
        dataset, seeds=numbers, text_encoder=encoder, overrides=FROZEN, out=out, jobs=1, resume=out.exists()
    )


@pytest.fixture(scope="module")
def pair(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    """Two seeds; not to be changed."""
    return seeds(planted, tiny_encoder, tmp_path_factory.mktemp("pair") / "runs", (1, 2))


def test_what_is_frozen_is_stored_once(pair: SeedRuns) -> None:
    first, second = (run.frozen_weights for run in pair.runs.values())
    assert first.samefile(second)
    (kept,) = (pair.folder / ".frozen").iterdir()
    assert kept.samefile(first)
    still, learned = load_file(first), load_file(pair.runs[1].weights)
    assert still
    assert all(name.startswith("encoders.text.") for name in still)
    assert not still.keys() & learned.keys()
    assert learned.keys() == load_file(pair.runs[2].weights).keys()


def test_a_run_can_leave_the_others(pair: SeedRuns, planted: Dataset, tmp_path: Path) -> None:
    before = selfmm.load(pair.runs[2].path).predict(planted)
    shutil.copytree(pair.folder, tmp_path / "runs")
    (tmp_path / "runs" / "seed-2").rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "runs")
    pd.testing.assert_frame_equal(selfmm.load(tmp_path / "moved").predict(planted), before, check_exact=True)


def test_damage_does_not_spread(pair: SeedRuns, planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    shutil.copytree(pair.folder, out)
    (kept,) = (out / ".frozen").iterdir()
    good = kept.read_bytes()
    for damage in (good[:-1000], good[:-4] + b"oops", b""):
        kept.write_bytes(damage)
        shutil.rmtree(out / "seed-2")
        again = seeds(planted, tiny_encoder, out, (1, 2))
        assert again.runs[2].frozen_weights.read_bytes() == good == kept.read_bytes()


def test_where_there_are_no_links_each_has_its_own(
    pair: SeedRuns, planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.config.settings import load_settings
    from selfmm.core.listener import Listener
    from selfmm.runs.folder import RunFolder
    from selfmm.training.run import Run

    def refuse(*names: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    settings = load_settings(None, [*FROZEN, f"text.encoder={tiny_encoder}", "seed=1"])
    run = RunFolder(tmp_path / "run")
    Run(planted, settings, run, Listener(), shared=tmp_path / ".frozen").execute(resume=False)
    (kept,) = (tmp_path / ".frozen").iterdir()
    assert not kept.samefile(run.frozen_weights)
    assert kept.read_bytes() == run.frozen_weights.read_bytes() == pair.runs[1].frozen_weights.read_bytes()


def test_a_run_by_itself_and_one_whose_encoder_learns(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, trained: selfmm.SentimentModel
) -> None:
    alone = selfmm.train(planted, text_encoder=tiny_encoder, overrides=FROZEN, out=tmp_path / "alone")
    assert alone.folder.frozen_weights.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["alone"]
    assert not trained.folder.frozen_weights.exists()


def test_runs_of_older_versions_have_one_file(pair: SeedRuns, planted: Dataset, tmp_path: Path) -> None:
    shutil.copytree(pair.runs[1].path, tmp_path / "run")
    frozen, weights = tmp_path / "run" / "frozen.safetensors", tmp_path / "run" / "model.safetensors"
    save_file(load_file(frozen) | load_file(weights), weights)
    frozen.unlink()
    pd.testing.assert_frame_equal(
        selfmm.load(tmp_path / "run").predict(planted),
        selfmm.load(pair.runs[1].path).predict(planted),
        check_exact=True,
    )


def test_a_lost_file_is_told(pair: SeedRuns, tmp_path: Path) -> None:
    shutil.copytree(pair.runs[1].path, tmp_path / "run")
    (tmp_path / "run" / "frozen.safetensors").unlink()
    with pytest.raises(RunError, match=r"frozen\.safetensors is missing"):
        selfmm.load(tmp_path / "run")


def test_a_finished_run_keeps_only_what_somebody_reads(
    pair: SeedRuns, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    killed_at_the_end(planted, tmp_path / "run", text_encoder=tiny_encoder, overrides=[*FROZEN, "seed=1"])
    state = tmp_path / "run" / "state"
    before = sum(file.stat().st_size for file in state.rglob("*") if file.is_file())
    assert not any("encoders.text" in key for file in state.glob("*.safetensors") for key in load_file(file))
    ended = selfmm.train(
        planted, text_encoder=tiny_encoder, overrides=[*FROZEN, "seed=1"], out=tmp_path / "run", resume=True
    )
    assert sum(file.stat().st_size for file in state.rglob("*") if file.is_file()) < before / 2
    assert sorted(file.name for file in state.iterdir()) == ["epoch-00002.safetensors", "latest.json"]
    assert all(name.startswith("objective/") for name in load_file(state / "epoch-00002.safetensors"))
    pd.testing.assert_frame_equal(ended.labels, selfmm.load(pair.runs[1].path).labels)


def test_a_run_is_not_lost_to_what_cannot_be_cleared_away(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Checkpoints, part: str) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Checkpoints, "finish", refuse)
    made = selfmm.train(planted, text_encoder=tiny_encoder, overrides=FROZEN, out=tmp_path / "run")
    assert made.info.status == "finished"
    assert list((tmp_path / "run" / "state").glob("best-*"))
