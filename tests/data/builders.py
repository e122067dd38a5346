"""Small sources in the layouts of MMSA, for tests."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"train": 4, "valid": 2, "test": 3}


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def mmsa_split(split: str, n: int, *, audio: int = 5, vision: int = 4) -> dict[str, Any]:
    """One split as MMSA writes it, unaligned: clip i has 1 + i % L frames, and padding at the end."""
    rng = np.random.default_rng(n)
    sound, face = rng.normal(size=(n, audio, 3)).astype("f4"), rng.normal(size=(n, vision, 2))
    sound_lengths, face_lengths = [1 + i % audio for i in range(n)], [1 + i % vision for i in range(n)]
    bert = np.zeros((n, 3, 6))
    for i in range(n):
        sound[i, sound_lengths[i] :] = 0
        face[i, face_lengths[i] :] = 0
        bert[i, 0, : 2 + i], bert[i, 1, : 2 + i] = range(101, 103 + i), 1
    return {
        "raw_text": objects([f"words {i}" for i in range(n)]),
        "text_bert": bert,
        "text": rng.normal(size=(n, 6, 7)).astype("f4"),
        "audio": sound,
        "vision": face,
        "audio_lengths": sound_lengths,
        "vision_lengths": np.array(face_lengths),
        "id": objects([f"{split}video$_${i}" for i in range(n)]),
        "regression_labels": np.linspace(-2.5, 2.5, n).astype("f4"),
        "annotations": objects(["Positive"] * n),
        "classification_labels": np.zeros(n),
    }


def mmsa_data() -> dict[str, dict[str, Any]]:
    return {split: mmsa_split(split, n) for split, n in SIZES.items()}


def savez(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def save(path: Path, content: object, protocol: int = 4) -> Path:
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path
