"""The quickstart's last part: u-labels beside the trivial answer, and a verdict that is computed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from selfmm.cli.quickstart import final_recovery, recovery_table, verdict
from selfmm.data.store import Dataset
from selfmm.predict import TrainedModel


def test_recovery_is_that_of_the_last_epochs_labels(trained: TrainedModel, planted: Dataset) -> None:
    frame = final_recovery(planted, trained)
    assert sorted(frame.index) == ["audio", "text", "vision"]
    # The m-label has the wrong sign by construction wherever a modality contradicts.
    assert (frame["right_trivial"] == 0).all()
    labels = trained.labels
    last = labels[(labels["epoch"] == 4) & (labels["modality"] == "audio")]
    truth = planted.samples.iloc[planted.rows("train")]["label_audio"].to_numpy()
    assert frame.loc["audio", "mae"] == pytest.approx(abs(last["u_label"].to_numpy() - truth).mean(), rel=1e-5)
    out = io.StringIO()
    Console(file=out, width=80).print(recovery_table(frame))
    own, trivial = (float(frame[column].loc["text"]) for column in ("corr", "corr_trivial"))
    assert f"{own:.3f} | {trivial:.3f}" in out.getvalue()


def test_verdict_follows_the_figures(trained: TrainedModel, planted: Dataset) -> None:
    frame = final_recovery(planted, trained)
    frame["corr"] = frame["corr_trivial"] - 0.1
    assert "no modality" in verdict(frame)
    frame.loc["text", "corr"] = 1.0
    assert "u-labels of text correlate better" in verdict(frame)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_command(tmp_path: Path) -> None:
    """The whole of it with the real offline encoder, on few clips; an earlier run is kept."""
    from selfmm.cli.quickstart import run

    run(tmp_path / "q", 60)
    assert (tmp_path / "q" / "run" / "metrics.json").is_file()
    run(tmp_path / "q", 50)
    assert (tmp_path / "q" / "run-2" / "metrics.json").is_file()
