"""The scores that a fit starts from: on other scales and with other standardisation, they are the starter's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import selfmm
from selfmm.config.settings import Settings, load_settings
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset
from selfmm.features.face.landmarks import COLUMNS
from selfmm.models.assembly import Assembly, assemble
from selfmm.models.scoring import Scores, score
from selfmm.starter import face
from selfmm.training.adapt.start import start_of
from selfmm.training.adapt.trainer import AdaptTrainer, rated_rows
from selfmm.training.start import assemble_started, started
from training.adapt.sentences import BAD, GOOD

GAIN = face.RELIABILITY * face.LABELS / face.EXPRESSIONS
EXPRESSIONS = np.random.default_rng(0).uniform(-0.4, 0.5, 40)
FACE = Modality(kind="frames", dim=63, columns=COLUMNS, gaps=True)


def faces(label_range: tuple[float, float], split: str = "train", **vision: Any) -> Dataset:
    """A clip per expression, of 3 frames with other features at random; nothing is rated."""
    count, random = len(EXPRESSIONS), np.random.default_rng(1)
    frames = random.uniform(0, 1, (count, 3, len(COLUMNS))).astype(np.float32)
    for name, sign in (("mouthSmile", 1), ("browDown", -1)):
        for side in ("Left", "Right"):
            frames[:, :, COLUMNS.index(name + side)] = np.clip(sign * EXPRESSIONS, 0, None)[:, None]
    table = pd.DataFrame({"id": [f"c{k}" for k in range(count)], "split": split, "label": np.nan})
    table = table.assign(video=table["id"], vision_offset=np.arange(count) * 3, vision_length=3)
    manifest = Manifest(name="faces", label_range=label_range, modalities={"vision": FACE.model_copy(update=vision)})
    return Dataset(Path(), manifest, table, {"vision": frames.reshape(-1, len(COLUMNS))})


def fitted(dataset: Dataset, settings: Settings) -> tuple[Assembly, AdaptTrainer, Scores]:
    settings = started(settings, dataset)
    assembly, _ = assemble_started(dataset, settings)
    encoded = assembly.encode_text(dataset)
    trainer = AdaptTrainer(assembly, dataset, rated_rows(dataset, settings), encoded, settings, "general")
    trainer.fit()
    maker = assembly.maker(dataset, np.arange(len(dataset)), encoded)
    return assembly, trainer, score(assembly.model, maker, trainer.device)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("low", "high", "neutral", "size"), [(-3, 3, 0, 1), (-1, 1, 0, 1 / 3), (1, 5, 3, 2 / 3), (0, 100, 50, 50 / 3)]
)
def test_a_face_has_the_score_of_the_rule(low: float, high: float, neutral: float, size: float, split: str) -> None:
    """Whatever the standardisation, which is that of the training clips, and whatever the label range."""
    dataset = faces((low, high), split)
    assembly, trainer, scores = fitted(dataset, load_settings(None, [], model="adapt"))
    expected = neutral + size * GAIN * (EXPRESSIONS - face.REST)
    assert scores.unimodal["vision"] == pytest.approx(expected, abs=0.02 * size)
    assert scores.fusion == pytest.approx(scores.unimodal["vision"], rel=1e-5)
    assert trainer.notes == []
    assert not start_of(assembly).has("text")
    assert start_of(assembly).worth is None, "of a face, nothing was measured"


@pytest.mark.parametrize("clips", [1, 2, 5])
def test_a_few_faces_that_are_alike_leave_the_score_of_other_faces_alone(clips: int) -> None:
    """The fit sees a few neutral faces; a smile that it has not seen still has the score of the rule."""
    dataset = faces((-3, 3), "test")
    few = dataset.samples.assign(label=0.0)
    few.loc[np.argsort(np.abs(EXPRESSIONS))[:clips], "split"] = "train"
    _, _, scores = fitted(replace(dataset, samples=few), load_settings(None, [], model="adapt"))
    expected = GAIN * (EXPRESSIONS - face.REST)
    assert np.ptp(scores.unimodal["vision"] - expected) < 0.1


@pytest.mark.parametrize("vision", [{"columns": COLUMNS[::-1]}, {"columns": ()}])
def test_other_features_have_no_start(vision: dict[str, Any]) -> None:
    dataset = faces((-3, 3), **vision)
    assembly = assemble(dataset, started(load_settings(None, [], model="adapt"), dataset))
    start = start_of(assembly)
    assert not start.has("vision")
    assert start.worth is None


@pytest.mark.parametrize(("low", "high", "neutral", "size"), [(-3, 3, 0, 1), (1, 5, 3, 2 / 3), (0, 100, 50, 50 / 3)])
def test_words_have_the_score_of_the_starter(
    small_starter: Path, low: float, high: float, neutral: float, size: float
) -> None:
    words = [GOOD, BAD, "the plot"]
    table = pd.DataFrame({"id": ["a", "b", "c"], "split": "train", "label": np.nan, "video": "v", "text": words})
    manifest = Manifest(name="words", label_range=(low, high), modalities={"text": Modality(kind="text")})
    settings = load_settings(None, ["text.encoder=e5", "text.finetune=false", "text.pooling=mean"], model="adapt")
    assembly, _, scores = fitted(Dataset(Path(), manifest, table, {}), settings)
    expected = selfmm.load(small_starter).predict(text=words)["score"].to_numpy()
    assert scores.fusion == pytest.approx(neutral + size * expected, abs=1e-3 * size)
    worth = start_of(assembly).worth
    assert worth is not None
    assert worth.scores["text"].informs


@pytest.mark.parametrize("override", ["text.encoder=minilm", "text.layer=1"])
def test_words_that_are_read_in_another_way_have_no_start(small_starter: Path, override: str) -> None:
    table = pd.DataFrame({"id": ["a"], "split": "train", "label": np.nan, "video": "v", "text": "fine"})
    manifest = Manifest(name="words", label_range=(-3, 3), modalities={"text": Modality(kind="text")})
    settings = load_settings(None, ["text.encoder=e5", "text.finetune=false", override], model="adapt")
    dataset = Dataset(Path(), manifest, table, {})
    assert not start_of(assemble(dataset, started(settings, dataset))).has("text")
