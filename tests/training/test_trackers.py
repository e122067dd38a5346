"""The figures of each epoch in a tracker, while it trains."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import selfmm
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.core.errors import MissingPackageError, SettingsError, TrainingError
from selfmm.core.listener import Listener
from selfmm.data.store import Dataset
from selfmm.training import run, trackers

FRAMES = ("modalities=audio,vision", "model=lf_dnn", *QUICK)
NAMES = ("tensorboard", "wandb", "mlflow")


class Fake:
    """An Accelerator that remembers what is logged, with the length of history.jsonl at that time."""

    def __init__(self, run: Path, fails_at: int = -1) -> None:
        self.run, self.fails_at = run, fails_at
        self.logged: list[tuple[dict[str, float], int | None]] = []
        self.written: list[int] = []
        self.ended = 0

    def log(self, values: dict[str, float], step: int | None) -> None:
        if len(self.logged) == self.fails_at:
            raise ConnectionError("the server went away")
        self.logged.append((values, step))
        self.written.append(len((self.run / "history.jsonl").read_text().splitlines()))

    def end_training(self) -> None:
        self.ended += 1


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake(tmp_path / "run")
    monkeypatch.setattr(trackers, "_started", lambda settings, folder: fake)
    for module in (trackers, run):
        monkeypatch.setattr(module, "check_log", lambda settings: None)
    return fake


def history(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def test_each_epoch_is_sent_as_it_ends(planted: Dataset, tmp_path: Path, fake: Fake) -> None:
    model = selfmm.train(planted, overrides=[*FRAMES, "training.log=tensorboard"], out=tmp_path / "run")
    epochs = history(tmp_path / "run")
    assert [step for _, step in fake.logged] == [*range(1, len(epochs) + 1), model.metrics["best_epoch"]]
    assert fake.written[:-1] == [*range(1, len(epochs) + 1)], "live, not at the end"
    for (values, _), epoch in zip(fake.logged[:-1], epochs, strict=True):
        assert values["valid/mae"] == epoch["valid"]["mae"]
        assert values["loss/fusion"] == epoch["loss"]["fusion"]
        assert values["seconds"] == epoch["seconds"]
        assert not {"epoch", "best"} & values.keys()
    test = model.metrics["splits"]["test"]["fusion"]["values"]
    assert fake.logged[-1][0]["final/test_mae"] == test["mae"]
    assert fake.ended == 1


def test_figures_do_not_depend_on_the_tracker(planted: Dataset, tmp_path: Path, fake: Fake) -> None:
    tracked = selfmm.train(planted, overrides=[*FRAMES, "training.log=mlflow"], out=tmp_path / "run")
    plain = selfmm.train(planted, overrides=FRAMES, out=tmp_path / "plain")
    assert tracked.metrics == plain.metrics
    again = selfmm.train(planted, overrides=FRAMES, out=tmp_path / "run", resume=True)  # the setting may change
    assert again.metrics == plain.metrics


def test_a_tracker_that_fails_does_not_end_the_training(planted: Dataset, tmp_path: Path, fake: Fake) -> None:
    fake.fails_at = 1
    with pytest.warns(UserWarning, match=r"wandb failed \(the server went away\); training goes on without it"):
        model = selfmm.train(planted, overrides=[*FRAMES, "training.log=wandb"], out=tmp_path / "run")
    assert len(fake.logged) == 1
    assert len(model.history) > 1


def test_a_model_that_is_fitted_at_once(planted: Dataset, tmp_path: Path, fake: Fake) -> None:
    overrides = ["model=adapt", "modalities=audio", "training.log=mlflow"]
    selfmm.train(planted, overrides=overrides, out=tmp_path / "run")
    assert [step for _, step in fake.logged] == [1, None]
    assert "final/test_mae" in fake.logged[1][0]


def test_it_does_not_choose_the_model(planted: Dataset) -> None:
    from selfmm.training.choice import choose_model

    for overrides in ((), ("training.log=tensorboard",)):
        assert choose_model(planted, overrides).model == "adapt"


@pytest.mark.parametrize("name", NAMES)
def test_a_package_that_is_missing(
    name: str, planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda module, *more: None if module == name else find(module, *more)
    )
    with pytest.raises(MissingPackageError, match=rf"pip install 'selfmm\[{name}\]'"):
        selfmm.train(planted, overrides=[*FRAMES, f"training.log={name}"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("No API key configured")

    monkeypatch.setattr(trackers, "_started", refuse)
    monkeypatch.setattr(trackers, "check_log", lambda settings: None)
    settings = load_settings(None, ["training.log=wandb"])
    with pytest.raises(TrainingError, match=r"cannot be started \(No API key configured\)\. Set it up, or leave"):
        trackers.Tracker(settings, tmp_path, Listener())


def test_other_names_and_trials() -> None:
    with pytest.raises(SettingsError, match=r"training\.log = 'visdom'.*'tensorboard', 'wandb' or 'mlflow'"):
        load_settings(None, ["training.log=visdom"])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_imported_unless_asked(name: str, planted: Dataset, tmp_path: Path) -> None:
    if name in sys.modules:
        pytest.skip(f"{name} was imported by another test")
    selfmm.train(planted, overrides=[*FRAMES, "training.max_epochs=1"], out=tmp_path / "run")
    assert name not in sys.modules
    assert not (tmp_path / "run" / "log").exists()


@pytest.mark.slow
def test_the_files_of_tensorboard(planted: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = selfmm.train(planted, overrides=[*FRAMES, "training.log=tensorboard"], out=tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run" / "log"))
    events.Reload()
    stored = [(event.step, event.value) for event in events.Scalars("valid/mae")]
    expected = [(epoch["epoch"], pytest.approx(epoch["valid"]["mae"])) for epoch in history(tmp_path / "run")]
    assert stored == expected
    [final] = events.Scalars("final/test_mae")
    assert final.value == pytest.approx(model.metrics["splits"]["test"]["fusion"]["values"]["mae"])
