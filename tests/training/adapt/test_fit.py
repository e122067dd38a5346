"""The fit of all heads: from a start, from ratings, and from the words' score of clips without a rating."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest

from selfmm.training.adapt.fit import SPREAD, Adapted, Clips, LinearScore, adapt
from selfmm.training.adapt.stacking import precision_weights

Array = npt.NDArray[np.float64]
Groups = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
ERROR = 0.8


def clips(inputs: Mapping[str, Array], labels: Array, recordings: Groups | None = None, **lack: Mask) -> Clips:
    """Each clip its own recording unless given; ``lack``: by modality, clips that lack it."""
    count = len(labels)
    present = {name: ~lack.get(name, np.zeros(count, dtype=bool)) for name in inputs}
    names = np.arange(count) if recordings is None else recordings
    masked = {name: np.where(present[name][:, None], values, 0.0) for name, values in inputs.items()}
    return Clips(masked, present, labels, np.array([f"r{name}" for name in names], dtype=object))


def world(seed: int, count: int, *, rated: int, voice: float = 0.9) -> tuple[Clips, Array, Mapping[str, LinearScore]]:
    """Words with a score of error ``ERROR``, a voice that tells ``voice`` of the label's deviation; the true labels.

    The first ``rated`` clips have a rating, which is the true label plus noise.
    """
    random = np.random.default_rng(seed)
    truth = random.normal(0, np.sqrt(SPREAD), count)
    share = 1 - ERROR / SPREAD
    words = share * truth + random.normal(0, np.sqrt(share * ERROR), count)  # the mean of the label given the words
    text = np.column_stack([words, random.normal(size=(count, 3))])
    audio = np.column_stack(
        [truth + random.normal(0, 1 / voice, count), random.normal(size=(count, 4)), np.ones(count)]
    )
    labels = np.where(np.arange(count) < rated, truth + random.normal(0, 0.2, count), np.nan)
    start = {"text": LinearScore(np.array([1.0, 0, 0, 0]), 0.0, ERROR)}
    return clips({"audio": audio, "text": text}, labels), truth, start


@pytest.mark.parametrize("unrated", [False, True])
def test_without_ratings_the_start_is_returned_as_it_is(unrated: bool) -> None:
    made, _, start = world(0, 50, rated=0)
    start = {**start, "audio": LinearScore(np.arange(6.0), 0.3, 2.0)}
    adapted = adapt(clips(made.inputs, made.labels, audio=np.ones(50, dtype=bool)), start, unrated=unrated)
    for name, before in start.items():
        head = adapted.heads[name]
        assert head.weights.tolist() == before.weights.tolist()
        assert head.bias == before.bias
        assert head.error == pytest.approx(before.error)
        assert np.isnan(adapted.left_out[name]).all()
    assert adapted.spread == SPREAD
    assert adapted.stacked.weights[3] == pytest.approx(precision_weights(np.array([2.0, ERROR]), SPREAD))
    assert np.isnan(adapted.left_out["fusion"]).all()
    assert np.isnan(adapted.explained["text"])


def test_the_voice_learns_from_the_words_of_clips_without_a_rating() -> None:
    made, truth, start = world(1, 6000, rated=0)
    adapted = adapt(made, start)
    assert adapted.learned_from == {"text": 0, "audio": 6000}
    scores = adapted.heads["audio"].of(made.inputs["audio"])
    assert np.corrcoef(scores, truth)[0, 1] > 0.75
    slope = np.polyfit(scores, truth, 1)[0]
    assert slope == pytest.approx(1, abs=0.12), "a score is as large as the labels that it stands for"
    assert adapted.stacked.weights[3].tolist() == pytest.approx([0, 1]), "without ratings nothing proves it"
    ignored = adapt(made, start, unrated=False)
    assert ignored.learned_from == {"text": 0, "audio": 0}
    assert not ignored.heads["audio"].weights.any()


def test_the_voice_learns_from_ratings_too_and_counts_once_it_is_proven() -> None:
    made, truth, start = world(2, 600, rated=300)
    adapted = adapt(made, start)
    assert adapted.learned_from == {"text": 0, "audio": 300}
    rated = made.rated
    assert adapted.explained["audio"] > 0.4
    weights = adapted.stacked.weights[3]
    assert (weights > 0.1).all()
    fused = adapted.left_out["fusion"]
    assert np.isfinite(fused[rated]).all()
    assert np.isnan(fused[~rated]).all()
    together, words = (np.abs(adapted.left_out[name] - truth)[rated].mean() for name in ("fusion", "text"))
    assert together < words
    few = adapt(made, start, unrated=False)
    assert few.learned_from["audio"] == 0
    assert few.heads["audio"].weights != pytest.approx(adapted.heads["audio"].weights)


def test_words_that_tell_nothing_teach_nothing() -> None:
    made, _, start = world(3, 80, rated=0)
    adapted = adapt(made, {"text": LinearScore(start["text"].weights, 0.0, 0.95 * SPREAD)})
    assert adapted.learned_from["audio"] == 0
    assert adapt(made, {}).learned_from["audio"] == 0, "without a score to start from"


@pytest.mark.parametrize("count", [20, 40, 100])
def test_noise_in_the_voice_has_no_weight(count: int) -> None:
    """Though a head of noise beats the mean of the other labels a little, because it is closer to neutral."""
    weights = [adapt(*world(seed, count, rated=count, voice=1e-3)[::2]).stacked.weights[3, 0] for seed in range(40)]
    assert np.count_nonzero(weights) <= 2, "2 standard errors happen by chance in one of 40"


def test_without_information_the_score_is_about_the_mean_of_the_labels() -> None:
    random = np.random.default_rng(0)
    labels = 1.2 + random.normal(0, 0.8, 100)
    inputs = {name: random.normal(size=(100, 5)) for name in ("audio", "vision")}
    adapted = adapt(clips(inputs, labels), {})
    assert adapted.left_out["fusion"] == pytest.approx(np.full(100, labels.mean()), abs=0.5)


def test_ratings_on_a_shifted_scale_move_offset_and_slope_first() -> None:
    made, truth, start = world(4, 400, rated=0)
    labels = 0.5 + 1.2 * truth
    adapted = adapt(clips(made.inputs, labels), start)
    head = adapted.heads["text"]
    scores = head.of(made.inputs["text"])
    assert np.polyfit(scores, labels, 1) == pytest.approx([1, 0], abs=0.1)
    assert head.error < SPREAD


def test_left_out_scores_do_not_know_the_label_of_their_recording() -> None:
    """Other ratings of a recording leave the scores of its clips as they are, where the strength stays the same."""
    made, _, start = world(5, 60, rated=60)
    recordings = np.arange(60) // 6
    own = recordings == 3
    before = adapt(clips(made.inputs, made.labels, recordings), start, unrated=False)
    after = adapt(clips(made.inputs, np.where(own, made.labels + 0.3, made.labels), recordings), start, unrated=False)
    for name in made.inputs:
        assert after.strengths[name] == before.strengths[name]
        assert after.left_out[name][own] == pytest.approx(before.left_out[name][own], abs=1e-9)
        assert after.left_out[name][~own] != pytest.approx(before.left_out[name][~own], abs=1e-6)


def test_with_few_recordings_each_clip_is_its_own_group() -> None:
    made, *_ = world(6, 8, rated=6)
    assert clips(made.inputs, made.labels, np.array([0, 0, 1, 1, 2, 3, 4, 5])).groups().tolist() == [*range(8)]
    assert clips(made.inputs, made.labels, np.array([0, 0, 1, 2, 3, 4, 4, 5])).groups().tolist() == [
        0,
        0,
        1,
        2,
        3,
        4,
        4,
        5,
    ]


def test_clips_that_lack_a_modality() -> None:
    made, truth, start = world(7, 200, rated=150)
    random = np.random.default_rng(7)
    silent, wordless = random.uniform(size=200) < 0.3, random.uniform(size=200) < 0.3
    adapted = adapt(clips(made.inputs, made.labels, text=wordless, audio=silent), start)
    rated = np.isfinite(made.labels)
    assert (np.isfinite(adapted.left_out["audio"]) == (rated & ~silent)).all()
    assert (np.isfinite(adapted.left_out["text"]) == (rated & ~wordless)).all()
    fused = adapted.left_out["fusion"]
    assert (np.isfinite(fused) == rated).all()
    assert (fused[rated & silent & wordless] == 0).all()
    only = rated & silent & ~wordless
    assert fused[only] == pytest.approx(adapted.left_out["text"][only])
    assert adapted.learned_from["audio"] == (~rated & ~silent & ~wordless).sum()
    assert np.corrcoef(fused[rated], truth[rated])[0, 1] > 0.6


def test_a_single_rating_and_a_single_modality() -> None:
    made, _, start = world(8, 30, rated=1)
    for inputs in (made.inputs, {"text": made.inputs["text"]}, {"audio": made.inputs["audio"]}):
        adapted = adapt(clips(inputs, made.labels), start)
        assert isinstance(adapted, Adapted)
        assert all(np.isfinite([*head.weights, head.bias, head.error]).all() for head in adapted.heads.values())
        assert np.isfinite(adapted.stacked.weights).all()
        assert np.isfinite(adapted.left_out["fusion"][0])


def test_equal_labels_are_no_error() -> None:
    made, _, start = world(9, 30, rated=30)
    adapted = adapt(clips(made.inputs, np.full(30, 2.0)), start)
    assert np.isfinite(adapted.heads["text"].of(made.inputs["text"])).all()
    assert np.isnan(adapted.explained["text"]), "nothing to explain"


@pytest.mark.parametrize("count", [5, 10, 20])
def test_few_ratings_do_not_harm(count: int) -> None:
    """On average over draws, no more than .02 above the error of the start."""
    harms = []
    for seed in range(20):
        made, truth, start = world(100 + seed, 500, rated=count)
        used = np.arange(500) < count
        few = {name: values[used] for name, values in made.inputs.items()}
        adapted = adapt(clips(few, made.labels[used]), start)
        scores = np.column_stack([adapted.heads[name].of(values[~used]) for name, values in made.inputs.items()])
        fused = adapted.stacked.bias[3] + scores @ adapted.stacked.weights[3]
        before = start["text"].of(made.inputs["text"][~used])
        harms.append(np.abs(fused - truth[~used]).mean() - np.abs(before - truth[~used]).mean())
    assert np.mean(harms) < 0.02
