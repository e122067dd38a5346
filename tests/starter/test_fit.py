"""The fit in closed form, and the run that it writes: with a tiny encoder in place of the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from selfmm import api
from selfmm.config.settings import load_settings
from selfmm.core.errors import RunError
from selfmm.core.weights import find
from selfmm.data.manifest import Manifest, Modality
from selfmm.data.store import Dataset
from selfmm.evaluation.worth import FUSION
from selfmm.features.face.landmarks import COLUMNS
from selfmm.models.reading import ReadingRules
from selfmm.models.text import load_pretrained
from selfmm.recordings.model import SentimentModel
from selfmm.runs.folder import STARTERS, RunFolder
from selfmm.starter import face, fit
from selfmm.starter.texts import RatedTexts

SETTINGS = load_settings(None, ["text.encoder=e5", "text.finetune=false", "labels.source=none"], model="adapt")
GOOD, BAD = "the plot was wonderful", "the plot was dreadful"


def rated(count: int = 240) -> RatedTexts:
    """Planted texts of two collections; each document has two."""
    words = {2.0: GOOD, -2.0: BAD, 0.5: "the cast was a bit sweet", -0.5: "the film was a bit dull"}
    random = np.random.default_rng(0)
    labels = random.choice(list(words), count)
    texts = [f"{words[label]} {' '.join(['really'] * random.integers(0, 4))}" for label in labels]
    collections = np.array(["tweets", "movieReviewSnippets"], dtype=object)[np.arange(count) % 2]
    documents = np.array([f"{name} {row // 4}" for row, name in enumerate(collections)], dtype=object)
    return RatedTexts(texts, labels + random.normal(0, 0.2, count), collections, documents)


@pytest.fixture(scope="module")
def starter(tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """A starter with the tiny encoder; not to be changed."""
    pretrained = replace(load_pretrained(tiny_encoder), rules=ReadingRules("mean", "lower"))
    texts, out = rated(), tmp_path_factory.mktemp("starter") / "starter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_STRENGTHS", np.array([1e-3]))  # a random encoder's states take large weights otherwise
        fit.write(fit.fit_words(fit.states_of(texts, SETTINGS, pretrained), texts), texts, SETTINGS, out)
        patch.setattr("selfmm.runs.trained_model.text_encoder", lambda settings, compact: pretrained)
        return selfmm.load(out)


def test_the_ridge_is_that_of_the_normal_equations() -> None:
    random = np.random.default_rng(1)
    states = random.normal(size=(60, 5)) * [1, 2, 3, 4, 5] + 7
    texts = replace(rated(60), labels=states @ [1.0, -1, 0.5, 0, 0] + random.normal(size=60))
    words = fit.fit_words(states, texts)

    def ridge(rows: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
        centred = states[rows] - states[rows].mean(axis=0)
        scatter = centred.T @ centred
        penalty = strength * np.trace(scatter) / 5 * np.eye(5)
        weights = np.linalg.solve(scatter + penalty, centred.T @ (texts.labels[rows] - texts.labels[rows].mean()))
        return weights, texts.labels[rows].mean() - weights @ states[rows].mean(axis=0)

    weights, bias = ridge(np.ones(60, dtype=bool), words.strength)
    assert words.weights == pytest.approx(weights)
    assert words.bias == pytest.approx(bias)
    for name in ("tweets", "movieReviewSnippets"):
        kind = texts.collections == name
        weights, bias = ridge(~kind, words.strength)
        assert words.held_out[kind] == pytest.approx(states[kind] @ weights + bias)


def test_the_run_says_what_it_is_worth_on_other_kinds_of_texts(starter: SentimentModel) -> None:
    assert starter.info.about.startswith("starter, fitted on 240 English texts")
    assert starter.worth is not None
    words = starter.worth.scores["text"]
    assert words == starter.worth.scores[FUSION]
    assert words.informs
    assert words.groups == 120
    assert f"MAE {words.mae:.2f}" in starter.info.about
    assert 0.1 < words.band < 1


def test_words_alone(starter: SentimentModel) -> None:
    table = starter.predict(text=[GOOD, BAD, GOOD.upper()])
    good, bad, shouted = table["score"]
    assert good > 1
    assert bad < -1
    assert shouted == pytest.approx(good), "capitals are read in lower case"
    assert table["score_text"].to_numpy() == pytest.approx(table["score"].to_numpy())
    assert table["score_vision"].isna().all()


def faces(*expressions: float | None, text: str | None = None) -> Dataset:
    """One clip per face, of 3 frames: a smile if the expression is positive, else lowered brows; None: no face."""
    frames = np.zeros((len(expressions), 3, len(COLUMNS)), dtype=np.float32)
    for clip, size in zip(frames, expressions, strict=True):
        sides = ("mouthSmileLeft", "mouthSmileRight") if (size or 0) > 0 else ("browDownLeft", "browDownRight")
        clip[:, [COLUMNS.index(side) for side in sides]] = abs(size or 0)
        clip[:] = np.nan if size is None else clip
    table = pd.DataFrame({"id": [f"c{k}" for k in range(len(expressions))], "split": "test", "label": np.nan})
    table = table.assign(video=table["id"], text=text, vision_offset=np.arange(len(table)) * 3, vision_length=3)
    modalities = {"text": Modality(kind="text"), "vision": Modality(kind="frames", dim=63, columns=COLUMNS, gaps=True)}
    manifest = Manifest(name="faces", label_range=(-3.0, 3.0), modalities=modalities)
    return Dataset(Path(), manifest, table, {"vision": frames.reshape(-1, len(COLUMNS))})


def test_faces_alone_and_with_words(starter: SentimentModel) -> None:
    gain = face.RELIABILITY * face.LABELS / face.EXPRESSIONS
    alone = starter.score(faces(0.8, -0.5))
    assert alone["score"].to_numpy() == pytest.approx([gain * (0.8 - face.REST), gain * (-0.5 - face.REST)], abs=0.01)
    together = starter.score(faces(0.8, -0.5, None, text=GOOD))
    words = together["score_text"].iloc[0]
    smiling, frowning, unseen = together["score"]
    assert frowning < smiling
    assert unseen == pytest.approx(words)
    assert abs(smiling - words) < 0.5 * abs(words - together["score_vision"].iloc[0]), "the words count more"


def test_a_clip_without_words_and_face_has_no_score(starter: SentimentModel) -> None:
    for text in ("", "\x01 \u200b"):
        dataset = faces(0.8, -0.5, text=text)
        dataset.samples["vision_length"] = [3, 0]
        table = starter.predict(dataset)
        assert table["score"].notna().tolist() == [True, False]
        assert table[["low", "high", "informs"]].isna().all(axis=None)  # without words, nothing is known


def test_an_explanation_adds_up(starter: SentimentModel) -> None:
    dataset = faces(0.8, text=GOOD)
    explanation = api.explain(starter, dataset, clip="c0")
    assert isinstance(explanation, api.Explanation)
    total = explanation.base + sum(part.value for part in explanation.contributions)
    assert total == pytest.approx(explanation.score, abs=1e-4)
    assert explanation.score == pytest.approx(starter.score(dataset)["score"].iloc[0], abs=1e-5)
    assert [word.word for word in explanation.words] == GOOD.split()
    assert explanation.frames[0].columns[0][0].startswith("mouthSmile")


def test_it_is_evaluated_on_a_data_set_that_is_named(starter: SentimentModel) -> None:
    with pytest.raises(RunError, match="selfmm evaluate starter DATA"):
        starter.evaluate()
    dataset = faces(0.8, -0.5, text=GOOD)
    dataset.samples["label"] = [1.0, 2.0]
    assert starter.evaluate(dataset).count == 2


def test_features_of_others_are_ignored(starter: SentimentModel, planted: Dataset) -> None:
    """Planted data have voices, and faces with other columns."""
    table = starter.predict(planted, "test", explain=True)
    assert table["score_vision"].isna().all()
    has_words = planted.lengths("text")[planted.rows("test")] > 0
    assert (table["score_text"].notna() == has_words).all()
    explanation = api.explain(starter, planted, clip=table["id"][int(has_words.argmax())])
    assert isinstance(explanation, api.Explanation)
    assert [part.modality for part in explanation.contributions] == ["text"]


def test_it_has_no_report(starter: SentimentModel) -> None:
    with pytest.raises(RunError, match=r"starter has no report: .* was not trained here"):
        api.report(starter)
    with pytest.raises(RunError, match=r"^starter comes with selfmm and has no labels per modality"):
        api.labels(starter)


@pytest.mark.slow
def test_an_onnx_file_gives_the_same_scores(
    starter: SentimentModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason="reads the file")
    assert starter.assembly.pretrained is not None
    monkeypatch.setattr("selfmm.runs.trained_model.text_encoder", lambda settings, compact: starter.assembly.pretrained)
    assert selfmm.export(starter.folder.path, tmp_path / "starter.onnx").difference < 1e-4


@pytest.mark.parametrize("encoder", STARTERS)
def test_the_shipped_run_is_small_and_whole(encoder: str) -> None:
    folder = RunFolder(STARTERS[encoder])
    info, worth = folder.require_finished(), folder.worth()
    assert sum(file.stat().st_size for file in folder.path.iterdir()) < 20_000
    assert (info.model, info.encoder_weights, set(info.unscored)) == ("adapt", encoder, {"audio"})
    assert folder.settings().text.encoder == encoder
    assert ("selfmm weights get e5" in info.about) == (encoder != "e5")
    assert worth is not None
    assert worth.scores[FUSION].informs
    assert worth.training_clips == 23_703
    assert "23,703 English texts" in info.about
    assert str(Path.home()) not in (folder.path / "run.json").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "languages"), [("e5", 4), ("minilm", 3)])
def test_the_shipped_run_scores_plain_sentences(encoder: str, languages: int) -> None:
    if find(encoder) is None:
        pytest.skip(f"the text encoder {encoder} is not on this machine: selfmm weights get {encoder}")
    good = ["I loved every minute of it", "What a wonderful day", "THE FILM WAS FANTASTIC", "Das war ein toller Film"]
    bad = ["I hated every minute of it", "What a terrible day", "THE FILM WAS AWFUL", "Das war ein schlechter Film"]
    scores = selfmm.load(STARTERS[encoder]).predict(text=[*good, *bad])["score"].to_numpy()
    assert (scores[:languages] > 0.5).all()
    assert (scores[4:][:languages] < -0.5).all()
    assert torch.get_num_threads() == 1
