"""``selfmm.tune`` from data to preset: what it finds, what it refuses, and that a kill costs nothing."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import selfmm
from conftest import QUICK
from forked import Program
from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import MissingPackageError, OutputError, RunError, SettingsError, TrainingError
from selfmm.core.jobs.plan import Plan
from selfmm.core.jobs.pool import Pool
from selfmm.core.jobs.worker import module
from selfmm.core.listener import Listener
from selfmm.data.store import Dataset, open_dataset
from selfmm.experiments.course import Course, train_here
from selfmm.experiments.search import make_search
from selfmm.experiments.study import Asked, Study, quiet
from selfmm.experiments.trial import Outcome, TrialTrainer
from selfmm.experiments.tuning import Tuning
from selfmm.models.assembly import chosen_modalities
from waiting import wait_until

STREAMS = (*QUICK, "modalities=audio,vision", "training.max_epochs=2", "model=lf_dnn")
FIXED = (*STREAMS, "fusion.lr=1e-9", "fusion.weight_decay=0")
"""Of the model's own spaces none is left; with such a rate nothing is learnt."""


def tuned(data: Dataset, out: Path, *spaces: str, overrides: tuple[str, ...] = FIXED, **options: Any) -> Tuning:
    return selfmm.tune(data, overrides=overrides, spaces=spaces, out=out, **{"trials": 4, **options})


