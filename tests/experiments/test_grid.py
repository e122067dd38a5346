"""A grid: each run is that of a training of its own, one case's trouble is no other's, and a kill costs nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

import selfmm
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.core.errors import OutputError, RunError, SettingsError
from selfmm.core.listener import Listener
from selfmm.data.store import Dataset
from selfmm.experiments.grid import Case, Grid, RunKey, run_grid
from selfmm.recordings.model import SentimentModel
from training.builders import killed_at_the_end

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]


def case(model: str, *overrides: str) -> Case:
    return Case(model, load_settings(None, [*STREAMS, f"model={model}", *overrides]))


def grid(
    dataset: Dataset, folder: Path, cases: list[Case], *, resume: bool = False, seeds: tuple[int, ...] = (5,)
) -> Grid:
    return run_grid(
        dataset, cases, [5], folder, resume=resume, jobs=2, listener=Listener(), ours=re.compile("table.md")
    )


@pytest.fixture(scope="module")
def two(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """Two models, and a case that the data do not serve; not to be changed."""
    cases = [case("lf_dnn"), case("self_mm"), Case("few", load_settings(None, ["modalities=audio", "model=tfn"]))]
    return grid(planted, tmp_path_factory.mktemp("grid") / "runs", cases)


@pytest.mark.slow
def test_each_run_is_that_of_a_training_of_its_own(two: Grid, planted: Dataset, tmp_path: Path) -> None:
    assert list(two.runs) == [RunKey("lf_dnn", 5), RunKey("self_mm", 5)]
    alone = selfmm.train(planted, overrides=[*STREAMS, "model=lf_dnn", "seed=5"], out=tmp_path / "alone")
    run = two.of("lf_dnn")[5]
    pd.testing.assert_frame_equal(run.predictions(), alone.predictions, check_exact=True)


@pytest.mark.slow
def test_a_case_that_the_data_do_not_serve_stops_no_other(two: Grid) -> None:
    assert list(two.failed) == [RunKey("few", 5)]
    assert "tfn needs at least 2 modalities" in two.failed[RunKey("few", 5)]


@pytest.mark.slow
def test_cases_may_start_from_another_run(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    path = trained.folder.path
    settings = load_settings(None, [*QUICK, "training.max_epochs=1", "text.finetune=false", f"start={path}"])
    done = grid(planted, tmp_path / "runs", [Case("on", settings)])
    info, own = done.of("on")[5].info(), done.of("on")[5].settings()
    assert info.start is not None
    assert (info.start.run, info.start.afresh) == (own.start, ()) == (str(path), ())
    assert own.text.encoder == trained.folder.settings().text.encoder


@pytest.mark.slow
def test_what_is_missing_is_done_and_nothing_else(two: Grid, planted: Dataset, tmp_path: Path) -> None:
    """As after a kill: one run lost its last files, another never began; a case more is no trouble."""
    folder = tmp_path / "runs"
    shutil.copytree(two.folder, folder)
    (folder / "table.md").write_text("a table")
    for name in ("lf_dnn/seed-5-report.html", "lf_dnn/.DS_Store", "lf_dnn-report.html", "Thumbs.db"):
        (folder / name).touch()  # `selfmm report lf_dnn/seed-5` writes the first
    cut = folder / "self_mm" / "seed-5"
    shutil.rmtree(cut)
    killed_at_the_end(planted, cut, overrides=[*STREAMS, "model=self_mm", "seed=5"])
    kept = (folder / "lf_dnn" / "seed-5" / "metrics.json").stat().st_mtime_ns
    cases = [case("lf_dnn"), case("self_mm")]
    with pytest.raises(OutputError, match=r"already holds runs\. Pass `resume=True`"):
        grid(planted, folder, cases)
    again = grid(planted, folder, cases, resume=True)
    assert (folder / "lf_dnn" / "seed-5" / "metrics.json").stat().st_mtime_ns == kept
    for key, run in two.runs.items():
        pd.testing.assert_frame_equal(run.predictions(), again.runs[key].predictions(), check_exact=True)
    with pytest.raises(RunError, match="started with other settings"):
        grid(planted, folder, [case("lf_dnn", "fusion.lr=0.5")], resume=True)


def test_folders_of_something_else_are_let_be(planted: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"not a folder of runs \(it holds thesis.tex\)"):
        grid(planted, tmp_path, [case("lf_dnn")], resume=True)


def test_names_of_cases() -> None:
    for name in ("../evil", "", "a b", "-x", "a/b", "x" * 101):
        with pytest.raises(SettingsError, match="cannot name a case"):
            Case(name, load_settings())
    assert Case("lf_dnn+labels.source=none", load_settings()).name
    assert str(RunKey("mult", 1111)) == "mult 1111"


def test_one_name_twice(planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'lf_dnn' is given twice"):
        grid(planted, tmp_path / "runs", [case("lf_dnn"), case("lf_dnn")])
