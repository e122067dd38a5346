"""Trainings that begin from another run: what they take, that they score like it, and that they need it only once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import selfmm
from conftest import QUICK
from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import RunError, SettingsError
from selfmm.core.weights import find
from selfmm.data.store import Dataset
from selfmm.models.hardware import choose_device
from selfmm.models.scoring import Scores, score
from selfmm.recordings.model import SentimentModel
from selfmm.runs.folder import RunFolder
from selfmm.training import trainer
from selfmm.training.start import assemble_started, start_note, started
from training.builders import Killed

pytestmark = pytest.mark.slow  # a fixture trains for all of them

Edit = Callable[[dict[str, torch.Tensor]], None]


def settings_from(start: object, dataset: Dataset, *overrides: str) -> Settings:
    return started(load_settings(None, ["text.max_tokens=40", *overrides, f"start={start}"]), dataset)


def scores_before(dataset: Dataset, settings: Settings) -> Scores:
    """The scores of all clips before the first epoch."""
    torch.manual_seed(settings.seed)
    assembly, _ = assemble_started(dataset, settings)
    rows = np.arange(len(dataset))
    return score(assembly.model.eval(), assembly.maker(dataset, rows), choose_device("cpu"))


def changed(run: Path, out: Path, *, info: Mapping[str, object] | None = None, tensors: Edit | None = None) -> Path:
    """A copy of a run with another ``run.json`` or other weights."""
    shutil.copytree(run, out)
    content = json.loads((out / "run.json").read_text(encoding="utf-8")) | dict(info or {})
    (out / "run.json").write_text(json.dumps(content), encoding="utf-8")
    if tensors is not None:
        weights = load_file(out / "model.safetensors")
        tensors(weights)
        save_file(weights, out / "model.safetensors")
    return out


def drop(weights: dict[str, torch.Tensor], part: str) -> None:
    for name in [name for name in weights if part in name]:
        del weights[name]


@pytest.fixture(scope="module")
def linear(trained: SentimentModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run like the starter, with the trained run's text encoder; not to be changed."""

    def edit(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if not name.startswith("encoders.text.")]:
            del weights[name]
        torch.manual_seed(5)
        weights["heads.text.score.weight"] = torch.randn(1, 32) / 5
        weights["heads.text.score.bias"] = torch.tensor([0.3])
        weights["missing.text"] = torch.zeros(32)
        weights["fusion.weights"], weights["fusion.bias"] = torch.tensor([[0.0], [1.0]]), torch.zeros(2)
        weights["fusion.errors"], weights["fusion.spread"] = torch.ones(1), torch.ones(())

    text = {"text": trained.info.modalities["text"].model_dump(mode="json")}
    info = {"model": "adapt", "labels": "none", "modalities": text}
    return changed(trained.folder.path, tmp_path_factory.mktemp("linear") / "run", info=info, tensors=edit)


@pytest.mark.parametrize("model", ["self_mm", "lf_dnn", "mlf_dnn"])
@pytest.mark.parametrize("extra_layer", ["true", "false"])
def test_an_untrained_model_scores_words_as_the_starter(
    model: str, extra_layer: str, linear: Path, planted: Dataset
) -> None:
    labels = "labels.source=none" if model == "lf_dnn" else "labels.source=generated"
    settings = settings_from(linear, planted, f"model={model}", f"fusion.extra_layer={extra_layer}", labels)
    before, expected = scores_before(planted, settings), selfmm.load(linear).score(planted)["score_text"].to_numpy()
    words = np.isfinite(expected)
    assert before.fusion[words] == pytest.approx(expected[words], abs=1e-4)
    if model != "lf_dnn":
        assert before.unimodal["text"][words] == pytest.approx(expected[words], abs=1e-4)


