"""Damage: the same for every model and in any company, more of it where the level is higher, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import DatasetError, RunError
from selfmm.data.batches import BatchMaker
from selfmm.data.store import Dataset
from selfmm.experiments.damage import ClipDamager, Damage, deviations, lost_clips, lost_frames, noise
from selfmm.runs.trained_model import TrainedModel

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=20, unique=True)
levels = st.floats(0, 1)


@pytest.mark.slow
@given(names, levels, levels, st.integers(0, 5), st.randoms())
def test_missing_streams_are_nested_and_as_many_as_said(
    ids: list[str], one: float, other: float, draws: int, random: object
) -> None:
    low, high = sorted((one, other))
    fewer, more = lost_clips(ids, "audio", low, draws), lost_clips(ids, "audio", high, draws)
    assert not (fewer & ~more).any()
    assert abs(more.sum() - high * len(ids)) <= 0.5 + 1e-9
    backwards = lost_clips(ids[::-1], "audio", high, draws)
    assert dict(zip(ids, more, strict=True)) == dict(zip(ids[::-1], backwards, strict=True))
    assert not lost_clips(ids, "audio", 0, draws).any()
    assert lost_clips(ids, "audio", 1, draws).all()


@given(names, levels, levels, st.integers(0, 5), st.data())
def test_lost_frames_are_nested_and_a_clips_own(
    ids: list[str], one: float, other: float, draws: int, data: st.DataObject
) -> None:
    lengths = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(ids), max_size=len(ids))), dtype=np.int64)
    low, high = sorted((one, other))
    fewer, more = (lost_frames(ids, lengths, "audio", level, draws) for level in (low, high))
    assert len(more) == lengths.sum()
    assert not (fewer & ~more).any()
    ends = np.cumsum(lengths)
    for clip, end, length in zip(ids, ends, lengths, strict=True):
        alone = lost_frames([clip], np.array([length + 2]), "audio", high, draws)
        assert np.array_equal(more[end - length : end], alone[:length])
    assert not lost_frames(ids, lengths, "audio", 0, draws).any()
    assert lost_frames(ids, lengths, "audio", 1, draws).all()


def test_streams_of_one_frame_lose_the_share_of_it() -> None:
    ids, ones = [f"clip{i}" for i in range(2000)], np.ones(2000, dtype=np.int64)
    assert lost_frames(ids, ones, "audio", 0.3, 0).mean() == pytest.approx(0.3, abs=0.04)


def test_draws_differ_by_kind_modality_clip_and_number() -> None:
    ids, lengths = ["a", "b"], np.array([40, 40])
    luck = [
        lost_frames(ids, lengths, modality, 0.5, draws) for modality in ("audio", "vision") for draws in (0, 1)
    ]  # fmt: skip
    halves = [half for each in luck for half in (each[:40], each[40:])]
    assert len({half.tobytes() for half in halves}) == len(halves)
    many = [str(i) for i in range(60)]
    ones = np.ones(60, dtype=np.int64)
    assert not np.array_equal(lost_clips(many, "audio", 0.5, 0), lost_frames(many, ones, "audio", 0.5, 0))


@given(names, st.integers(0, 3))
def test_noise_is_a_clips_own(ids: list[str], draws: int) -> None:
    lengths = np.arange(len(ids)) % 4
    together = noise(ids, lengths, 3, "audio", draws)
    alone = [noise([clip], np.array([length]), 3, "audio", draws) for clip, length in zip(ids, lengths, strict=True)]
    assert np.array_equal(together, np.concatenate(alone))


def of_test(dataset: Dataset, draws: int = 0) -> ClipDamager:
    samples = dataset.samples[dataset.samples["split"] == "test"].reset_index(drop=True)
    return ClipDamager(replace(dataset, samples=samples), draws, deviations(dataset, ["audio", "vision"]))


def stored(dataset: Dataset, name: str) -> np.ndarray:
    return np.concatenate([dataset.frames(name, row) for row in range(len(dataset))])


def test_lost_frames_are_gaps_and_all_else_stays(planted: Dataset) -> None:
    damager = of_test(planted)
    whole = stored(damager.clips, "audio")
    damaged = damager.damaged(Damage("frames", ("audio",), 0.4))
    found = stored(damaged, "audio")
    lost = np.isnan(found).any(axis=1)
    assert np.array_equal(lost, np.isnan(found).all(axis=1))
    assert lost.mean() == pytest.approx(0.4, abs=0.06)
    assert np.array_equal(found[~lost], whole[~lost])
    assert np.array_equal(stored(damaged, "vision"), stored(damager.clips, "vision"))
    assert np.array_equal(stored(damager.clips, "audio"), whole), "the source is as it was"
    rows = np.arange(len(damaged))
    batch = BatchMaker(damaged, rows, {"audio": damaged.modalities["audio"]}).make(rows)  # it takes such gaps
    assert int(batch.streams["audio"].values.isnan().all(-1).sum()) == lost.sum()


def test_noise_is_in_deviations_of_the_training_split(planted: Dataset) -> None:
    damager = of_test(planted)
    train = np.concatenate([planted.frames("vision", int(row)) for row in planted.rows("train")]).astype(np.float64)
    np.testing.assert_allclose(damager.deviations["vision"], train.std(axis=0), rtol=1e-5)
    whole = stored(damager.clips, "vision").astype(np.float64)
    added = {
        level: stored(damager.damaged(Damage("noise", ("vision",), level)), "vision") - whole for level in (0.5, 2)
    }
    np.testing.assert_allclose(added[0.5] / train.std(axis=0), added[2] / train.std(axis=0) / 4, atol=1e-4)
    np.testing.assert_allclose(added[2].std(axis=0) / train.std(axis=0), 2, rtol=0.15)
    np.testing.assert_allclose(added[2].mean(axis=0) / train.std(axis=0), 0, atol=0.3)


@pytest.mark.parametrize("kind", ["clips", "frames", "noise"])
def test_all_together_is_each_at_once(planted: Dataset, kind: str) -> None:
    damager = of_test(planted)
    both = damager.damaged(Damage(kind, ("audio", "vision"), 0.5))  # type: ignore[arg-type]
    for name in ("audio", "vision"):
        one = damager.damaged(Damage(kind, (name,), 0.5))  # type: ignore[arg-type]
        assert np.array_equal(one.lengths(name), both.lengths(name))
        assert np.array_equal(stored(one, name), stored(both, name), equal_nan=True)


def test_missing_streams(planted: Dataset) -> None:
    damager = of_test(planted)
    damaged = damager.damaged(Damage("clips", ("text", "audio"), 0.5))
    for name in ("text", "audio"):
        lost = lost_clips(damager.ids, name, 0.5, 0)
        assert np.array_equal(damaged.lengths(name), np.where(lost, 0, damager.clips.lengths(name)))
    assert not np.array_equal(damaged.lengths("text") > 0, damaged.lengths("audio") > 0)
    assert np.array_equal(damaged.lengths("vision"), damager.clips.lengths("vision"))


def test_lost_words_are_unknown_and_marks_stay(planted: Dataset, trained: TrainedModel) -> None:
    damager = of_test(planted)
    maker = trained.assembly.maker(damager.clips, np.arange(len(damager.clips)))
    assert trained.assembly.pretrained is not None
    tokenizer = trained.assembly.pretrained.tokenizer
    whole, some, none = (damager.without_words(maker.ragged("text"), tokenizer, share) for share in (0, 0.5, 1))
    marks = np.isin(whole.rows, [tokenizer.cls_token_id, tokenizer.sep_token_id])
    assert marks.sum() == 2 * len(damager.clips)
    assert np.array_equal(some.rows[marks], whole.rows[marks])
    assert np.array_equal(none.rows[marks], whole.rows[marks])
    assert (none.rows[~marks] == tokenizer.unk_token_id).all()
    changed = (some.rows != whole.rows).numpy()
    assert (some.rows[changed] == tokenizer.unk_token_id).all()
    assert changed[~marks].mean() == pytest.approx(0.5, abs=0.1)
    assert np.array_equal(whole.rows, maker.ragged("text").rows), "the source is as it was"


class _Silent:
    """A tokenizer without a token that says nothing."""

    unk_token_id = mask_token_id = pad_token_id = None
    all_special_ids = ()


def test_what_cannot_be_damaged(planted: Dataset, trained: TrainedModel) -> None:
    damager = of_test(planted)
    words = trained.assembly.maker(damager.clips, np.arange(len(damager.clips))).ragged("text")
    with pytest.raises(RunError, match="no token for an unknown word"):
        damager.without_words(words, _Silent(), 0.5)
    with pytest.raises(DatasetError, match=r"standard deviations over the training split.*no audio"):
        deviations(damager.clips, ["audio"])
