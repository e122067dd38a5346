"""Figures published by others, shown next to your own and marked as published."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib import resources

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.evaluation.metrics import DESCRIPTIONS
from selfmm.experiments.table import Row

DATA = ("mosi", "mosei", "sims")
"""Data sets with published figures."""


class _Entry(BaseModel):
    """Figures of one model on one data set from one source; shares in [0, 1], MAE in units of the label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    source: str
    figures: dict[str, float]

    @field_validator("figures")
    @classmethod
    def _are_figures(cls, value: dict[str, float]) -> dict[str, float]:
        strange = [key for key in value if key not in DESCRIPTIONS]
        if strange or not value:
            raise ValueError(f"{strange} are not metrics" if strange else "no figure is given")
        ranges = dict.fromkeys(value, (0.0, 1.0)) | {"corr": (-1.0, 1.0), "mae": (1e-9, 100.0)}
        wrong = {key: figure for key, figure in value.items() if not ranges[key][0] <= figure <= ranges[key][1]}
        if wrong:
            raise ValueError(f"{wrong} are not in range: shares lie in [0, 1], corr in [-1, 1], mae above 0")
        return value


class Published(BaseModel):
    """The content of ``published.toml``: published figures per data set, and their sources.

    Attributes:
        sources: where the figures are from, by the key of the source.
        names: how a row names its source.
        cites: keys of ``papers.bib`` that a row cites besides the paper of its model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, str]
    names: dict[str, str] = {}
    cites: dict[str, tuple[str, ...]] = {}
    mosi: tuple[_Entry, ...] = ()
    mosei: tuple[_Entry, ...] = ()
    sims: tuple[_Entry, ...] = ()

    def of(self, data: str) -> tuple[_Entry, ...]:
        """Return the entries of a data set, one of ``DATA``."""
        return {"mosi": self.mosi, "mosei": self.mosei, "sims": self.sims}[data]

    @model_validator(mode="after")
    def _each_has_one_source(self) -> Published:
        used = {entry.source for data in DATA for entry in self.of(data)}
        if used != set(self.sources):
            raise ValueError(f"sources must be both listed and used: {sorted(used ^ set(self.sources))}")
        for data in DATA:
            twice = [key for key, n in Counter((entry.model, entry.source) for entry in self.of(data)).items() if n > 1]
            if twice:
                raise ValueError(f"{data}: {twice} are listed twice")
        return self


def parse_published(text: str) -> Published:
    """Parse ``published.toml``; raise ``ValueError`` if it is not valid."""
    return Published.model_validate(tomllib.loads(text))


def read_published() -> Published:
    """Return all published figures."""
    return parse_published((resources.files("selfmm.experiments") / "published.toml").read_text(encoding="utf-8"))


def published_rows(data: str) -> list[Row]:
    """Return table rows with the figures published on ``mosi``, ``mosei`` or ``sims``.

    Raises:
        SettingsError: if ``data`` is another name.
    """
    if data not in DATA:
        raise SettingsError([f"published = {data!r}: there are no published figures for it{did_you_mean(data, DATA)}"])
    published = read_published()
    return [
        Row(
            entry.model,
            "published",
            {key: [value] for key, value in entry.figures.items()},
            note=f"published: {published.sources[entry.source]}; features and splits may differ",
            source=published.names.get(entry.source, entry.source),
            cites=published.cites.get(entry.source, ()),
        )
        for entry in published.of(data)
    ]
