"""Progress on a terminal, a line for each epoch elsewhere; and what a log says when a training is ended."""

from __future__ import annotations

import io
import shlex
import signal
import threading
from pathlib import Path

import pytest
import typer
from rich.console import Console

from conftest import QUICK
from forked import Program
from selfmm.cli import progress
from selfmm.cli.output import Terminated, heeding_sigterm, interruptible
from selfmm.cli.progress import watch_clips, watch_runs, watch_training
from selfmm.core.jobs.plan import Plan
from selfmm.data.store import Dataset
from selfmm.features.clips.clip import Clip
from selfmm.training.trainer import EpochRecord
from waiting import wait_until

RECORD = EpochRecord(2, {"fusion": 0.5, "text": 0.1}, {"mae": 0.75}, best=True, seconds=3.0, clips_per_second=9.0)


def test_terminal() -> None:
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=True, width=120, color_system=None)) as listener:
        assert listener is not None
        listener.started(5, 2, 1)
        listener.step()
        listener.epoch(RECORD)
    text = out.getvalue()
    assert "resumed after epoch 1" in text
    assert "epoch   2  loss: fusion 0.500  text 0.100  valid MAE 0.7500  3.0 s  best" in text


def test_a_log_has_a_plain_line_for_each_epoch() -> None:
    """It is written at once, on one line however narrow the log, and without colours."""
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=False, width=20)) as listener:
        assert listener is not None
        listener.started(5, 2, 0)
        listener.step()
        listener.epoch(RECORD)
        assert out.getvalue() == (
            "at most 5 epochs\nepoch 2 of 5: loss fusion 0.500, text 0.100; valid MAE 0.7500; 3.0 s; best so far\n"
        )
        listener.started(5, 2, 3)
    assert out.getvalue().endswith("resumed after epoch 3\n")


def test_a_log_says_how_far_a_long_epoch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=False, width=80)) as listener:
        assert listener is not None
        listener.started(5, 30, 1)
        listener.step()
        monkeypatch.setattr(progress, "_STEP_SECONDS", 0.0)
        listener.step()
        assert out.getvalue().splitlines()[1:] == ["epoch 2, step 2 of 30"]
        listener.epoch(RECORD)
        listener.step()
    assert out.getvalue().endswith("epoch 3, step 1 of 30\n")


