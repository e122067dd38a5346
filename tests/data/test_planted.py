from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV

from selfmm.core.errors import SettingsError
from selfmm.data.manifest import SPLITS
from selfmm.data.planted import MODALITIES, PlantedSettings, planted_source, write_planted
from selfmm.data.planted_words import sentence
from selfmm.data.writer import Source


@pytest.fixture(scope="module")
def default() -> Source:
    return planted_source()


def truths(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    return table[[f"label_{name}" for name in MODALITIES]].to_numpy(dtype=np.float64)


def test_it_is_a_data_set(tmp_path: Path) -> None:
    dataset = write_planted(tmp_path / "planted", PlantedSettings(clips=40))
    assert len(dataset) == 40
    assert {name: m.kind for name, m in dataset.modalities.items()} == {
        "text": "text",
        "audio": "frames",
        "vision": "frames",
    }
    assert dataset.frames("audio", 7).shape == (dataset.lengths("audio")[7], 5)
    assert dataset.manifest.provenance["settings"]["clips"] == 40


def test_labels_and_truths_are_in_range_and_on_the_grid_of_five_raters(default: Source) -> None:
    labels = default.table["label"].to_numpy()
    assert np.abs(labels).max() <= 3
    assert np.abs(truths(default.table)).max() <= 3
    np.testing.assert_array_equal(labels, np.rint(labels * 5) / 5)
    assert 0 < np.mean(labels == 0) < 0.1
    assert not np.signbit(labels[labels == 0]).any()


def test_the_m_label_follows_the_agreeing_majority(default: Source) -> None:
    for row in default.table.to_dict("records"):
        labels = {name: row[f"label_{name}"] for name in MODALITIES}
        contradicting = labels.pop(row["conflict"], None)
        agreeing, label = np.array(list(labels.values())), row["label"]
        assert len(set(np.sign(agreeing))) == 1
        assert label * agreeing[0] >= 0
        if contradicting is not None:
            assert label * contradicting < 0
            assert min(abs(contradicting), *np.abs(agreeing)) >= 0.6


def test_a_contradiction_draws_the_label_towards_itself() -> None:
    table = planted_source(PlantedSettings(clips=3000, label_noise=0)).table
    torn = table["conflict"] != ""
    against = truths(table) * np.sign(table["label"].to_numpy())[:, None] < 0
    agreed = np.mean(truths(table), axis=1, where=~against)
    shrink = np.abs(agreed) - table["label"].abs()
    assert shrink[torn].mean() > 0.3
    assert abs(shrink[~torn].mean()) < 0.02


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_as_many_clips_contradict_as_asked(share: float) -> None:
    table = planted_source(PlantedSettings(clips=200, conflict=share)).table
    assert (table["conflict"] != "").sum() == round(200 * share)
    if share >= 0.5:
        assert table["conflict"].value_counts().reindex(MODALITIES).min() > 20


@pytest.mark.parametrize("share", [0.0, 1 / 11, 10 / 11, 1.0])
def test_classes_can_be_unequal(share: float) -> None:
    labels = planted_source(PlantedSettings(clips=440, positive_share=share)).table["label"]
    assert (labels > 0).sum() <= round(440 * share)
    assert (labels < 0).sum() <= 440 - round(440 * share)
    assert (labels == 0).mean() < 0.1


@pytest.mark.parametrize("clips", [3, 4, 17, 600])
def test_a_video_is_in_one_split_and_no_split_is_empty(clips: int) -> None:
    table = planted_source(PlantedSettings(clips=clips)).table
    assert table["id"].is_unique
    assert len(table) == clips
    assert set(table["split"]) == set(SPLITS)
    assert (table.groupby("video")["split"].nunique() == 1).all()


def test_splits_are_about_70_10_20() -> None:
    shares = planted_source(PlantedSettings(clips=3000)).table["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.03)
    assert shares["valid"] == pytest.approx(0.1, abs=0.03)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    first, second, other = (
        write_planted(tmp_path / name, PlantedSettings(clips=30, seed=seed)).manifest.checksums
        for name, seed in [("a", 1), ("b", 1), ("c", 2)]
    )
    assert first == second
    assert all(first[file] != other[file] for file in first)


def test_frames_do_not_depend_on_the_order_of_reading() -> None:
    read = planted_source(PlantedSettings(clips=5)).frames["audio"].read
    later = [read(i) for i in (4, 2, 0)]
    for got, clip in zip(later, (4, 2, 0), strict=True):
        np.testing.assert_array_equal(got, planted_source(PlantedSettings(clips=5)).frames["audio"].read(clip))


def test_missing_streams_are_never_the_contradicting_one() -> None:
    source = planted_source(PlantedSettings(clips=300, conflict=0.5, missing=0.4))
    table = source.table
    gone = pd.DataFrame({name: source.frames[name].lengths == 0 for name in ("audio", "vision")})
    gone["text"] = table["text"].isna()
    assert gone.sum(axis=1).eq(1).sum() == 120
    assert gone.sum(axis=1).max() == 1
    for name in MODALITIES:
        np.testing.assert_array_equal(gone[name], table[f"label_{name}"].isna())
        assert not (gone[name] & (table["conflict"] == name)).any()
        if name != "text":
            assert source.frames[name].read(int(np.flatnonzero(gone[name])[0])).shape[0] == 0


def test_no_feature_is_constant(default: Source) -> None:
    for frames in default.frames.values():
        some = np.concatenate([frames.read(i) for i in range(20)])
        assert np.isfinite(some).all()
        assert (np.ptp(some, axis=0) > 0).all()


def test_sentences_hardly_repeat_across_splits() -> None:
    table = planted_source(PlantedSettings(clips=4000)).table
    assert table["text"].nunique() > 3900
    train, test = (set(table["text"][table["split"] == split]) for split in ("train", "test"))
    assert len(train & test) < 0.02 * len(test)


@pytest.mark.parametrize(("sentiment", "words"), [(3.0, "masterpiece|adored|flawless"), (-3.0, "disaster|hated")])
def test_the_extremes_are_said_in_extreme_words(sentiment: float, words: str) -> None:
    rng = np.random.default_rng(0)
    sentences = pd.Series([sentence(sentiment, rng) for _ in range(200)])
    assert sentences.str.contains(words).mean() > 0.1
    assert not sentences.str.contains("kind of|average").any()


def features(source: Source) -> dict[str, npt.NDArray[np.float64]]:
    """What a cheap model sees: bag of words (fitted on the training split), and means over four parts of a clip."""
    texts, train = source.table["text"].fillna(""), (source.table["split"] == "train").to_numpy()
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts[train])
    seen = {"text": words.transform(texts).toarray()}
    for name, frames in source.frames.items():
        clips = [np.array_split(frames.read(i), 4) for i in range(len(texts))]
        seen[name] = np.array([np.concatenate([part.mean(axis=0) for part in parts]) for parts in clips])
    return seen


def learnt(source: Source) -> dict[str, float]:
    """Correlation with each modality's truth, on the test split, of ridge regression."""
    train, test = ((source.table["split"] == split).to_numpy() for split in ("train", "test"))
    correlation = {}
    for name, x in features(source).items():
        truth = source.table[f"label_{name}"].to_numpy()
        predicted = RidgeCV(np.logspace(-3, 4, 15)).fit(x[train], truth[train]).predict(x[test])
        correlation[name] = float(np.corrcoef(predicted, truth[test])[0, 1])
    return correlation


def test_every_modality_tells_its_own_truth_and_text_most(default: Source) -> None:
    correlation = learnt(default)
    assert correlation["text"] > max(correlation["audio"], correlation["vision"])
    assert all(0.55 < corr < 0.92 for corr in correlation.values()), correlation


def test_a_modality_of_strength_0_carries_nothing() -> None:
    correlation = learnt(planted_source(PlantedSettings(strength={"text": 0, "vision": 0})))
    assert abs(correlation["text"]) < 0.25
    assert abs(correlation["vision"]) < 0.25
    assert correlation["audio"] > 0.55


def test_less_noise_is_easier() -> None:
    quiet = learnt(planted_source(PlantedSettings(noise={"audio": 0.1, "vision": 0.1})))
    assert min(quiet["audio"], quiet["vision"]) > 0.9


def test_seeds_are_samples_of_one_world(default: Source) -> None:
    other = planted_source(PlantedSettings(seed=9))
    x, y = features(default)["audio"], features(other)["audio"]
    model = RidgeCV().fit(x, default.table["label_audio"])
    assert np.corrcoef(model.predict(y), other.table["label_audio"])[0, 1] > 0.6


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(SettingsError, match="5 settings are wrong") as caught:
        PlantedSettings(clips=2, conflict=1.5, audio_frames=(5, 4), noise={"video": 1}, strength={"text": -1})
    for part in ("clips is 2", "conflict is 1.5", "shortest", "'video'", "strength['text'] is -1"):
        assert part in str(caught.value)


def test_noise_that_is_not_named_keeps_its_default() -> None:
    assert PlantedSettings(noise={"audio": 0}).noise == {**PlantedSettings().noise, "audio": 0}
