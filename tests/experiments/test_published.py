"""Published figures: each has a source, a model of the field, and metrics that exist."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from selfmm.core.errors import SettingsError
from selfmm.evaluation.metrics import evaluate
from selfmm.experiments.published import DATA, parse_published, published_rows, read_published

MODELS = {
    *("self_mm", "lf_dnn", "ef_lstm", "tfn", "lmf", "mfn", "graph_mfn", "mfm", "mult"),
    *("iccn", "mag_bert", "misa", "mmim", "tetfn", "almt", "mlf_dnn", "mtfn", "mlmf"),
}
ENTRY = '[[mosi]]\nmodel = "tfn"\nsource = "a"\nfigures = {{ {} }}\n'
SOURCE = '[sources]\na = "a paper"\n'


@pytest.mark.parametrize(("data", "scale"), [("mosi", "mosi"), ("mosei", "mosi"), ("sims", "sims")])
def test_every_figure_can_stand_in_the_table(data: str, scale: str) -> None:
    metrics = set(evaluate([0.5, -0.5], [0.5, -0.5], scale).values)  # type: ignore[arg-type]
    limit = {"mosi": 1.6, "mosei": 1.0, "sims": 0.7}[data]
    rows = published_rows(data)
    for row in rows:
        assert (row.kind, row.seeds) == ("published", 1)
        assert row.name in MODELS
        assert set(row.figures) <= metrics, "a figure of another scale would get a column of its own"
        assert 0.3 < row.mean("mae") < limit
        assert row.note.startswith("published: ")
        # A weighted F1 is near its accuracy; a far one is of another kind.
        for kind in ("_has0", "_non0", ""):
            if f"f1{kind}" in row.figures:
                assert row.mean(f"f1{kind}") == pytest.approx(row.mean(f"acc2{kind}"), abs=0.02)
    assert {"self_mm", "mult", "mfn"} <= {row.name for row in rows}


def test_figures_are_those_of_the_sources() -> None:
    """Some, copied from them once more by hand, in their own units."""
    found = {(data, one.model, one.source): one.figures for data in DATA for one in read_published().of(data)}
    assert found["mosi", "self_mm", "self_mm"]["mae"] == 0.713
    assert found["mosi", "misa", "mmsa"]["f1_non0"] == pytest.approx(83.49 / 100)
    assert found["mosei", "graph_mfn", "mmsa"]["acc7"] == pytest.approx(51.37 / 100)
    assert found["sims", "mlmf", "mmsa"]["corr"] == pytest.approx(63.90 / 100)
    assert found["sims", "ef_lstm", "mmsa"]["corr"] == pytest.approx(2.74 / 100)
    assert found["mosei", "mmim", "mmim"]["acc2_has0"] == pytest.approx(82.24 / 100)


def test_every_model_of_the_field_is_there() -> None:
    assert {row.name for data in DATA for row in published_rows(data)} == MODELS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SOURCE + ENTRY.format("mae = 0.9") * 2, "listed twice"),
        (ENTRY.format("mae = 0.9") + SOURCE.replace("a =", "b ="), r"\['a', 'b'\]"),
        (SOURCE, r"\['a'\]"),
        (SOURCE + ENTRY.format("acc2_has0 = 84.0"), "not in range"),
        (SOURCE + ENTRY.format("mae = -0.9"), "not in range"),
        (SOURCE + ENTRY.format("corr = nan"), "not in range"),
        (SOURCE + ENTRY.format("mae = nan"), "not in range"),
        (SOURCE + ENTRY.format("f2 = 0.1"), "not metrics"),
        (SOURCE + ENTRY.format(""), "no figure"),
        (SOURCE + ENTRY.format("mae = 0.9") + 'note = "x"', "note"),
        ("[sources", "Expected"),
    ],
)
def test_what_a_file_may_not_hold(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_published(text)


def test_a_correlation_may_be_negative_and_a_source_serve_many() -> None:
    other = ENTRY.format("mae = 2.5").replace("mosi", "sims")
    assert parse_published(SOURCE + ENTRY.format("corr = -0.1") + other).mosi[0].figures == {"corr": -0.1}


def test_other_data() -> None:
    with pytest.raises(SettingsError, match="'mosay': there are no published figures for it; did you mean 'mos"):
        published_rows("mosay")


def test_the_file_goes_with_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "experiments/published.toml" in project["tool"]["setuptools"]["package-data"]["selfmm"]
