"""Left-out predictions against explicit refits without each clip."""

from __future__ import annotations

import numpy as np
import pytest

from oracles import estimation as slow
from selfmm.labels import ridge
from selfmm.labels.ridge import Array, left_out


def sample(clips: int, widths: tuple[int, ...], seed: int) -> tuple[list[Array], Array]:
    """Blocks of inputs, of which the first column of the first knows the labels best."""
    rng = np.random.default_rng(seed)
    blocks = [rng.normal(size=(clips, width)) * 10.0 ** rng.integers(-2, 3, width) + 5 for width in widths]
    labels = blocks[0][:, 0] / blocks[0][:, 0].std() + rng.normal(size=clips)
    return blocks, 4 + labels


@pytest.mark.parametrize(
    ("clips", "widths"), [(25, (3,)), (12, (20,)), (20, (4, 1, 30)), (9, (1,)), (4, (6,)), (3, (2,))]
)
@pytest.mark.parametrize("every", [1, 3])
def test_equals_refits_without_each_clip(clips: int, widths: tuple[int, ...], every: int) -> None:
    blocks, labels = sample(clips * every, widths, clips)
    fit = np.arange(clips * every) % every == 0
    expected = slow.left_out(blocks, labels, fit)
    labels[~fit] = np.nan  # those are never read
    np.testing.assert_allclose(left_out(blocks, labels, fit), expected, rtol=1e-6, atol=1e-6)


def test_constant_columns_and_blocks_do_not_count() -> None:
    blocks, labels = sample(20, (3, 2), 1)
    every = np.ones(20, dtype=bool)
    constant = np.full((20, 2), 7.1)
    with_constants = [np.hstack([blocks[0], constant]), blocks[1], constant]
    np.testing.assert_allclose(left_out(with_constants, labels, every), left_out(blocks, labels, every))
    np.testing.assert_allclose(left_out(with_constants, labels, every), slow.left_out(blocks, labels, every))
    np.testing.assert_array_equal(left_out([constant], labels, every), np.full(20, labels.mean()))


def test_too_few_clips_are_predicted_by_their_mean() -> None:
    blocks, labels = sample(5, (2,), 1)
    for count in range(3):
        fit = np.arange(5) < count
        assert (left_out(blocks, labels, fit) == (labels[fit].mean() if count else 0.0)).all()


def test_memory_is_saved_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, labels = sample(30, (3, 40), 2)
    fit = np.arange(30) < 22
    whole = left_out(blocks, labels, fit)
    monkeypatch.setattr(ridge, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(left_out(blocks, labels, fit), whole, rtol=1e-10)


def test_a_small_block_is_not_drowned() -> None:
    rng = np.random.default_rng(0)
    labels = rng.normal(size=400)
    strong, many = labels[:, None] + rng.normal(size=(400, 1)), rng.normal(size=(400, 300))
    every = np.ones(400, dtype=bool)
    apart = left_out([many, strong], labels, every)
    together = left_out([np.hstack([many, strong])], labels, every)
    assert np.corrcoef(apart, labels)[0, 1] > np.corrcoef(together, labels)[0, 1] + 0.1


def test_the_own_label_does_not_enter_its_prediction() -> None:
    """Up to the choice of the penalty, which one label of many does not change."""
    blocks, labels = sample(40, (5,), 3)
    every = np.ones(40, dtype=bool)
    before = left_out(blocks, labels, every)
    labels[11] += 0.5
    after = left_out(blocks, labels, every)
    assert after[11] == pytest.approx(before[11], abs=1e-9)
    assert abs(np.delete(after - before, 11)).max() > 1e-4