@pytest.fixture(scope="module")
def words(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """A run that reads words alone, as `selfmm starter --finetune` makes; not to be changed."""
    how = [*QUICK, "modalities=text", "labels.source=none", "fusion.projection=32", "training.max_epochs=1"]
    out = tmp_path_factory.mktemp("words") / "run"
    return selfmm.train(planted, model="lf_dnn", text_encoder=tiny_encoder, overrides=how, out=out)


@pytest.mark.parametrize("model", ["self_mm", "lf_dnn"])
def test_an_untrained_model_scores_words_as_a_run_on_words_alone(
    model: str, words: SentimentModel, planted: Dataset
) -> None:
    settings = settings_from(words.folder.path, planted, f"model={model}")
    before, expected = scores_before(planted, settings), words.predictions["score"].to_numpy()
    known = planted.lengths("text") > 0
    assert before.fusion[known] == pytest.approx(expected[known], abs=1e-4)
    if model == "self_mm":
        assert before.unimodal["text"][known] == pytest.approx(expected[known], abs=1e-4)
    _, start = assemble_started(planted, settings)
    assert start is not None
    assert "Its score of the words was put into: " in start_note(start)


def test_heads_that_are_too_small_for_a_score_of_words_begin_with_new_weights(
    words: SentimentModel, planted: Dataset
) -> None:
    _, start = assemble_started(planted, settings_from(words.folder.path, planted, "fusion.extra_layer=false"))
    assert start is not None
    assert start.linear == ()
    assert {"heads.text", "fusion"} <= set(start.afresh)


def test_the_starter_itself_scores_on(planted: Dataset) -> None:
    if find("e5") is None:
        pytest.skip("the text encoder e5 is not on this machine: selfmm weights get e5")
    before = scores_before(planted, settings_from("starter", planted, "text.finetune=false", "text.max_tokens=128"))
    expected = selfmm.load("starter").score(planted)["score_text"].to_numpy()
    assert before.fusion == pytest.approx(expected, abs=1e-4)
    assert before.unimodal["text"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(1, 5), (0, 100), (-1, 1)])
def test_scores_carry_over_to_another_range_of_labels(low: float, high: float, linear: Path, planted: Dataset) -> None:
    dataset = replace(planted, manifest=planted.manifest.model_copy(update={"label_range": (low, high)}))
    before = scores_before(dataset, settings_from(linear, dataset))
    own = selfmm.load(linear).score(planted)["score_text"].to_numpy()
    words = np.isfinite(own)
    expected = (low + high) / 2 + own / 3 * (high - low) / 2
    assert before.fusion[words] == pytest.approx(expected[words], abs=1e-4 * (high - low))


def test_the_same_model_is_taken_whole(trained: SentimentModel, planted: Dataset) -> None:
    run = trained.folder.path
    settings = settings_from(run, planted)
    before = scores_before(planted, settings)
    assert before.fusion == pytest.approx(trained.predictions["score"].to_numpy(), abs=1e-4)
    assembly, start = assemble_started(planted, settings)
    stored = load_file(trained.folder.weights)
    assert all(torch.equal(value, stored[name]) for name, value in assembly.model.state_dict().items())
    assert start is not None
    assert start.afresh == start.linear == ()
    assert start_note(start) == (
        f"Started from {run}: text encoder, audio encoder, vision encoder, heads of text and audio and vision, fusion."
    )


def test_what_does_not_fit_begins_with_new_weights(trained: SentimentModel, planted: Dataset) -> None:
    settings = settings_from(trained.folder.path, planted, "stream.audio.hidden=5", "stream.vision.projection=7")
    assembly, start = assemble_started(planted, settings)
    assert start is not None
    assert set(start.afresh) == {"encoders.audio", "missing.audio", "heads.audio", "heads.vision", "fusion"}
    assert start_note(start).endswith("Began with new weights: audio encoder, heads of audio and vision, fusion.")
    _, raw = assemble_started(planted, settings_from(trained.folder.path, planted, "stream.audio.standardise=false"))
    assert raw is not None
    assert "encoders.audio" in raw.afresh
    statistics = assembly.model.state_dict()["encoders.audio.scale"]
    assert (statistics != 1).any(), "an encoder that begins afresh has the statistics of its own data"


def test_an_encoder_of_other_features_begins_with_new_weights(
    trained: SentimentModel, planted: Dataset, tmp_path: Path
) -> None:
    modalities = {name: value.model_dump(mode="json") for name, value in trained.info.modalities.items()}
    dim = modalities["audio"]["dim"]
    modalities["audio"]["columns"] = [f"other_{number}" for number in range(dim)]
    named = {name: value.model_copy() for name, value in planted.modalities.items()}
    named["audio"] = named["audio"].model_copy(update={"columns": tuple(f"own_{number}" for number in range(dim))})
    dataset = replace(planted, manifest=planted.manifest.model_copy(update={"modalities": named}))
    run = changed(trained.folder.path, tmp_path / "run", info={"modalities": modalities})
    start = assemble_started(dataset, settings_from(run, dataset))[1]
    assert start is not None
    assert set(start.afresh) == {"encoders.audio", "missing.audio", "heads.audio", "fusion"}


