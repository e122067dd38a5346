"""The quickstart: u-labels beside the trivial answer, a verdict that is computed, and the way from raw recordings."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from cli.command_line import complains, selfmm, shown
from selfmm import api
from selfmm.api import first_steps, train
from selfmm.api.first_steps import agreement, check_recordings, final_recovery
from selfmm.cli import quickstart
from selfmm.cli.quickstart import agreement_table, learn_recordings, recovery_table, verdict
from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.data.store import Dataset
from selfmm.runs.trained_model import TrainedModel


def test_recovery_is_that_of_the_labels_of_the_models_epoch(trained: TrainedModel, planted: Dataset) -> None:
    frame = final_recovery(trained)
    assert sorted(frame.index) == ["audio", "text", "vision"]
    # The m-label has the wrong sign by construction wherever a modality contradicts.
    assert (frame["right_trivial"] == 0).all()
    labels = trained.labels
    last = labels[(labels["epoch"] == trained.metrics["best_epoch"]) & (labels["modality"] == "audio")]
    truth = planted.samples.iloc[planted.rows("train")]["label_audio"].to_numpy()
    assert frame.loc["audio", "mae"] == pytest.approx(abs(last["u_label"].to_numpy() - truth).mean(), rel=1e-5)
    text = shown(recovery_table(frame), 80)
    own, trivial = (float(frame[column].loc["text"]) for column in ("corr", "corr_trivial"))
    assert f"{own:.3f} | {trivial:.3f}" in text
    assert "…" not in text


def test_verdict_follows_the_figures(trained: TrainedModel, planted: Dataset) -> None:
    frame = final_recovery(trained)
    frame["corr"] = frame["corr_trivial"] - 0.1
    assert "no modality" in verdict(frame)
    frame.loc["text", "corr"] = 1.0
    assert "u-labels of text correlate better" in verdict(frame)


def test_agreement_is_the_correlation_of_each_score_with_its_own_truth(trained: TrainedModel, planted: Dataset) -> None:
    frame = agreement(planted, trained)
    assert list(frame.index) == ["label", *(f"label_{name}" for name in trained.info.modalities)]
    assert list(frame.columns) == ["train", "valid", "test"]
    scores = trained.predictions.set_index("id")
    for split in frame.columns:
        clips = planted.samples.iloc[planted.rows(split)]
        rows = scores.loc[clips["id"]]
        for truth, score in {"label": "score", "label_audio": "score_audio"}.items():
            expected = np.corrcoef(clips[truth], rows[score])[0, 1]
            assert frame.loc[truth, split] == pytest.approx(expected, rel=1e-6)
    text = shown(agreement_table(frame))
    assert [line.split()[0] for line in text.splitlines()[3:7]] == ["all", *trained.info.modalities]
    assert f"{frame['test'].loc['label']:.3f}" in text


def test_what_has_no_truth_or_no_figure_is_not_made_up(trained: TrainedModel, planted: Dataset) -> None:
    samples = planted.samples.drop(columns=["label_text", "label_vision"])
    samples["label_audio"] = np.where(samples["split"] == "test", 1.0, samples["label_audio"])  # all the same
    frame = agreement(replace(planted, samples=samples), trained)
    assert list(frame.index) == ["label", "label_audio"]
    assert math.isnan(frame["test"].loc["label_audio"])
    assert shown(agreement_table(frame)).splitlines()[4].split()[-1] == "-"


def test_own_recordings_are_checked_before_anything_takes_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "clip.wav").touch()
    monkeypatch.setattr(first_steps, "missing_for_recordings", lambda: "av, the weights face")
    with pytest.raises(
        MissingPackageError, match=r"need av, the weights face.*pip install 'selfmm\[video\]'.*weights get e5 tiny.en"
    ):
        check_recordings(tmp_path)
    monkeypatch.setattr(first_steps, "missing_for_recordings", lambda: "")
    with pytest.raises(SourceError, match="no ratings"):
        check_recordings(tmp_path)
    monkeypatch.setattr(quickstart, "_learn_planted", lambda *_: pytest.fail("it began"))
    with pytest.raises(SourceError, match="no ratings"):
        quickstart.quickstart(tmp_path / "q", 50, tmp_path)


def test_without_the_parts_one_is_told_what_brings_them(
    monkeypatch: pytest.MonkeyPatch, trained: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quickstart, "_learn_planted", lambda *_: trained)
    monkeypatch.setattr(first_steps, "_MODULES", ("json", "no_such_module"))
    monkeypatch.setattr(first_steps, "find", lambda name: None)
    quickstart.quickstart(tmp_path / "q", 50)
    said = capsys.readouterr().out
    assert "need no_such_module, the weights face, the weights e5." in said.replace("\n", "")
    assert "pip install 'selfmm[video]' && selfmm weights get e5 tiny.en face" in said
    assert f"selfmm labels {trained.folder.path} --audit" in said.replace("\n", "")
    assert "selfmm extract" not in said


@pytest.mark.slow
def test_demo_clips_by_command(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="recordings are written by PyAV")
    command = ["demo", str(tmp_path / "clips"), "--count", "3", "--synthesizer", "tones"]
    result = selfmm(*command)
    assert result.returncode == 0, result.stderr
    assert f"Next: selfmm extract {tmp_path / 'clips' / 'clips.csv'} data" in result.stdout
    table = pd.read_csv(tmp_path / "clips" / "clips.csv")
    assert len(table) == 3
    assert all((tmp_path / "clips" / path).stat().st_size for path in table["path"])
    complains(selfmm(*command), "exists already")
    assert selfmm(*command, "--force").returncode == 0


@pytest.mark.slow
def test_from_recordings_to_a_card(demo_clips: Path, tmp_path: Path) -> None:
    if missing := first_steps.missing_for_recordings():
        pytest.skip(f"recordings need {missing}")
    out = io.StringIO()
    model = learn_recordings(Console(file=out, width=400), demo_clips, tmp_path / "data", tmp_path / "run")
    given = pd.read_csv(demo_clips).set_index("id")
    scores = model.predictions.set_index("id")
    assert sorted(scores.index) == sorted(given.index)
    assert (model.info.model, model.info.start is not None) == ("adapt", True)
    said = out.getvalue()
    first, last = said[: said.index("3. extracting")], said[said.index("6. a clip") :]
    assert "no score: no free ratings of voices" in first, "the starter's card"
    name = scores.index[scores["split"] == "test"][0]
    assert f"selfmm predict {tmp_path / 'run'} {demo_clips.parent / given.loc[name, 'path']}" in last
    assert f"given words: “{given.loc[name, 'text']}”" in last


@pytest.mark.slow
def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Planted data with the real offline encoder, on few clips and for an epoch; an earlier run is kept."""

    def briefly(*arguments: Any, **options: Any) -> TrainedModel:
        assert options["preset"] == "quickstart"
        return train(*arguments, overrides=["training.max_epochs=1"], **options)

    monkeypatch.setattr(first_steps, "missing_for_recordings", lambda: "nothing, but has a test of its own")
    monkeypatch.setattr(api, "train", briefly, raising=False)
    quickstart.quickstart(tmp_path / "q", 50)
    assert (tmp_path / "q" / "run" / "metrics.json").is_file()
    quickstart.quickstart(tmp_path / "q", 40)
    assert (tmp_path / "q" / "run-2" / "metrics.json").is_file()
