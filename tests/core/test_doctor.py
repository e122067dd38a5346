"""The doctor: it names what is missing and the command that brings it, and never falls ill itself."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.command_line import selfmm
from selfmm.core import doctor, weights
from selfmm.core.doctor import Diagnosis, Job, examine


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Diagnosis]:
    """Examine a machine that has everything except what is given: versions by package, None if it is missing."""

    def examined(codecs: Any = lambda name, mode: name, requires: tuple[str, ...] = (), **versions: Any) -> Diagnosis:
        def version(name: str) -> Any:
            found = versions.get(name.replace("-", "_"), "99")
            if isinstance(found, Exception):
                raise found
            if found is None:
                raise importlib.metadata.PackageNotFoundError(name)
            return found

        monkeypatch.setattr(importlib.metadata, "version", version)
        monkeypatch.setattr(importlib.metadata, "requires", lambda name: list(requires))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in weights_modules else name)
        monkeypatch.setitem(sys.modules, "av", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "av.codec", SimpleNamespace(Codec=codecs))
        monkeypatch.setattr(doctor, "_gpu", lambda: "none")
        return examine()

    weights_modules = {entry.folder.split("/")[0] for entry in weights.KNOWN.values()}
    return examined


def job(diagnosis: Diagnosis, name: str) -> Job:
    [found] = [job for job in diagnosis.jobs if job.name.startswith(name)]
    return found


def problem(diagnosis: Diagnosis, name: str) -> str:
    [found] = [package for package in diagnosis.packages if package.name == name]
    return found.problem


def test_the_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {requirement.split(">")[0] for requirement in requirements}

    assert set(doctor.CORE) == names(project["dependencies"])
    for extra, packages in doctor.EXTRAS.items():
        assert set(packages) == names(project["optional-dependencies"][extra]) - {"torch"}


def test_a_whole_machine_lacks_only_weights(machine: Callable[..., Diagnosis]) -> None:
    diagnosis = machine()
    assert diagnosis.healthy
    assert all(not package.problem for package in diagnosis.packages)
    assert all(diagnosis.decoders.values())
    lacks = ("tiny.en", "face", "e5")
    assert job(diagnosis, "predict from a video").commands == tuple(f"selfmm weights get {name}" for name in lacks)
    assert job(diagnosis, "English text encoder").commands == ("selfmm weights get minilm",)
    assert job(diagnosis, "extract words from English").commands == ("selfmm weights get tiny.en",)
    assert job(diagnosis, "extract words from speech in 99 languages").commands == ("selfmm weights get base",)
    for name in ("extract the voice", "report", "export", "extract --backend ray", "extract --backend dask", "tune"):
        assert job(diagnosis, name) == Job(job(diagnosis, name).name, (), ())


@pytest.mark.parametrize(
    ("package", "name", "command"),
    [
        ("av", "extract the voice", "pip install --upgrade 'selfmm[video]'"),
        ("mediapipe", "extract the face", "pip install --upgrade 'selfmm[video]'"),
        ("faster_whisper", "extract words from English speech", "pip install --upgrade 'selfmm[video]'"),
        ("pysubs2", "extract words from subtitles", "pip install --upgrade 'selfmm[video]'"),
        ("matplotlib", "report", "pip install --upgrade 'selfmm[report]'"),
        ("onnxscript", "export", "pip install --upgrade 'selfmm[onnx]'"),
        ("scikit_learn", "tune", "pip install --upgrade 'selfmm[experiments]'"),
        ("ray", "extract --backend ray", "pip install --upgrade 'selfmm[ray]'"),
        ("distributed", "extract --backend dask", "pip install --upgrade 'selfmm[dask]'"),
        ("transformers", "train", "pip install --upgrade 'selfmm'"),
    ],
)
def test_what_is_absent_is_named_with_its_command(
    machine: Callable[..., Diagnosis], package: str, name: str, command: str
) -> None:
    diagnosis = machine(**{package: None})
    found = job(diagnosis, name)
    assert found.missing[0] == f"{package.replace('_', '-')} (not installed)"
    assert found.commands[0] == command
    assert diagnosis.healthy == (name != "train")


@pytest.mark.parametrize("version", ["", ValueError("bad metadata")])
def test_a_damaged_package_is_told(machine: Callable[..., Diagnosis], version: Any) -> None:
    diagnosis = machine(mediapipe=version, av=None)
    assert problem(diagnosis, "mediapipe").startswith("damaged")
    commands = job(diagnosis, "extract the face").commands[:2]
    assert commands == ("pip install --force-reinstall --no-deps mediapipe", "pip install --upgrade 'selfmm[video]'")


def test_a_package_whose_files_are_gone_is_told(
    machine: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine()

    def find_spec(name: str) -> object:
        if name == "ray":
            raise ValueError("ray.__spec__ is None")
        return None if name == "joblib" else name

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(doctor, "offline_weights", dict)
    monkeypatch.setattr(doctor, "_jobs", lambda *_: ())
    diagnosis = examine()
    assert problem(diagnosis, "ray") == problem(diagnosis, "joblib") == "damaged: its files are missing"


def test_another_version_than_is_needed_is_told(machine: Callable[..., Diagnosis]) -> None:
    needs = ("av>=14; extra == 'video'", "mediapipe<0.11,>=0.10.35; extra == 'video'")
    diagnosis = machine(requires=needs, av="12.1", mediapipe="0.10.35")
    assert problem(diagnosis, "av") == "needs >=14"
    assert problem(diagnosis, "mediapipe") == ""
    assert "av (needs >=14)" in job(diagnosis, "extract the voice").missing
    assert problem(machine(requires=needs, mediapipe="1.0"), "mediapipe") == "needs <0.11,>=0.10.35"


def test_a_decoder_that_is_not_built_in_is_told(machine: Callable[..., Diagnosis]) -> None:
    def codec(name: str, mode: str) -> str:
        if name in ("h264", "opus"):
            raise ValueError(name)
        return name

    diagnosis = machine(codecs=codec)
    assert [name for name, there in diagnosis.decoders.items() if not there] == ["H.264", "Opus"]
    assert job(diagnosis, "extract the voice").commands == ("pip install --force-reinstall --only-binary av av",)


def test_a_library_that_cannot_be_loaded_is_told(
    machine: Callable[..., Diagnosis], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> Any:
        raise ImportError("libavcodec.so: undefined symbol\nmore")

    monkeypatch.setattr(importlib, "import_module", fails)
    diagnosis = machine()
    assert problem(diagnosis, "av") == "damaged: libavcodec.so: undefined symbol"
    assert diagnosis.decoders == {}


def test_altered_weights_are_told(machine: Callable[..., Diagnosis], empty_cache: Path) -> None:
    folder = empty_cache / "weights" / "face"
    folder.mkdir(parents=True)
    (folder / "face_landmarker_v2.task").write_bytes(b"other")
    [face] = [weights for weights in machine().weights if weights.name == "face"]
    assert face.path is None
    assert "is not the upstream model" in face.problem


@pytest.mark.parametrize(
    ("note", "expected"),
    [("cuda: Optional[str] = '12.8'\n", "A100"), ("cuda: Optional[str] = None\n", "A100, but the installed torch")],
)
def test_a_gpu_is_of_use_only_to_a_torch_that_knows_it(
    note: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version.py").write_text(note, encoding="utf-8")
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    answer = subprocess.CompletedProcess([], 0, "A100\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answer)
    assert doctor._gpu().startswith(expected)
    assert (doctor._gpu() == "A100") == (expected == "A100")


def test_the_command_prints_and_tells_by_its_exit_code(machine: Callable[..., Diagnosis]) -> None:
    machine(mediapipe=None)
    printed = selfmm("doctor")
    assert printed.returncode == 0
    assert "pip install --upgrade 'selfmm[video]'" in " ".join(printed.stdout.split())
    machine(torch=None)
    printed = selfmm("doctor", "--json")
    assert printed.returncode == 1
    content = json.loads(printed.stdout)
    assert content["healthy"] is False
    assert content["jobs"][0]["missing"] == ["torch (not installed)"]


def test_here_and_now_it_answers_without_loading_what_is_slow() -> None:
    code = (
        "import sys; from selfmm.core.doctor import examine; diagnosis = examine(); "
        "assert diagnosis.healthy, diagnosis; "
        "assert not {'torch', 'pandas', 'mediapipe', 'faster_whisper', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_needs_the_extra_experiments() -> None:
    needing = [job.name for job in examine().jobs if job.name in ("compare", "tune")]
    assert needing == ["compare", "tune"]
