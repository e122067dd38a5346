"""Published figures: each has a source, a model of ours, and metrics that exist."""

from __future__ import annotations

import pytest

from selfmm.errors import SettingsError
from selfmm.evaluation.metrics import DESCRIPTIONS
from selfmm.experiments.published import published_rows, read_published
from selfmm.models import MODELS


def test_every_figure_can_stand_in_the_table() -> None:
    found = read_published()
    used = set()
    for data in ("mosi", "mosei", "sims"):
        rows = published_rows(data)
        assert rows
        for row in rows:
            assert row.kind == "published"
            assert row.name in MODELS
            assert set(row.figures) <= set(DESCRIPTIONS)
            assert all(0 < value <= 1.6 for values in row.figures.values() for value in values)
        used |= {entry.source for entry in getattr(found, data)}
    assert used == set(found.sources)


def test_other_data() -> None:
    with pytest.raises(SettingsError, match="'mosay': there are no figures of it; did you mean 'mos"):
        published_rows("mosay")
