"""Whole runs of adapt, with a starter of the tiny encoder: what they leave, and which clips they learn from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from cli.command_line import shown
from selfmm import api
from selfmm.cli.show_results import run_summary
from selfmm.core.errors import OutputError, RunError, TrainingError
from selfmm.core.listener import Listener
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.data.store import Dataset
from selfmm.data.writer import write_dataset
from selfmm.evaluation.worth import FUSION, LEAST_CLIPS, LEFT_OUT, STARTED_FROM
from selfmm.recordings.model import SentimentModel
from training.adapt.sentences import BAD, GOOD, sentences
from training.builders import killed_at_the_end

Table = pd.DataFrame


def data(
    folder: Path, clips: int = 90, *, rated: int | None = None, label_range: Any = (-3.0, 3.0), **columns: Any
) -> Dataset:
    """Planted clips without labels per modality; clips of train and valid after the first ``rated`` have no label."""
    source = planted_source(PlantedSettings(clips=clips, clips_per_video=5, seed=4))
    table = source.table.drop(columns=[name for name in source.table if str(name).startswith(("label_", "conflict"))])
    table["text"] = sentences(table["label"].to_numpy())
    low, high = label_range
    table["label"] = (low + high) / 2 + (high - low) / 6 * table["label"]
    if rated is not None:
        table.loc[(table["split"] != "test") & (np.arange(clips) >= rated), "label"] = np.nan
    return write_dataset(replace(source, table=table.assign(**columns), label_range=label_range), folder)


def train(dataset: Dataset, out: Path, *overrides: str, **options: Any) -> SentimentModel:
    return selfmm.train(
        dataset,
        **{"model": "adapt", "text_encoder": "e5", **options},
        overrides=["training.device=cpu", *overrides],
        out=out,
    )


@pytest.fixture(scope="module")
def partly(small_starter: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """90 clips of which the first 40 and the test clips have a label; not to be changed."""
    return data(tmp_path_factory.mktemp("partly") / "data", rated=40)


@pytest.fixture(scope="module")
def run(partly: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    return train(partly, tmp_path_factory.mktemp("adapt") / "run")


def test_it_is_a_run_like_any_other(run: SentimentModel, partly: Dataset) -> None:
    settings = run.folder.settings()
    assert (settings.model, settings.text.pooling, settings.text.finetune) == ("adapt", "mean", False)
    assert (run.info.model, run.info.labels, run.info.status) == ("adapt", "none", "finished")
    assert len(run.history) == 1
    predictions = run.predictions
    assert predictions["id"].tolist() == partly.samples["id"].tolist()
    assert {"score", "score_text", "score_audio", "score_vision"} <= set(predictions)
    assert np.isfinite(predictions["score"]).all()
    good, bad = run.predict(text=[GOOD, BAD])["score"]
    assert bad < -1 < 1 < good
    evaluation = run.evaluate(partly, "test")
    assert evaluation.count == len(partly.rows("test"))
    assert evaluation.values["corr"] > 0.5
    assert "left out: fitted without their recording" in shown(run_summary(run))


def test_predictions_of_rated_clips_are_left_out(run: SentimentModel, partly: Dataset) -> None:
    stored, own = run.predictions, run.score(partly)
    rated = np.isfinite(partly.labels()) & (partly.samples["split"] != "test").to_numpy()
    assert rated.sum() == 40
    for name in ("score", "score_text", "score_audio", "score_vision"):
        assert own[name][~rated].to_numpy() == pytest.approx(stored[name][~rated].to_numpy(), abs=1e-4)
    for name in ("score", "score_text"):
        assert (np.abs(own[name] - stored[name])[rated] > 1e-5).mean() > 0.9
    labels = partly.labels()[rated]
    assert np.abs(own["score"][rated] - labels).mean() < np.abs(stored["score"][rated] - labels).mean()


def test_its_worth_is_that_of_left_out_clips(run: SentimentModel, partly: Dataset) -> None:
    worth = run.worth
    assert worth is not None
    fused = worth.scores[FUSION]
    assert (fused.split, fused.clips, fused.band_clips) == (LEFT_OUT, 40, 40)
    assert fused.informs
    assert np.isnan(fused.coverage)
    assert worth.training_clips == 40 + 400, "those of the starter too"
    rated = run.predictions.iloc[:40]
    assert fused.mae == pytest.approx(np.abs(rated["score"] - rated["label"]).mean())
    table = run.predict(partly, "test")
    assert ((table["high"] - table["low"]) <= 2 * fused.band + 1e-6).all()


def test_what_the_fit_did_is_stored_apart_from_warnings(run: SentimentModel) -> None:
    content = json.loads((run.folder.path / "metrics.json").read_text())
    assert content["fit"][-1].startswith("Started from starter: text encoder, head of text.")
    assert any(line.startswith("audio also learned from the words' score of ") for line in content["fit"])
    assert content["notes"] == []
    assert content["splits"]["train"]["fusion"]["count"] + content["splits"]["valid"]["fusion"]["count"] == 40


def test_the_same_data_give_the_same_run(run: SentimentModel, partly: Dataset, tmp_path: Path) -> None:
    torch.manual_seed(99)
    again = train(partly, tmp_path / "again")
    for file in ("model.safetensors", "predictions.parquet", "metrics.json"):
        assert (again.folder.path / file).read_bytes() == (run.folder.path / file).read_bytes(), file


def test_no_label_of_a_test_clip_is_used(run: SentimentModel, partly: Dataset, tmp_path: Path) -> None:
    test = partly.samples["split"] == "test"
    labels = partly.samples["label"].where(~test, -partly.samples["label"])
    other = train(data(tmp_path / "data", rated=40, label=labels.to_numpy()), tmp_path / "run")
    assert (other.folder.weights).read_bytes() == run.folder.weights.read_bytes()
    assert other.predictions["score"].tolist() == run.predictions["score"].tolist()
    assert other.worth is not None
    assert run.worth is not None
    assert other.worth.scores[FUSION].band == run.worth.scores[FUSION].band


def test_a_finished_run_is_not_trained_again(run: SentimentModel, partly: Dataset) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in run.folder.path.iterdir()}
    again = train(partly, run.folder.path, resume=True)
    assert {file.name: file.stat().st_mtime_ns for file in run.folder.path.iterdir()} == before
    assert again.predictions.equals(run.predictions)
    with pytest.raises(OutputError, match="exists already"):
        train(partly, run.folder.path)
    with pytest.raises(RunError, match=r"options\.unrated"):
        train(partly, run.folder.path, "options.unrated=ignore", resume=True)


def test_an_interrupted_run_is_finished_later(run: SentimentModel, partly: Dataset, tmp_path: Path) -> None:
    overrides = ["training.device=cpu"]
    killed_at_the_end(partly, tmp_path / "run", model="adapt", text_encoder="e5", overrides=overrides)
    assert train(partly, tmp_path / "run", resume=True).predictions.equals(run.predictions)


def test_clips_without_a_rating_can_be_ignored(run: SentimentModel, partly: Dataset, tmp_path: Path) -> None:
    ignoring = train(partly, tmp_path / "run", "options.unrated=ignore")
    content = json.loads((ignoring.folder.path / "metrics.json").read_text())
    [start] = content["fit"]
    assert start.startswith("Started from starter: text encoder, head of text.")
    names = ("score_audio", "score_vision")
    assert any(not np.allclose(ignoring.predictions[name], run.predictions[name]) for name in names)
    assert ignoring.predictions["score_text"].to_numpy() == pytest.approx(run.predictions["score_text"].to_numpy())


def test_without_ratings_the_words_have_the_score_of_the_starter(small_starter: Path, tmp_path: Path) -> None:
    dataset = data(tmp_path / "data", rated=0)
    run = train(dataset, tmp_path / "run")
    starter = selfmm.load(small_starter)
    words = starter.predict(text=dataset.samples["text"].tolist())["score"].to_numpy()
    assert run.predictions["score_text"].to_numpy() == pytest.approx(words, abs=1e-4)
    assert run.predictions["score"].to_numpy() == pytest.approx(words, abs=1e-4)
    assert run.worth is not None
    assert run.worth.training_clips == 400
    assert run.predict(text=GOOD)["score"].iloc[0] > 0


def test_no_label_at_all(small_starter: Path, tmp_path: Path) -> None:
    """Then the scores are worth what those of the starter were worth, on the scale of these data."""
    dataset = data(tmp_path / "data", label=np.nan, label_range=(1.0, 5.0))
    run, starter = train(dataset, tmp_path / "run"), selfmm.load(small_starter)
    assert run.worth is not None
    assert starter.worth is not None
    own, before = run.worth.scores[FUSION], starter.worth.scores[FUSION]
    assert own.informs == before.informs
    assert own.band == pytest.approx(before.band * 2 / 3)
    words = starter.predict(text=GOOD)["score"].iloc[0]
    table = run.predict(text=GOOD)
    assert table["score"].iloc[0] == pytest.approx(3 + 2 / 3 * words, abs=1e-3)
    assert table["high"].iloc[0] <= 5


@pytest.mark.parametrize("split", ["train", "valid"])
def test_no_split_is_needed(small_starter: Path, tmp_path: Path, split: str) -> None:
    run = train(data(tmp_path / "data", clips=30, split=split), tmp_path / "run")
    assert run.worth is not None
    assert run.worth.scores[FUSION].split == LEFT_OUT
    assert run.worth.scores[FUSION].clips == 30


def test_without_ratings_and_without_a_start_it_says_what_to_do(small_starter: Path, tmp_path: Path) -> None:
    dataset = data(tmp_path / "data", rated=0)
    with pytest.raises(
        TrainingError, match=r"no clip in the train and valid splits of .* has a label.*Give some clips"
    ):
        train(dataset, tmp_path / "run", "modalities=audio,vision")
    with pytest.raises(TrainingError, match=r"selfmm weights get e5"):
        train(dataset, tmp_path / "run", text_encoder="minilm")
    assert not (tmp_path / "run").exists()


def test_another_text_encoder_and_features_alone_learn_from_ratings(
    small_starter: Path, partly: Dataset, tmp_path: Path
) -> None:
    for name, options in (("other", {"text_encoder": "minilm"}), ("alone", {})):
        overrides = ["modalities=audio,vision"] if name == "alone" else []
        run = train(partly, tmp_path / name, *overrides, **options)
        content = json.loads((run.folder.path / "metrics.json").read_text())
        assert not [line for line in content["fit"] if "started" in line]
        assert run.worth is not None
        assert run.worth.training_clips == 40
        assert np.isfinite(run.predictions["score"]).all()


def test_a_share_of_the_clips_leaves_validation_clips_out(partly: Dataset, tmp_path: Path) -> None:
    run = train(partly, tmp_path / "run", "training.share=0.5")
    assert run.worth is not None
    assert run.worth.scores[FUSION].clips < 40
    assert np.isfinite(run.predictions["score"]).all()


def test_other_scales(small_starter: Path, tmp_path: Path) -> None:
    plain = train(data(tmp_path / "plain"), tmp_path / "a")
    wide = train(data(tmp_path / "wide", label_range=(0.0, 100.0)), tmp_path / "b")
    for name in ("score", "score_text", "score_audio"):
        expected = 50 + 50 / 3 * plain.predictions[name].to_numpy()
        assert wide.predictions[name].to_numpy() == pytest.approx(expected, abs=0.02)
    assert plain.worth is not None
    assert wide.worth is not None
    assert wide.worth.scores[FUSION].band == pytest.approx(50 / 3 * plain.worth.scores[FUSION].band, rel=1e-3)


def test_it_is_chosen_and_says_so(partly: Dataset, tmp_path: Path) -> None:
    class Heard(Listener):
        def chose(self, reason: str) -> None:
            reasons.append(reason)

    reasons: list[str] = []
    run = selfmm.train(partly, text_encoder="e5", out=tmp_path / "run", listener=Heard())
    assert run.info.model == "adapt"
    [reason] = reasons
    assert reason.startswith("model: adapt, because 40 clips are rated")


def test_an_explanation_of_a_clip_adds_up(run: SentimentModel, partly: Dataset) -> None:
    clip = partly.samples["id"].iloc[-1]
    explanation = api.explain(run, partly, clip=clip)
    assert isinstance(explanation, api.Explanation)
    total = explanation.base + sum(part.value for part in explanation.contributions)
    assert total == pytest.approx(explanation.score, abs=1e-4)


def test_it_has_a_report(run: SentimentModel) -> None:
    pytest.importorskip("matplotlib", reason="the report has pictures")
    page = api.report(run.folder.path)[0].read_text(encoding="utf-8")
    assert "40 left-out clips" in page
    assert "left-out clips" in page
    assert "Scores of rated clips are left out" in page
    assert "validation clips" not in page
    assert "lowest validation error" not in page


@pytest.mark.parametrize("columns", [{"split": "train"}, {"split": "valid"}, {"label": np.nan}])
def test_it_has_a_report_whatever_the_splits_and_labels(
    small_starter: Path, tmp_path: Path, columns: dict[str, Any]
) -> None:
    pytest.importorskip("matplotlib", reason="the report has pictures")
    run = train(data(tmp_path / "data", clips=30, **columns), tmp_path / "run")
    assert api.report(run.folder.path)[0].is_file()
    assert shown(run_summary(run))
    assert repr(run)


@pytest.mark.slow
def test_an_onnx_file_gives_the_same_scores(run: SentimentModel, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="reads the file")
    assert selfmm.export(run.folder.path, tmp_path / "adapt.onnx").difference < 1e-4


@pytest.mark.parametrize("rated", [4, 9, 15])
def test_with_few_ratings_scores_are_worth_no_less_than_those_of_the_start(
    small_starter: Path, tmp_path: Path, rated: int
) -> None:
    run = train(data(tmp_path / "data", rated=rated), tmp_path / "run")
    worth, start = run.worth, selfmm.load(small_starter).worth
    assert worth is not None
    assert start is not None
    for name in (FUSION, "text"):
        score, known = worth.scores[name], start.scores[name]
        assert score.informs
        if score.split == STARTED_FROM:
            assert (score.mae, score.band, score.band_split) == (known.mae, known.band, STARTED_FROM)
            own = worth.measured(name)
            assert own is not None
            assert own.split in (LEFT_OUT, "test")
            assert own.clips > 0
        assert score.band_clips >= LEAST_CLIPS
    card = " ".join(shown(run_summary(run)).split())
    assert "of the run that it started from" in card or rated >= LEAST_CLIPS
    if worth.scores[FUSION].split == STARTED_FROM:
        assert card.startswith("warning: on ")
        assert card.index(" of this run, ") < card.index("of the run that it started from")


def test_it_has_no_labels_per_modality_and_says_who_estimates_them(run: SentimentModel) -> None:
    with pytest.raises(RunError, match=r"fitted to whole clips and has no labels per modality\. `selfmm labels DATA`"):
        api.labels(run)
