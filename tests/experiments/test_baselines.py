"""The trivial answers: from the training split alone, and no worse than they should be."""

from __future__ import annotations

import numpy as np

from selfmm.config.settings import load_settings
from selfmm.data.store import Dataset
from selfmm.experiments.baselines import ridge, trivial_answers


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
