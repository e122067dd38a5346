"""Progress in a terminal, silence elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from selfmm.cli.progress import listener
from selfmm.training.trainer import EpochRecord

RECORD = EpochRecord(2, {"fusion": 0.5, "text": 0.1}, {"mae": 0.75}, best=True, seconds=3.0, clips_per_second=9.0)


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    with listener(Console(file=out, force_terminal=terminal, width=120, color_system=None)) as progress:
        progress.started(5, 2, 1)
        progress.step()
        progress.epoch(RECORD)
    return out.getvalue()


def test_terminal() -> None:
    text = shown(terminal=True)
    assert "resumed after epoch 1" in text
    assert "epoch   2  loss: fusion 0.500  text 0.100  valid MAE 0.7500  3.0 s  best" in text


def test_elsewhere() -> None:
    assert shown(terminal=False) == ""
