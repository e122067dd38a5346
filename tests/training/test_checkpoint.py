"""Checkpoints: the pointer moves only when everything it points to is there; nothing in them is code."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from selfmm.core import tensors
from selfmm.core.errors import OutputError, RunError
from selfmm.core.tensors import load_tensors, save_tensors
from selfmm.training.checkpoint import Checkpoints


def trained_pair() -> tuple[nn.Linear, torch.optim.Optimizer]:
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.ones(1, 3)).sum().backward()
        optimizer.step()
    return model, optimizer


def test_state_survives_exactly(tmp_path: Path) -> None:
    model, optimizer = trained_pair()
    store = Checkpoints(tmp_path)
    store.save({"epoch": 3, "best_epoch": 2}, {"model": model}, optimizer, model.state_dict())
    other = nn.Linear(3, 2)
    resumed = torch.optim.Adam(other.parameters(), lr=0.1)
    progress = Checkpoints(tmp_path).progress()
    assert progress == {"epoch": 3, "best_epoch": 2}
    store.load(3, {"model": other}, resumed)
    for net, opt in ((model, optimizer), (other, resumed)):
        opt.zero_grad()
        net(torch.ones(1, 3)).square().sum().backward()
        opt.step()
    assert torch.equal(model.weight, other.weight)


def test_only_what_is_pointed_to_is_kept(tmp_path: Path) -> None:
    model, optimizer = trained_pair()
    store = Checkpoints(tmp_path)
    store.save({"epoch": 1, "best_epoch": 1}, {"model": model}, optimizer, model.state_dict())
    store.save({"epoch": 2, "best_epoch": 1}, {"model": model}, optimizer, None)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "best-00001.safetensors", "epoch-00002.safetensors", "latest.json",
    ]  # fmt: skip
    assert store.best(1).keys() == model.state_dict().keys()


def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer = trained_pair()
    store = Checkpoints(tmp_path)
    store.save({"epoch": 1, "best_epoch": 1}, {"model": model}, optimizer, model.state_dict())

    def full(tensors: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensors, "save_file", full)
    with pytest.raises(OutputError, match="the disk is full"):
        store.save({"epoch": 2, "best_epoch": 2}, {"model": model}, optimizer, model.state_dict())
    assert store.progress() == {"epoch": 1, "best_epoch": 1}
    assert not list(tmp_path.glob("*.partial"))
    store.load(1, {"model": model}, optimizer)


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        save_tensors(tmp_path / "file" / "x.safetensors", {"x": torch.zeros(1)})


@pytest.mark.parametrize("content", [b"", b"junk", b"\x80\x04K\x01."])
def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(RunError, match="cannot read"):
        load_tensors(tmp_path / "x.safetensors")


def test_a_damaged_pointer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latest.json").write_text("{")
    with pytest.raises(RunError, match="cannot read"):
        Checkpoints(tmp_path).progress()


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
@pytest.mark.parametrize("mask", [0o022, 0o007, 0o077])
def test_colleagues_may_read_what_the_umask_lets_them(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save_tensors(tmp_path / "x.safetensors", {"x": torch.zeros(1)})
    finally:
        os.umask(before)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask
