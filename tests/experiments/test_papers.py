"""The bibliography: every model and every source has its paper."""

from __future__ import annotations

from selfmm.experiments.papers import bibliography, display_name, entries, paper_of
from selfmm.experiments.published import DATA, published_rows, read_published
from selfmm.models import MODELS


def test_every_model_has_a_name_and_a_paper() -> None:
    for model in set(MODELS) - {"adapt"}:
        assert display_name(model) != model
        assert paper_of(model) in entries()
    assert display_name("own.Net") == "own.Net"
    assert (paper_of("adapt"), paper_of("tasks=m")) == ("", "")


def test_every_source_is_named_and_cited() -> None:
    published = read_published()
    assert set(published.names) == set(published.cites) == set(published.sources)
    assert {key for cites in published.cites.values() for key in cites} <= set(entries())
    for data in DATA:
        keys = [(row.name, row.source) for row in published_rows(data)]
        assert len(keys) == len(set(keys)), "two rows of one model are told apart by their source"


def test_entries_are_complete() -> None:
    for key, entry in entries().items():
        assert entry.count("{") == entry.count("}"), key
        assert all(f"{field} = {{" in entry for field in ("title", "author", "year")), key
    assert bibliography(["zadeh2017tensor"]).startswith("@inproceedings{zadeh2017tensor,")
    assert bibliography(["zadeh2017tensor"]).count("@") == 1
