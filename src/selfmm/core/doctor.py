"""What selfmm can do on this machine, and what to install for the rest. Looks at files and versions; loads no model."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from selfmm.core.errors import WeightsError
from selfmm.core.machine import cores
from selfmm.core.messages import first_line

CORE = (
    *("accelerate", "filelock", "jinja2", "numpy", "pandas", "psutil", "pyarrow", "pydantic"),
    *("rich", "safetensors", "tomli-w", "torch", "transformers", "typer"),
)
EXTRAS = {
    "app": ("python-multipart", "starlette", "uvicorn"),
    "video": ("av", "faster-whisper", "joblib", "mediapipe", "pysubs2"),
    "report": ("matplotlib",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "experiments": ("optuna", "scikit-learn"),
    "excel": ("openpyxl",),
    "ray": ("ray",),
    "dask": ("distributed",),
}
"""Packages by the extra of selfmm that installs them."""

_MODULES = {"scikit-learn": "sklearn"}  # modules that are not named like their package

DECODERS = {
    "H.264": "h264",
    "HEVC": "hevc",
    "VP9": "vp9",
    "AV1": "libdav1d",  # FFmpeg's own decoder needs a graphics card
    "AAC": "aac",
    "MP3": "mp3",
    "Opus": "opus",
}
"""Formats that phones, cameras and the web use, with the names of their decoders in FFmpeg."""


@dataclass(frozen=True)
class Package:
    """A required or optional package. ``version`` is None if it is not installed, ``problem`` empty if all is well."""

    name: str
    version: str | None
    problem: str


@dataclass(frozen=True)
class OfflineWeights:
    """Weights of ``selfmm weights``, with their folder; None if they are missing or altered."""

    name: str
    about: str
    path: str | None
    problem: str


@dataclass(frozen=True)
class Job:
    """Something that selfmm can do.

    Attributes:
        name: a short description.
        missing: what it lacks; empty if it works.
        commands: how to install what is missing.
    """

    name: str
    missing: tuple[str, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What is on this machine.

    Attributes:
        selfmm, python, system: versions.
        threads: number of CPU threads that this process may use.
        gpu: its name, or why it is not used.
        cache: folder of weights and results.
        packages, weights, jobs: see `Package`, `OfflineWeights` and `Job`. The first job is training.
        decoders: whether each format of ``DECODERS`` can be read; empty without PyAV.
    """

    selfmm: str
    python: str
    system: str
    threads: int
    gpu: str
    cache: str
    packages: tuple[Package, ...]
    weights: tuple[OfflineWeights, ...]
    decoders: dict[str, bool]
    jobs: tuple[Job, ...]

    @property
    def healthy(self) -> bool:
        """Whether training works."""
        return not self.jobs[0].missing

    def to_json(self) -> str:
        return json.dumps({"healthy": self.healthy, **asdict(self)}, indent=2, ensure_ascii=False)


def examine() -> Diagnosis:
    """Return what is on this machine. It never fails, whatever is broken."""
    from selfmm.core.version import __version__
    from selfmm.core.weights import cache_folder

    packages = {name: _package(name) for name in (*CORE, *(name for names in EXTRAS.values() for name in names))}
    decoders: dict[str, bool] = {}
    if not packages["av"].problem:
        packages["av"], decoders = _decoders(packages["av"])
    weights = offline_weights()
    return Diagnosis(
        selfmm=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        threads=cores(),
        gpu=_gpu(),
        cache=str(cache_folder()),
        packages=tuple(packages.values()),
        weights=tuple(weights.values()),
        decoders=decoders,
        jobs=tuple(_jobs(packages, weights, decoders)),
    )


def _package(name: str) -> Package:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Package(name, None, "not installed")
    except Exception as error:  # metadata can be damaged in any way
        return Package(name, None, f"damaged: {error}")
    module = _MODULES.get(name, name.replace("-", "_"))
    try:
        has_files = importlib.util.find_spec(module) is not None
    except Exception:  # its parent or its spec is damaged
        has_files = False
    if not version or not has_files:
        return Package(name, version, "damaged: its files are missing")
    return Package(name, version, _too_old(name, version))


