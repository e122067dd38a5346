"""README and docs are run: every ``bash`` and ``python`` block, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.command_line import selfmm
from cli.test_commands import GROUPS
from forked import Program
from selfmm.core.weights import find
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.data.store import Dataset
from selfmm.models import MODELS

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# `make` would build an environment inside the tests; it is what runs them.
SKIPPED = ("make ", "pip install", "selfmm weights get")
SHELL = set("|&;<>$`\\*~")  # what a shell makes something of


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def pages() -> list[str]:
    return ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process as far as it goes: importing torch for each command took longer than all of them."""
    if page == "docs/own_videos.md":
        _needs_recordings()
    monkeypatch.chdir(tmp_path)
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page, "exec"), {"__name__": "__main__"})
        else:
            for ours, lines in parts(code):
                said = _command(lines) if ours else _shell(lines)
                assert said.returncode == 0, f"{page}:\n{lines}\n{said.stdout}\n{said.stderr}"


def parts(code: str) -> Iterator[tuple[bool, str]]:
    """Commands of selfmm alone, one by one, and between them what takes a shell."""
    lines = [line for line in code.splitlines() if not line.startswith(SKIPPED)]
    if "cd " in code or "<<" in code:
        yield False, "\n".join(lines)
        return
    shell: list[str] = []
    for line in lines:
        if line.startswith("selfmm ") and not SHELL & set(line):
            if shell:
                yield False, "\n".join(shell)
            yield True, line
            shell = []
        else:
            shell.append(line)
    if shell:
        yield False, "\n".join(shell)


def _command(line: str) -> subprocess.CompletedProcess[str]:
    return selfmm(*shlex.split(line, comments=True)[1:])


def _shell(lines: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = ["bash", "-euo", "pipefail", "-c", lines]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_block_is_taken_apart_at_what_takes_a_shell() -> None:
    code = "selfmm a 'b c'  # d\nselfmm e > f\nhead f\nselfmm weights get x\nselfmm g\n"
    assert list(parts(code)) == [(True, "selfmm a 'b c'  # d"), (False, "selfmm e > f\nhead f"), (True, "selfmm g")]
    assert list(parts("mkdir x && cd x\nselfmm a")) == [(False, "mkdir x && cd x\nselfmm a")]


def _needs_recordings() -> None:
    for module in ("av", "faster_whisper", "mediapipe"):
        pytest.importorskip(module, reason="the extra [video] is not installed")
    for name in ("minilm", "tiny.en", "face"):
        if find(name) is None:
            pytest.skip(f"the weights {name} are not here: selfmm weights get {name}")


@pytest.mark.slow
@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 100
    monkeypatch.chdir(tmp_path)
    done = Program(script=example).wait()
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Planted clips, enough for each split to have some; not to be changed."""
    return write_planted(tmp_path_factory.mktemp("few") / "data", PlantedSettings(clips=40))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
def test_a_models_page_trains_it(
    name: str, few: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands in their order, on a data set called ``data``; in this process and for one epoch, for there are many
    pages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(few.path)
    found = [
        line for language, code in blocks(f"docs/models/{name}.md") if language == "bash" for line in code.splitlines()
    ]
    assert any("selfmm train data" in line and f"--model {name}" in line for line in found)
    for line in found:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "selfmm"
        quick = ["--set", "training.max_epochs=1", "--set", "text.max_tokens=64", "--text-encoder", tiny_encoder]
        result = selfmm(*arguments, *(quick if arguments[0] == "train" else []))
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


def test_every_command_is_in_the_list() -> None:
    text = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `selfmm (\w+)", text, re.MULTILINE))
    assert {command for commands in GROUPS.values() for command in commands} == listed


def test_links_lead_somewhere() -> None:
    for page in [*pages(), *(f"docs/models/{name}.md" for name in MODELS)]:
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} -> {target}"
