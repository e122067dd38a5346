"""Data with MOSI's sizes and text encoders with BERT's, generated from a seed, to measure speed on.

Speed does not depend on what words mean or what weights are, so no real data are needed. Only the offline text encoder
is downloaded; the words come from its vocabulary.
"""

from __future__ import annotations

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from selfmm.core.folders import atomic_folder
from selfmm.core.weights import get
from selfmm.data.importing import import_dataset
from selfmm.data.store import Dataset, open_dataset

Array = npt.NDArray[np.float64]
Lengths = npt.NDArray[np.int64]
Encoder = Literal["base", "minilm"]

ENCODERS: tuple[Encoder, ...] = ("base", "minilm")
SPLITS = {"train": 1284, "valid": 229, "test": 686}
"""Clips of CMU-MOSI, as MMSA splits them."""
TOKENS, AUDIO_FRAMES, VISION_FRAMES = 50, 375, 500
"""Lengths to which MMSA's unaligned_50.pkl pads the three modalities."""
AUDIO_DIM, VISION_DIM = 5, 20
_MEAN_TOKENS, _SPREAD = 14.6, 0.59  # MOSI: quartiles 9, 13 and 20 tokens, some at 50; a log-normal has the same
_WORDS_PER_SECOND, _PACE = 3.0, 0.2  # 12.6 words in clips of 4.2 s; the speakers' pace differs
_AUDIO_RATE, _VISION_RATE = 12.5, 15.0  # frames a second of the unaligned features (MulT, Tsai et al. 2019)


@dataclass(frozen=True)
class Shape:
    """How much data to make.

    Attributes:
        clips: clips of the training split; the other splits are in MOSI's proportion.
        tokens: None for MOSI's distribution of lengths; a number is the number of tokens of every clip, including
            special ones, with frames in the proportion of 50 tokens to 375 and 500 frames.
        seed: determines everything random.
    """

    clips: int = SPLITS["train"]
    tokens: int | None = None
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.clips}-{'spread' if self.tokens is None else self.tokens}-{self.seed}"

    def sizes(self) -> dict[str, int]:
        return {split: max(2, round(size * self.clips / SPLITS["train"])) for split, size in SPLITS.items()}


@dataclass(frozen=True)
class Made:
    """One data set in two forms: MMSA's pickle, and our folder imported from it."""

    pickle: Path
    dataset: Dataset


def make_data(shape: Shape, cache: Path) -> Made:
    """Return the data set of this shape; make it in ``cache`` if it is missing."""
    folder = cache / "data" / shape.name
    if not folder.is_dir():
        with atomic_folder(folder, marker="unaligned_50.pkl") as path:
            with (path / "unaligned_50.pkl").open("wb") as file:
                pickle.dump(field_columns(shape, _tokenizer(cache)), file, protocol=4)
            import_dataset(path / "unaligned_50.pkl", path / "dataset", name=f"synthetic-{shape.name}")
    return Made(folder / "unaligned_50.pkl", open_dataset(folder / "dataset"))


def make_encoder(name: Encoder, cache: Path) -> Path:
    """Return the folder of a text encoder that transformers can load.

    ``minilm`` is the offline one, with 6 layers of 384. ``base`` is BERT-base, 12 layers of 768, with random weights
    and minilm's tokenizer: both use the vocabulary of bert-base-uncased.
    """
    if name == "minilm":
        return get("minilm")
    folder = cache / "encoders" / name
    if not folder.is_dir():
        from transformers import BertConfig, BertModel

        with atomic_folder(folder, marker="config.json") as path:
            shutil.copytree(_tokenizer(cache), path, dirs_exist_ok=True)
            torch.manual_seed(0)
            BertModel(BertConfig()).save_pretrained(path)
    return folder


def _tokenizer(cache: Path) -> Path:
    """Return the folder of minilm's tokenizer alone. Unlike the weights it is small, so it can be copied elsewhere."""
    folder = cache / "encoders" / "tokenizer"
    if not folder.is_dir():
        with atomic_folder(folder, marker="tokenizer.json") as path:
            for file in get("minilm").iterdir():
                if file.name.startswith(("tokenizer", "vocab", "special_tokens")):
                    shutil.copy(file, path)
    return folder


def field_columns(shape: Shape, tokenizer_folder: Path) -> dict[str, dict[str, Any]]:
    """Contents of MMSA's unaligned_50.pkl, split by split, without the word features that Self-MM does not read."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder, local_files_only=True)
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isascii() and word.isalpha() and len(word) > 1]
    return {
        split: _split(split, size, shape, tokenizer, words, np.random.default_rng([shape.seed, number]))
        for number, (split, size) in enumerate(shape.sizes().items())
    }


def _split(
    split: str, size: int, shape: Shape, tokenizer: Any, words: list[str], rng: np.random.Generator
) -> dict[str, Any]:
    tokens, audio, vision = lengths(size, shape.tokens, rng)
    texts = [" ".join(rng.choice(words, length - 2)) for length in tokens]
    encoded = tokenizer(texts, padding="max_length", truncation=True, max_length=TOKENS)
    labels = np.round(np.clip(rng.normal(0, 1.6, size), -3, 3) * 5) / 5
    signs = np.sign(labels).astype(np.int64)
    return {
        "raw_text": np.array(texts, dtype=object),
        "id": np.array([f"{split}{clip // 14:03d}$_${clip % 14}" for clip in range(size)], dtype=object),
        "text_bert": np.stack(
            [np.asarray(encoded[key], dtype=np.float64) for key in ("input_ids", "attention_mask", "token_type_ids")], 1
        ),
        "audio": _padded(audio, AUDIO_FRAMES, AUDIO_DIM, rng),
        "vision": _padded(vision, VISION_FRAMES, VISION_DIM, rng),
        "audio_lengths": audio.tolist(),
        "vision_lengths": vision.tolist(),
        "annotations": np.array(["Negative", "Neutral", "Positive"], dtype=object)[signs + 1],
        "classification_labels": signs + 1,
        "regression_labels": labels.astype(np.float32),
    }


def lengths(size: int, tokens: int | None, rng: np.random.Generator) -> tuple[Lengths, Lengths, Lengths]:
    """Real tokens (including special ones), audio frames and vision frames of each clip, three arrays of (size,)."""
    if tokens is not None:
        audio, vision = (round(tokens * frames / TOKENS) for frames in (AUDIO_FRAMES, VISION_FRAMES))
        return np.full(size, tokens), np.full(size, audio), np.full(size, vision)
    # Quantiles in random order instead of random draws: few clips then have the same spread as many.
    positions = (rng.permutation(size) + 0.5) / size
    median = _MEAN_TOKENS / np.exp(_SPREAD**2 / 2)
    normal = np.array([NormalDist().inv_cdf(position) for position in positions])
    said = np.clip(np.rint(median * np.exp(_SPREAD * normal)), 3, TOKENS).astype(np.int64)
    seconds = (said - 2) / _WORDS_PER_SECOND * np.exp(_PACE * rng.normal(size=size))
    return said, _frames(seconds * _AUDIO_RATE, AUDIO_FRAMES), _frames(seconds * _VISION_RATE, VISION_FRAMES)


def _frames(count: Array, longest: int) -> Lengths:
    return np.clip(np.rint(count), 1, longest).astype(np.int64)


def _padded(real: Lengths, longest: int, dim: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Noise of variance 1 with zeros at the end, (clips, longest, dim)."""
    values = rng.standard_normal((len(real), longest, dim), dtype=np.float32)
    values[np.arange(longest) >= real[:, None]] = 0
    return values
