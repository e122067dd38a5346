"""What a run says of its own scores: at the end of training, in its folder, in its report, and with each prediction."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

import selfmm
from cli.command_line import selfmm as command
from cli.command_line import shown
from conftest import QUICK
from selfmm import api
from selfmm.cli.show_results import run_summary, seeds_summary
from selfmm.core.errors import RunError
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.data.store import Dataset
from selfmm.data.writer import write_dataset
from selfmm.evaluation.worth import FUSION, Scored, run_worth
from selfmm.recordings.model import SentimentModel
from selfmm.runs.trained_model import TrainedModel


def test_a_run_keeps_what_its_scores_are_worth(trained: SentimentModel, planted: Dataset) -> None:
    worth = trained.worth
    assert worth is not None
    assert (worth.label_range, worth.training_clips) == ((-3.0, 3.0), len(planted.rows("train")))
    again = run_worth(Scored.of(trained.predictions, planted.samples), (-3.0, 3.0), worth.training_clips)
    np.testing.assert_equal(asdict(worth), asdict(again))
    assert {score.split for score in worth.scores.values()} == {"test"}
    assert worth.scores["text"].against == "label_text"
    figures = trained.metrics["splits"]["test"]
    assert worth.scores[FUSION].mae == pytest.approx(figures["fusion"]["values"]["mae"])
    assert worth.scores["audio"].mae == pytest.approx(figures["audio_human"]["values"]["mae"])


def test_evaluate_measures_how_often_the_bands_hold(trained: SentimentModel, planted: Dataset) -> None:
    evaluation = trained.evaluate(planted, "test")
    assert evaluation.worth is not None
    assert trained.worth is not None
    for name, worth in evaluation.worth.scores.items():
        expected = asdict(trained.worth.scores[name])
        assert {**asdict(worth), "against": ""} == pytest.approx({**expected, "against": ""}, abs=1e-5, nan_ok=True)
    table = trained.predict(planted, "test")
    held = (table["low"] <= table["label"]) & (table["label"] <= table["high"])
    assert held.mean() == evaluation.worth.scores[FUSION].coverage
    assert (table["informs"] == trained.worth.scores[FUSION].informs).all()
    train = trained.evaluate(planted, "train").worth
    assert train is not None
    assert train.scores[FUSION].split == "train"
    content = json.loads(command("evaluate", trained.folder.path, "--json").stdout)
    assert content["worth"]["fusion"]["coverage"] == pytest.approx(held.mean())
    assert "what each score is worth" in command("evaluate", trained.folder.path).stdout


@pytest.fixture
def copied(trained: TrainedModel, tmp_path: Path) -> Path:
    shutil.copytree(trained.folder.path, tmp_path / "run")
    return tmp_path / "run"


def change(run: Path, **worth: object) -> None:
    """Changes the worth in ``metrics.json``; without it, as before selfmm measured it."""
    content = json.loads((run / "metrics.json").read_text())
    content["worth"] = {**content["worth"], **worth} if worth else None
    (run / "metrics.json").write_text(json.dumps(content))


def test_an_old_run_says_that_it_does_not_know_and_what_to_do(copied: Path) -> None:
    change(copied)
    model = selfmm.load(copied)
    assert model.worth is None
    assert "Train again, or see: selfmm evaluate RUN" in " ".join(shown(run_summary(model)).split())
    result = command("predict", copied, "--text", "a wonderful plot")
    assert result.stderr.startswith("warning: what these scores are worth is not known")
    assert "low" not in model.predict(text="a wonderful plot")
    evaluation = model.evaluate()
    assert evaluation.worth is not None
    assert evaluation.worth.scores[FUSION].skill > 0
    assert np.isnan(evaluation.worth.scores[FUSION].band)
    assert command("evaluate", copied).returncode == 0


@pytest.mark.parametrize(
    "worth", [{"scores": {}}, {"training_clips": "many"}, {"scores": {"fusion": 1}}, {"label_range": [0]}]
)
def test_a_damaged_worth_is_an_error_with_a_name(copied: Path, worth: dict[str, object]) -> None:
    change(copied, **worth)
    with pytest.raises(RunError, match=r"metrics\.json is damaged: "):
        selfmm.load(copied).worth  # noqa: B018


@pytest.mark.parametrize(("key", "value"), [("against", "id"), ("split", "\x1b[2J")])
def test_a_name_from_a_stranger_is_refused(copied: Path, key: str, value: str) -> None:
    content = json.loads((copied / "metrics.json").read_text())
    content["worth"]["scores"]["audio"][key] = value
    (copied / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="worth lacks the fusion, or names an unknown split or label"):
        selfmm.load(copied).metrics  # noqa: B018


def few_clips(folder: Path, seed: int) -> Dataset:
    """32 clips with labels of 1 to 5 that have nothing to do with their content, each its own recording."""
    source = planted_source(PlantedSettings(clips=32, clips_per_video=1, seed=seed))
    table = source.table.drop(columns=[name for name in source.table if str(name).startswith("label_")])
    rng = np.random.default_rng(seed)
    return write_dataset(
        replace(source, table=table.assign(label=rng.integers(1, 6, 32).astype(float)), label_range=(1.0, 5.0)), folder
    )


def test_nothing_looks_like_knowledge_after_32_clips(tiny_encoder: str, tmp_path: Path) -> None:
    few_clips(tmp_path / "data", 1)
    options = [word for override in QUICK for word in ("--set", override)]
    trained = command(
        "train", tmp_path / "data", "--text-encoder", tiny_encoder, *options, "--out", tmp_path / "run", COLUMNS="80"
    )
    lines = trained.stdout[trained.stdout.index("warning:") :].splitlines()
    assert trained.stdout.index("warning:") < trained.stdout.index("MAE ↓")
    assert "fewer than 100" in lines[0]
    assert "negative (< 3)" in " ".join(trained.stdout.split())  # 3 is neutral
    assert "< 0" not in trained.stdout
    predicted = command("predict", tmp_path / "run", "--text", "a wonderful plot")
    assert predicted.stderr.splitlines()[0].startswith("warning: trained on ")
    assert predicted.stderr.splitlines()[1].startswith("warning: ")
    model = selfmm.load(tmp_path / "run")
    table = model.predict(text="a wonderful plot")
    assert not table[["informs", "informs_text"]].any(axis=None)
    assert model.worth is not None
    assert model.worth.scores[FUSION].band > 0.8  # of a scale of 4
    if pytest.importorskip("matplotlib", reason="the report has pictures"):
        page = api.report(tmp_path / "run")[0].read_text(encoding="utf-8")
        assert page.index("Trained on ") < page.index('<ul class="tiles">')


@pytest.mark.slow
def test_several_seeds_say_it_too(tiny_encoder: str, tmp_path: Path) -> None:
    result = selfmm.train_seeds(
        few_clips(tmp_path / "data", 2),
        seeds=[1, 2],
        text_encoder=tiny_encoder,
        overrides=QUICK,
        out=tmp_path / "seeds",
        jobs=1,
    )
    text = shown(seeds_summary(result, 120), 120)
    assert text.startswith("warning: trained on ")
    assert "better by: than always saying the same number" in " ".join(text.split())
    assert {"skill", "skill_text", "band", "coverage"} <= set(result.figures.index)
