"""Curves of real runs: their ends are what predictions on such data give, and more damage is worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

import selfmm
from conftest import QUICK
from selfmm.core.errors import DatasetError, RunError, SettingsError
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.evaluation.metrics import evaluate
from selfmm.experiments.curves import Curves
from selfmm.experiments.damage import Kind
from selfmm.experiments.robustness import robustness
from selfmm.models.text import TransformerEncoder
from selfmm.runs.trained_model import TrainedModel

ENDS: Mapping[Kind, tuple[float, ...]] = {"clips": (0, 1), "frames": (0, 1), "noise": (0, 2)}
MIDDLE: Mapping[Kind, tuple[float, ...]] = {"clips": (0.5,), "frames": (0.5,), "noise": (1,)}
TOGETHER = "text+audio+vision"


def row(curves: Curves, kind: str, modality: str, level: float) -> dict[str, float]:
    """Every metric at one place, as the mean over the runs."""
    table = curves.points
    table = table[(table["kind"] == kind) & (table["modality"] == modality) & (table["level"] == level)]
    assert len(table)
    return dict(zip(table["metric"], table["mean"], strict=True))


def without(dataset: Dataset, modality: str) -> Dataset:
    kept = {name: one for name, one in dataset.modalities.items() if name != modality}
    return replace(dataset, manifest=dataset.manifest.model_copy(update={"modalities": kept}))


@pytest.fixture(scope="module")
def ends(trained: TrainedModel, planted: Dataset) -> Curves:
    """Of a fine-tuned text encoder, at both ends."""
    return robustness(trained, planted, levels=ENDS)


@pytest.fixture(scope="module")
def frozen(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Reads all streams step by step together, with a text encoder that is not trained; not to be changed."""
    settings = [*QUICK, "model=ef_lstm", "align=pool", "text.finetune=false", "training.max_epochs=1"]
    return selfmm.train(
        planted, text_encoder=tiny_encoder, overrides=settings, out=tmp_path_factory.mktemp("ef_lstm") / "run"
    )


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[Path]]:
    """Data in which both streams say the same, and two seeds that learnt to read them; not to be changed."""
    folder = tmp_path_factory.mktemp("strong")
    dataset = write_planted(folder / "data", PlantedSettings(clips=400, seed=3, conflict=0))
    settings = [*QUICK, "model=lf_dnn", "modalities=audio,vision", "training.max_epochs=10"]
    runs = [selfmm.train(dataset, overrides=settings, seed=seed, out=folder / f"seed-{seed}") for seed in (1, 2)]
    return dataset, [run.folder.path for run in runs]


def test_undamaged_clips_give_the_runs_own_figures(
    ends: Curves, trained: TrainedModel, planted: Dataset, frozen: TrainedModel
) -> None:
    own = trained.evaluate(planted).values
    for kind, modality in ends.points[["kind", "modality"]].drop_duplicates().itertuples(index=False):
        assert row(ends, kind, modality, 0) == own
    assert own == pytest.approx(trained.metrics["splits"]["test"]["fusion"]["values"], abs=1e-6)
    other = robustness(frozen, planted, kinds=["clips"], split="valid", levels={"clips": (1,)})
    assert row(other, "clips", "text", 0) == frozen.evaluate(planted, "valid").values


@pytest.mark.parametrize("modality", ["text", "audio", "vision"])
def test_without_a_stream_in_any_clip_it_is_as_without_the_modality(
    ends: Curves, trained: TrainedModel, frozen: TrainedModel, planted: Dataset, modality: str
) -> None:
    expected = trained.evaluate(without(planted, modality)).values
    assert row(ends, "clips", modality, 1) == pytest.approx(expected, abs=1e-5)
    aligned = robustness(frozen, planted, kinds=["clips"], levels={"clips": (1,)})
    assert row(aligned, "clips", modality, 1) == pytest.approx(
        frozen.evaluate(without(planted, modality)).values, abs=1e-5
    )


def test_words_that_are_all_lost_are_as_many_unknown_ones(
    ends: Curves, trained: TrainedModel, frozen: TrainedModel, planted: Dataset
) -> None:
    assert trained.assembly.pretrained is not None
    tokenizer = trained.assembly.pretrained.tokenizer
    said = planted.samples["text"].fillna("")
    unknown = [" ".join([tokenizer.unk_token] * len(tokenizer.tokenize(text))) for text in said]
    mute = replace(planted, samples=planted.samples.assign(text=unknown))
    assert row(ends, "frames", "text", 1) == pytest.approx(trained.evaluate(mute).values, abs=1e-5)
    aligned = robustness(frozen, planted, kinds=["frames"], levels={"frames": (1,)})
    assert row(aligned, "frames", "text", 1) == pytest.approx(frozen.evaluate(mute).values, abs=1e-5)


Change = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]


def changed(dataset: Dataset, modality: str, change: Change) -> Dataset:
    """The data set in memory, with other frames of one modality."""
    matrices = {name: np.array(dataset.matrix(name)) for name in ("audio", "vision")}
    return replace(dataset, matrices=matrices | {modality: change(matrices[modality]).astype(np.float32)})


def test_frames_that_are_all_lost_are_the_training_mean(ends: Curves, trained: TrainedModel, planted: Dataset) -> None:
    mean = np.concatenate([planted.frames("vision", int(r)) for r in planted.rows("train")]).mean(axis=0)
    flat = changed(planted, "vision", lambda frames: np.broadcast_to(mean, frames.shape))
    assert row(ends, "frames", "vision", 1) == pytest.approx(trained.evaluate(flat).values, abs=1e-4)


