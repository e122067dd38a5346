"""The order in which clips are rated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from selfmm.annotation.order import Order, rating_order

IDS = ["a", "b", "c", "d"]
NAN = float("nan")


def test_given_and_random() -> None:
    ids = [str(number) for number in range(50)]
    assert rating_order(ids, "given") == ids
    shuffled = rating_order(ids, "random", seed=1)
    assert sorted(shuffled) == sorted(ids)
    assert shuffled != ids
    assert shuffled == rating_order(ids, "random", seed=1) != rating_order(ids, "random", seed=2)


def test_the_modalities_that_disagree_most_first() -> None:
    scores = pd.DataFrame(
        {"id": ["d", "c", "b"], "score": 0.0, "score_text": [1.0, 2.0, -3.0], "score_audio": [0.5, NAN, 3.0]}
    )
    assert rating_order(IDS, "disagreement", scores=scores) == ["b", "d", "a", "c"]
    labels = scores.rename(columns={"score_text": "label_text", "score_audio": "label_audio"})
    assert rating_order(IDS, "disagreement", scores=labels) == ["b", "d", "a", "c"]


def test_the_least_certain_first() -> None:
    scores = pd.DataFrame({"id": ["b", "c", "d"], "score": [2.0, 3.125, 2.75]})
    assert rating_order(IDS, "uncertainty", scores=scores, neutral=3.0) == ["c", "d", "b", "a"]
    assert rating_order(IDS, "uncertainty", scores=scores.assign(deviation=[0.1, NAN, 0.3])) == ["d", "b", "c", "a"]
    wide = scores.assign(low=[0.0, 0.0, 0.0], high=[1.0, 1.0, 2.0])
    assert rating_order(IDS, "uncertainty", scores=wide, neutral=3.0) == ["d", "c", "b", "a"]
    assert rating_order(IDS, "uncertainty", scores=wide.assign(low=NAN, high=NAN), neutral=2.0) == ["b", "d", "c", "a"]


def test_without_scores_the_order_is_the_given_one() -> None:
    for order in ("disagreement", "uncertainty"):
        assert rating_order(IDS, order) == IDS
        assert rating_order(IDS, order, scores=pd.DataFrame({"id": ["x"]})) == IDS


@given(
    st.lists(st.text(max_size=2), unique=True, max_size=8),
    st.sampled_from(["given", "random", "disagreement", "uncertainty"]),
    st.integers(0, 2**32),
)
def test_every_clip_comes_once(ids: list[str], order: Order, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(len(ids), 3)).round(1)
    scores = pd.DataFrame(values, columns=["score", "score_text", "score_audio"]).assign(id=ids)
    assert sorted(rating_order(ids, order, scores=scores, seed=seed)) == sorted(ids)
