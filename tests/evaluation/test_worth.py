"""What a score is worth: against slow oracles, by simulation, and where there is next to no data."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.evaluation.worth import (
    FUSION,
    LEFT_OUT,
    LEVEL,
    RunWorth,
    Scored,
    conformal_band,
    expanded_tail,
    measure,
    run_worth,
    skill_gap,
    skill_interval,
    worth_on,
)

Array = npt.NDArray[np.float64]
RANGE = (-3.0, 3.0)


def scored(table: pd.DataFrame, **own: Array) -> Scored:
    """The clips of a table with split, label, score, score_<modality>; each is its own recording unless it has one."""
    samples = pd.DataFrame({f"label_{name}": values for name, values in own.items()}, index=table.index)
    videos = table["video"] if "video" in table else np.arange(len(table)).astype(str)
    return Scored.of(table, samples.assign(video=videos))


def clips(rng: np.random.Generator, noise: float, valid: int = 40, test: int = 100, videos: int = 0) -> pd.DataFrame:
    """Labels, and a score with this much noise; with ``videos``, clips of one share a shift of the score."""
    count = valid + test
    label = np.clip(np.round(rng.normal(0, 1.5, count), 1), *RANGE)
    table = pd.DataFrame({"split": ["valid"] * valid + ["test"] * test, "label": label})
    score = label + rng.normal(0, noise, count) if noise < math.inf else rng.normal(0, 1.5, count)
    return table.assign(score=score, **({"video": np.arange(count) // videos} if videos else {}))


# The band


@given(st.lists(st.floats(0, 6), max_size=30))
def test_the_band_is_the_smallest_that_enough_clips_are_within(errors: list[float]) -> None:
    band = conformal_band(np.array(errors), 6.0)
    needed = math.ceil(round((len(errors) + 1) * LEVEL, 9))
    candidates = [value for value in sorted(errors) if sum(error <= value for error in errors) >= needed]
    assert band == (candidates[0] if candidates else 6.0)


@pytest.mark.parametrize(("count", "finite"), [(0, False), (1, False), (3, False), (4, True), (9, True)])
def test_too_few_clips_have_the_whole_scale(count: int, finite: bool) -> None:
    assert (conformal_band(np.full(count, 0.5), 6.0) == 0.5) == finite


@pytest.mark.parametrize("valid", [9, 29, 148])
def test_four_of_five_exchangeable_clips_are_inside(valid: int) -> None:
    rng = np.random.default_rng(valid)
    errors = np.abs(rng.standard_t(4, (10_000, valid + 1)))
    held = np.mean([row[-1] <= conformal_band(row[:-1], 6.0) for row in errors])
    assert LEVEL - 0.015 < held < LEVEL + 1 / (valid + 1) + 0.015


def disagreeing(rng: np.random.Generator, valid: int, test: int = 200) -> pd.DataFrame:
    """Clips of which half are hard: there, five members and the mean are further off."""
    count = valid + test
    noise = rng.choice([0.3, 1.2], count)
    members = rng.normal(0, 1, (count, 5)) * noise[:, None] + rng.normal(0, noise)[:, None]
    table = pd.DataFrame({"split": ["valid"] * valid + ["test"] * test, "label": rng.normal(0, 1, count)})
    mean = table["label"] + members.mean(axis=1)
    return table.assign(score=mean, deviation=members.std(axis=1, ddof=1))


@pytest.mark.parametrize("valid", [9, 29, 99])
def test_bands_by_disagreement_hold_four_of_five_and_are_wider_where_it_is_larger(valid: int) -> None:
    held, certain, plain, widths = [], [], [], []
    for seed in range(200):
        table = disagreeing(np.random.default_rng(seed), valid)
        worth = run_worth(scored(table), RANGE, 100).scores[FUSION]
        tested = table[table["split"] == "test"]
        width, errors = worth.half_width(tested["deviation"].to_numpy()), (tested["score"] - tested["label"]).abs()
        order = np.argsort(tested["deviation"].to_numpy())
        assert (np.diff(width[order]) >= 0).all()
        held.append((errors <= width).mean())
        assert worth.coverage == held[-1]
        hard = tested["deviation"] > tested["deviation"].median()
        certain.append((errors <= width)[hard].mean())
        plain.append((errors <= worth.band)[hard].mean())
        widths.append(width[hard].mean() / width[~hard].mean())
    assert LEVEL - 0.01 <= np.mean(held) <= LEVEL + 1 / (valid + 1) + 0.01
    assert np.mean(widths) > 1.5
    assert abs(np.mean(certain) - LEVEL) < abs(np.mean(plain) - LEVEL), "hard clips get the band that they need"


def test_without_members_or_their_deviation_the_band_is_the_plain_one() -> None:
    table = disagreeing(np.random.default_rng(0), 30)
    one = run_worth(scored(table.drop(columns="deviation")), RANGE, 100).scores[FUSION]
    assert math.isnan(one.factor)
    assert one.half_width() == one.half_width(1.0) == one.band
    unknown = run_worth(scored(table.assign(deviation=np.nan)), RANGE, 100).scores[FUSION]  # of a single seed
    assert repr(unknown) == repr(one)
    several = run_worth(scored(table), RANGE, 100).scores[FUSION]
    assert (several.band, several.mae) == (one.band, one.mae)
    assert several.half_width(math.nan) == several.half_width() == several.band
    exact = run_worth(scored(table.assign(score=table["label"], deviation=0.0)), RANGE, 100).scores[FUSION]
    assert exact.half_width(0.0) == 0.0
    few = run_worth(scored(table.iloc[27:]), RANGE, 100).scores[FUSION]
    assert few.half_width(0.3) == few.band == 6.0


def test_an_interval_stays_on_the_scale_and_loses_no_label() -> None:
    worth = run_worth(scored(clips(np.random.default_rng(0), 1.0)), RANGE, 300)
    band = worth.scores[FUSION].band
    for score in (-3.7, -2.9, 0.0, 2.9, 3.7):
        low, high = worth.interval(FUSION, score) or (9.0, -9.0)
        assert -3 <= low <= high <= 3
        inside = [label for label in np.linspace(-3, 3, 61) if abs(label - score) <= band]
        assert all(low <= label <= high for label in inside)
    assert worth.interval("audio", 0.0) is None


# The skill


def slow_interval(errors: Array, constants: Array, groups: npt.NDArray[np.intp]) -> tuple[float, float]:
    """The same bootstrap, group by group, with its own random numbers."""
    rng, names = np.random.default_rng(99), sorted(set(groups))
    skills = []
    for _ in range(1500):
        drawn = [np.flatnonzero(groups == name) for name in rng.choice(names, len(names))]
        rows = np.concatenate(drawn)
        skills.append(1 - errors[rows].mean() / constants[rows].mean())
    tail = expanded_tail(len(names))
    return float(np.quantile(skills, tail)), float(np.quantile(skills, 1 - tail))


@pytest.mark.parametrize("videos", [1, 10])
def test_the_interval_is_that_of_the_slow_bootstrap(videos: int) -> None:
    rng = np.random.default_rng(5)
    errors, constants = rng.gamma(2, 0.3, 120), rng.gamma(2, 0.6, 120)
    groups = np.arange(120) // videos
    np.testing.assert_allclose(
        skill_interval(errors, constants, groups), slow_interval(errors, constants, groups), atol=0.03
    )


def test_the_interval_is_always_the_same_and_does_not_depend_on_the_order() -> None:
    rng = np.random.default_rng(6)
    errors, constants, groups = rng.random(50), rng.random(50), np.arange(50) // 4
    order = rng.permutation(50)
    first = skill_interval(errors, constants, groups)
    assert first == skill_interval(errors, constants, groups)
    assert first == pytest.approx(skill_interval(errors[order], constants[order], groups[order]))


@pytest.mark.parametrize(("count", "quantile"), [(5, 2.132), (7, 1.943), (11, 1.812), (31, 1.697), (10_000, 1.645)])
def test_the_ends_are_those_of_students_distribution(count: int, quantile: float) -> None:
    assert -NormalDist().inv_cdf(expanded_tail(count)) / math.sqrt(count / (count - 1)) == pytest.approx(
        quantile, abs=0.005
    )


def test_clips_of_one_recording_count_less_than_clips_of_many() -> None:
    errors, constants = np.repeat([0.5, 1.5, 0.4, 1.2, 0.8, 0.9], 20), np.ones(120)
    together = skill_interval(errors, constants, np.repeat(np.arange(6), 20))
    apart = skill_interval(errors, constants, np.arange(120))
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


@pytest.mark.parametrize("videos", [0, 10])
def test_noise_carries_no_information_and_a_good_score_does(videos: int) -> None:
    rng = np.random.default_rng(videos)
    for noise, share in ((math.inf, 0.0), (0.8, 1.0)):
        worths = [run_worth(scored(clips(rng, noise, videos=videos)), RANGE, 300).scores[FUSION] for _ in range(25)]
        assert np.mean([worth.informs for worth in worths]) == share


def test_a_luckier_constant_is_no_information() -> None:
    """All labels of the test are above those of the training, and so is the constant score: it knows nothing."""
    table = clips(np.random.default_rng(1), 0.5)
    table["label"] = np.abs(table["label"])
    for score in (table["label"].median(), 0.7 + np.random.default_rng(2).normal(0, 1e-3, len(table))):
        worth = run_worth(scored(table.assign(score=score)), RANGE, 300).scores[FUSION]
        assert not worth.informs
        assert worth.skill <= 1e-3


@pytest.mark.parametrize("recordings", [1, 2, 4])
def test_a_score_that_only_tells_few_recordings_apart_is_no_information(recordings: int) -> None:
    rng = np.random.default_rng(recordings)
    groups = np.repeat(np.arange(recordings), 10)
    label = 3 * (groups % 2) - 1.5 + rng.normal(0, 0.5, len(groups))
    constants = np.where(groups % 2 == 1, 1.5, -1.5)
    apart = measure(constants, label, groups.astype(object), "test", "label")
    inside = measure(label + rng.normal(0, 0.1, len(groups)), label, groups.astype(object), "test", "label")
    assert apart.can_tell
    assert not apart.informs
    assert inside.informs


# What is compared with what


def test_test_clips_measure_and_validation_clips_make_the_band() -> None:
    table = clips(np.random.default_rng(2), 0.5)
    table.loc[table["split"] == "test", "score"] += 1.0
    worth = run_worth(scored(table), RANGE, 300)
    fused = worth.scores[FUSION]
    test = table[table["split"] == "test"]
    assert (fused.split, fused.clips, fused.band_clips) == ("test", 100, 40)
    assert fused.mae == pytest.approx((test["score"] - test["label"]).abs().mean())
    assert fused.constant == pytest.approx((test["label"] - test["label"].median()).abs().mean())
    assert fused.band < 1.0
    assert fused.coverage == pytest.approx(((test["score"] - test["label"]).abs() <= fused.band).mean())
    assert worth.labelled_clips == 140


def of_recordings(
    rng: np.random.Generator, recordings: int, noise: float
) -> tuple[Array, Array, npt.NDArray[np.object_]]:
    """Score, label and recording of clips whose spread of labels and number differ from recording to recording."""
    group = np.repeat(np.arange(recordings), rng.integers(2, 40, recordings))
    label = rng.normal(0, 0.7, recordings)[group] + rng.normal(0, rng.gamma(6, 0.15, recordings)[group])
    return 0.6 * label + rng.normal(0, noise, len(label)), label, group.astype(object)


@pytest.mark.parametrize("recordings", [(5, 5), (10, 30), (31, 40)])
def test_other_clips_are_easier_beyond_chance_once_in_a_hundred_times(recordings: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    pairs = [[of_recordings(rng, count, 0.8) for count in recordings] for _ in range(400)]
    assert np.mean([skill_gap(*pair)[1] > 0 for pair in pairs]) <= 0.025


def test_validation_clips_that_are_easier_are_found() -> None:
    """As where they share recordings, or features made with their labels, with the training clips."""
    rng = np.random.default_rng(0)
    found = [skill_gap(of_recordings(rng, 31, 0.8), of_recordings(rng, 40, 0.4))[1] > 0 for _ in range(50)]
    assert np.mean(found) > 0.9
    tables = [
        pd.DataFrame({"split": split, "label": label, "score": score, "video": np.char.add(split, group.astype(str))})
        for split, noise in (("test", 0.8), ("valid", 0.4))
        for score, label, group in [of_recordings(rng, 31, noise)]
    ]
    table = pd.concat(tables, ignore_index=True)
    worth = run_worth(Scored.of(table, table[["video"]]), RANGE, 300)
    fused = worth.scores[FUSION]
    assert fused.band_is_easier
    assert fused.gap > 0.1
    again = worth_on(Scored.of(table, table[["video"]]), "test", worth).scores[FUSION]
    assert not again.band_is_easier, "said of the run, not of other clips"
    few = table.assign(video=np.where(table["split"] == "valid", "one", table["video"]))
    assert math.isnan(run_worth(Scored.of(few, few[["video"]]), RANGE, 300).scores[FUSION].gap_low)


def test_without_labelled_test_clips_the_validation_clips_stand_in() -> None:
    table = clips(np.random.default_rng(3), 0.5)
    table.loc[table["split"] == "test", "label"] = np.nan
    fused = run_worth(scored(table), RANGE, 300).scores[FUSION]
    assert (fused.split, fused.clips) == ("valid", 40)
    assert fused.informs
    assert math.isnan(fused.coverage)


@pytest.mark.parametrize("tested", [True, False])
def test_left_out_clips_make_the_band_and_measure_unless_more_clips_test(tested: bool) -> None:
    """As of a model in closed form: the clips of train and valid that it was fitted to."""
    table = clips(np.random.default_rng(3), 0.5, valid=40, test=60 if tested else 30)
    known = scored(table)
    with_split = known.with_split(np.arange(40), LEFT_OUT)
    assert set(known.splits) == {"valid", "test"}, "the first one is as it was"
    worth = run_worth(with_split, RANGE, 40, LEFT_OUT).scores[FUSION]
    as_valid = run_worth(known, RANGE, 40).scores[FUSION]
    assert (worth.band, worth.band_clips, worth.band_split) == (as_valid.band, 40, LEFT_OUT)
    assert as_valid.band_split == "valid"
    if tested:
        assert (worth.split, worth.clips, worth.mae) == ("test", 60, as_valid.mae)
        assert worth.coverage == as_valid.coverage
    else:
        assert (worth.split, worth.clips) == (LEFT_OUT, 40)
        assert worth.mae == pytest.approx(np.abs(table["score"] - table["label"])[:40].mean())
        assert math.isnan(worth.coverage)
    other = worth_on(known, "test", run_worth(with_split, RANGE, 40, LEFT_OUT)).scores[FUSION]
    assert (other.band, other.band_split) == (worth.band, LEFT_OUT)


def test_without_any_label_nothing_is_known() -> None:
    table = clips(np.random.default_rng(4), 0.5).assign(label=np.nan)
    worth = run_worth(scored(table), RANGE, 0, LEFT_OUT)
    assert (worth.labelled_clips, worth.always) == (0, ())
    fused = worth.scores[FUSION]
    assert (fused.clips, fused.band, fused.informs, fused.can_tell) == (0, 6.0, False, False)


def test_peoples_labels_of_a_modality_are_used_if_they_cover_half_of_its_clips() -> None:
    rng = np.random.default_rng(4)
    table = clips(rng, 0.5)
    own = -table["label"].to_numpy()
    table = table.assign(score_text=own, score_audio=own, score_vision=np.nan)
    few = np.where(rng.random(len(own)) < 0.2, own, np.nan)
    worth = run_worth(scored(table, text=own, audio=few), RANGE, 300)
    assert {name: score.against for name, score in worth.scores.items()} == {
        **dict.fromkeys(("fusion", "audio", "vision"), "label"),
        "text": "label_text",
    }
    assert worth.scores["text"].mae == 0
    assert not worth.scores["audio"].informs
    assert worth.scores["vision"].clips == 0
    assert worth.always == ("text", "audio")


def test_other_clips_are_measured_with_the_band_of_the_run() -> None:
    rng = np.random.default_rng(5)
    trained = run_worth(scored(clips(rng, 0.5)), RANGE, 300)
    harder = clips(rng, 2.0)
    worth = worth_on(scored(harder), "valid", trained)
    assert (worth.training_clips, worth.scores[FUSION].clips) == (300, 40)
    assert worth.scores[FUSION].band == trained.scores[FUSION].band
    assert worth.scores[FUSION].coverage < 0.5
    unknown = worth_on(scored(harder), "test", RunWorth(RANGE, 0, 0, {})).scores[FUSION]
    assert math.isnan(unknown.band)
    assert unknown.mae > 1


# Next to nothing


@pytest.mark.parametrize("count", [0, 1, 2, 4])
@given(seed=st.integers(0, 100))
def test_few_clips_never_inform(count: int, seed: int) -> None:
    table = clips(np.random.default_rng(seed), 0.0, valid=count, test=count)
    worth = run_worth(scored(table), RANGE, count).scores[FUSION]
    assert not worth.informs
    assert not worth.can_tell
    assert worth.clips == count
    assert math.isnan(worth.mae) == (count == 0)


def test_equal_labels_leave_nothing_to_know() -> None:
    worth = measure(np.zeros(50), np.ones(50), np.arange(50).astype(object), "test", "label")
    assert (worth.mae, worth.constant) == (1.0, 0.0)
    assert math.isnan(worth.skill)
    assert not worth.informs


@given(st.lists(st.tuples(*[st.floats(-3, 3)] * 2), min_size=5, max_size=30))
def test_every_number_is_in_its_range(pairs: list[tuple[float, float]]) -> None:
    score, label = np.array(pairs).T
    worth = measure(score, label, np.arange(len(pairs)).astype(object), "test", "label")
    assert 0 <= worth.mae <= 6
    if worth.constant > 1e-300:  # to divide by less overflows
        assert worth.skill <= 1
        assert worth.skill_low <= worth.skill_high <= 1
    assert math.isnan(worth.corr) or -1 <= worth.corr <= 1
