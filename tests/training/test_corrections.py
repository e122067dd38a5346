"""A correction is the clip's label in the next training: in every epoch, with its weight, and after a resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from annotation.worlds import TRAIN, small
from conftest import PLANTED, QUICK
from selfmm.annotation.importing import import_corrections
from selfmm.core.errors import DatasetError, RunError
from selfmm.core.listener import Listener
from selfmm.data.planted import write_planted
from selfmm.data.ratings import write_ratings
from selfmm.data.store import Dataset, open_dataset
from selfmm.runs.trained_model import TrainedModel
from selfmm.training.corrections import corrections_used, fixed_labels, training_corrections
from selfmm.training.trainer import EpochRecord

LABELS = {"audio": -2.5, "vision": 0.0}


def correct(dataset: Dataset, folder: Path, clips: list[str], weight: float = 0.75) -> Dataset:
    pd.DataFrame({"id": clips, **{f"label_{name}": label for name, label in LABELS.items()}}).to_csv(
        folder / "sheet.csv", index=False
    )
    import_corrections(dataset, folder / "sheet.csv", weight=weight, source="Ann")
    return open_dataset(dataset.path)


def test_training_uses_corrections_of_its_own_clips_and_modalities(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data")
    assert training_corrections(dataset, ["text"], dataset.rows("train")).empty
    rows = [("v", "text", 1.0), ("e", "vision", 1.0), ("e", "text", -1.0), (TRAIN[2], "audio", 2.0), ("a", "vision", 0)]
    filled: dict[str, Any] = {"weight": 1.0, "source": "s", "rater": "s", "imported_at": "2026", "sha256": "0"}
    table = pd.DataFrame(rows, columns=["id", "modality", "label"]).assign(**filled)
    write_ratings(dataset.path, table)
    used = training_corrections(open_dataset(dataset.path), ["text", "audio"], dataset.rows("train"))
    assert used[["id", "modality", "label", "position"]].to_numpy().tolist() == [
        ["e", "text", -1.0, 3],
        [TRAIN[2], "audio", 2.0, 2],
    ]


def test_what_the_generator_is_given(tmp_path: Path) -> None:
    """Places in the training split; no clip of another split, and none that lacks the stream."""
    dataset = small(tmp_path / "data")
    (tmp_path / "sheet.csv").write_text("id,label_text,label_vision\na,1,\nb,,-3.000001\ne,2,1\nv,1,1\n")
    import_corrections(dataset, tmp_path / "sheet.csv", weight=0.5)
    dataset = open_dataset(dataset.path)
    fixed = fixed_labels(dataset, list(dataset.modalities), dataset.rows("train"))
    assert {name: known.index.tolist() for name, known in fixed.items()} == {"text": [0, 3], "vision": [1]}
    assert fixed["text"].labels.tolist() == [1.0, 2.0]
    assert fixed["vision"].labels.tolist() == [-3.0], "an edge that came back with a rounding error"
    assert torch.equal(fixed["text"].weights, torch.tensor([0.5, 0.5]))
    used = [
        record.model_dump() for record in corrections_used(dataset, ["text", "audio", "vision"], dataset.rows("train"))
    ]
    assert used == [
        {"modality": "text", "source": "sheet.csv", "weight": 0.5, "clips": 2},
        {"modality": "vision", "source": "sheet.csv", "weight": 0.5, "clips": 1},
    ]
    assert set(fixed_labels(dataset, ["audio", "vision"], dataset.rows("train"))) == {"vision"}
    assert TRAIN[0] == "a"


class Stop(Listener):
    """Ends the training after two epochs, as an interrupt would."""

    def epoch(self, record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The data of ``trained``, with five training clips corrected."""
    folder = tmp_path_factory.mktemp("corrected")
    dataset = write_planted(folder / "data", PLANTED)
    clips = dataset.samples["id"].iloc[dataset.rows("train")[[0, 3, 10, 20, 40]]].tolist()
    return correct(dataset, folder, clips)


@pytest.fixture(scope="module")
def run(corrected: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    out = tmp_path_factory.mktemp("corrected_run") / "run"
    with pytest.raises(KeyboardInterrupt):
        selfmm.train(corrected, text_encoder=tiny_encoder, overrides=QUICK, out=out, listener=Stop())
    return selfmm.train(corrected, text_encoder=tiny_encoder, overrides=QUICK, out=out, resume=True)


@pytest.mark.slow
def test_fixed_in_every_epoch_and_across_a_resume(corrected: Dataset, run: TrainedModel) -> None:
    labels = run.labels
    of_people = labels["id"].isin(set(corrected.corrections["id"])) & labels["modality"].isin(set(LABELS))
    fixed = labels[of_people]
    assert len(fixed) == 4 * 5 * 2
    assert set(fixed["outcome"]) == {"fixed"}
    assert fixed["u_label"].tolist() == pytest.approx(fixed["modality"].map(LABELS).tolist(), abs=0)
    assert set(fixed["weight"]) == {0.75}
    assert "fixed" not in set(labels[~of_people]["outcome"])


@pytest.mark.slow
def test_they_change_the_training(run: TrainedModel, trained: TrainedModel) -> None:
    """The rest is the same data, settings and seed. A head learns corrected labels with their own weights."""
    ours, theirs = run.history, trained.history
    clips = run.metrics["splits"]["train"]["fusion"]["count"]
    assert (ours["head_weight_text"] == 1).all()
    assert (theirs["head_weight_audio"] == 1).all()
    assert ours["head_weight_audio"].tolist() == pytest.approx([1 - 5 * (1 - 0.75) / clips] * len(ours))
    assert (ours["loss_audio"] != theirs["loss_audio"]).all()
    assert not np.allclose(run.predictions["score"], trained.predictions["score"])


@pytest.mark.slow
def test_the_run_says_which_it_had(run: TrainedModel, trained: TrainedModel) -> None:
    recorded = json.loads((run.folder.path / "run.json").read_text("utf-8"))["corrections"]
    assert recorded == [{"modality": name, "source": "Ann", "weight": 0.75, "clips": 5} for name in ("audio", "vision")]
    assert trained.info.corrections == []


def test_other_corrections_are_other_data(
    corrected: Dataset, run: TrainedModel, trained: TrainedModel, tiny_encoder: str, tmp_path: Path
) -> None:
    changed = tmp_path / "data"
    shutil.copytree(corrected.path, changed)
    dataset = open_dataset(changed)
    again = selfmm.train(dataset, text_encoder=tiny_encoder, overrides=QUICK, out=run.folder.path, resume=True)
    assert again.info == run.info, "the same corrections elsewhere are the same data"
    dataset = correct(dataset, tmp_path, dataset.corrections["id"].unique().tolist()[:1], weight=0.5)
    for folder in (run.folder.path, trained.folder.path):
        with pytest.raises(RunError, match="corrections"):
            selfmm.train(dataset, text_encoder=tiny_encoder, overrides=QUICK, out=folder, resume=True)


def test_damaged_corrections_stop_a_training_before_it_begins(
    corrected: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    shutil.copytree(corrected.path, tmp_path / "data")
    (tmp_path / "data" / "corrections.parquet").write_bytes(b"PAR1")
    with pytest.raises(DatasetError, match=r"corrections\.parquet"):
        selfmm.train(tmp_path / "data", text_encoder=tiny_encoder, overrides=QUICK, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
