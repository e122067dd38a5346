"""The data that speed is measured on: MOSI's sizes and lengths, the same through the field's pickle as through ours."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic import SPLITS, Shape, field_columns, lengths

from selfmm.data.importing import import_dataset


@pytest.fixture(scope="module")
def columns(tiny_encoder: str) -> dict[str, dict[str, Any]]:
    return field_columns(Shape(clips=24, seed=5), Path(tiny_encoder))


def test_sizes_are_mosis() -> None:
    assert Shape().sizes() == {"train": 1284, "valid": 229, "test": 686} == SPLITS


@pytest.mark.parametrize("size", [64, 1284])
def test_lengths_have_mosis_spread_whatever_the_number_of_clips(size: int) -> None:
    tokens, audio, vision = lengths(size, None, np.random.default_rng(0))
    assert abs(tokens.mean() - 14.6) < 0.4
    assert np.abs(np.percentile(tokens, [25, 50, 75]) - [8, 12, 18]).max() <= 1
    assert tokens.min() >= 3
    assert tokens.max() == 50
    assert 1 <= audio.min() <= audio.max() <= 375
    assert 1 <= vision.min() <= vision.max() <= 500
    assert np.corrcoef(tokens, audio)[0, 1] > 0.9  # who says more takes longer
    assert 0.45 < np.mean(audio) / np.mean(vision) * 0.6 < 0.55


def test_full_length_leaves_no_padding() -> None:
    found = lengths(3, 50, np.random.default_rng(0))
    assert [part.tolist() for part in found] == [[50] * 3, [375] * 3, [500] * 3]


@pytest.mark.slow
def test_padding_is_zeros_at_the_end(columns: dict[str, dict[str, Any]]) -> None:
    for part in columns.values():
        for name, longest, dim in (("audio", 375, 5), ("vision", 500, 20)):
            values, real = part[name], np.array(part[f"{name}_lengths"])
            assert values.shape == (len(real), longest, dim)
            assert ((values != 0).any(axis=2).sum(axis=1) == real).all()
            assert all((values[clip, length:] == 0).all() for clip, length in enumerate(real))


@pytest.mark.slow
def test_import_gives_the_same_clips(columns: dict[str, dict[str, Any]], tiny_encoder: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    (tmp_path / "field.pkl").write_bytes(pickle.dumps(columns))
    data, notes = import_dataset(tmp_path / "field.pkl", tmp_path / "data")
    assert not notes
    assert data.manifest.label_range == (-3, 3)
    tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
    for split, part in columns.items():
        rows = data.samples.iloc[data.rows(split)]
        assert rows["id"].tolist() == part["id"].tolist()
        np.testing.assert_array_equal(rows["label"], part["regression_labels"])
        for name in ("audio", "vision"):
            assert rows[f"{name}_length"].tolist() == part[f"{name}_lengths"]
            np.testing.assert_array_equal(
                data.frames(name, int(rows.index[0])), part[name][0, : part[f"{name}_lengths"][0]]
            )
        # Ours reads the words, the peer the ids: they must be the same ids.
        for text, (ids, mask, _) in zip(rows["text"], part["text_bert"], strict=True):
            assert tokenizer(text)["input_ids"] == ids[mask == 1].tolist()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_data(columns: dict[str, dict[str, Any]], tiny_encoder: str) -> None:
    again = field_columns(Shape(clips=24, seed=5), Path(tiny_encoder))
    other = field_columns(Shape(clips=24, seed=6), Path(tiny_encoder))
    assert pickle.dumps(again) == pickle.dumps(columns)
    assert (other["train"]["audio"] != columns["train"]["audio"]).any()