def _too_old(name: str, version: str) -> str:
    """Return the requirement of selfmm that this version does not meet; empty if it meets all."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in importlib.metadata.requires("selfmm") or ()]
    except Exception:  # run from a source tree that is not installed
        return ""
    for requirement in requirements:
        if requirement.name == name and not requirement.specifier.contains(version, prereleases=True):
            return f"needs {requirement.specifier}"
    return ""


def _decoders(av: Package) -> tuple[Package, dict[str, bool]]:
    try:
        codec = importlib.import_module("av.codec").Codec
    except Exception as error:  # for example a system library of another version
        return Package(av.name, av.version, f"damaged: {first_line(error)}"), {}
    decoders = {}
    for name, decoder in DECODERS.items():
        try:
            decoders[name] = codec(decoder, "r") is not None
        except Exception:  # the FFmpeg inside was built without it
            decoders[name] = False
    return av, decoders


def offline_weights() -> dict[str, OfflineWeights]:
    """Return the weights of ``selfmm weights`` by name, and where they are on this machine."""
    from selfmm.core.weights import KNOWN, find, locate

    weights = {}
    for name, known in KNOWN.items():
        try:
            folder = str(locate(name)) if find(name) else None
            problem = "" if folder else f"not on this machine; fetch them with: selfmm weights get {name}"
        except (WeightsError, OSError, ValueError) as error:
            folder, problem = None, str(error)
        weights[name] = OfflineWeights(name, known.about, folder, problem)
    return weights


def _gpu() -> str:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple (mps)"
    names = _nvidia()
    if not names:
        return "none"
    if not _torch_knows_gpus():
        return f"{', '.join(names)}, but the installed torch uses the CPU only (see pytorch.org for another build)"
    return ", ".join(names)


def _nvidia() -> list[str]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        query = [command, "--query-gpu=name", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def _torch_knows_gpus() -> bool:
    """Read from torch's version file how it was built: importing it would take seconds."""
    try:
        spec = importlib.util.find_spec("torch")
        text = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8") if spec and spec.origin else ""
    except (OSError, ValueError):
        return False
    return re.search(r"^(?:cuda|hip)\b.*= *'", text, re.MULTILINE) is not None


def _jobs(packages: dict[str, Package], weights: dict[str, OfflineWeights], decoders: dict[str, bool]) -> Iterator[Job]:
    def job(name: str, extra: str, needs: Sequence[str], *choices: tuple[str, ...]) -> Job:
        """Return a job that needs the packages ``needs`` and, from each of ``choices``, one of the weights."""
        missing = [f"{package} ({packages[package].problem})" for package in needs if packages[package].problem]
        damaged = [package for package in needs if packages[package].problem.startswith("damaged")]
        commands = [f"pip install --force-reinstall --no-deps {' '.join(damaged)}"] if damaged else []
        if len(missing) > len(damaged):
            commands.append(f"pip install --upgrade 'selfmm{f'[{extra}]' if extra else ''}'")
        for choice in choices:
            if not any(weights[name].path for name in choice):
                missing.append(f"weights {' or '.join(choice)}")
                commands.append(f"selfmm weights get {choice[0]}")
        if "av" in needs and decoders and not (decoders["H.264"] and decoders["AAC"]):
            missing.append("decoders of H.264 and AAC")
            commands.append("pip install --force-reinstall --only-binary av av")
        return Job(name, tuple(missing), tuple(commands))

    yield job("train, evaluate and predict from features", "", CORE)
    yield job("English text encoder without a model hub", "", (), ("minilm", "mpnet"))
    yield job("text encoder for 100 languages without a model hub", "", (), ("e5",))
    recognition = ("av", "joblib", "faster-whisper")
    yield job("extract words from English speech", "video", recognition, ("tiny.en", "base"))
    yield job("extract words from speech in 99 languages", "video", recognition, ("base",))
    yield job("extract the voice", "video", recognition)
    yield job("extract the face", "video", ("av", "joblib", "faster-whisper", "mediapipe"), ("face",))
    yield job("extract words from subtitles", "video", ("av", "joblib", "faster-whisper", "pysubs2"))
    everything = ("av", "joblib", "faster-whisper", "mediapipe")
    yield job("predict from a video", "video", everything, ("tiny.en", "base"), ("face",), ("e5", "minilm"))
    yield job("extract --backend ray", "ray", ("ray",))
    yield job("extract --backend dask", "dask", ("distributed",))
    yield job("app and serve", "app", EXTRAS["app"])
    yield job("report", "report", EXTRAS["report"])
    yield job("export", "onnx", EXTRAS["onnx"])
    yield job("compare", "experiments", ("scikit-learn",))
    yield job("tune", "experiments", EXTRAS["experiments"])
