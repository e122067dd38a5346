"""Batches hold the clips' frames and nothing else; the plan deals every clip exactly once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Subset

from selfmm.core.errors import DatasetError
from selfmm.core.tensors import Positions
from selfmm.data.batches import BatchMaker, collate, evaluation_plan, frame_statistics, training_plan
from selfmm.data.manifest import Modality
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.data.types import Batch
from selfmm.data.writer import Frames, Source, write_dataset


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 clips, half of which lack a stream."""
    settings = PlantedSettings(clips=40, missing=0.5)
    return write_planted(tmp_path_factory.mktemp("lacking") / "data", settings)


def test_every_frame_is_where_it_belongs(lacking: Dataset) -> None:
    rows = np.array([5, 0, 17, 30])
    modalities = {name: lacking.modalities[name] for name in ("audio", "vision")}
    maker = BatchMaker(lacking, rows, modalities)
    batch = maker.make(np.array([2, 0, 3]))
    assert batch.index.tolist() == [2, 0, 3]
    np.testing.assert_allclose(batch.labels.numpy(), lacking.labels()[[17, 5, 30]], rtol=1e-6)
    for name, stream in batch.streams.items():
        assert stream.values.shape[1] == max(int(stream.lengths.max()), 1)
        for i, row in enumerate([17, 5, 30]):
            frames = lacking.frames(name, row)
            assert int(stream.lengths[i]) == len(frames)
            assert bool(stream.present[i]) == (len(frames) > 0)
            np.testing.assert_array_equal(stream.values[i, : len(frames)].numpy(), frames)
            assert (stream.values[i, len(frames) :] == 0).all()


def test_a_modality_the_data_set_lacks_is_missing_everywhere(lacking: Dataset) -> None:
    maker = BatchMaker(lacking, np.arange(3), {"pulse": Modality(kind="frames", dim=7)})
    stream = maker.make(np.arange(3)).streams["pulse"]
    assert stream.values.shape == (3, 1, 7)
    assert not stream.present.any()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_in_a_data_loader(lacking: Dataset, workers: int) -> None:
    """Batches of torch's loader hold what a batch maker makes of the same clips."""
    rows = lacking.rows("train")
    loader: Any = DataLoader(
        cast(Any, Subset(cast(Any, lacking), rows.tolist())), 8, collate_fn=collate, num_workers=workers
    )
    maker = BatchMaker(lacking, rows, {name: lacking.modalities[name] for name in ("audio", "vision")})
    batches = list(loader)
    assert [clip for batch in batches for clip in batch.ids] == lacking.samples["id"].iloc[rows].tolist()
    for number, batch in enumerate(batches):
        expected = maker.make(np.arange(len(rows))[8 * number : 8 * number + 8])
        torch.testing.assert_close(batch.labels, expected.labels)
        assert batch.streams.keys() == expected.streams.keys()
        for name, stream in batch.streams.items():
            for part in ("values", "lengths", "present"):
                torch.testing.assert_close(getattr(stream, part), getattr(expected.streams[name], part))


def test_token_ids_and_texts_in_a_loader(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["a", "b"], "split": "train", "label": [1.0, None], "text": ["x", None], "video": "v"})
    frames = Frames(Modality(kind="tokens"), np.array([2, 0]), lambda i: np.arange(2 - 2 * i), np.dtype(np.int32))
    batch = collate(write_dataset(Source(table, {"text": frames}, "ids", (-3, 3)), tmp_path / "data")[:])
    assert (batch.ids, batch.splits, batch.texts) == (["a", "b"], ["train", "train"], ["x", None])
    assert batch.labels.isnan().tolist() == [False, True]
    assert batch.streams["text"].values.tolist() == [[0, 1], [0, 0]]
    assert batch.streams["text"].present.tolist() == [True, False]


