"""The main job end to end on planted data, through the Python interface."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import selfmm
from conftest import QUICK
from selfmm import api
from selfmm.config.settings import Settings
from selfmm.core.errors import OutputError, RunError
from selfmm.data.store import Dataset
from selfmm.recordings.model import SentimentModel


def test_dir_shows_the_public_names_and_each_can_be_had() -> None:
    for package in (selfmm, api):
        names = package.__all__
        assert dir(package) == sorted(names)
        assert all(getattr(package, name) is not None for name in names)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            package.nothing  # noqa: B018
    assert set(selfmm.__all__) <= {*api.__all__, "api", "__version__"}
    for path in (Path(selfmm.__file__).parent).iterdir():
        assert path.stem == "api" or path.stem not in selfmm.__all__, "a package would hide the function"


def table_of(scores: object) -> pd.DataFrame:
    assert isinstance(scores, pd.DataFrame)
    return scores


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, selfmm; selfmm.train, selfmm.compare, selfmm.predict, selfmm.api.report; "
        "print(sorted({'torch', 'pandas', 'numpy', 'transformers', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_same_by_every_way_to_say_it(trained: SentimentModel, planted: Dataset) -> None:
    """A run by its folder or loaded, a data set by its folder or open, a sentence or a list of them."""
    stored = trained.predictions
    for run in (trained, trained.folder.path, str(trained.folder.path)):
        for data in (planted, planted.path, str(planted.path)):
            table = table_of(api.predict(run, data, split="test"))
            expected = stored[stored["split"] == "test"].reset_index(drop=True)
            pd.testing.assert_frame_equal(table[expected.columns], expected, atol=1e-5)
    assert len(table_of(api.predict(trained, text="the plot was wonderful"))) == 1
    assert len(table_of(api.predict(trained, text=["fine", "no"]))) == 2
    assert api.evaluate(trained).values["mae"] == pytest.approx(trained.evaluate().values["mae"])
    for run in (trained, trained.folder.path):
        every = api.labels(run, epoch="all", long=True)
        assert len(api.labels(run, epoch=2)) == len(planted.rows("train")) == len(every) / 12
        assert api.audit(run).epoch == trained.metrics["best_epoch"]
        assert api.audit(run, epoch="last").epoch == 4
    assert len(api.labels(planted, overrides=["modalities=audio,vision"])) == len(planted)
    assert api.corrections(planted).empty
    assert api.corrections(trained).empty


def test_an_explanation_of_a_clip_and_of_a_split(trained: SentimentModel, planted: Dataset) -> None:
    clip = planted.samples["id"].iloc[3]
    explanation = api.explain(trained, planted, clip=clip)
    assert isinstance(explanation, api.Explanation)
    assert explanation.score == pytest.approx(trained.predictions["score"].iloc[3], abs=1e-5)
    assert {"base", "by_audio"} <= set(table_of(api.explain(trained, planted, split="test")))
    with pytest.raises(api.DatasetError, match="has no clip 'nobody'"):
        api.explain(trained, planted, clip="nobody")


def test_arguments_that_contradict_each_other(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(api.SettingsError, match=r"give either `data=\.\.\.` or `text=\.\.\.`"):
        api.predict(trained)
    with pytest.raises(api.SettingsError, match="write the lowest and the highest label"):
        api.import_dataset(tmp_path, tmp_path / "data", label_range="3")
    with pytest.raises(api.SettingsError, match="or single settings of it, not both"):
        api.extract(tmp_path, tmp_path / "data", parts="text", recipe=api.recipe())


def _anything(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.predict(3), "cannot score int: give a data set"),
        (lambda model: model.predict(pd.DataFrame({"text": ["good"]})), "cannot score DataFrame: give a data set"),
        (lambda model: model.predict(text=3), "a text to score is a string or a list of strings, not int: 3"),
        (lambda model: model.score(3), "a data set is a folder, given as a string or path, not int: 3"),
        (
            lambda model: api.open_dataset(_anything(None)),
            "a data set is a folder, given as a string or path, not N",
        ),
        (
            lambda model: api.load(_anything(None)),
            "a run is its folder, as a string or path, or a loaded run, not NoneType",
        ),
        (lambda model: list(api.predict_each(model, "no clips")), "no clips is not a recording"),
        (
            lambda model: api.settings(overrides=_anything(3)),
            "settings are strings like 'seed=3', or a list of them, not 3",
        ),
    ],
)
def test_arguments_of_the_wrong_kind(trained: SentimentModel, call: Callable[..., object], message: str) -> None:
    with pytest.raises(api.SelfmmError, match=message):
        call(trained)


def test_a_single_setting_needs_no_list() -> None:
    assert api.settings(overrides="training.max_epochs=1").training.max_epochs == 1
    assert api.recipe(overrides="face.rate=3").face.rate == 3
    with pytest.raises(api.SettingsError, match=r"^training\.epochs is not a setting"):
        api.settings(overrides="training.epochs=1")


def test_models_are_listed_with_their_settings() -> None:
    table = api.models()
    assert {"self_mm", "mult"} <= set(table["model"])
    assert list(table) == ["model", "published", "labels per modality", "needs"]
    assert api.models("mult")["setting"].str.startswith("options.").any()


def test_a_run_learns_the_planted_set(trained: SentimentModel) -> None:
    """Better than the mean by far: a broken model or loop does not reach a correlation of .4."""
    test = trained.evaluate(split="test")
    assert test.values["corr"] > 0.4
    labels = trained.predictions.loc[trained.predictions["split"] == "test", "label"]
    assert test.values["mae"] < 0.9 * np.abs(labels - labels.mean()).mean()


def test_run_folder_is_complete(trained: SentimentModel, planted: Dataset) -> None:
    path = trained.folder.path
    present = {file.name for file in path.iterdir()}
    assert present >= {
        "run.json", "settings.toml", "environment.json", "history.jsonl", "model.safetensors", "text_encoder",
        "metrics.json", "predictions.parquet", "labels.parquet", "state",
    }  # fmt: skip
    assert Settings.model_validate(tomllib.loads((path / "settings.toml").read_text())) == trained.assembly.settings
    assert [json.loads(line)["epoch"] for line in (path / "history.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    assert json.loads((path / "environment.json").read_text())["packages"]["selfmm"] == selfmm.__version__
    assert not list(path.rglob("*.pkl")) + list(path.rglob("*.pt")) + list(path.rglob("*.bin"))


def test_predictions_table(trained: SentimentModel, planted: Dataset) -> None:
    table = trained.predictions
    assert table.columns.tolist() == ["id", "split", "label", "score", "score_text", "score_audio", "score_vision"]
    assert table["id"].tolist() == planted.samples["id"].tolist()
    assert np.isfinite(table["score"]).all()


def test_labels_table_has_every_clip_epoch_and_modality(trained: SentimentModel, planted: Dataset) -> None:
    table = trained.labels
    clips, epochs = len(planted.rows("train")), len(trained.history)
    assert len(table) == clips * epochs * 3
    assert not table.duplicated(["id", "epoch", "modality"]).any()
    first = table[table["epoch"] == 1]
    assert (first["u_label"] == first["m_label"]).all()
    assert (first["weight"] == 0).all()
    assert table["u_label"].abs().max() <= 3
    last = table[table["epoch"] == epochs]
    assert (last["u_label"] != last["m_label"]).mean() > 0.5
    np.testing.assert_allclose(table["weight"], np.tanh((table["u_label"] - table["m_label"]).abs()), rtol=1e-6)


def test_heads_learn_from_the_first_epoch(trained: SentimentModel) -> None:
    """Under the default weighting, W_s weights what the encoders learn, and every head learns with weight 1."""
    assert (trained.history[["loss_text", "loss_audio", "loss_vision"]] > 0).all(axis=None)
    assert (trained.history[[f"head_weight_{name}" for name in ("text", "audio", "vision")]] == 1).all(axis=None)


def test_best_epoch_is_that_of_the_lowest_validation_mae(trained: SentimentModel) -> None:
    history = trained.history
    assert trained.metrics["best_epoch"] == history.sort_values("valid_mae")["epoch"].iloc[0]
    again = trained.evaluate(split="valid")
    assert again.values["mae"] == pytest.approx(history["valid_mae"].min(), abs=1e-5)


def test_loading_gives_the_stored_predictions(trained: SentimentModel, planted: Dataset) -> None:
    again = selfmm.load(trained.folder.path).predict(planted)
    pd.testing.assert_frame_equal(again[trained.predictions.columns], trained.predictions, atol=1e-5)


@pytest.mark.slow
def test_same_seed_same_numbers_other_seed_others(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    def scores(name: str, seed: int) -> SentimentModel:
        overrides = [*QUICK, "training.max_epochs=2"]
        return selfmm.train(planted, text_encoder=tiny_encoder, overrides=overrides, seed=seed, out=tmp_path / name)

    first, same, other = scores("first", 1111), scores("same", 1111), scores("other", 7)
    pd.testing.assert_frame_equal(same.predictions, first.predictions, check_exact=True)
    pd.testing.assert_frame_equal(same.labels, first.labels, check_exact=True)
    assert (other.predictions["score"] != first.predictions["score"]).any()


def test_text_and_audio_only(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    overrides = [*QUICK, "modalities=text,audio", "training.max_epochs=1"]
    model = selfmm.train(planted, text_encoder=tiny_encoder, overrides=overrides, out=tmp_path / "run")
    assert model.labels["modality"].unique().tolist() == ["text", "audio"]
    assert "score_vision" not in model.predictions


def test_features_alone_need_no_text_encoder(planted: Dataset, tmp_path: Path) -> None:
    overrides = [*QUICK, "modalities=audio,vision", "training.max_epochs=1"]
    model = selfmm.train(planted, text_encoder="/nowhere", overrides=overrides, out=tmp_path / "run")
    assert not (model.folder.path / "text_encoder").exists()


def test_an_existing_run_is_not_overwritten(trained: SentimentModel, planted: Dataset, tiny_encoder: str) -> None:
    with pytest.raises(OutputError, match=r"exists already\. Pass `resume=True`"):
        selfmm.train(planted, text_encoder=tiny_encoder, overrides=QUICK, out=trained.folder.path)


def test_a_folder_that_is_no_run_is_left_alone(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="is not a run folder"):
        selfmm.train(planted, text_encoder=tiny_encoder, out=tmp_path, resume=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_resuming_with_other_settings_or_data_is_refused(
    trained: SentimentModel, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    out = trained.folder.path
    overrides = [*QUICK, "training.max_epochs=9"]
    with pytest.raises(RunError, match=r"training.max_epochs: 4 then, 9 now"):
        selfmm.train(planted, text_encoder=tiny_encoder, overrides=overrides, out=out, resume=True)
    from selfmm.data.planted import PlantedSettings, write_planted

    other = write_planted(tmp_path / "other", PlantedSettings(clips=60, seed=5))
    with pytest.raises(RunError, match=r"whose content .* differs"):
        selfmm.train(other, text_encoder=tiny_encoder, overrides=QUICK, out=out, resume=True)


def test_resuming_with_labels_edited_by_hand_is_refused(
    trained: SentimentModel, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(planted.path, tmp_path / "data")
    edited = planted.samples.assign(label=-planted.samples["label"])
    edited.to_parquet(tmp_path / "data" / "samples.parquet", index=False)
    with pytest.raises(RunError, match=r"whose content .* differs"):
        selfmm.train(
            tmp_path / "data", text_encoder=tiny_encoder, overrides=QUICK, out=trained.folder.path, resume=True
        )


def test_a_second_training_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    from selfmm.core.folders import only_one

    with only_one(tmp_path), pytest.raises(OutputError, match="another process is at work"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass


def test_a_data_sets_name_cannot_lead_out_of_the_folder(planted: Dataset) -> None:
    from dataclasses import replace

    from selfmm.api.training import default_folder

    strange = replace(planted, manifest=planted.manifest.model_copy(update={"name": "../../evil"}))
    assert default_folder(strange, None, "self_mm", 1).parent == Path("runs")


def test_resuming_a_finished_run_returns_it(trained: SentimentModel, planted: Dataset, tiny_encoder: str) -> None:
    stamp = (trained.folder.path / "metrics.json").stat().st_mtime_ns
    again = selfmm.train(planted, text_encoder=tiny_encoder, overrides=QUICK, out=trained.folder.path, resume=True)
    assert again.metrics == trained.metrics
    assert (trained.folder.path / "metrics.json").stat().st_mtime_ns == stamp


def test_a_first_argument_that_is_no_run_is_scored_by_the_starter(
    trained: SentimentModel, planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.api.arguments import open_run, run_and_inputs
    from selfmm.runs.folder import STARTERS

    clip, run, starter = tmp_path / "clip.mp4", trained.folder.path, Path("starter")
    (tmp_path / "speaker").mkdir()
    for file in (clip, tmp_path / "speaker" / "a.mp4"):
        file.write_bytes(b"")
    assert run_and_inputs(None, []) == (starter, [])
    assert run_and_inputs(clip, []) == (starter, [clip])
    assert run_and_inputs(clip, [clip]) == (starter, [clip, clip])
    assert run_and_inputs(tmp_path, []) == (starter, [tmp_path])
    assert run_and_inputs(planted.path, []) == (starter, [planted.path])
    assert run_and_inputs(run, [clip]) == (run, [clip])
    assert run_and_inputs(starter, [clip]) == (starter, [clip])
    assert run_and_inputs(tmp_path / "typo", [clip]) == (tmp_path / "typo", [clip])
    monkeypatch.chdir(tmp_path)
    for weights, encoder in (({"e5", "minilm"}, "e5"), ({"minilm"}, "minilm"), ({"e5"}, "e5"), (set(), "e5")):
        present = dict.fromkeys(weights, tmp_path)
        monkeypatch.setattr("selfmm.runs.folder.find", present.get)
        assert open_run("starter").path == STARTERS[encoder]
    (tmp_path / "starter").symlink_to(run)
    assert open_run("starter").path == starter, "a run of this name comes first"
