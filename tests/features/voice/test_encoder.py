"""Voices through a pretrained encoder: a tiny wav2vec2 with random weights."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from features.sounds import feed, voiced_sound
from selfmm.config.recipe import VoiceSettings
from selfmm.core.errors import WeightsError
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice.analyser import voice_analyser
from selfmm.features.voice.encoder import EncodedVoice, load_voice_encoder

STRIDE, FIELD = 320, 400


@pytest.fixture(scope="module")
def tiny_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a wav2vec2 of one layer and 16 dimensions with the strides of the real ones."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    folder = tmp_path_factory.mktemp("tiny_voice")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8, 8, 8, 8, 8, 8, 8),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def sound(seconds: float) -> Floats:
    time = np.arange(int(seconds * SOUND_RATE)) / SOUND_RATE
    return voiced_sound(150 * 2 ** (0.3 * np.sin(2 * np.pi * 0.4 * time)), snr=20)


def encoded(folder: Path, heard: Floats) -> Floats:
    """Straight through transformers, without any code of ours."""
    from transformers import Wav2Vec2Model

    model = Wav2Vec2Model.from_pretrained(folder).eval()
    scaled = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    with torch.no_grad():
        hidden: Floats = model(torch.from_numpy(scaled)[None]).last_hidden_state[0].numpy()
    return hidden


@pytest.mark.slow
@pytest.mark.parametrize("rate", [5.0, 20.0, 49.0, 80.0])
def test_rows_are_means_of_the_frames_in_their_time(tiny_voice: Path, rate: float) -> None:
    heard = sound(4.03)
    track = feed(voice_analyser(VoiceSettings(features=str(tiny_voice), rate=rate)), heard).track(0, 9)
    frames = encoded(tiny_voice, heard)
    assert track.columns == tuple(f"hidden_{i + 1}" for i in range(16))
    assert len(track.values) == math.ceil(4.03 * rate)
    middles = (np.arange(len(frames)) * STRIDE + FIELD / 2) / SOUND_RATE
    for row, values in enumerate(track.values):
        inside = (row / rate <= middles + 1e-9) & (middles + 1e-9 < (row + 1) / rate)
        if not inside.any():
            inside = np.arange(len(frames)) == np.abs(middles - (row + 0.5) / rate).argmin()
        np.testing.assert_allclose(values, frames[inside].mean(axis=0), atol=1e-4)


@pytest.mark.slow
def test_long_sound_is_encoded_in_blocks_with_context(tiny_voice: Path) -> None:
    heard = sound(25)
    track = feed(voice_analyser(VoiceSettings(features=str(tiny_voice), rate=50)), heard).track(0, 25)
    second = encoded(tiny_voice, heard[9 * SOUND_RATE : 21 * SOUND_RATE])
    last = encoded(tiny_voice, heard[19 * SOUND_RATE :])
    # Rows of .02 s are the frames, whose middles lie .0125 s after their beginnings.
    np.testing.assert_allclose(track.values[500:1000], second[50:550], atol=1e-4)
    np.testing.assert_allclose(track.values[1000 : 1000 + len(last) - 50], last[50:], atol=1e-4)
    assert len(track.values) == 1250


def test_chunks_threads_and_other_clips_change_nothing(tiny_voice: Path) -> None:
    settings = VoiceSettings(features=str(tiny_voice))
    heard = sound(12)
    whole = feed(voice_analyser(settings), heard, [len(heard)]).track(0, 12).values
    feed(voice_analyser(settings), heard[::-1].copy())
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        parts = feed(voice_analyser(settings), heard, [1, 7777, 1600]).track(0, 12).values
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("length", [1, 399, 800, 160001])
def test_short_and_silent_sound_gives_finite_rows(tiny_voice: Path, length: int) -> None:
    track = feed(voice_analyser(VoiceSettings(features=str(tiny_voice))), np.zeros(length)).track(0, 99)
    assert len(track.values) == math.ceil(length / 800)
    assert np.isfinite(track.values).all()


def test_no_sound_gives_no_rows(tiny_voice: Path) -> None:
    assert feed(voice_analyser(VoiceSettings(features=str(tiny_voice))), np.zeros(0)).track(0, 1).values.shape == (
        0,
        16,
    )


def test_the_model_is_loaded_once(tiny_voice: Path) -> None:
    assert load_voice_encoder(str(tiny_voice)) is load_voice_encoder(str(tiny_voice))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        voice_analyser(VoiceSettings(features=str(tmp_path / "none")))


def test_pickled_weights_are_refused(tiny_voice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_voice, folder)
    (folder / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(1)}, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pickled \.bin weights are refused"):
        voice_analyser(VoiceSettings(features=str(folder)))


def test_an_encoder_of_text_is_refused(tiny_encoder: str, tiny_voice: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json"):
        voice_analyser(VoiceSettings(features=tiny_encoder))
    folder = tmp_path / "text"
    shutil.copytree(tiny_encoder, folder)
    shutil.copy(tiny_voice / "preprocessor_config.json", folder)
    with pytest.raises(WeightsError, match="bert model, which does not read sound"):
        voice_analyser(VoiceSettings(features=str(folder)))


def test_another_sampling_rate_is_refused(tiny_voice: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    shutil.copytree(tiny_voice, folder)
    config = folder / "preprocessor_config.json"
    config.write_text(config.read_text().replace("16000", "8000"))
    with pytest.raises(WeightsError, match="reads 8000 samples per second"):
        voice_analyser(VoiceSettings(features=str(folder)))


def test_damaged_weights_are_told(tiny_voice: Path) -> None:
    encoder = load_voice_encoder(str(tiny_voice))
    damaged = torch.nn.utils.parameters_to_vector(encoder.model.encoder.layer_norm.parameters()).clone()
    with torch.no_grad():
        encoder.model.encoder.layer_norm.weight.fill_(math.nan)
    try:
        with pytest.raises(WeightsError, match="not finite"):
            feed(EncodedVoice(encoder, 20), sound(1))
    finally:
        torch.nn.utils.vector_to_parameters(damaged, encoder.model.encoder.layer_norm.parameters())