def test_stored_token_ids_are_cut(tmp_path: Path) -> None:
    ids = [np.arange(5, dtype=np.int32), np.arange(9, dtype=np.int32)]
    table = pd.DataFrame({"id": ["a", "b"], "split": "train", "label": [1.0, -1.0], "text": None, "video": ["a", "b"]})
    frames = Frames(Modality(kind="tokens"), np.array([5, 9]), lambda i: ids[i], np.dtype(np.int32))
    dataset = write_dataset(Source(table, {"text": frames}, "ids", (-3, 3)), tmp_path / "data")
    maker = BatchMaker(dataset, np.arange(2), dict(dataset.modalities), max_tokens=6)
    stream = maker.make(np.arange(2)).streams["text"]
    assert stream.values.tolist() == [[0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4, 5]]


@given(
    cost=st.lists(st.integers(0, 50), min_size=1, max_size=70),
    size=st.integers(1, 9),
    accumulation=st.integers(1, 4),
    epoch=st.integers(1, 3),
)
def test_plans_deal_every_clip_once(cost: list[int], size: int, accumulation: int, epoch: int) -> None:
    costs = np.array(cost)
    plan = training_plan(costs, batch_size=size, accumulation=accumulation, seed=1, epoch=epoch)
    dealt = np.concatenate([part for step in plan for part in step])
    assert sorted(dealt.tolist()) == list(range(len(cost)))
    assert all(len(part) <= size for step in plan for part in step)
    assert all(sum(map(len, step)) == size * accumulation for step in plan[:-1])
    assert sorted(np.concatenate(evaluation_plan(costs, size)).tolist()) == list(range(len(cost)))
    again = training_plan(costs, batch_size=size, accumulation=accumulation, seed=1, epoch=epoch)
    assert all((a == b).all() for s, t in zip(plan, again, strict=True) for a, b in zip(s, t, strict=True))


def test_a_steps_clips_are_those_of_a_plain_shuffle_whatever_the_costs() -> None:
    """Sorting happens within a step only, so which clips share a step does not depend on their lengths."""
    plans = [
        training_plan(costs, batch_size=4, accumulation=3, seed=2, epoch=5)
        for costs in (np.arange(50, dtype=np.int64), np.arange(50, 0, -1, dtype=np.int64))
    ]
    sets = [[frozenset(np.concatenate(step).tolist()) for step in plan] for plan in plans]
    assert sets[0] == sets[1]
    assert plans[0][0][0].tolist() != plans[1][0][0].tolist()


def test_other_epochs_and_seeds_shuffle_otherwise() -> None:
    orders = {
        tuple(
            np.concatenate(
                training_plan(np.zeros(30, dtype=np.int64), batch_size=30, accumulation=1, seed=s, epoch=e)[0]
            ).tolist()
        )
        for s in (1, 2)
        for e in (1, 2)
    }
    assert len(orders) == 4


def test_frame_statistics_equal_those_of_all_frames_at_once(lacking: Dataset) -> None:
    rows = np.array([0, 3, 4, 9, 20])
    frames = np.concatenate([lacking.frames("audio", int(row)) for row in rows]).astype(np.float64)
    mean, deviation = frame_statistics(lacking, rows, "audio")
    np.testing.assert_allclose(mean.numpy(), frames.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(deviation.numpy(), frames.std(axis=0), rtol=1e-5)


def test_batches_come_in_order_are_few_ahead_and_end_with_the_error(lacking: Dataset) -> None:
    maker = BatchMaker(lacking, np.arange(40), {"audio": lacking.modalities["audio"]})
    starts: list[int] = []
    make = maker.make

    def note(positions: Positions) -> Batch:
        starts.append(int(positions[0]))
        if positions[0] == 30:
            raise DatasetError("clip 30")
        return make(positions)

    maker.make = note  # type: ignore[method-assign]
    batches = maker.batches([np.array([i, i + 1]) for i in range(0, 40, 2)], torch.device("cpu"))
    assert next(batches).index.tolist() == [0, 1]
    assert len(starts) <= 4
    with pytest.raises(DatasetError, match="clip 30"):
        list(batches)
    assert starts == list(range(0, starts[-1] + 2, 2))
    assert starts[-1] <= 34