@pytest.mark.slow
def test_more_damage_is_worse(strong: tuple[Dataset, list[Path]]) -> None:
    dataset, runs = strong
    curves = robustness(runs, dataset)
    assert curves.values["run"].nunique() == 2
    for (kind, modality), group in curves.points.groupby(["kind", "modality"]):
        error = group[group["metric"] == "mae"].sort_values("level")["mean"].to_numpy()
        assert error[-1] > error[0] + (0.25 if "+" in str(modality) else 0.05), (kind, modality)
        assert (np.maximum.accumulate(error) - error).max() < 0.06, (kind, modality, error)
    areas = curves.areas.set_index(["kind", "modality", "metric"])
    for kind in ("clips", "frames", "noise"):
        for modality in ("audio", "vision"):
            assert areas["mean"][kind, "audio+vision", "mae"] > areas["mean"][kind, modality, "mae"]
            assert areas["change"][kind, modality, "corr"] < 0
    assert np.isnan(
        curves.points.query("modality == 'audio+vision' and level == 1 and metric == 'corr'")["mean"].iloc[0]
    )
    assert areas["until"]["clips", "audio+vision", "corr"] == 0.9


@pytest.mark.slow
def test_each_run_meets_draws_of_its_own_and_the_same_each_time(strong: tuple[Dataset, list[Path]]) -> None:
    dataset, runs = strong
    both = robustness(runs, dataset, levels=MIDDLE).values
    second = robustness(selfmm.load(runs[1]), dataset, levels=MIDDLE, draws=1).values
    again = both[both["run"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(again.drop(columns="run"), second.drop(columns="run"), check_exact=True)
    other = robustness(runs[1], dataset, levels=MIDDLE).values
    damaged = (other["level"] > 0) & (other["metric"] == "mae")
    assert (other["value"] != second["value"])[damaged].all()


def test_the_text_encoder_is_asked_again_only_of_other_words(
    trained: TrainedModel, planted: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    states = TransformerEncoder.states

    def count(self: TransformerEncoder, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        asked.append(len(ids))
        return states(self, ids, lengths)

    monkeypatch.setattr(TransformerEncoder, "states", count)
    robustness(trained, planted, kinds=["clips", "noise"], levels={"clips": (0.5, 1), "noise": (1,)})
    assert sum(asked) == 2 * len(planted.rows("test"))  # for the scores of level 0, and for all others
    asked.clear()
    robustness(trained, planted, kinds=["frames"], levels={"frames": (0.5,)})
    assert sum(asked) == 4 * len(planted.rows("test"))  # text, and all together


def test_what_is_measured_and_told(ends: Curves, trained: TrainedModel, planted: Dataset) -> None:
    assert ends.notes == ("text gets no noise: it consists of words, which noise cannot be added to",)
    found = {kind: list(group["modality"].unique()) for kind, group in ends.points.groupby("kind")}
    assert found["clips"] == found["frames"] == ["text", "audio", "vision", TOGETHER]
    assert found["noise"] == ["audio", "vision", "audio+vision"]
    assert set(ends.points["metric"]) == set(evaluate([0.0, 1.0], [0.0, 1.0]).values)
    told: list[tuple[int, int]] = []
    robustness(trained, planted, kinds=["noise"], levels={"noise": (1,)}, progress=lambda *at: told.append(at))
    assert told == [(place, 6) for place in range(1, 7)]


def test_data_that_do_not_serve(trained: TrainedModel, planted: Dataset) -> None:
    with pytest.raises(
        DatasetError, match=r"read text, audio, vision, but no clip in the split 'test'.*has audio, so the cost"
    ):
        robustness(trained, without(planted, "audio"))
    bare = replace(planted, samples=planted.samples.assign(vision_length=0))
    with pytest.raises(DatasetError, match="has vision, so the cost of losing it cannot be measured"):
        robustness(trained, bare)
    with pytest.raises(DatasetError, match=r"'test' of the data set in .* has a label, so scores cannot be evaluated"):
        robustness(trained, replace(planted, samples=planted.samples.assign(label=np.nan)))
    with pytest.raises(DatasetError, match=r"no clip in a split 'dev'; it has: test, train, valid"):
        robustness(trained, planted, split="dev")
    foreign = replace(planted, samples=planted.samples.assign(split="test"))
    with pytest.raises(DatasetError, match=r"has no audio\. Give the data set that was trained on, or leave out the"):
        robustness(trained, foreign)


def test_runs_and_levels_that_make_no_sense(
    trained: TrainedModel, frozen: TrainedModel, planted: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="runs: no run was given"):
        robustness([], planted)
    with pytest.raises(SettingsError, match="the model of the first is self_mm and that of run 2 is ef_lstm"):
        robustness([trained, frozen.folder], planted)
    with pytest.raises(RunError, match="does not exist"):
        robustness(tmp_path / "no", planted)
    levels: Mapping[Kind, tuple[float, ...]] = {"clips": (0.5, 1.5, -1), "frames": (0,)}
    kinds: list[Kind] = ["clips", "frames", "noises"]  # type: ignore[list-item]
    with pytest.raises(SettingsError, match=r"4 settings[\s\S]*mean 'noise'[\s\S]*clips of 1.5[\s\S]*none above 0"):
        robustness(trained, planted, kinds=kinds, levels=levels)
    with pytest.raises(SettingsError, match="kinds: none was given"):
        robustness(trained, planted, kinds=[])


def test_words_alone_take_no_noise(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    settings = [*QUICK, "model=lf_dnn", "modalities=text", "training.max_epochs=1"]
    words = selfmm.train(planted, text_encoder=tiny_encoder, overrides=settings, out=tmp_path / "run")
    with pytest.raises(SettingsError, match="text gets no noise"):
        robustness(words, planted, kinds=["noise"])
    found = robustness(words, planted, kinds=["frames", "noise"], levels={"frames": (1,)})
    assert list(found.points["modality"].unique()) == ["text"]
