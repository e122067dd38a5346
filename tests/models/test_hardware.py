"""What suits the machine: the precision and the size of a forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from selfmm.data.store import Dataset
from selfmm.models import hardware
from training.builders import make


@pytest.mark.parametrize(
    ("abilities", "expected"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")]
)
def test_bf16_only_where_the_processor_has_it(
    abilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert hardware.resolve_precision("auto", torch.device("cpu")) == expected
    assert hardware.resolve_precision("fp32", torch.device("cpu")) == "fp32"
    assert hardware.resolve_precision("bf16", torch.device("cpu")) == "bf16"


def test_a_pass_is_a_step_or_32_clips_unless_memory_is_short_or_the_user_says_so(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make(planted, tmp_path / "a", "training.batch_size=12", "training.accumulation=2")[0].pass_clips == 24
    assert make(planted, tmp_path / "e", "training.batch_size=12")[0].pass_clips == 32
    assert make(planted, tmp_path / "b", "training.pass_clips=5")[0].pass_clips == 5
    monkeypatch.setattr(hardware, "device_memory", lambda device: 2 * 2**20)
    assert 1 < make(planted, tmp_path / "c", "training.batch_size=100")[0].pass_clips < 50
    monkeypatch.setattr(hardware, "device_memory", lambda device: 1)
    assert make(planted, tmp_path / "d", "training.batch_size=12")[0].pass_clips == 1