def test_what_follows_the_last_epoch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scoring all clips with a large text encoder takes minutes."""
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=False, width=80)) as listener:
        assert listener is not None
        listener.started(5, 30, 0)
        listener.finishing("scoring all clips", 0, 200)
        listener.finishing("scoring all clips", 64, 200)  # a moment later
        monkeypatch.setattr(progress, "_STEP_SECONDS", 0.0)
        listener.finishing("scoring all clips", 128, 200)
        listener.finishing("writing the weights")
    assert out.getvalue().splitlines()[1:] == [
        "scoring all clips",
        "scoring all clips: 128 of 200",
        "writing the weights",
    ]
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=True, width=120, color_system=None)) as listener:
        assert listener is not None
        listener.started(5, 30, 5)
        listener.finishing("scoring all clips", 64, 200)
    assert "scoring all clips" in out.getvalue()
    assert "64/200" in out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_what_follows_the_last_epoch_of_a_seed_is_named(terminal: bool) -> None:
    out = io.StringIO()
    with watch_runs(
        Console(file=out, force_terminal=terminal, width=120, color_system=None), "seed", epochs=True
    ) as it:
        it.runs_planned(Plan(1, 1), [7], [])
        it.run_started(7, 3, 0)
        it.run_finishing(7, "scoring all clips", 0, 200)
        it.run_finishing(7, "scoring all clips", 64, 200)
    assert "scoring all clips" in out.getvalue()
    assert ("64 of 200" in out.getvalue()) == terminal


def test_a_log_has_a_line_for_every_tenth_clip_and_for_slow_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    clip = Clip(Path("a.mp4"))
    with watch_clips(Console(file=out, force_terminal=False, width=80)) as listener:
        listener.clips_planned(25)
        for number in range(1, 22):
            listener.clip(clip, kept=number < 5, problem="no sound" if number == 12 else None)
        assert out.getvalue() == "clip 10 of 25\nclip 20 of 25; 1 left out\n"
        monkeypatch.setattr(progress, "_SECONDS", 0.0)
        listener.clip(clip, kept=False, problem=None)
    assert out.getvalue().endswith("clip 22 of 25; 1 left out\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_the_reason_for_a_model_names_options_of_the_command(terminal: bool) -> None:
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=terminal, width=200, color_system=None)) as listener:
        assert listener is not None
        listener.chose("model: adapt, because 1 clip is rated. `model='self_mm'` trains that one.")
    assert "model: adapt, because 1 clip is rated. --model self_mm trains that one." in out.getvalue()


def test_only_one_of_several_processes_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with watch_training(Console(file=io.StringIO(), force_terminal=False)) as listener:
        assert listener is None


@pytest.mark.slow
def test_sigterm_says_how_to_go_on(planted: Dataset, tmp_path: Path) -> None:
    """The log has the epochs until then; the command in the message resumes, and can be ended and resumed again."""
    out = tmp_path / "a run"  # the command has to be quoted
    settings = [*QUICK, "modalities=audio,vision", "training.max_epochs=100000", "training.patience=100000"]
    command = ["train", str(planted.path), "--model", "self_mm", "--out", str(out)]
    command += [word for override in settings for word in ("--set", override)]
    for turn in range(2):
        process = Program(command)
        done = len((out / "history.jsonl").read_text().splitlines()) if turn else 0
        wait_until(lambda more=done + 2: _epochs(out) >= more, poll=process.poll)  # type: ignore[misc]
        process.send_signal(signal.SIGTERM)
        ended = process.wait()
        assert ended.returncode == 143
        assert "Traceback" not in ended.stderr
        what, _, words = ended.stderr.strip().partition("continue with: selfmm ")
        assert what == "error: ended by SIGTERM; "
        first, *lines = ended.stdout.splitlines()
        epochs = [int(line.removeprefix("epoch ").partition(" of 100000: loss fusion ")[0]) for line in lines]
        assert epochs == list(range(epochs[0], epochs[-1] + 1))
        assert first == (f"resumed after epoch {epochs[0] - 1}" if turn else "at most 100,000 epochs")
        command = shlex.split(words)
        assert command[-1] == "--resume"
        assert command.count("--resume") == 1
    assert not list(tmp_path.rglob("*.partial"))


def _epochs(run: Path) -> int:
    file = run / "history.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_sigterm_is_left_alone_where_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher ends its processes with it, and a parent may have it ignored; afterwards it is as before."""
    before = signal.getsignal(signal.SIGTERM)
    with heeding_sigterm():
        assert signal.getsignal(signal.SIGTERM) != before
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "a second one ends it at once"
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.setenv("WORLD_SIZE", "2")
    with heeding_sigterm():
        assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.delenv("WORLD_SIZE")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with heeding_sigterm():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
        thread = threading.Thread(target=lambda: heeding_sigterm().__enter__())
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["train", "my data"], "selfmm train 'my data' --resume"),
        (["train", "d", "--resume"], "selfmm train d --resume"),
        (["train", "--", "-d"], "selfmm train --resume -- -d"),
    ],
)
def test_the_command_that_resumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], shown: str
) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/selfmm", *words])
    with pytest.raises(typer.Exit) as end, interruptible():
        raise Terminated
    assert end.value.exit_code == 143
    assert capsys.readouterr().err == f"error: ended by SIGTERM; continue with: {shown}\n"
    with pytest.raises(typer.Exit) as end, interruptible("stop."):
        raise KeyboardInterrupt
    assert end.value.exit_code == 130
    assert capsys.readouterr().err == "error: interrupted; stop.\n"
