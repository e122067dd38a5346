"""Encode the voice with a pretrained wav2vec2, HuBERT or WavLM."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from selfmm.core.errors import WeightsError
from selfmm.core.pretrained import load_named, load_transformer
from selfmm.features.one_thread import one_thread
from selfmm.features.streams import SOUND_RATE, Floats
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks
from selfmm.features.voice.rows import FrameMeans

_BLOCK, _CONTEXT = 10 * SOUND_RATE, SOUND_RATE  # the cost of attention is quadratic in the length


@dataclass(frozen=True)
class VoiceEncoder:
    """A pretrained encoder of sound.

    Attributes:
        model: maps sound (1, n) to an output with ``last_hidden_state`` (1, L, D).
        prepare: the transformers feature extractor that scales sound as in the training of the model.
        stride: samples from frame to frame.
        field: samples that a frame depends on.
    """

    model: Any
    prepare: Any
    stride: int
    field: int

    @property
    def dim(self) -> int:
        return int(self.model.config.hidden_size)

    def __call__(self, sound: Floats) -> Floats:
        """Return the last layer (L, D) for sound (n,). Frame i begins at sample i * ``stride``."""
        sound = np.pad(sound, (0, max(self.field - len(sound), 0)))
        inputs = self.prepare(sound, sampling_rate=SOUND_RATE, return_tensors="pt").input_values
        with one_thread():
            hidden: Floats = self.model(inputs).last_hidden_state[0].numpy()
        return hidden


@functools.lru_cache(maxsize=1)
def load_voice_encoder(name: str) -> VoiceEncoder:
    """Load an encoder with its weights.

    Args:
        name: a local folder or a hub name. Only a hub name may use the network.

    Raises:
        WeightsError: if it does not exist, cannot be reached, is stored as a pickle instead of safetensors, or does not
            encode sound.
    """
    model, prepare = load_named(
        name,
        "voice encoder",
        holds="config.json, preprocessor_config.json and model.safetensors (pickled .bin weights are refused)",
        instead="set voice.features to a local folder, or to voice",
        load=_load,
    )
    kernels, strides = (getattr(model.config, key, None) for key in ("conv_kernel", "conv_stride"))
    if not kernels or not strides:
        raise WeightsError(
            f"{name!r} is a {model.config.model_type} model, which does not read sound as wav2vec2, HuBERT and WavLM "
            "do. Name one of those, or use voice.features = voice."
        )
    if prepare.sampling_rate != SOUND_RATE:
        raise WeightsError(f"{name!r} reads {prepare.sampling_rate} samples per second; sound here has {SOUND_RATE}.")
    jumps = [math.prod(strides[:layer]) for layer in range(len(strides))]
    field = 1 + sum((kernel - 1) * jump for kernel, jump in zip(kernels, jumps, strict=True))
    return VoiceEncoder(model, prepare, math.prod(strides), field)


class EncodedVoice(BlockAnalyser):
    """Averages the last hidden layer of an encoder, which analysers may share, over rows, ``rate`` per second.

    The sound is encoded in blocks of about 10 s with 1 s of context on either side, so memory does not grow. If the
    encoder normalises sound, it does so per block. A clip of T seconds has ceil(T * ``rate``) rows. A row between two
    frames of the encoder (usually 50 per second) takes the nearer one.
    """

    def __init__(self, encoder: VoiceEncoder, rate: float) -> None:
        stride = encoder.stride
        # Whole strides: the frames of all blocks must be on one grid.
        self._context = -(-max(_CONTEXT, encoder.field) // stride) * stride
        self._size = max(_BLOCK // stride, 1) * stride
        columns = tuple(f"hidden_{number + 1}" for number in range(encoder.dim))
        super().__init__(columns, rate, SoundBlocks(self._size, before=self._context, after=self._context))
        self._encoder = encoder
        self._means = FrameMeans(self._rows, stride / SOUND_RATE, encoder.field / 2 / SOUND_RATE)

    def _work(self, block: Block) -> None:
        # Without the zeros around the clip, which the encoder would treat as sound.
        hidden = self._encoder(block.sound[block.first : block.last])
        first = (self._context - block.first) // self._encoder.stride
        hidden = hidden[first : first + self._size // self._encoder.stride]
        if not np.isfinite(hidden).all():
            raise WeightsError("the voice encoder gives values that are not finite: its weights are damaged.")
        self._means.add(hidden)

    def _close(self) -> None:
        self._means.finish(self._blocks.samples)


def _load(place: str, local: bool) -> tuple[Any, Any]:
    from transformers import Wav2Vec2FeatureExtractor

    model = load_transformer(place, local)
    return model.eval(), Wav2Vec2FeatureExtractor.from_pretrained(place, local_files_only=local)
