"""The label study on a few clips: its figures, and the picture."""

from __future__ import annotations

from pathlib import Path

import label_calibration
import label_study
import label_study_gaussian
import pytest
from label_study import StudySet


@pytest.mark.slow
def test_every_rule_is_compared_with_the_truth(tmp_path: Path) -> None:
    figures, errors = label_study.measure(StudySet("few", {"conflict": 0.3}, clips=60, epochs=2), 1)
    assert figures["rule"].unique().tolist() == ["m-label", "authors", "centre-gap", "posterior", "ceiling"]
    assert len(figures) == 5 * 3
    assert figures["corr"].between(-1, 1).all()
    assert (figures.query("rule == 'm-label'")["right"] == 0).all()
    assert len(errors) == 3 * 2 * 10
    assert (errors[["expected", "error"]] > 0).all().all()
    by_expected = errors.query("order == 'expected error' and modality == 'audio'").sort_values("tenth")
    assert by_expected["expected"].is_monotonic_increasing
    by_trust = errors.query("order == 'trust' and modality == 'audio'").sort_values("tenth")
    assert by_trust["trust"].is_monotonic_decreasing


def test_simulated_worlds_and_the_picture_of_their_errors(tmp_path: Path) -> None:
    world = label_study_gaussian.WORLDS[0]
    figures, errors = label_study_gaussian.measure(world, 1)
    corr = figures.set_index(["rule", "modality"])["corr"]
    for name in ("text", "audio", "vision"):
        assert corr["m-label", name] < corr["posterior", name] <= corr["ceiling", name] + 0.01
    assert corr["m-label", "text"] == pytest.approx(label_study_gaussian.RHO[0], abs=0.03)
    pytest.importorskip("matplotlib")
    label_calibration.draw([errors, errors, errors], tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text(encoding="utf-8")
    [row] = label_calibration.rows(errors)
    assert row.count("/") == 10
