"""Several real processes, each with its own clips, against one process that has them all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.multiprocessing.spawn import start_processes

from forked import forkserver
from oracles.worlds import FUSION_DIM, Step, World, apply, build
from selfmm.labels import FixedLabels, UnimodalLabelGenerator
from selfmm.labels.shared import SharedLabelGenerator, gather, part

WORLD = World(11, clips=61, batch=9, epochs=4, rough=True)
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


def start(target: Callable[[int, str, str], None], folder: Path, rule: str, processes: int) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    forkserver()
    start_processes(target, (str(folder), rule), nprocs=processes, start_method="forkserver")  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["authors", "centre-gap"])
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

    start(worker, tmp_path, rule, OWNERS)
    states = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(OWNERS)]
    together = gather(states, [owned(rank) for rank in range(OWNERS)])
    assert together.keys() == single.state_dict().keys()
    for key, value in single.state_dict().items():
        torch.testing.assert_close(together[key], value, rtol=1e-9, atol=1e-9)


def test_a_state_in_parts_and_together_again_is_the_same() -> None:
    gen, steps = build(WORLD, rule="centre-gap"), list(WORLD.steps())
    for step in steps[:10]:
        apply(gen, step)
    gen.resync()
    state = gen.state_dict()
    parts = [part(state, owned(rank)) for rank in range(OWNERS)]
    for rank, own in enumerate(parts):
        mine = UnimodalLabelGenerator(
            WORLD.labels[owned(rank)], WORLD.dims, FUSION_DIM, rule="centre-gap", bank_dtype=torch.float64
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
    with pytest.raises(ValueError, match="but indices name"):
        gather([state, state], [torch.arange(5), torch.arange(5, 8)])
    other = {**state, "more": torch.zeros(1)}
    with pytest.raises(ValueError, match="belong to different generators"):
        gather([state, other], [torch.arange(4), torch.arange(4, 8)])


SHARED = World(12, clips=41, batch=4, epochs=4, rough=True)  # the last batch of an epoch is one clip
SHARERS = 3
FIXED = {"audio": FixedLabels(torch.tensor([1, 5, 9]), torch.tensor([0.5, -1.0, 3.0]), torch.tensor([1.0, 0.2, 0.0]))}


def steps_without_repeats() -> list[Step]:
    """As training shows them: each clip once in a batch."""
    kept = []
    for step in SHARED.steps():
        rows = slice(len(torch.unique(step.index)))
        assert len(torch.unique(step.index[rows])) == rows.stop
        features = {name: part[rows] for name, part in step.features.items()}
        present = {name: part[rows] for name, part in step.present.items()}
        kept.append(Step(step.fusion[rows], features, step.index[rows], step.epoch, present))
    return kept


def sharer(rank: int, folder: str, rule: str) -> None:
    """Half the run with one generator, the rest with another that was given the first one's state."""
    torch.set_num_threads(1)
    place = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=SHARERS)
    try:
        generator, steps, epoch = make_shared(rule), steps_without_repeats(), 1
        for at, step in enumerate(steps):
            if step.epoch > epoch:
                epoch = step.epoch
                generator.resync()
            if at == len(steps) // 2:
                state = generator.state_dict()
                if rank == 0:
                    save_file(state, Path(folder) / "half.safetensors")
                torch.distributed.barrier()
                generator = make_shared(rule)
                generator.load_state_dict(load_file(Path(folder) / "half.safetensors"))
            show(generator, step, slice(rank, None, SHARERS))
        generator.resync()
        everybody = torch.arange(SHARED.clips)
        tensors = {f"label/{name}": part.contiguous() for name, part in generator.labels.items()}
        tensors |= {f"weight/{name}": part.contiguous() for name, part in generator.weights(everybody).items()}
        tensors |= {f"outcome/{name}": part for name, part in generator.outcomes.items()}
        tensors |= {f"state/{name}": part for name, part in generator.state_dict().items()}
        save_file(tensors, Path(folder) / f"{rank}.safetensors")
    finally:
        torch.distributed.destroy_process_group()


def make_shared(rule: str) -> SharedLabelGenerator:
    group = torch.distributed.group.WORLD
    assert group is not None
    most = -(-SHARED.batch // SHARERS)
    labels, kind = SHARED.labels.float(), {"bank_dtype": torch.float64, "rule": rule}
    return SharedLabelGenerator(labels, SHARED.dims, FUSION_DIM, group=group, most=most, fixed=FIXED, **kind)


def show(generator: UnimodalLabelGenerator | SharedLabelGenerator, step: Step, rows: slice) -> None:
    features = {name: part[rows] for name, part in step.features.items()}
    present = {name: part[rows] for name, part in step.present.items()}
    generator.update(step.fusion[rows], features, step.index[rows], step.epoch, present=present)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["authors", "centre-gap"])
def test_processes_that_share_the_banks_make_the_labels_of_one(rule: str, tmp_path: Path) -> None:
    single, epoch = build(SHARED, SHARED.labels.float(), rule=rule, fixed=FIXED), 1
    for step in steps_without_repeats():
        if step.epoch > epoch:
            epoch = step.epoch
            single.resync()
        show(single, step, slice(None))
    single.resync()
    assert any((labels - SHARED.labels).abs().max() > 0.01 for labels in single.labels.values())

    start(sharer, tmp_path, rule, SHARERS)
    for rank in range(SHARERS):
        tensors = load_file(tmp_path / f"{rank}.safetensors")
        for name in single.names:
            torch.testing.assert_close(tensors[f"label/{name}"], single.labels[name], rtol=0, atol=1e-6)
            weights = single.weights(torch.arange(SHARED.clips))[name]
            torch.testing.assert_close(tensors[f"weight/{name}"], weights, rtol=0, atol=1e-6)
            assert torch.equal(tensors[f"outcome/{name}"], single.outcomes[name])
        state = {key.removeprefix("state/"): value for key, value in tensors.items() if key.startswith("state/")}
        expected = single.state_dict() if rank == 0 else {}
        assert state.keys() == expected.keys()
        for key, value in expected.items():
            torch.testing.assert_close(state[key], value, rtol=1e-6, atol=1e-6, equal_nan=True)
