"""Scores that say nothing are named: by what their heads were trained with, and by how they spread."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import selfmm
from cli.command_line import selfmm as run_command
from conftest import QUICK
from selfmm.data.store import Dataset
from selfmm.recordings.model import SentimentModel
from selfmm.training.trainer import EpochRecord
from selfmm.training.untrained import untrained_heads

STREAMS = (*QUICK, "modalities=audio,vision")


def epochs(*weights: float) -> list[EpochRecord]:
    return [EpochRecord(number, {}, {}, True, 1.0, 1.0, {}, {"audio": w}) for number, w in enumerate(weights, start=1)]


LABELS = np.linspace(-3, 3, 50)


def test_what_counts_is_the_training_up_to_the_kept_epoch() -> None:
    scores = {"audio": LABELS / 2}
    [note] = untrained_heads(epochs(0, 0, 0.4, 0.5), 2, scores, LABELS)
    assert note.startswith("score_audio is untrained: up to the kept epoch 2, its head learned each clip with a total")
    assert untrained_heads(epochs(0, 0, 0.4, 0.5), 3, scores, LABELS) == []
    assert untrained_heads(epochs(1), 1, scores, LABELS) == []
    assert untrained_heads([], 0, {}, LABELS) == []


def test_a_head_that_gives_every_clip_the_same_is_named_too() -> None:
    scores = {"audio": 0.124 + LABELS / 1e5, "vision": np.where(LABELS > 2, np.nan, LABELS / 10)}
    [note] = untrained_heads(epochs(1), 1, scores, LABELS)
    assert "score_audio is nearly the same for all clips" in note
    assert "standardise" not in note
    [note] = untrained_heads(epochs(1), 1, scores, LABELS, ["audio", "vision"])
    assert note.endswith("Its features are not standardised: try stream.audio.standardise=true.")


def test_clips_without_the_modality_do_not_count() -> None:
    few = np.where(np.arange(50) < 2, LABELS, np.nan)
    assert untrained_heads(epochs(2 / 50), 1, {"audio": few}, LABELS) == []
    assert untrained_heads(epochs(0.0), 1, {"audio": np.full(50, np.nan)}, LABELS) == []


@pytest.fixture(scope="module")
def early(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SentimentModel]:
    """Trainings whose second epoch is the last, with both weightings."""
    folder = tmp_path_factory.mktemp("early")
    overrides = [*STREAMS, "training.max_epochs=2", "training.batch_size=4", "fusion.lr=5e-3"]
    return {
        weighting: selfmm.train(
            planted, out=folder / weighting, overrides=[*overrides, f"labels.weighting={weighting}"]
        )
        for weighting in ("encoder", "published")
    }


def test_heads_of_an_early_epoch_are_trained_unless_weighted_as_published(early: dict[str, SentimentModel]) -> None:
    """The labels part from the m-label after epoch 2, so no published weight is above 0 until then."""
    for weighting, weight in (("encoder", 1.0), ("published", 0.0)):
        run = early[weighting]
        assert (run.history["head_weight_audio"] == weight).all()
        assert (run.history["loss_audio"] > 0).all() == (weighting == "encoder")
        untrained = [note for note in run.notes if "is untrained" in note]
        assert len(untrained) == (0 if weighting == "encoder" else 2)
    learned, random = (early[key].predictions for key in ("encoder", "published"))
    train = learned["split"] == "train"
    labels = learned.loc[train, "label"]
    for name in ("score_audio", "score_vision"):
        assert learned.loc[train, name].std() > 3 * random.loc[train, name].std(), "it has a spread"
        assert learned.loc[train, name].corr(labels) > 0.3, "and it goes with the labels"


def test_the_sentence_is_shown_by_train_report_and_predict(
    early: dict[str, SentimentModel], planted: Dataset, tmp_path: Path
) -> None:
    run = early["published"]
    path = run.folder.path
    assert json.loads((path / "metrics.json").read_text())["notes"] == list(run.notes)
    [written] = selfmm.api.report(run, tmp_path / "report.html")
    page = written.read_text(encoding="utf-8")
    assert "score_audio is untrained" in page
    shown = run_command("predict", path, planted.path, "--split", "test")
    assert "note: score_audio is untrained" in shown.stderr
    again = run_command("train", planted.path, "--preset", path / "settings.toml", "--out", path, "--resume")
    assert "score_vision is untrained" in again.stdout


def test_runs_of_older_versions_and_damaged_ones_have_no_notes(trained: SentimentModel, tmp_path: Path) -> None:
    from selfmm.runs.folder import RunFolder

    assert RunFolder(tmp_path).notes() == ()
    (tmp_path / "metrics.json").write_text(
        json.dumps({key: value for key, value in trained.metrics.items() if key != "notes"})
    )
    assert RunFolder(tmp_path).notes() == ()
