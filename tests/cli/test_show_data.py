from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cli.command_line import shown
from selfmm.cli.show_data import render
from selfmm.data.findings import Column, Finding, Inspection
from selfmm.data.inspect import inspect_dataset
from selfmm.data.planted import PlantedSettings, write_planted


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder: Path = tmp_path_factory.mktemp("inspect") / "d"
    return inspect_dataset(write_planted(folder, PlantedSettings(clips=60, missing=0.1)))


def test_it_shows_splits_labels_modalities_and_notes(inspection: Inspection) -> None:
    text = shown(render(inspection))
    for part in ("Splits", "Labels", "Modalities", "Lengths", "Notes", "No problems found."):
        assert part in text
    assert f"{inspection.modalities['audio'].frames:,} frames" in text
    assert "-0.27 ... +0.27" in text
    assert "█" * 24 in text
    assert "Problems" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_problems_are_listed_and_ids_are_not_markup(inspection: Inspection) -> None:
    faulty = dataclasses.replace(inspection, duplicated_ids=Finding(1, ("[red]x[/red]",)), name="[b]odd[/b]")
    text = shown(render(faulty))
    assert "[red]x[/red]" in text
    assert "[b]odd[/b]" in text
    assert "No problems found" not in text


def test_it_says_when_checksums_were_not_compared(inspection: Inspection) -> None:
    assert "No problems found (checksums not compared)." in shown(
        render(dataclasses.replace(inspection, verified=False))
    )


def test_empty_splits_draw_no_bars(tmp_path: Path, inspection: Inspection) -> None:
    nothing = {
        name: dataclasses.replace(split, clips=0, histogram=(0,) * 11, mean=float("nan"), std=float("nan"))
        for name, split in inspection.splits.items()
    }
    text = shown(render(dataclasses.replace(inspection, splits=nothing)))
    assert "█" not in text
    assert "the split 'test' is empty" in text


def test_the_neutral_label_is_named_where_it_is_not_zero(inspection: Inspection) -> None:
    assert "neutral" not in shown(render(inspection))
    assert "neutral (3)" in shown(render(dataclasses.replace(inspection, label_range=(1.0, 5.0))))


def test_ranges_and_what_to_do_about_them(inspection: Inspection) -> None:
    audio = inspection.modalities["audio"]
    assert audio.ranges is not None
    wide = Column("[b]f0[/b]", 80.0, 376.0, 200.0, 51.3)
    ranges = dataclasses.replace(audio.ranges, highest=376.0, widest=wide, off_scale=Finding(1, (wide.name,)))
    raw = dataclasses.replace(audio, ranges=ranges, raw_in=("mosi",))
    text = shown(render(dataclasses.replace(inspection, modalities={"audio": raw}, preset="mosi")))
    assert "Features" in text
    assert "[b]f0[/b]   80  376       51.3" in text
    assert "--set stream.audio.standardise=true" in " ".join(text.split())
    assert "label_text" in text, "labels of single modalities are in the notes"
