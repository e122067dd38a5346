"""Trivial baselines: made from the training split alone, and no worse than they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from selfmm.config.settings import load_settings
from selfmm.core.tensors import Ragged
from selfmm.data.store import Dataset
from selfmm.experiments.baselines import means, ridge, text_embeddings, trivial_answers
from selfmm.models.text import load_pretrained


def test_they_are_made_of_the_training_split(planted: Dataset, tiny_encoder: str) -> None:
    settings = load_settings(None, [f"text.encoder={tiny_encoder}", "text.max_tokens=40"])
    found = trivial_answers(planted, settings)
    assert list(found) == ["mean", "text ridge"]
    train, labels = planted.rows("train"), planted.labels()
    assert (found["mean"] == labels[train].mean()).all()
    test = planted.rows("test")
    changed = planted.samples.copy()
    changed.loc[test, "label"] = 3.0
    other = trivial_answers(Dataset(planted.path, planted.manifest, changed, planted.matrices), settings)
    np.testing.assert_array_equal(found["text ridge"], other["text ridge"])
    assert np.std(found["text ridge"][test]) > 0


def test_a_line_is_found_and_predictions_stay_in_range() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 3))
    labels = features @ np.array([1.0, -0.5, 0.0])
    features[79] *= 1000
    said = ridge(features, labels, np.arange(60))
    np.testing.assert_allclose(said[60:79], labels[60:79].clip(labels[:60].min(), labels[:60].max()), atol=0.02)
    assert labels[:60].min() <= said[79] <= labels[:60].max()


def test_features_that_do_not_vary_give_the_mean() -> None:
    labels = np.array([1.0, 2.0, 3.0, 9.0])
    np.testing.assert_allclose(ridge(np.zeros((4, 2)), labels, np.arange(3)), 2.0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path / "cache"))


def test_they_are_what_the_encoder_says_of_a_sentence_alone(planted: Dataset, tiny_encoder: str) -> None:
    found = text_embeddings(planted, load_settings(None, [f"text.encoder={tiny_encoder}", "text.max_tokens=40"]))
    assert found is not None
    pretrained = load_pretrained(tiny_encoder)
    for row in (0, 7, 100):
        ids = pretrained.tokenizer(
            planted.samples["text"].iloc[row], return_tensors="pt", truncation=True, max_length=40
        )
        with torch.no_grad():
            said = pretrained.model.eval()(**ids).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(found[row], said.numpy(), atol=1e-5)


def test_means_leave_out_what_was_not_measured() -> None:
    rows = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 6.0], [5.0, 5.0]], dtype=np.float32)
    stream = Ragged.of(rows, np.array([0, 3, 3, 1]), np.array([3, 1, 0, 1]))
    np.testing.assert_allclose(means(stream), [[2, 4], [5, 5], [0, 0], [0, 0]])


def test_no_text(planted: Dataset) -> None:
    modalities = {name: one for name, one in planted.modalities.items() if name != "text"}
    manifest = planted.manifest.model_copy(update={"modalities": modalities})
    assert text_embeddings(Dataset(planted.path, manifest, planted.samples, planted.matrices), load_settings()) is None
