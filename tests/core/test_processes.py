"""Who does what among several processes; what they send each other is tested where they really run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selfmm.core.errors import TrainingError
from selfmm.core.processes import _BUCKET, Processes, _buckets, together
from selfmm.data.batches import training_plan


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_clip_of_a_step_is_one_process_s_and_shares_are_even(count: int) -> None:
    everybody = [Processes(rank, count, torch.device("cpu")) for rank in range(count)]
    for step in training_plan(np.arange(31), batch_size=4, accumulation=3, seed=1, epoch=1):
        shares = [process.share(step) for process in everybody]
        for at, part in enumerate(step):
            found = np.concatenate([share[at] for share in shares])
            assert sorted(found.tolist()) == sorted(part.tolist())
            assert max(len(share[at]) for share in shares) <= -(-len(part) // count)
        sizes = [sum(map(len, share)) for share in shares]
        assert max(sizes) - min(sizes) <= 1


def test_one_process_has_everything_and_asks_nobody() -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    parts = [np.arange(4), np.arange(4, 6)]
    assert all(np.array_equal(a, b) for a, b in zip(alone.share(parts), parts, strict=True))
    assert alone.group is None
    assert alone.decide(lambda: 7) == 7
    assert alone.total(torch.ones(2)).tolist() == [1, 1]


def test_messages_are_bounded_and_whole() -> None:
    sizes = [5, _BUCKET - 5, 1, _BUCKET + 3, 2]
    tensors = [torch.empty(size, device="meta") for size in sizes]
    assert [[part.numel() for part in bucket] for bucket in _buckets(tensors)] == [
        [5, _BUCKET - 5], [1], [_BUCKET + 3], [2],
    ]  # fmt: skip


def test_only_what_comes_of_lost_processes_is_put_so() -> None:
    with pytest.raises(TrainingError, match="another process of this run has ended"), together():
        raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")
    with pytest.raises(RuntimeError, match="shapes"), together():
        raise RuntimeError("shapes differ")
