"""README and docs are run: every ``bash`` and ``python`` block, in order, in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfmm.cli import app
from selfmm.data.store import Dataset
from selfmm.models import MODELS
from selfmm.weights import find

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# `make` would build an environment inside the tests; it is what runs them.
SKIPPED = ("make ", "pip install", "selfmm weights get")


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def pages() -> list[str]:
    return ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", pages())
def test_blocks_run(page: str, tmp_path: Path) -> None:
    if page == "docs/own_videos.md":
        _needs_recordings()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "120",
    }
    for language, code in blocks(page):
        if language == "bash":
            code = "\n".join(line for line in code.splitlines() if not line.startswith(SKIPPED))
            command = ["bash", "-euo", "pipefail", "-c", code]
        else:
            command = [sys.executable, "-c", code]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, f"{page}:\n{code}\n{result.stdout}\n{result.stderr}"


def _needs_recordings() -> None:
    for module in ("av", "faster_whisper", "mediapipe"):
        pytest.importorskip(module, reason="the extra [video] is not installed")
    for name in ("minilm", "tiny.en", "face"):
        if find(name) is None:
            pytest.skip(f"the weights {name} are not here: selfmm weights get {name}")


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 80
    result = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", list(MODELS))
def test_a_models_page_trains_it(
    name: str, planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands, on a data set called ``data``; in this process and for one epoch, for there are many pages."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(planted.path)
    found = [
        line for language, code in blocks(f"docs/models/{name}.md") if language == "bash" for line in code.splitlines()
    ]
    assert any("selfmm train data" in line and f"--model {name}" in line for line in found)
    for number, line in enumerate(found):
        program, *arguments = shlex.split(line, comments=True)
        assert program == "selfmm"
        quick = ["--set", "training.max_epochs=1", "--text-encoder", tiny_encoder, "--out", f"run{number}"]
        result = CliRunner().invoke(app, [*arguments, *quick])
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception}"


def test_links_lead_somewhere() -> None:
    for page in [*pages(), *(f"docs/models/{name}.md" for name in MODELS)]:
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} -> {target}"
