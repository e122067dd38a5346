"""A frozen text encoder runs once for all clips; its output is cached and read again, and never mixed up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

import selfmm
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.data.store import Dataset
from selfmm.models.assembly import Assembly, assemble
from selfmm.models.text import TransformerEncoder

FROZEN = (*QUICK, "text.finetune=false", "training.max_epochs=2")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoded"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches of token ids that a frozen encoder has read, without the sentences that try it out."""
    sizes: list[int] = []
    states = TransformerEncoder.states

    def count(self: TransformerEncoder, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if not self.tokens:
            sizes.append(len(ids))
        return states(self, ids, lengths)

    monkeypatch.setattr(TransformerEncoder, "states", count)
    return sizes


@pytest.mark.slow
def test_a_run_asks_once_and_the_next_one_not_at_all(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, asked: list[int]
) -> None:
    runs = []
    for name in ("first", "second"):
        out = tmp_path / name
        runs.append(selfmm.train(planted, text_encoder=tiny_encoder, overrides=FROZEN, out=out))
        assert sum(asked) == len(planted)
    assert runs[0].metrics == runs[1].metrics
    again = runs[0].predict(planted)  # by the encoder itself
    np.testing.assert_allclose(again["score"], runs[0].predictions["score"], atol=1e-5)


def encoded_rows(assembly: Assembly, dataset: Dataset) -> npt.NDArray[np.float32]:
    found = assembly.encode_text(dataset)
    assert found is not None
    return np.array(found.rows)


def test_other_weights_and_other_words_are_asked_again(planted: Dataset, tiny_encoder: str, cache: Path) -> None:
    torch.manual_seed(0)
    settings = load_settings(None, [*FROZEN, f"text.encoder={tiny_encoder}"])
    assembly = assemble(planted, settings)
    first = encoded_rows(assembly, planted)
    np.testing.assert_array_equal(first, encoded_rows(assembly, planted))
    assert len(list(cache.iterdir())) == 1
    shorter = assemble(planted, load_settings(None, [*FROZEN, f"text.encoder={tiny_encoder}", "text.max_tokens=4"]))
    assert not np.array_equal(first, encoded_rows(shorter, planted))
    with torch.no_grad():
        next(assembly.model.encoders["text"].parameters()).mul_(1.5)
    assert not np.array_equal(first, encoded_rows(assembly, planted))
    assert len(list(cache.iterdir())) == 3


def test_a_damaged_file_is_made_again_and_a_cache_that_cannot_be_written_is_done_without(
    planted: Dataset, tiny_encoder: str, cache: Path
) -> None:
    assembly = assemble(planted, load_settings(None, [*FROZEN, f"text.encoder={tiny_encoder}"]))
    expected = encoded_rows(assembly, planted)
    (file,) = cache.iterdir()
    for content in (b"", file.read_bytes()[:200], b"\x80\x04pickled"):
        file.write_bytes(content)
        np.testing.assert_array_equal(encoded_rows(assembly, planted), expected)
        assert file.stat().st_size > 1000
    file.unlink()
    cache.rmdir()
    cache.write_text("a file, not a folder")
    np.testing.assert_array_equal(encoded_rows(assembly, planted), expected)


def test_an_encoder_that_is_trained_is_not_asked_beforehand(planted: Dataset, tiny_encoder: str) -> None:
    assembly = assemble(planted, load_settings(None, [*QUICK, f"text.encoder={tiny_encoder}"]))
    assert assembly.encode_text(planted) is None
