"""Whole explanations: they add up, agree with an independent computation, and find what was planted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.files import to_json
from selfmm.data.planted import PlantedSettings, planted_source, write_planted
from selfmm.data.planted_words import _ADJECTIVES
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, write_dataset
from selfmm.explain.clip import explain
from selfmm.explain.explanation import Explanation
from selfmm.recordings.model import SentimentModel


@contextmanager
def changed(parameter: torch.Tensor, part: Any, value: float) -> Iterator[None]:
    kept = parameter.detach().clone()
    with torch.no_grad():
        parameter[part] = value
    try:
        yield
    finally:
        with torch.no_grad():
            parameter.copy_(kept)


@pytest.fixture(scope="module")
def explained(trained: SentimentModel, planted: Dataset) -> list[Explanation]:
    return [explain(trained, planted, row) for row in range(100)]


@pytest.mark.slow
def test_it_explains_the_score_of_predict(
    explained: list[Explanation], trained: SentimentModel, planted: Dataset
) -> None:
    table = trained.predict(planted)
    table = table.head(len(explained))
    assert [one.id for one in explained] == table["id"].tolist()
    np.testing.assert_allclose([one.score for one in explained], table["score"], atol=1e-5)
    for name, place in (("text", 0), ("audio", 1), ("vision", 2)):
        alone = [one.contributions[place].alone for one in explained]
        np.testing.assert_allclose(np.array(alone, dtype=np.float64), table[f"score_{name}"], atol=1e-5)


@pytest.mark.slow
def test_everything_adds_up(explained: list[Explanation]) -> None:
    for one in explained:
        assert one.base + sum(part.value for part in one.contributions) == pytest.approx(one.score, abs=1e-5)
        sums = {"text": sum(word.value for word in one.words)}
        for stream in one.frames:
            sums[stream.modality] = sum(stream.curve)
            assert sum(value for _, value in stream.columns) == pytest.approx(sum(stream.curve), abs=1e-9)
        for part in one.contributions:
            assert sums[part.modality] == pytest.approx(part.content + part.gap, abs=1e-6)
            assert abs(part.gap) < 0.02, (one.id, part)
    assert np.std([one.contributions[1].value for one in explained]) > 0.1  # or all this would be of nothing


def test_what_is_added_is_lost_when_the_stream_is_dropped(
    explained: list[Explanation], trained: SentimentModel, planted: Dataset
) -> None:
    """By scoring the clips again without that stream, through the data set."""
    manifest = planted.manifest
    for place, name in enumerate(("text", "audio", "vision")):
        others = {key: value for key, value in manifest.modalities.items() if key != name}
        without = Dataset(planted.path, manifest.model_copy(update={"modalities": others}), planted.samples)
        scores = trained.predict(without)["score"].to_numpy()
        for one, score in zip(explained, scores[: len(explained)], strict=True):
            assert one.contributions[place].added == pytest.approx(one.score - score, abs=1e-5)


def test_words_agree_with_many_small_steps(trained: SentimentModel, planted: Dataset) -> None:
    """A Riemann sum of finite differences through the model's own, packed, path; audio and vision are not there, so
    the fair share of the words is the score itself."""
    encoder, model = trained.assembly.model.encoders["text"], trained.assembly.model
    alone = planted.manifest.model_copy(update={"modalities": {"text": planted.modalities["text"]}})
    dataset = Dataset(planted.path, alone, planted.samples)
    found = explain(trained, dataset, 4)
    stream = trained.assembly.maker(dataset, np.array([4])).make(np.array([0])).streams["text"]
    embedding = encoder.model.embeddings.word_embeddings  # type: ignore[union-attr]
    ids, padding = stream.values[0], embedding.weight[0]  # type: ignore[union-attr, index]
    words = embedding(ids).detach()  # type: ignore[operator]
    baseline = words.clone()
    baseline[1:-1] = padding  # between [CLS] and [SEP]

    def score(path: torch.Tensor) -> np.ndarray:
        fusion: Any = model.fusion
        hook = embedding.register_forward_hook(lambda *_: path)  # type: ignore[union-attr]
        with torch.no_grad():
            count = len(path)
            encoded = encoder(ids.expand(count, -1), stream.lengths.expand(count))
        hook.remove()
        absent = {name: model.missing[name].expand(count, -1) for name in ("audio", "vision")}
        with torch.no_grad():
            return fusion({"text": encoded, **absent})[1].double().numpy()  # type: ignore[no-any-return]

    steps, values = 200, np.zeros(len(ids))
    for step in range(steps):
        here = baseline + (step + 0.5) / steps * (words - baseline)
        way = (words - baseline) / steps
        ahead = here.repeat(len(ids), 1, 1)
        behind = ahead.clone()
        for token in range(len(ids)):
            ahead[token, token] += 50 * way[token]
            behind[token, token] -= 50 * way[token]
        values += (score(ahead) - score(behind)) / 100
    assert found.contributions[0].modality == "text"
    assert found.lacking == ("audio", "vision")
    spans = [word.value for word in found.words]
    np.testing.assert_allclose(spans, values[1:-1], atol=0.05 * np.abs(values).max())


def test_words_have_the_planted_sign(explained: list[Explanation]) -> None:
    grades = {word: grade for grade, words in _ADJECTIVES.items() if abs(grade) >= 2 for word in words}
    told = [
        (word.value > 0) == (grades[word.word] > 0) for one in explained for word in one.words if word.word in grades
    ]
    assert len(told) > 50
    assert np.mean(told) > 0.85


def test_words_stand_where_they_say(explained: list[Explanation], planted: Dataset) -> None:
    for one, text in zip(explained, planted.samples["text"].head(len(explained)), strict=True):
        assert one.text == text
        read = " ".join(word.word for word in one.words)  # planted sentences have no punctuation
        assert text.startswith(read)
        assert read == text or len(one.words) == 38  # of 40 tokens
        assert all(text[word.start : word.end] == word.word for word in one.words)


def test_a_stream_that_the_fusion_ignores_does_nothing(trained: SentimentModel, planted: Dataset) -> None:
    model = trained.assembly.model
    text = len(model.missing["text"])
    fusion: Any = model.fusion
    project = fusion.project[1]
    audio = slice(text, text + len(model.missing["audio"]))
    with changed(project.weight, (slice(None), audio), 0.0):
        found = explain(trained, planted, 3)
    part = found.contributions[1]
    assert (part.modality, part.added) == ("audio", 0.0)
    assert part.value == pytest.approx(0, abs=1e-6)
    assert max(map(abs, found.frames[0].curve)) == 0
    assert abs(found.contributions[2].value) > 1e-3


def test_a_feature_that_the_encoder_ignores_does_nothing(trained: SentimentModel, planted: Dataset) -> None:
    lstm: Any = trained.assembly.model.encoders["vision"].lstm
    with changed(lstm.weight_ih_l0, (slice(None), 2), 0.0):
        found = explain(trained, planted, 3)
    columns = dict(found.frames[1].columns)
    assert columns["vision[2]"] == 0
    assert abs(columns["vision[0]"]) > 0
    assert len(columns) == 8
    sizes = [abs(value) for value in columns.values()]
    assert sizes == sorted(sizes, reverse=True)


def test_streams_that_a_clip_lacks_get_none(trained: SentimentModel, tmp_path: Path) -> None:
    dataset = write_planted(tmp_path / "data", PlantedSettings(clips=30, seed=3, missing=0.9))
    seen = set()
    for row in range(len(dataset)):
        found = explain(trained, dataset, row)
        there = [name for name in dataset.modalities if dataset.lengths(name)[row]]
        assert [part.modality for part in found.contributions] == there
        assert {*there, *found.lacking} == set(dataset.modalities)
        assert [stream.modality for stream in found.frames] == [name for name in there if name != "text"]
        assert bool(found.words) == ("text" in there) == bool(found.text)
        assert found.base + sum(part.value for part in found.contributions) == pytest.approx(found.score, abs=1e-5)
        seen |= set(found.lacking)
    assert seen == {"text", "audio", "vision"}


def test_frames_without_a_face_do_nothing_and_features_have_names(trained: SentimentModel, tmp_path: Path) -> None:
    source = planted_source(PlantedSettings(clips=12, seed=3))
    plain = source.frames["vision"]
    names = tuple(f"brow_{number}" for number in range(8))

    def read(clip: int) -> Any:
        frames = plain.read(clip)
        frames[2:5] = np.nan
        return frames

    modality = plain.modality.model_copy(update={"columns": names, "gaps": True, "frame_rate": 10.0})
    frames = {**source.frames, "vision": Frames(modality, plain.lengths, read)}
    dataset = write_dataset(replace(source, frames=frames), tmp_path / "data")
    stream = explain(trained, dataset, 1).frames[1]
    curve = np.array(stream.curve)
    assert np.isfinite(curve).all()
    assert (curve[2:5] == 0).all()
    assert (np.delete(curve, [2, 3, 4]) != 0).all()
    assert {name for name, _ in stream.columns} == set(names)
    assert stream.peak == np.abs(curve).argmax()
    assert stream.peak_column in names
    assert stream.peak_place == f"{stream.peak / 10:.1f} s"


def test_it_is_the_same_each_time_and_leaves_the_model_alone(trained: SentimentModel, planted: Dataset) -> None:
    model = trained.assembly.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = explain(trained, planted, 5)
    model.train()
    try:
        second = explain(trained, planted, 5)
        assert model.training
    finally:
        model.eval()
    assert first == second
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_json_holds_every_figure(explained: list[Explanation]) -> None:
    content = json.loads(to_json(explained[0].to_json()))
    assert content["score"] == explained[0].score
    assert [part["modality"] for part in content["contributions"]] == ["text", "audio", "vision"]
    assert content["words"][0] == {
        "word": explained[0].words[0].word,
        "start": 0,
        "end": explained[0].words[0].end,
        "value": explained[0].words[0].value,
    }
    assert content["frames"][0]["columns"] == dict(explained[0].frames[0].columns)
    assert json.dumps(explained[0].to_json())  # plain values


def test_mistakes_are_named(trained: SentimentModel, planted: Dataset) -> None:
    with pytest.raises(DatasetError, match="150 clips, so there is no row 150"):
        explain(trained, planted, 150)
    with pytest.raises(SettingsError, match="steps = 0"):
        explain(trained, planted, 0, steps=0)
