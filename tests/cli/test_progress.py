"""Progress in a terminal, silence elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from selfmm.cli.progress import watch_training
from selfmm.training.trainer import EpochRecord

RECORD = EpochRecord(2, {"fusion": 0.5, "text": 0.1}, {"mae": 0.75}, best=True, seconds=3.0, clips_per_second=9.0)


def test_terminal() -> None:
    out = io.StringIO()
    with watch_training(Console(file=out, force_terminal=True, width=120, color_system=None)) as listener:
        assert listener is not None
        listener.started(5, 2, 1)
        listener.step()
        listener.epoch(RECORD)
    text = out.getvalue()
    assert "resumed after epoch 1" in text
    assert "epoch   2  loss: fusion 0.500  text 0.100  valid MAE 0.7500  3.0 s  best" in text


def test_nobody_listens_elsewhere() -> None:
    with watch_training(Console(file=io.StringIO(), force_terminal=False)) as listener:
        assert listener is None
