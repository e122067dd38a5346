"""Figures that others published, to stand beside one's own and be told from them."""

from __future__ import annotations

import tomllib
from importlib import resources

from pydantic import BaseModel, ConfigDict

from selfmm.config import did_you_mean
from selfmm.errors import SettingsError
from selfmm.experiments.table import Row


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    source: str
    figures: dict[str, float]


class Published(BaseModel):
    """``published.toml``: per data set what was published on it; ``sources`` says where each was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, str]
    mosi: tuple[_Entry, ...] = ()
    mosei: tuple[_Entry, ...] = ()
    sims: tuple[_Entry, ...] = ()


def read_published() -> Published:
    """All of it."""
    text = (resources.files("selfmm.experiments") / "published.toml").read_text(encoding="utf-8")
    return Published.model_validate(tomllib.loads(text))


def published_rows(data: str) -> list[Row]:
    """Rows of what was published on ``mosi``, ``mosei`` or ``sims``.

    Raises:
        SettingsError: another data set.
    """
    known = ["mosi", "mosei", "sims"]
    if data not in known:
        raise SettingsError([f"published = {data!r}: there are no figures of it{did_you_mean(data, known)}"])
    found = read_published()
    entries: tuple[_Entry, ...] = getattr(found, data)
    return [
        Row(
            entry.model,
            "published",
            {key: [value] for key, value in entry.figures.items()},
            note=f"published: {found.sources[entry.source]}; other features and splits than these may have been used",
        )
        for entry in entries
    ]