@pytest.fixture(scope="module")
def absurd(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    """A search that starts from an absurd rate and may take a good one, and two sizes; not to be changed."""
    spaces = ("fusion.lr=1e-9,5e-3", "fusion.projection=32,128")
    return tuned(planted, tmp_path_factory.mktemp("absurd") / "out", *spaces, trials=7)


def test_what_is_good_is_found(absurd: Tuning) -> None:
    assert absurd.start is not None
    assert absurd.start.values == {"fusion.lr": 1e-9, "fusion.projection": 128}
    assert absurd.best.values["fusion.lr"] == 5e-3
    assert (absurd.best.outcome.mae or 9) < 0.95 * (absurd.start.outcome.mae or 0)
    table = absurd.table
    complete = table[table["state"] == "complete"]
    assert absurd.best.outcome.mae == complete["valid_mae"].min()
    good = complete["fusion.lr"] == 5e-3
    assert complete.loc[good, "valid_mae"].max() < complete.loc[~good, "valid_mae"].min()
    assert absurd.importance["fusion.lr"] > 0.6


def test_nothing_is_trained_twice(absurd: Tuning) -> None:
    table = absurd.table
    trained = table[~table["reason"].str.startswith("the same as")]
    assert not trained.duplicated(["fusion.lr", "fusion.projection"]).any()
    assert len(trained) <= 4 < len(table) == 7
    assert table.groupby(["fusion.lr", "fusion.projection"])["valid_mae"].nunique().max() == 1


def test_the_preset_is_the_best_trial(absurd: Tuning, planted: Dataset, tmp_path: Path) -> None:
    settings = load_settings(absurd.preset)
    assert settings == absurd.settings
    assert settings == load_settings(None, [*FIXED, *(f"{key}={value}" for key, value in absurd.best.values.items())])
    run = selfmm.train(planted, preset=absurd.preset, out=tmp_path / "run")
    assert run.history["valid_mae"].min() == absurd.best.outcome.mae
    head = [line for line in absurd.preset.read_text().splitlines() if line.startswith("#")]
    assert f"selfmm {selfmm.__version__}, 20" in head[0]
    assert head[1].startswith("# data: planted, fingerprint ")
    assert head[2] == "# model: lf_dnn"
    assert f"# command: selfmm tune {planted.path} --trials 7 --out {absurd.folder} --set " in head[3]
    assert "--set model=lf_dnn --set fusion.lr=1e-9 --set" in head[3]
    assert head[3].endswith("--space fusion.lr=1e-9,5e-3 --space fusion.projection=32,128")
    assert head[4] == "# trials: 7 complete, 0 pruned, 0 failed"
    assert f"{absurd.best.outcome.mae:.6f} (trial {absurd.best.number}, epoch {absurd.best.outcome.epoch})" in head[5]


def test_files(absurd: Tuning) -> None:
    assert {path.name for path in absurd.folder.iterdir()} == {"journal.log", "trials.csv", "best.toml", ".lock"}
    table = pd.read_csv(absurd.folder / "trials.csv", keep_default_na=False)
    names = ["number", "state", "valid_mae", "best_epoch", "fusion.lr", "fusion.projection", "seconds", "reason"]
    assert table.columns.tolist() == names
    assert table["valid_mae"].tolist() == absurd.table["valid_mae"].tolist()
    assert table["number"].tolist() == list(range(7))


def test_a_finished_search_is_gone_on_with_only_as_it_was(absurd: Tuning, planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(absurd.folder, out)
    spaces = ("fusion.lr=1e-9,5e-3", "fusion.projection=32,128")
    with pytest.raises(OutputError, match=r"already holds trials\. Pass `resume=True`"):
        tuned(planted, out, *spaces)
    again = tuned(planted, out, *spaces, trials=7, resume=True)
    pd.testing.assert_frame_equal(again.table, absurd.table)
    more = tuned(planted, out, *spaces, trials=9, resume=True)
    pd.testing.assert_frame_equal(more.table.head(7), absurd.table)
    assert more.counts == {"complete": 9}
    with pytest.raises(RunError, match=r"fusion.lr: '1e-09,0.005' before, '1e-09,0.05' now"):
        tuned(planted, out, "fusion.lr=1e-9,5e-2", spaces[1], resume=True)
    with pytest.raises(RunError, match=r"training.max_epochs: 2 before, 3 now"):
        tuned(planted, out, *spaces, overrides=(*FIXED, "training.max_epochs=3"), resume=True)
    shutil.copytree(planted.path, tmp_path / "data")
    edited = planted.samples.assign(label=-planted.samples["label"])
    edited.to_parquet(tmp_path / "data" / "samples.parquet", index=False)
    with pytest.raises(RunError, match=r"holds a different search .clips, labels: "):
        tuned(open_dataset(tmp_path / "data"), out, *spaces, resume=True)


def test_a_setting_that_overflows_fails_alone(planted: Dataset, tmp_path: Path) -> None:
    overrides = (*STREAMS, "fusion.weight_decay=0", "training.clip_norm=0")
    found = tuned(planted, tmp_path / "out", "fusion.lr=1e-3,1e30", overrides=overrides, trials=4)
    failed = found.table[found.table["state"] == "failed"]
    assert len(failed)
    assert (failed["fusion.lr"] == 1e30).all()
    assert failed["reason"].str.contains("not finite").all()
    assert found.counts["complete"] == 4
    assert found.best.values == {"fusion.lr": 1e-3}


def test_where_all_fails_the_reason_is_said(planted: Dataset, tmp_path: Path) -> None:
    overrides = (*STREAMS, "fusion.lr=1e30", "fusion.weight_decay=0", "training.clip_norm=0")
    with pytest.raises(TrainingError, match=r"15 trials in a row failed, the last of them: .*not finite"):
        tuned(planted, tmp_path / "out", "fusion.projection=16,32", overrides=overrides)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"journal.log", "trials.csv", ".lock"}


class Told(Listener):
    def __init__(self) -> None:
        self.events: list[str] = []

    def trial_started(self, asked: Asked) -> None:
        self.events.append(f"started {asked.number}")

    def trial_epoch(self, number: int, epoch: int, mae: float) -> None:
        self.events.append(f"epoch {epoch} of {number}")

    def trial_ended(self, number: int, outcome: Outcome) -> None:
        self.events.append(f"{outcome.state} {number}")


def test_several_jobs_are_processes(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pools: list[tuple[Plan, Mapping[str, Any]]] = []

    def run(pool: Pool[int], course: Course) -> None:
        assert pool.setup is not None
        assert pool.command == module("selfmm.experiments.tune_worker")
        pools.append((pool.plan, pool.setup))
        train_here(course, TrialTrainer(planted, load_settings(None, STREAMS)))

    monkeypatch.setattr(Pool, "run", run)
    found = tuned(planted, tmp_path / "out", overrides=STREAMS, trials=3, jobs=2)
    [(plan, job)] = pools
    assert plan.jobs == 2
    assert job["data"] == str(planted.path.resolve())
    assert Settings.model_validate(json.loads(json.dumps(job["settings"]))) == found.search.base
    assert found.preset.read_text().count(" --jobs 2\n") == 1


@pytest.mark.slow
def test_a_process_trains_as_this_one_does(planted: Dataset, tmp_path: Path) -> None:
    base = load_settings(None, [*STREAMS, "training.device=cpu"])
    found = Study(tmp_path, make_search(base, chosen_modalities(planted, base)), {})
    job = {"data": str(planted.path), "settings": base.model_dump(mode="json")}
    with quiet():
        pool = Pool[int](Plan(1, 1, measured=False), module("selfmm.experiments.tune_worker"), job)
        pool.run(Course(found, 2, Listener(), lambda: None))
    trainer = TrialTrainer(planted, base)
    for trial in found.ended():
        here = trainer.run(trial.values, lambda epoch, mae: True)
        assert replace(here, seconds=0.0) == replace(trial.outcome, seconds=0.0)
    assert not [p for p in psutil.Process().children() if "selfmm.experiments.tune_worker" in p.cmdline()]


def command(planted: Dataset, out: Path) -> list[str]:
    overrides = [*LONG, "training.device=cpu"]
    options = [argument for override in overrides for argument in ("--set", override)]
    return ["tune", str(planted.path), "--trials", "3", "--out", str(out), *options]


LONG = (*STREAMS, "training.max_epochs=6")
"""Long enough that a kill comes before a trial's end."""


def killed(planted: Dataset, out: Path, epochs: int) -> None:
    """Run the command until its journal has ``epochs`` epochs, and end it as the system does when memory is short."""
    process = Program(command(planted, out))
    journal = out / "journal.log"
    wait_until(lambda: journal.exists() and journal.read_text().count('"op_code":7') >= epochs, poll=process.poll)
    process.kill()
    assert process.wait().stderr == ""


@pytest.mark.slow
def test_killed_and_resumed_is_as_uninterrupted(planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    killed(planted, out, epochs=6 + 2)
    overrides = (*LONG, "training.device=cpu")
    resumed = tuned(planted, out, overrides=overrides, trials=3, resume=True)
    whole = tuned(planted, tmp_path / "whole", overrides=overrides, trials=3)
    lost = resumed.table["reason"] == "killed; a later trial repeated it"
    assert lost.sum() == 1
    assert (resumed.table["state"][lost] == "failed").all()
    same = [name for name in resumed.table if name not in ("number", "seconds")]
    kept = resumed.table.loc[~lost, same].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, whole.table[same], check_exact=True)
    assert load_settings(resumed.preset) == load_settings(whole.preset)
    assert resumed.counts == whole.counts
    assert not list(out.glob("*.partial"))


class Stops(Listener):
    """A view that breaks in the middle of a trial."""

    def trial_epoch(self, number: int, epoch: int, mae: float) -> None:
        raise RuntimeError("a view that breaks")


def test_what_comes_from_within_is_not_taken_for_a_failure(planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="a view that breaks"):
        tuned(planted, tmp_path / "out", "fusion.projection=16,32", listener=Stops())
    again = tuned(planted, tmp_path / "out", "fusion.projection=16,32", trials=1, resume=True)
    assert again.table["state"].tolist() == ["failed", "complete"]
    assert again.start is not None
    assert (again.start.number, again.best.number) == (1, 1)


def test_nothing_is_printed_and_the_listener_is_told(
    planted: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = Told()
    out = tmp_path / "out"
    tuned(planted, out, trials=2, overrides=(*STREAMS, "training.max_epochs=1"), listener=told)
    assert capfd.readouterr() == ("", "")
    assert told.events == [f"{what} {number}" for number in "01" for what in ("started", "epoch 1 of", "complete")]


def test_a_strangers_name_ends_no_comment(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = '../evil\nseed = 7\x00 "name"'
    strange = replace(planted, manifest=planted.manifest.model_copy(update={"name": name}))
    found = selfmm.tune(strange, trials=1, overrides=STREAMS)
    assert found.folder.parent == Path("tune")
    assert tomllib.loads(found.preset.read_text())["seed"] == 1111
    assert [path.name for path in tmp_path.iterdir()] == ["tune"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trials": 0}, "trials = 0: give a number from 1"),
        ({"trials": 1_000_000}, "trials = 1000000"),
        ({"jobs": 0}, "jobs = 0: give 1 or more"),
        ({"model": "self_m"}, "there is no such model; did you mean 'self_mm'"),
        ({"preset": "mosy"}, "there is no preset 'mosy'"),
        ({"overrides": ["modalities=touch"]}, "has no modality 'touch'"),
        ({"overrides": ["options.heads=3"]}, "options.heads is not a setting"),
        ({"spaces": ["fusion.lr=3"]}, "fix a single value with `overrides="),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    planted: Dataset, tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        selfmm.tune(planted, **{"trials": 2, "out": tmp_path / "out", **options})
    assert not list(tmp_path.iterdir())


def test_places_and_machines_that_are_refused(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for place in (tmp_path, tmp_path / "thesis.tex", planted.path):
        with pytest.raises(OutputError, match="exists and is not a folder of trials"):
            tuned(planted, place, overrides=STREAMS, resume=True)
    with pytest.raises(OutputError, match="cannot write"):
        tuned(planted, tmp_path / "thesis.tex" / "x", overrides=STREAMS)
    with monkeypatch.context() as launched:
        launched.setenv("WORLD_SIZE", "2")
        with pytest.raises(SettingsError, match="without accelerate launch"):
            tuned(planted, tmp_path / "x", overrides=STREAMS)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"needs optuna and scikit-learn.*pip install 'selfmm\[experiments\]'"
    ):
        tuned(planted, tmp_path / "x", overrides=STREAMS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
