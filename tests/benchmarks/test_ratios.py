"""Ratios to the peer: which way round, over pairs, and when one counts as fallen."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from environments import BenchmarkError
from peer import check, section, write_results
from ratios import Spread, falls, markdown, ratios

PAIRS = [
    {
        "peer": {"clips_per_second": 10.0, "epoch_seconds": 100.0, "peak_memory": 15e9, "peak_gpu_memory": 0.0},
        "default": {"clips_per_second": 30.0, "epoch_seconds": 40.0, "peak_memory": 3e9, "peak_gpu_memory": 0.0},
    },
    {
        "peer": {"clips_per_second": 20.0, "epoch_seconds": 80.0, "peak_memory": 15e9, "peak_gpu_memory": 0.0},
        "default": {"clips_per_second": 50.0, "epoch_seconds": 20.0, "peak_memory": 5e9, "peak_gpu_memory": 0.0},
    },
]


def test_above_one_is_better_whatever_is_measured() -> None:
    found = ratios(PAIRS)["default"]
    assert found["clips_per_second"] == Spread(2.75, 2.5, 3.0)  # 30 / 10 and 50 / 20: each within its own pair
    assert found["epoch_seconds"] == Spread(3.25, 2.5, 4.0)  # 100 / 40 and 80 / 20
    assert found["peak_memory"] == Spread(4.0, 3.0, 5.0)


def test_what_was_not_measured_has_no_ratio() -> None:
    assert set(ratios(PAIRS)["default"]) == {"clips_per_second", "epoch_seconds", "peak_memory"}


def test_the_table_says_figures_and_ranges() -> None:
    rows = markdown(PAIRS).splitlines()
    assert rows[0] == "| | peer | default | ratio |"
    assert "| training, clips/s, best epoch | 15.0 | 40.0 | **2.75** (2.50-3.00) |" in rows
    assert "| peak memory, GB | 15.00 | 4.00 | **4.00** (3.00-5.00) |" in rows


@pytest.mark.parametrize(("now", "fallen"), [(3.0, False), (2.26, False), (2.24, True), (1.0, True)])
def test_a_fall_of_more_than_a_quarter_is_told(now: float, fallen: bool) -> None:
    before = {"default": {"clips_per_second": Spread(3.0, 2.9, 3.1)}}
    found = falls({"default": {"clips_per_second": Spread(now, now, now)}}, before)
    assert bool(found) == fallen
    if fallen:
        assert "default" in found[0]
        assert "3.00" in found[0]
        assert f"{now:.2f}" in found[0]


def test_only_what_both_tables_have_is_compared() -> None:
    before = {"default": {"clips_per_second": Spread(3, 3, 3)}}
    assert not falls({"bf16": {"clips_per_second": Spread(1, 1, 1)}}, before)
    assert not falls({"default": {"epoch_seconds": Spread(1, 1, 1)}}, before)


def entry(pairs: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    return {
        "settings": {"epochs": 2},
        "measured": "2026-11-24T10:00:00+00:00",
        "machine": "a machine",
        "versions": {"ours": {"torch": "2"}, "peer": {"MMSA": "2.2.1"}},
        "ratios": {name: {m: asdict(s) for m, s in metrics.items()} for name, metrics in ratios(pairs).items()},
        "pairs": pairs,
    }


def test_a_results_file_keeps_its_other_entries_and_tells_a_fall(tmp_path: Path) -> None:
    file = tmp_path / "peer-cpu.json"
    write_results(file, "base", entry(PAIRS))
    write_results(file, "minilm", entry(PAIRS))
    assert not check(file, "base", entry(PAIRS))
    slow = [{**pair, "default": {**pair["default"], "clips_per_second": 15.0}} for pair in PAIRS]
    assert len(check(file, "minilm", entry(slow))) == 1
    tables = file.with_suffix(".md").read_text(encoding="utf-8")
    assert section("base", entry(PAIRS)) in tables
    assert section("minilm", entry(PAIRS)) in tables


def test_nothing_to_compare_with_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "peer-cpu.json"
    with pytest.raises(BenchmarkError, match="is not a results file"):
        check(file, "base", entry(PAIRS))
    write_results(file, "base", entry(PAIRS))
    with pytest.raises(BenchmarkError, match="no table for 'minilm'; it has: base"):
        check(file, "minilm", entry(PAIRS))
