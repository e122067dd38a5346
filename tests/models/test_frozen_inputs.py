"""One vector per clip: mean pooling against transformers itself, and frames against numpy."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from selfmm.config.settings import Settings, load_settings
from selfmm.data.store import Dataset
from selfmm.models import text as module
from selfmm.models.assembly import assemble
from selfmm.models.frozen_inputs import frozen_inputs
from selfmm.models.text import Pretrained, TransformerEncoder, load_pretrained


@pytest.fixture
def damaged(planted: Dataset, tmp_path: Path) -> Dataset:
    """Clip 2 has no words, clip 4 no audio; frames of clips 1 and 3 were not measured, of clip 3 all of them."""
    folder = tmp_path / "data"
    shutil.copytree(planted.path, folder)
    table = pd.read_parquet(folder / "samples.parquet")
    table.loc[2, "text"], table.loc[4, "audio_length"] = "", 0
    table.to_parquet(folder / "samples.parquet", index=False)
    frames = np.load(folder / "audio.npy")
    start = table["audio_offset"]
    frames[start[1] : start[1] + 2] = np.nan
    frames[start[3] : start[3] + table["audio_length"][3]] = np.nan
    np.save(folder / "audio.npy", frames)
    return selfmm.open_dataset(folder)


def settings(encoder: str) -> Settings:
    return load_settings(None, [f"text.encoder={encoder}", "text.max_tokens=12", "training.device=cpu"])


def test_words_are_the_mean_of_the_last_layer_of_transformers(planted: Dataset, tiny_encoder: str) -> None:
    pretrained, chosen = load_pretrained(tiny_encoder), settings(tiny_encoder)
    [states] = frozen_inputs(planted, {"text": planted.modalities["text"]}, chosen, pretrained)["text"]
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_encoder), AutoModel.from_pretrained(tiny_encoder).eval()
    for row in (0, 1, 77):
        ids = tokenizer(planted.samples["text"][row], truncation=True, max_length=12, return_tensors="pt")
        with torch.no_grad():
            expected = model(**ids).last_hidden_state[0].mean(dim=0)
        np.testing.assert_allclose(states[row], expected, atol=1e-5)


@pytest.mark.parametrize("packed", [True, False])
def test_padding_does_not_count(packed: bool, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_pack", lambda model: packed)
    encoder = TransformerEncoder(load_pretrained(tiny_encoder).model, finetune=False, pooling="mean").eval()
    ids = torch.tensor([[2, 7, 8, 3, 0, 0], [2, 9, 6, 5, 4, 3], [0, 0, 0, 0, 0, 0]])
    means = encoder(ids, torch.tensor([4, 6, 0]))
    torch.testing.assert_close(means[0], encoder(ids[:1, :4], torch.tensor([4]))[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(means[1], encoder(ids[1:2], torch.tensor([6]))[0], atol=1e-5, rtol=0)
    assert means.isfinite().all()  # a clip without words is read as one padding token
    assert means.shape == (3, encoder.dim)


def test_a_mean_is_not_taken_for_the_first_token_of_the_same_encoder(
    planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cached outputs tell them apart; a run whose frozen encoder pools by the mean shares the file."""
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    files = []
    for pooling in ("first", "mean"):
        overrides = ["text.max_tokens=12", "text.finetune=false", f"text.pooling={pooling}", "modalities=text"]
        chosen = load_settings(None, [f"text.encoder={tiny_encoder}", *overrides])
        encoded = assemble(planted, chosen).encode_text(planted)
        assert encoded is not None
        text = {"text": planted.modalities["text"]}
        [states] = frozen_inputs(planted, text, chosen, load_pretrained(tiny_encoder))["text"]
        assert np.array_equal(encoded.rows.numpy(), states) == (pooling == "mean")
        files.append(len([*(tmp_path / "encoded").iterdir()]))
    assert files == [2, 2]


def test_frames_are_their_mean_and_deviation(damaged: Dataset, tiny_encoder: str) -> None:
    modalities = {name: damaged.modalities[name] for name in ("audio", "vision")}
    inputs = frozen_inputs(damaged, modalities, settings(tiny_encoder), None)
    assert list(inputs) == ["audio", "vision"]
    for name, (means, deviations) in inputs.items():
        for row in (0, 5):
            frames = np.asarray(damaged.frames(name, row), dtype=np.float64)
            np.testing.assert_allclose(means[row], frames.mean(axis=0), rtol=1e-5)
            np.testing.assert_allclose(deviations[row], frames.std(axis=0), rtol=1e-4, atol=1e-5)
    means, deviations = inputs["audio"]
    measured = np.asarray(damaged.frames("audio", 1), dtype=np.float64)[2:]
    np.testing.assert_allclose(means[1], measured.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviations[1], measured.std(axis=0), rtol=1e-4, atol=1e-5)
    for part in (means, deviations):
        assert np.isnan(part[[3, 4]]).all()
        assert np.isfinite(np.delete(part, [3, 4], axis=0)).all()


def test_clips_without_words_have_no_state(damaged: Dataset, tiny_encoder: str) -> None:
    pretrained: Pretrained = load_pretrained(tiny_encoder)
    before = {name: value.clone() for name, value in pretrained.model.state_dict().items()}
    [states] = frozen_inputs(damaged, damaged.modalities, settings(tiny_encoder), pretrained)["text"]
    assert np.isnan(states[2]).all() == (damaged.lengths("text")[2] == 0)
    assert np.isfinite(np.delete(states, 2, axis=0)).all()
    assert all(torch.equal(value, before[name]) for name, value in pretrained.model.state_dict().items())
    assert all(parameter.requires_grad for parameter in pretrained.model.parameters())


def test_frames_are_centred_where_the_settings_centre_them(planted: Dataset) -> None:
    modalities = {name: planted.modalities[name] for name in ("audio", "vision")}
    plain, centred = (
        frozen_inputs(planted, modalities, load_settings(None, overrides), None)
        for overrides in ((), ("stream.audio.centre=video",))
    )
    for name, kind in (("audio", 1), ("vision", 0), ("vision", 1)):
        np.testing.assert_array_equal(centred[name][kind], plain[name][kind])
    rows = np.flatnonzero(planted.samples["video"] == planted.samples["video"][0])
    assert len(rows) >= 3
    moved = plain["audio"][0][rows] - centred["audio"][0][rows]
    np.testing.assert_allclose(moved, moved[:1].repeat(len(rows), axis=0), atol=1e-5)
    others = np.flatnonzero(planted.samples["video"] == planted.samples["video"][len(planted) - 1])
    assert not np.allclose(moved[0], (plain["audio"][0] - centred["audio"][0])[others[0]])
