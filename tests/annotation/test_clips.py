"""Which clips go to annotators, and in which order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotation.worlds import MODALITIES, TRAIN, small, u_labels
from selfmm.annotation.clips import clips_to_annotate
from selfmm.annotation.importing import import_corrections
from selfmm.core.errors import RunError
from selfmm.data.store import open_dataset


def test_one_row_per_training_clip_with_its_labels(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data")
    clips = clips_to_annotate(dataset, u_labels().sample(frac=1, random_state=0), MODALITIES)
    assert clips["id"].tolist() == TRAIN
    assert clips["m_label"].tolist() == [1.0, -1.0, 0.4, -2.0]
    assert clips["u_label_audio"].tolist() == [1.0, 2.0, 1.26, -2.0]
    assert np.isnan(clips["u_label_vision"]).tolist() == [False, False, False, True], "it lacks the stream"
    assert clips["spread"].tolist() == pytest.approx([0.1, 3.5, 0.86, 0.0])


def test_most_takes_the_widest_spread_and_leaves_out_what_is_corrected(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data")
    assert clips_to_annotate(dataset, u_labels(), MODALITIES, most=2)["id"].tolist() == ["b", TRAIN[2]]
    (tmp_path / "sheet.csv").write_text("id,label_audio\nb,2\n")
    import_corrections(dataset, tmp_path / "sheet.csv")
    again = clips_to_annotate(open_dataset(dataset.path), u_labels(), MODALITIES, most=2)
    assert again["id"].tolist() == [TRAIN[2], "a"]


def test_labels_of_other_clips_are_refused(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data")
    with pytest.raises(RunError, match="do not match the training clips"):
        clips_to_annotate(dataset, u_labels().replace("a", "z"), MODALITIES)


def test_labels_of_a_narrow_range_keep_their_digits(tmp_path: Path) -> None:
    dataset = small(tmp_path / "data")
    narrow = replace(dataset, manifest=dataset.manifest.model_copy(update={"label_range": (0.0, 0.001)}))
    labels = u_labels().assign(u_label=0.000123)
    assert clips_to_annotate(narrow, labels, MODALITIES)["u_label_audio"].tolist() == [0.000123] * 4
