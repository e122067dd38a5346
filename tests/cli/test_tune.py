"""``selfmm tune``: what it prints, in a pipe and on a terminal, and how it ends."""

from __future__ import annotations

import io
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from rich.console import Console

from cli.command_line import complains, selfmm
from conftest import QUICK
from selfmm.api import train
from selfmm.cli.progress import TrialBar, TrialLines, watch_trials
from selfmm.cli.show_results import show_tuning
from selfmm.config.settings import load_settings
from selfmm.core.jobs.plan import Plan
from selfmm.data.store import Dataset
from selfmm.experiments.search import Search
from selfmm.experiments.study import Asked, Ended
from selfmm.experiments.trial import Outcome
from selfmm.experiments.tuning import Tuning
from selfmm.models.base import Range

STREAMS = (*QUICK, "modalities=audio,vision", "training.max_epochs=1", "fusion.weight_decay=0")


def run(planted: Dataset, out: Path, *more: str) -> CompletedProcess[str]:
    options = [argument for override in STREAMS for argument in ("--set", override)]
    return selfmm("tune", planted.path, "--out", out, *options, *more)


def test_a_search_from_start_to_preset(planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    spaces = ("--space", "fusion.projection=64,128", "--space", "fusion.lr=1e-4..1e-2 log")
    result = run(planted, out, "--trials", "2", "--model", "lf_dnn", *spaces)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "lf_dnn: 2 trials, one after the other, by the MAE on the validation split"
    assert "  fusion.projection = 64,128  (at the start 128)" in lines
    assert "  fusion.lr = 0.0001..0.01 log  (at the start 0.001)" in lines
    table = pd.read_csv(out / "trials.csv")
    for number, mae in enumerate(table["valid_mae"]):
        assert f"trial {number}: complete, valid MAE {mae:.4f} at epoch 1" in lines
    start, best = table["valid_mae"].iloc[0], table["valid_mae"].min()
    (row,) = [line for line in lines if line.strip().startswith("valid MAE")]
    assert row.split()[-2:] == [f"{start:.4f}", f"{best:.4f}"]
    assert f"2 complete, 0 pruned, 0 failed; the best is trial {table['valid_mae'].argmin()}" in lines
    assert table["valid_mae"].argmin() == 0
    assert "No trial was better than the settings at the start, so best.toml holds those." in result.stdout
    assert "selfmm compare" not in result.stdout, "the start compared with itself"
    again = run(planted, out, "--trials", "2", "--model", "lf_dnn", *spaces, "--resume")
    assert again.stdout.startswith("lf_dnn: 2 trials, 2 of them done")
    assert row in again.stdout
    assert train(planted, preset=out / "best.toml", out=tmp_path / "run").history["valid_mae"].min() == best


def test_errors_are_one_message(planted: Dataset, tmp_path: Path) -> None:
    result = run(planted, tmp_path / "out", "--trials", "2", "--space", "fusion.lrr=1,2", "--space", "x")
    complains(result, "2 settings are wrong", "did you mean 'fusion.lr'?")
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


def test_an_interrupt_says_how_to_go_on(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("selfmm.experiments.trial.TrialTrainer.run", interrupted)
    result = run(planted, tmp_path / "out", "--trials", "2")
    assert result.returncode == 130
    assert result.stderr.startswith("error: interrupted; continue with: selfmm tune ")
    assert result.stderr.endswith(" --resume\n")
    monkeypatch.undo()
    result = run(planted, tmp_path / "out", "--trials", "1", "--resume")
    assert result.returncode == 0
    assert "1 complete, 0 pruned, 0 failed; the best is trial 1" in result.stdout


SEARCH = Search(
    load_settings(None, ["model=lf_dnn"]),
    {"fusion.lr": Range(1e-4, 1e-2, log=True), "text.finetune": (True, False)},
    {"fusion.lr": 1e-3, "text.finetune": True},
)


@pytest.mark.parametrize("terminal", [True, False])
def test_views(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, color_system=None)
    with watch_trials(console) as listener:
        assert isinstance(listener, TrialBar) == terminal
        listener.trials_planned(SEARCH, 20, 3, Plan(2, 1))
        listener.trial_started(Asked(3, {}))
        listener.trial_epoch(3, 1, 0.75)
        if isinstance(listener, TrialBar):
            (bar,) = listener.progress.tasks
            assert (bar.completed, bar.total, bar.fields["note"]) == (3, 20, "trial 3: epoch 1, MAE 0.7500")
        listener.trial_ended(3, Outcome("complete", 0.5, 7))
        listener.trial_ended(4, Outcome("complete", 0.6, 7, 0.0, "the same as trial 1"))
        listener.trial_ended(5, Outcome("pruned", 0.9, 2))
        listener.trial_ended(6, Outcome("failed", reason="the data set [bold] is odd"))
        if isinstance(listener, TrialBar):
            listener.trial_epoch(7, 2, 0.8)
            (bar,) = listener.progress.tasks
            note = "best MAE 0.5000 (trial 3);  trial 7: epoch 2, MAE 0.8000"
            assert (bar.completed, bar.total, bar.fields["note"]) == (6, 20, note)
    text = out.getvalue()
    assert "lf_dnn: 20 trials, 3 of them done, 2 at once, by the MAE" in text
    assert "text.finetune = true,false  (at the start True)" in text
    assert "trial 6: failed: the data set [bold] is odd" in text
    assert ("trial 3: complete, valid MAE 0.5000 at epoch 7" in text) != terminal
    assert ("trial 4: complete, valid MAE 0.6000 at epoch 7 (the same as trial 1)" in text) != terminal
    assert ("trial 5: pruned, valid MAE 0.9000 at epoch 2" in text) != terminal
    assert isinstance(listener, TrialLines)


def test_a_summary_without_a_start_and_with_importance(tmp_path: Path) -> None:
    def trial(number: int, outcome: Outcome, **values: object) -> Ended:
        return Ended(number, {"fusion.lr": 0.001 * (number + 1), **values}, outcome, start=number == 0, killed=False)

    trials = (
        trial(0, Outcome("failed", reason="x"), **{"text.finetune": True}),
        trial(1, Outcome("complete", 0.61234, 4), **{"text.finetune": False}),
        trial(2, Outcome("complete", 0.7, 4), **{"text.finetune": False}),
    )
    out = io.StringIO()
    shares = {"text.finetune": 0.75, "fusion.lr": 0.25}
    start = ["--set", "a=1"]
    show_tuning(Console(file=out, width=100), Tuning(tmp_path, SEARCH, trials, shares), Path("my data"), start)
    text = out.getvalue()
    assert "The best of several figures on one split is optimistic." in text
    assert f"  selfmm train 'my data' --preset {tmp_path}/best.toml --seeds 1112-1116\n" in text
    assert text.endswith(
        f"  selfmm compare 'my data' --models lf_dnn,{tmp_path}/best.toml --seeds 1112-1116 --set a=1\n"
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["valid", "MAE", "-", "0.6123"] in lines
    assert ["text.finetune", "True", "False", "0.75"] in lines
    assert ["fusion.lr", "0.001", "0.002", "0.25"] in lines
    assert lines.index(["text.finetune", "True", "False", "0.75"]) < lines.index(
        ["fusion.lr", "0.001", "0.002", "0.25"]
    )
    assert "only a hint" in out.getvalue()
    assert f"  selfmm train 'my data' --preset {tmp_path}/best.toml --seeds 1112-1116" in out.getvalue()
