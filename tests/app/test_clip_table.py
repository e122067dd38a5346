"""The clips of a data set as a table."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from selfmm.annotation.acts import Act
from selfmm.api import open_dataset, open_ratings
from selfmm.app.clip_table import BINS, ClipTable, ClipTables, disagreement
from selfmm.core.errors import DatasetError


@pytest.fixture(scope="module")
def talks(studio: Path) -> ClipTable:
    return ClipTable.of(open_dataset(studio / "talks"))


def test_what_it_knows_of_each_clip(talks: ClipTable) -> None:
    samples = talks.dataset.samples
    assert talks.ids == samples["id"].tolist()
    assert talks.ratings[:3].tolist() == [2, 2, 0]
    assert talks.by_modality["audio"][:2].tolist() == [1.5, 1.5]  # people's, not those of the data set
    np.testing.assert_array_equal(talks.by_modality["text"], samples["label_text"])
    np.testing.assert_array_equal(talks.missing["audio"], talks.dataset.lengths("audio") == 0)
    assert talks.warnings[2] == "no face in 67% of the pictures"
    assert [row for row, text in enumerate(talks.warnings) if text] == [2, 5]
    assert talks.media(3) == ("films/talk.mp4", 1.5, 2.0)
    assert talks.media(59) == ("", None, None)


def test_bars_are_centred_at_the_ends_of_the_range(talks: ClipTable) -> None:
    counts = talks.histogram(np.arange(len(talks)))
    assert (len(counts), sum(counts)) == (BINS, 60)
    labels = talks.labels
    assert counts[0] == (labels <= -3 + talks.bin_width / 2).sum()
    assert counts[BINS // 2] == (np.abs(labels) <= talks.bin_width / 2).sum()


def test_modalities_disagree_if_both_are_clear() -> None:
    labels = {"text": np.array([1.0, 1.0, 0.5, np.nan]), "audio": np.array([-1.0, 0.2, -0.5, -3.0])}
    spread, disagree = disagreement(labels, 4, (-3, 3))
    assert disagree.tolist() == [True, False, False, False]
    np.testing.assert_allclose(spread, [2.0, 0.8, 1.0, np.nan])
    assert not disagreement({}, 4, (-3, 3))[1].any()


def test_what_is_wrong_with_clips(tmp_path: Path) -> None:
    from dataclasses import replace

    from app.studio import planted
    from selfmm.data.writer import Source

    def spoil(source: Source) -> Source:
        table = source.table.copy()
        table.loc[0, "label"] = np.nan
        return replace(source, table=table)

    dataset = planted(tmp_path / "data", spoil)
    samples = dataset.samples.copy()
    samples.loc[1, "label"] = 7.0
    samples.loc[3, "id"] = samples["id"][2]
    table = ClipTable.of(replace(dataset, samples=samples))
    assert table.warnings[:5] == [
        "it has no label, so training leaves it out",
        "the label is outside −3 to 3",
        "another clip has the same id",
        "another clip has the same id",
        "",
    ]


def test_a_table_is_read_again_when_a_file_changes(tmp_path: Path, studio: Path) -> None:
    shutil.copytree(studio / "plain", tmp_path / "data")
    tables = ClipTables()
    first = tables.of(tmp_path / "data")
    assert tables.of(tmp_path / "data") is first
    os.utime(tmp_path / "data" / "samples.parquet", ns=(1, 1))
    assert tables.of(tmp_path / "data") is not first


def test_ratings_that_the_data_set_does_not_have_yet_count(tmp_path: Path, studio: Path) -> None:
    shutil.copytree(studio / "talks", tmp_path / "talks")
    tables = ClipTables()
    journal = open_ratings(tmp_path / "talks")
    assert tables.of(tmp_path / "talks", journal).ratings[:3].tolist() == [2, 2, 0]
    ids = tables.of(tmp_path / "talks").ids
    journal.add(
        Act(id=ids[0], target="audio", rater="ben", label=-1.0),  # instead of the 2 that he gave before
        Act(id=ids[2], target="vision", rater="cleo", label=0.5),
        Act(id=ids[2], target="clip", rater="cleo", label=2.0),
    )
    table = tables.of(tmp_path / "talks", journal)
    assert table.ratings[:3].tolist() == [2, 2, 2]
    assert table.by_modality["audio"][0] == 0.0
    assert table.by_modality["vision"][2] == 0.5
    assert table.people[table.people["id"] == ids[2]]["modality"].tolist() == ["clip", "vision"]


def test_damage_is_told(studio: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot read"):
        ClipTables().of(studio / "broken")
    shutil.copytree(studio / "talks", tmp_path / "talks")
    (tmp_path / "talks" / "corrections.parquet").write_bytes(b"PAR1")
    table = ClipTables().of(tmp_path / "talks")
    assert "corrections.parquet" in table.problem
    assert not table.ratings.any()
