"""Twelve small clips, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.demo.clips import make_clips
from selfmm.demo.scripts import Script, write_scripts

COUNT, SEED, SECONDS = 12, 1, (1.6, 2.2)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of the clips; not to be changed."""
    pytest.importorskip("av", reason="clips are written by PyAV")
    folder = tmp_path_factory.mktemp("demo") / "clips"
    return make_clips(folder, count=COUNT, seed=SEED, seconds=SECONDS, synthesizer="tones")


@pytest.fixture(scope="session")
def scripts() -> list[Script]:
    """What happens in these clips."""
    return write_scripts(COUNT, SEED, SECONDS)