def test_another_model_takes_what_has_the_same_names_and_shapes(trained: SentimentModel, planted: Dataset) -> None:
    started_from = trained.folder.path
    _, mlf = assemble_started(planted, settings_from(started_from, planted, "model=mlf_dnn", "labels.source=generated"))
    assert mlf is not None
    assert mlf.afresh == ()
    # MulT reads frames themselves, so the other run's statistics are not those of anything that it has learned.
    aligned = ["model=mult", "labels.source=none", "align=pool"]
    _, mult = assemble_started(planted, settings_from(started_from, planted, *aligned))
    assert mult is not None
    assert set(mult.taken) == {"encoders.text", "missing.text"}
    assert "encoders.audio" in mult.afresh


def test_code_of_the_other_run_is_never_needed(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    run = changed(trained.folder.path, tmp_path / "run", info={"model": "/nowhere/own.py:Own", "code_sha256": "0" * 64})
    start = assemble_started(planted, settings_from(run, planted))[1]
    assert start is not None
    assert (start.model, start.afresh) == ("/nowhere/own.py:Own", ())


@pytest.mark.parametrize(
    ("override", "problem"),
    [
        ("text.encoder=minilm", "text.encoder = 'minilm': .* reads words with text.encoder = "),
        ("text.pooling=mean", "text.pooling = 'mean': .*; set text.pooling=first"),
        ("text.layer=1", "text.layer = 1: .*; set text.layer=last"),
    ],
)
def test_another_way_of_reading_is_refused(
    override: str, problem: str, trained: SentimentModel, planted: Dataset
) -> None:
    with pytest.raises(SettingsError, match=problem):
        settings_from(trained.folder.path, planted, override)


def test_the_way_of_reading_is_taken_and_may_be_named(
    trained: SentimentModel, planted: Dataset, tiny_encoder: str
) -> None:
    named = [f"text.encoder={tiny_encoder}", "text.pooling=first", "text.capitals=lower"]
    for settings in (
        settings_from(trained.folder.path, planted),
        settings_from(trained.folder.path, planted, *named),
        settings_from(trained.folder.path, planted, *named[:1]),
    ):
        assert settings.text.encoder == tiny_encoder
        assert settings.text.capitals == "keep", "the tokenizer knows no capitals"
    frames = settings_from(trained.folder.path, planted, "modalities=audio,vision", "text.encoder=minilm")
    assert frames.text.encoder == "minilm", "nothing is read with it"


def test_the_starter_is_read_as_it_reads(planted: Dataset) -> None:
    text = settings_from("starter", planted).text
    assert (text.encoder, text.pooling, text.layer, text.capitals) == ("e5", "mean", "last", "lower")
    assert settings_from("starter", planted, "text.pooling=auto").text.pooling == "mean"
    with pytest.raises(SettingsError, match=r"text.pooling = 'first'"):
        settings_from("starter", planted, "text.pooling=first")


def test_runs_that_cannot_be_used(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    run = trained.folder.path
    with pytest.raises(RunError, match=r"cannot start from another run: .*is not a run folder"):
        settings_from(tmp_path / "nothing", planted)
    unfinished = changed(run, tmp_path / "unfinished", info={"status": "training"})
    with pytest.raises(RunError, match=r"cannot start from another run: .* is not finished"):
        settings_from(unfinished, planted)
    damaged = changed(run, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(RunError, match=r"cannot read .*model.safetensors"):
        assemble_started(planted, settings_from(damaged, planted))
    edited = changed(run, tmp_path / "edited")
    (edited / "text_encoder" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="has changed since training"):
        assemble_started(planted, settings_from(edited, planted))
    lacking = changed(run, tmp_path / "lacking", tensors=lambda weights: drop(weights, "embeddings.LayerNorm"))
    with pytest.raises(RunError, match="do not fit its text encoder"):
        assemble_started(planted, settings_from(lacking, planted))
    without = changed(run, tmp_path / "without", tensors=dict.clear)
    with pytest.raises(RunError, match=r"frozen.safetensors is missing"):
        assemble_started(planted, settings_from(without, planted))


def test_nothing_that_fits_is_an_error(planted: Dataset) -> None:
    settings = settings_from("starter", planted, "modalities=audio,vision")
    with pytest.raises(RunError, match=r"nothing in it fits. Its model adapt reads text \(words\)"):
        assemble_started(planted, settings)


def kill_in_epoch(number: int, patch: pytest.MonkeyPatch) -> None:
    run_epoch = trainer.Trainer._run_epoch

    def die(self: trainer.Trainer, epoch: int) -> None:
        if epoch == number:
            raise Killed
        run_epoch(self, epoch)

    patch.setattr(trainer.Trainer, "_run_epoch", die)


@pytest.mark.parametrize("finetune", ["true", "false"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_is_resumed_when_the_other_is_gone(
    epoch: int, finetune: str, trained: SentimentModel, planted: Dataset, tmp_path: Path
) -> None:
    run = shutil.copytree(trained.folder.path, tmp_path / "first")
    overrides = [*QUICK, f"text.finetune={finetune}", "labels.rule=posterior"]
    whole = selfmm.train(planted, start=run, overrides=overrides, out=tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        kill_in_epoch(epoch, patch)
        with pytest.raises(Killed):
            selfmm.train(planted, start=run, overrides=overrides, out=tmp_path / "again")
    shutil.rmtree(run)
    again = RunFolder(tmp_path / "again")
    assert again.info().start == whole.info.start
    preset = shutil.copy(again.path / "settings.toml", tmp_path / "settings.toml")
    resumed = selfmm.train(planted, preset=preset, out=again.path, resume=True)
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions, check_exact=True)
    pd.testing.assert_frame_equal(resumed.labels, whole.labels, check_exact=True)
    weights, expected = load_file(again.weights), load_file(whole.folder.weights)
    assert all(torch.equal(weights[name], value) for name, value in expected.items())
    assert resumed.info == whole.info
    assert not (again.state / "start").exists()
    assert any(line.startswith(f"Started from {run}: ") for line in resumed.metrics["fit"])
    with pytest.raises(RunError, match="is not a run folder"):
        selfmm.train(planted, preset=preset, out=tmp_path / "new")


def test_a_frozen_encoder_keeps_the_weights_that_it_came_with(
    trained: SentimentModel, planted: Dataset, tmp_path: Path
) -> None:
    frozen = selfmm.train(planted, start=trained, overrides=[*QUICK, "text.finetune=false"], out=tmp_path / "frozen")
    mine, theirs = load_file(frozen.folder.frozen_weights), load_file(trained.folder.weights)
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    after = selfmm.train(planted, start=frozen.folder.path, overrides=QUICK, out=tmp_path / "after")
    assert after.info.start is not None
    assert after.info.start.afresh == ()
    pd.testing.assert_frame_equal(
        selfmm.load(frozen.folder.path).score(planted)[["score"]], frozen.predictions[["score"]], atol=1e-5
    )


def test_adapt_reads_words_as_the_run_that_it_starts_from(
    trained: SentimentModel, planted: Dataset, tmp_path: Path
) -> None:
    overrides = ["training.device=cpu", "text.max_tokens=40"]
    run = selfmm.train(planted, model="adapt", start=trained, overrides=overrides, out=tmp_path / "run")
    settings = run.folder.settings()
    assert (settings.text.encoder, settings.text.pooling) == (trained.assembly.settings.text.encoder, "first")
    assert np.isfinite(run.predictions["score"]).all()


def test_several_seeds_start_from_one_run(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    overrides = [*QUICK, "training.max_epochs=1"]
    runs = selfmm.train_seeds(
        planted, seeds=[1, 2], start=trained.folder.path, overrides=overrides, out=tmp_path / "runs", jobs=1
    )
    assert not runs.failed
    for run in runs.runs.values():
        assert run.settings().start == str(trained.folder.path)
        assert (start := run.info().start) is not None
        assert start.afresh == ()
    with pytest.raises(SettingsError, match=r"text\.encoder = 'minilm'"):
        selfmm.train_seeds(planted, seeds=[1], start=trained, text_encoder="minilm", out=tmp_path / "other")
    assert not (tmp_path / "other").exists()
