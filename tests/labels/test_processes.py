"""Several real processes, each with its own clips, against one that has them all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from oracles.worlds import FUSION_DIM, World, apply, build
from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.shards import gather, part

WORLD = World(11, clips=61, batch=9, epochs=6, rough=True)
OWNERS = 2


def owned(rank: int) -> Tensor:
    """Unequal parts that lie scattered: process 0 has every clip that 3 does not divide."""
    clips = torch.arange(WORLD.clips)
    return clips[(clips % 3 == 0) == (rank == 1)]


def worker(rank: int, folder: str, rule: str) -> None:
    torch.set_num_threads(1)
    place = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=OWNERS)
    try:
        state = run(rank, rule)
        save_file({key: value.contiguous() for key, value in state.items()}, Path(folder) / f"{rank}.safetensors")
    finally:
        torch.distributed.destroy_process_group()


def run(rank: int, rule: str) -> Mapping[str, Tensor]:
    mine = owned(rank)
    place = torch.full((WORLD.clips,), -1).index_put((mine,), torch.arange(len(mine)))
    gen = UnimodalLabelGenerator(
        WORLD.labels[mine],
        WORLD.dims,
        FUSION_DIM,
        rule=rule,
        bank_dtype=torch.float64,
        group=torch.distributed.group.WORLD,
    )
    epoch = 1
    for step in WORLD.steps():
        if step.epoch > epoch:
            epoch = step.epoch
            gen.resync()
        here = torch.isin(step.index, mine)  # in some steps of this world nothing
        features = {name: rows[here] for name, rows in step.features.items()}
        present = {name: mask[here] for name, mask in step.present.items()}
        gen.update(step.fusion[here], features, place[step.index[here]], step.epoch, present=present)
    gen.resync()
    state: Mapping[str, Tensor] = gen.state_dict()
    return state


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["authors", "posterior"])
def test_two_processes_make_the_labels_of_one(rule: str, tmp_path: Path) -> None:
    single = build(WORLD, rule=rule)
    epoch = 1
    for step in WORLD.steps():
        if step.epoch > epoch:
            epoch = step.epoch
            single.resync()
        apply(single, step)
    single.resync()
    assert any((labels - WORLD.labels).abs().max() > 0.01 for labels in single.labels.values())

    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    start_processes(worker, (str(tmp_path), rule), nprocs=OWNERS, start_method="spawn")  # type: ignore[no-untyped-call]
    states = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(OWNERS)]
    together = gather(states, [owned(rank) for rank in range(OWNERS)])
    assert together.keys() == single.state_dict().keys()
    for key, value in single.state_dict().items():
        torch.testing.assert_close(together[key], value, rtol=1e-9, atol=1e-9)


def test_a_state_in_parts_and_together_again_is_the_same() -> None:
    gen, steps = build(WORLD, rule="posterior"), list(WORLD.steps())
    for step in steps[:10]:
        apply(gen, step)
    gen.resync()
    state = gen.state_dict()
    parts = [part(state, owned(rank)) for rank in range(OWNERS)]
    for rank, own in enumerate(parts):
        mine = UnimodalLabelGenerator(
            WORLD.labels[owned(rank)], WORLD.dims, FUSION_DIM, rule="posterior", bank_dtype=torch.float64
        )
        mine.load_state_dict(own)
    whole = gather(parts, [owned(rank) for rank in range(OWNERS)])
    assert all(torch.equal(whole[key], value) for key, value in state.items())


def test_parts_that_make_no_whole_are_refused() -> None:
    state = build(replace(WORLD, clips=4)).state_dict()
    with pytest.raises(ValueError, match="do not make a whole"):
        gather([state, state], [torch.arange(4), torch.arange(4)])
    with pytest.raises(ValueError, match="do not make a whole"):
        gather([], [torch.arange(4)])
    with pytest.raises(ValueError, match="do not make a whole"):
        gather([], [])
    with pytest.raises(ValueError, match="their positions of"):
        gather([state, state], [torch.arange(5), torch.arange(5, 8)])
    other = {**state, "more": torch.zeros(1)}
    with pytest.raises(ValueError, match="different generators"):
        gather([state, other], [torch.arange(4), torch.arange(4, 8)])
