"""Searches of little, for tests that train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.worlds import MODALITIES
from selfmm.config.settings import load_settings
from selfmm.experiments.search import Search, make_search
from selfmm.experiments.study import Study, quiet

FIXED = (
    *("fusion.lr", "stream.audio.lr", "stream.vision.lr", "training.batch_size", "fusion.weight_decay"),
    *("text.lr", "training.accumulation"),
)
IDENTITY = {"data": {"clips": "abc"}, "settings": {"seed": 1111}}


def search(*spaces: str, overrides: tuple[str, ...] = ()) -> Search:
    base = load_settings(None, ["model=lf_dnn", *overrides])
    return make_search(base, MODALITIES, spaces or ("fusion.lr=1e-4..1e-2 log", "text.projection=8..64"), FIXED)


def study(folder: Path, *spaces: str, identity: dict[str, Any] = IDENTITY) -> Study:
    with quiet():
        return Study(folder, search(*spaces), identity)
