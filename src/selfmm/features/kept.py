"""The cache of extracted clips. A file is named by a checksum of everything that the features depend on.

A file holds one clip: its tracks as tensors, everything else as JSON in the header, and a checksum of both to detect
damage. The format is safetensors, which cannot hold code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.config.recipe import Recipe
from selfmm.core.files import atomic_file
from selfmm.core.weights import KNOWN, cache_folder
from selfmm.features.analysis import Features
from selfmm.features.clips.clip import Clip
from selfmm.features.extraction import ClipFeatures, given_words
from selfmm.features.streams import Track, Transcript
from selfmm.features.words.foreign import DETECTOR, checks_language

Array = npt.NDArray[Any]

_FORMAT = "2"  # 2: opposite channels and mirrored pictures are read as players show them
_PACKAGES = (
    *("av", "faster-whisper", "ctranslate2", "onnxruntime", "mediapipe", "numpy"),
    *("torch", "transformers", "opensmile"),
)


def features_folder() -> Path:
    """Return the folder ``features`` in the cache folder, which may be deleted at any time."""
    return cache_folder() / "features"


def name_of(clip: Clip, recipe: Recipe) -> Path:
    """Return the path of a clip within the cache folder.

    It is a checksum of the recording's content, the span, the given words, the recipe, its weights and the versions of
    the packages. The id and the label of the clip do not matter.

    Raises:
        SourceError: if its subtitles cannot be read.
        OSError: if its recording cannot be read.
    """
    given = given_words(clip)
    content = {
        "format": _FORMAT,
        "file": _content(clip.path),
        "span": [clip.start, clip.end],
        "given": None if given is None else given.to_json(),
        "recipe": recipe.model_dump(mode="json"),
        "weights": weights_used(recipe),
        "versions": versions(),
    }
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return Path(checksum[:2]) / f"{checksum}.safetensors"


@cache
def versions() -> dict[str, str]:
    """Return the versions of the installed packages that features depend on."""
    installed = {}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def weights_used(recipe: Recipe) -> dict[str, str]:
    """Return the checksum of each model that a recipe names, or the name of a hub model."""
    named = {"recogniser": recipe.speech.recogniser} if recipe.may_recognise else {}
    named |= {"language": DETECTOR} if "text" in recipe.parts and checks_language(recipe.speech) else {}
    named |= {"voice": recipe.voice.features} if "audio" in recipe.parts else {}
    named |= {"face": "face", "image": recipe.face.features} if "vision" in recipe.parts else {}
    return {part: _weights(name) for part, name in named.items()}


def _weights(name: str) -> str:
    if name in KNOWN:
        return next(iter(KNOWN[name].files.values()))  # the model comes first
    folder = Path(name).expanduser()
    if folder.is_dir():
        files = sorted(file for file in folder.iterdir() if file.is_file())
        return hashlib.sha256("".join(f"{file.name} {_content(file)}\n" for file in files).encode()).hexdigest()
    return name


def _content(path: Path) -> str:
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Return the SHA-256 of a file. An unchanged file (by ``size`` and ``changed``) is read once per process."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def store(path: Path, clip: ClipFeatures) -> None:
    """Write an extracted clip, atomically.

    Raises:
        OutputError: if it cannot be written.
    """
    from safetensors.numpy import save

    features = clip.features
    header = {
        "span": [features.start, features.end],
        "transcript": features.transcript.to_json(),
        "tracks": {name: [list(track.columns), track.rate, track.start] for name, track in features.tracks.items()},
        "sound": None if features.sound is None else asdict(features.sound),
        "speech": features.speech,
        "face": None if features.face is None else asdict(features.face),
        "problems": list(clip.problems),
    }
    tensors = {name: np.ascontiguousarray(track.values) for name, track in features.tracks.items()}
    tensors["none"] = np.zeros(1, np.float32)  # safetensors cannot write a file without tensors
    content = json.dumps(header)
    metadata = {"selfmm": json.dumps({"content": content, "checksum": _checksum(content, tensors)})}
    with atomic_file(path) as temporary:
        temporary.write_bytes(save(tensors, metadata))  # its save_file reports a full disk differently


def load(path: Path, stream: str | None = None) -> ClipFeatures | None:
    """Return the clip in a cached file; None if the file is missing or damaged.

    Args:
        path: the file.
        stream: read only this track, without the checksum; for a file that was already loaded as a whole.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads(file.metadata()["selfmm"])
            names = list(file.keys()) if stream is None else [stream]
            tensors = {name: file.get_tensor(name) for name in names}
        if stream is None and header["checksum"] != _checksum(header["content"], tensors):
            return None
        return _read(json.loads(header["content"]), tensors)
    except (OSError, SafetensorError, ValueError, LookupError, TypeError):
        return None  # a damaged cache costs only time


def _checksum(content: str, tensors: Mapping[str, Array]) -> str:
    checksum = hashlib.sha256(content.encode())
    for name in sorted(tensors):
        checksum.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        checksum.update(np.ascontiguousarray(tensors[name]).data)
    return checksum.hexdigest()


def _read(header: dict[str, Any], tensors: Mapping[str, Array]) -> ClipFeatures:
    from selfmm.features.face.analyser import FaceFigures
    from selfmm.features.voice.loudness import SoundFigures

    start, end = header["span"]
    tracks = {
        name: Track(tuple(columns), tensors[name], rate, at)
        for name, (columns, rate, at) in header["tracks"].items()
        if name in tensors
    }
    features = Features(
        start=start,
        end=end,
        transcript=Transcript.from_json(header["transcript"]),
        tracks=tracks,
        sound=None if header["sound"] is None else SoundFigures(**header["sound"]),
        speech=header["speech"],
        face=None if header["face"] is None else FaceFigures(**header["face"]),
    )
    return ClipFeatures(features, tuple(header["problems"]))
