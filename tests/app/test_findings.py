"""What an inspection finds, in plain English."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from selfmm.api import Inspection, inspect
from selfmm.app.clip_query import ClipQuery
from selfmm.app.findings import to_fix, to_know
from selfmm.data.findings import Column, Finding, Ranges


@pytest.fixture(scope="module")
def found(studio: Path) -> Inspection:
    return inspect(studio / "talks")


def everything(found: Inspection) -> Inspection:
    """An inspection that finds all that can be found."""
    one, two = Finding(1, ("a",)), Finding(2, ("a", "b"))
    ranges = Ranges(0, 900, 300, Column("width", 0, 900, 400, 300), two)
    audio = replace(
        found.modalities["audio"], missing=one, non_finite=two, gaps=7, constant_columns=(3,), ranges=ranges
    )
    train = replace(found.splits["train"], unlabelled=found.splits["train"].clips)
    test = replace(found.splits["test"], clips=0)
    valid = replace(found.splits["valid"], negative=0, unlabelled=1)
    return replace(
        found,
        damaged_files=("audio.npy",),
        duplicated_ids=one,
        shared_videos=two,
        outside_range=one,
        empty_clips=two,
        modalities={**found.modalities, "audio": audio},
        splits={"train": train, "valid": valid, "test": test},
        capitals=two,
        foreign=one,
    )


def test_every_finding_of_the_inspection_is_told(found: Inspection) -> None:
    for inspection in (found, everything(found)):
        fix, know = list(to_fix(inspection)), list(to_know(inspection))
        assert len(fix) == len(inspection.problems)
        assert len(know) == len(inspection.notes)


def test_sentences_are_plain_and_their_filters_are_valid(found: Inspection) -> None:
    sentences = [*to_fix(everything(found)), *to_know(everything(found))]
    assert len(sentences) > 15
    for sentence in sentences:
        assert sentence.text.endswith(".")
        assert not {"`", "_", "="} & set(sentence.text.replace("audio.npy", ""))
        from urllib.parse import parse_qsl

        ClipQuery.of(dict(parse_qsl(sentence.query, strict_parsing=True) if sentence.query else ()))
    assert "1 clip lacks audio." in [sentence.text for sentence in sentences]
