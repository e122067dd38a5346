"""Labels of every clip: from a data set alone, from runs finished or not, and what they are worth on planted data."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import selfmm
from cli.command_line import shown
from conftest import QUICK
from selfmm.annotation.importing import import_corrections
from selfmm.cli.show_labels import render
from selfmm.config.settings import load_settings
from selfmm.core.errors import DatasetError, RunError, SettingsError
from selfmm.data.manifest import Modality
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import Frames, Source, write_dataset
from selfmm.recordings.model import SentimentModel
from selfmm.runs.folder import RunFolder
from selfmm.runs.material import Material
from selfmm.training.label_sets import LabelSet, from_data, from_run
from training.builders import killed_at_the_end

FRAMES = ("modalities=audio,vision",)
POSTERIOR = (*QUICK, *FRAMES, "labels.rule=posterior", "training.max_epochs=2")


def labels_of(dataset: Dataset, *overrides: str) -> LabelSet:
    return from_data(dataset, load_settings(None, overrides or FRAMES))


def correlations(labels: LabelSet, split: str) -> dict[str, tuple[float, float]]:
    """Of the u-labels and of the m-labels with the truth, per modality."""
    table, truth = labels.of_split(split).table, labels.samples
    assert truth is not None
    by_name = {}
    for name, own in table.groupby("modality"):
        true = truth.set_index("id")[f"label_{name}"].loc[own["id"]].to_numpy()
        known = np.isfinite(true)
        answers = (own.loc[known, column] for column in ("u_label", "m_label"))
        by_name[str(name)] = tuple(np.corrcoef(answer, true[known])[0, 1] for answer in answers)
    return by_name


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """1,000 planted clips whose vision shows nothing of their sentiment; not to be changed."""
    settings = PlantedSettings(clips=1000, seed=3, strength={"vision": 0.0}, missing=0.05)
    return write_planted(tmp_path_factory.mktemp("world") / "data", settings)


def test_labels_of_clips_that_nothing_was_fitted_to_are_nearer_to_the_truth_than_m(
    world: Dataset, tiny_encoder: str
) -> None:
    labels = labels_of(world, f"text.encoder={tiny_encoder}", "text.max_tokens=40")
    assert labels.table["made"].isin(["left out", "held out", "m-label", "missing"]).all()
    for split in ("train", "test"):
        by_name = correlations(labels, split)
        for name, gain in (("text", 0.0), ("audio", 0.005)):  # the text encoder is a tiny random one
            assert by_name[name][0] > by_name[name][1] + gain, (split, name, by_name)
        of_split = labels.of_split(split).table
        assert set(of_split.loc[of_split["modality"] == "text", "made"]) == {
            "left out" if split == "train" else "held out",
            "missing",
        }


def test_a_modality_that_learned_nothing_has_the_m_labels_and_no_trust(world: Dataset) -> None:
    labels = labels_of(world)
    vision = labels.table[labels.table["modality"] == "vision"]
    present = vision[vision["made"] != "missing"]
    assert set(present["made"]) == {"m-label"}
    assert (present["trust"] == 0).all()
    pd.testing.assert_series_equal(vision["u_label"], vision["m_label"], check_names=False)
    audit = labels.audit()
    assert audit.verdicts["vision"] == "says nothing beyond the m-label here: its labels are the m-labels"
    assert audit.verdicts["audio"].startswith("follows the known labels better than the m-label does")
    assert audit.figures.loc["vision", "trust"] == 0
    assert audit.by_split is not None
    assert audit.by_split.loc[("audio", "test"), "corr"] == pytest.approx(correlations(labels, "test")["audio"][0])
    assert audit.labels["trust"].iloc[0] == audit.labels.loc[audit.labels["modality"] == "audio", "trust"].max()


def test_a_label_of_a_test_clip_has_no_effect_on_another_clip(world: Dataset) -> None:
    table = world.samples.copy()
    row = world.rows("test")[0]
    table.loc[row, "label"] = -table.loc[row, "label"] or 1.0
    changed = labels_of(dataclasses.replace(world, samples=table)).table
    before = labels_of(world).table
    others = (before["id"] != table.loc[row, "id"]).to_numpy()
    pd.testing.assert_frame_equal(changed[others], before[others])
    assert not changed[~others]["u_label"].equals(before[~others]["u_label"])


def test_data_without_a_training_split_or_of_few_clips(world: Dataset) -> None:
    table = world.samples.assign(split="test")
    labels = labels_of(dataclasses.replace(world, samples=table))
    assert set(labels.table["made"]) == {"left out", "m-label", "missing"}
    assert "the data set has no training split, so the labels are fitted to all clips" in labels.notes[0]
    few = labels_of(dataclasses.replace(world, samples=world.samples.iloc[:3].reset_index(drop=True)))
    assert set(few.table["made"]) == {"m-label"} | set(few.table["made"]) & {"missing"}
    assert np.isfinite(few.table["u_label"]).all()
    with pytest.raises(DatasetError, match=r"no clip of a split 'valid' has labels; there are labels of: train"):
        few.of_split("valid")


def tiny(folder: Path, labels: npt.ArrayLike, **columns: Any) -> Dataset:
    """Clips with one modality, "type", whose frames say what the label is; split 60/20/20."""
    values = np.asarray(labels, dtype=np.float64)
    count = len(values)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.5, (count, 4, 3))
    ids = [f"=clip,\n{number}" if number % 2 else f"-clip{number}" for number in range(count)]
    splits = ["train" if place % 5 < 3 else ("valid", "test")[place % 5 - 3] for place in range(count)]
    table = pd.DataFrame({"id": ids, "split": splits, "label": values, "text": None, "video": ids}).assign(**columns)
    frames = Frames(
        Modality(kind="frames", dim=3),
        np.full(count, 4),
        lambda i: (np.nan_to_num(values[i]) + noise[i]).astype(np.float32),
    )
    return write_dataset(Source(table, {"type": frames}, "tiny", (1.0, 5.0)), folder)


def test_one_modality_named_type_on_a_scale_of_1_to_5_with_unknown_labels(tmp_path: Path) -> None:
    m_labels = np.random.default_rng(1).uniform(1, 5, 60).round(1)
    m_labels[[3, 30]] = np.nan
    labels = labels_of(tiny(tmp_path / "data", m_labels), "seed=1")
    assert labels.notes == ("2 clips have no m-label, and so no labels per modality.",)
    assert labels.table["u_label"].between(1, 5).all()
    assert len(labels.table) == 58
    wide = labels.per_clip()
    assert len(wide) == 60
    assert wide.loc[3, ["label", "label_type", "trust_type"]].isna().all()
    assert wide.loc[3, "made_type"] == ""


def test_constant_labels(tmp_path: Path) -> None:
    labels = labels_of(tiny(tmp_path / "data", np.full(20, 2.0)), "seed=1").table
    assert (labels["u_label"] == 2).all()
    assert set(labels["made"]) == {"m-label"}
    assert labels["expected_error"].isna().all()


def test_data_without_words_has_no_column_of_them(tmp_path: Path) -> None:
    labels = labels_of(tiny(tmp_path / "data", np.arange(20) % 5 + 1.0), "seed=1")
    assert "text" not in labels.per_clip()
    screen = shown(render(labels.audit()), 80)
    assert "clips whose labels are farthest from their m-labels" in " ".join(screen.split())
    assert not re.search(r"type +text", screen)


def test_labels_of_a_run_that_an_older_version_began(trained: SentimentModel, tmp_path: Path) -> None:
    run = shutil.copytree(trained.folder.path, tmp_path / "run")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"status": "training", "procedure": 1}))
    settings = (run / "settings.toml").read_text()
    (run / "settings.toml").write_text(re.sub(r'rule = ".*"', 'rule = "posterior"', settings))
    with pytest.raises(RunError, match="no labels yet"):
        from_run(RunFolder(run))
    with pytest.raises(RunError, match="was begun by another version of selfmm"):
        RunFolder(run).require_finished()


def test_data_that_labels_cannot_be_made_of(tmp_path: Path) -> None:
    dataset = tiny(tmp_path / "data", np.arange(20) % 5 + 1.0)
    unknown = dataset.samples.assign(label=np.nan)
    with pytest.raises(DatasetError, match=r"has no clip with a label in its train split\. Labels per modality are"):
        labels_of(dataclasses.replace(dataset, samples=unknown), "seed=1")
    with pytest.raises(DatasetError, match=r"has no clip with a label\. Labels"):
        labels_of(dataclasses.replace(dataset, samples=unknown.assign(split="test")), "seed=1")
    assert (
        "the rule authors of these settings makes labels in training"
        in labels_of(dataset, "labels.rule=authors").notes[0]
    )
    with pytest.raises(SettingsError, match="has no modality 'text'"):
        labels_of(dataset, "modalities=text")
    with pytest.raises(SettingsError, match=r"labels\.tasks names 'typ'; did you mean 'type'"):
        labels_of(dataset, "labels.tasks=typ")


def test_features_that_were_not_measured_and_clips_in_which_nothing_was(tmp_path: Path) -> None:
    """A gap in one feature costs that feature; only a clip without any measurement lacks the modality."""
    values, count = np.arange(60) % 5 + 1.0, 60
    frames = np.random.default_rng(0).normal(0, 0.3, (count, 4, 3)) + values[:, None, None]
    frames[::4, :, 0] = np.nan
    frames[7] = np.nan
    ids = [f"c{number}" for number in range(count)]
    table = pd.DataFrame({"id": ids, "split": "train", "label": values, "text": None, "video": ids})
    source = Frames(Modality(kind="frames", dim=3, gaps=True), np.full(count, 4), lambda i: frames[i].astype("f4"))
    dataset = write_dataset(Source(table, {"audio": source}, "gaps", (1.0, 5.0)), tmp_path / "data")
    labels = labels_of(dataset, "modalities=audio").table
    assert labels.index[labels["made"] == "missing"].tolist() == [7]
    assert np.isfinite(labels.drop(index=7)["trust"]).all()


def test_token_ids_that_the_encoder_does_not_know(tiny_encoder: str, tmp_path: Path) -> None:
    ids = [f"c{number}" for number in range(6)]
    table = pd.DataFrame({"id": ids, "split": "train", "label": [1.0, -1.0] * 3, "text": None, "video": ids})
    tokens = Frames(
        Modality(kind="tokens", tokenizer="bert"), np.full(6, 2), lambda i: np.array([2, 20_000]), np.dtype(np.int32)
    )
    dataset = write_dataset(Source(table, {"text": tokens}, "tokens", (-3.0, 3.0)), tmp_path / "data")
    with pytest.raises(DatasetError, match=r"go up to 20000, but the text encoder knows \d+ words"):
        labels_of(dataset, f"text.encoder={tiny_encoder}", "text.max_tokens=40")


def test_labels_of_people_are_taken_as_they_are_on_all_splits(tmp_path: Path) -> None:
    dataset = tiny(tmp_path / "data", np.arange(60) % 5 + 1.0)
    chosen = dataset.samples["id"].iloc[[0, 3]].tolist()  # of training and of validation
    pd.DataFrame({"id": chosen, "label_type": [5.0, 1.0]}).to_parquet(tmp_path / "sheet.parquet")
    import_corrections(dataset, tmp_path / "sheet.parquet", weight=0.5)
    table = labels_of(open_dataset(dataset.path), "seed=1").table.set_index("id").loc[chosen]
    assert table["made"].tolist() == ["person"] * 2
    assert table["u_label"].tolist() == [5.0, 1.0]
    assert table["weight"].tolist() == [0.5, 0.5]
    assert table["trust"].tolist() == [1.0, 1.0]
    assert table["outcome"].tolist() == ["fixed"] * 2


@pytest.fixture(scope="module")
def estimated(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """A finished run on ``planted`` with the rule posterior; not to be changed."""
    return selfmm.train(planted, overrides=POSTERIOR, out=tmp_path_factory.mktemp("estimated") / "run")


def test_a_run_has_the_labels_of_its_data_set_alone(estimated: SentimentModel, planted: Dataset) -> None:
    labels = from_run(estimated.folder).of_epoch("best")
    pd.testing.assert_frame_equal(labels.table, labels_of(planted).table)
    assert len(labels.table) == 2 * len(planted)
    assert list(labels.table) == [
        *("id", "epoch", "modality", "m_label", "u_label", "weight", "outcome"),
        *("split", "expected_error", "trust", "contradiction", "made"),
    ]
    assert set(labels.table["epoch"]) == {0}
    assert labels.of_epoch("last") is labels
    with pytest.raises(RunError, match="no epoch changes them; leave out `epoch="):
        labels.of_epoch("1")
    assert not (estimated.folder.state / "labels").exists()
    material = Material.read(estimated.folder.path)
    audit = material.audit()
    assert audit.epoch == 0
    assert audit.figures["head_corr"].notna().all()
    assert audit.figures[["drift", "separation"]].isna().all(axis=None)
    assert not {"drift", "separation"} & set(audit.reasons["audio"])
    assert material.notes == ()


def test_training_uses_the_labels_of_the_table(planted: Dataset, tmp_path: Path) -> None:
    from training.builders import make

    trainer, _ = make(planted, tmp_path, "labels.rule=posterior")
    generator: Any = trainer.objective.generator
    table = labels_of(planted).of_split("train").table
    for name, own in generator.labels.items():
        np.testing.assert_array_equal(own.cpu(), table.loc[table["modality"] == name, "u_label"])


def test_without_its_data_set_a_run_still_has_its_labels(estimated: SentimentModel, tmp_path: Path) -> None:
    run = shutil.copytree(estimated.folder.path, tmp_path / "run")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"dataset_path": str(tmp_path / "gone")}))
    labels = from_run(RunFolder(run))
    assert labels.samples is None
    assert "the data set cannot be read" in labels.notes[0]
    assert list(labels.per_clip())[:3] == ["id", "split", "label"]


def test_other_rules_have_labels_of_training_clips_and_say_of_which_epoch(trained: SentimentModel) -> None:
    labels = from_run(trained.folder)
    best = trained.metrics["best_epoch"]
    assert labels.epochs == (1, 2, 3, 4)
    chosen = labels.of_epoch("best")
    assert chosen.epochs == (best,)
    assert chosen.notes[0] == f"these are the labels of epoch {best} of 4, whose weights the run keeps."
    assert chosen.notes[1].startswith("only training clips have labels: the rule authors of this run made them in")
    assert labels.of_epoch("1").notes[0] == "these are the labels of epoch 1 of 4."
    assert labels.of_epoch("2", earlier=True).epochs == (1, 2)
    with pytest.raises(RunError, match="there is no epoch '9': give a number from 1 to 4"):
        labels.of_epoch("9")
    with pytest.raises(DatasetError, match="no clip of a split 'test' has labels; there are labels of: train"):
        labels.of_split("test")
    audit = Material.read(trained.folder.path).audit()
    assert (audit.epoch, audit.of_model) == (best, True)
    assert audit.figures["trust"].isna().all()
    assert audit.reasons["text"]["trust"].startswith("unknown, because only the rule posterior")
    assert not Material.read(trained.folder.path).audit(epoch=1).of_model or best == 1


def test_runs_of_older_versions(trained: SentimentModel, tmp_path: Path) -> None:
    """Without outcomes, and with the rule posterior as it was: labels of every epoch, without trust."""
    run = shutil.copytree(trained.folder.path, tmp_path / "run")
    trained.folder.labels().drop(columns="outcome").to_parquet(run / "labels.parquet")
    settings = (run / "settings.toml").read_text()
    (run / "settings.toml").write_text(settings.replace('"authors"', '"posterior"'))
    labels = from_run(RunFolder(run)).of_epoch("best")
    assert list(labels.per_clip())[-3:] == ["known_label_text", "known_label_audio", "known_label_vision"]
    assert "only training clips have labels: the rule posterior of this run made them in training" in labels.notes[1]
    audit = Material.read(run).audit()
    assert audit.epoch == trained.metrics["best_epoch"]
    assert set(audit.verdicts) == {"text", "audio", "vision"}


@pytest.mark.slow
def test_runs_that_are_not_finished(planted: Dataset, tmp_path: Path) -> None:
    killed_at_the_end(planted, tmp_path / "posterior", overrides=POSTERIOR)
    labels = from_run(RunFolder(tmp_path / "posterior"))
    pd.testing.assert_frame_equal(labels.table, labels_of(planted).table)
    assert labels.notes[0] == f"{tmp_path / 'posterior'} is not finished."
    killed_at_the_end(planted, tmp_path / "authors", overrides=[*QUICK, *FRAMES])
    labels = from_run(RunFolder(tmp_path / "authors"))
    assert labels.epochs == (1, 2, 3, 4)
    assert "It has labels of 4 epochs" in labels.notes[0]
    assert "whose weights the run keeps so far" in labels.of_epoch("best").notes[0]
    (tmp_path / "model").mkdir()
    resumed = selfmm.train(planted, overrides=[*QUICK, *FRAMES], out=tmp_path / "authors", resume=True)
    pd.testing.assert_frame_equal(labels.table, resumed.labels)
    shutil.rmtree(tmp_path / "posterior")
    killed_at_the_end(planted, tmp_path / "again", overrides=[*QUICK, *FRAMES])
    shutil.rmtree(tmp_path / "again" / "state" / "labels")
    with pytest.raises(RunError, match="has no labels yet: the rule authors makes them in training"):
        from_run(RunFolder(tmp_path / "again"))
    info = json.loads((tmp_path / "again" / "run.json").read_text())
    (tmp_path / "again" / "run.json").write_text(json.dumps(info | {"fingerprint": "other"}))
    with pytest.raises(RunError, match="has changed since it was begun"):
        from_run(RunFolder(tmp_path / "again"))
