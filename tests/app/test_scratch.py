"""Folders that live as long as a request, also if the server is killed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from selfmm import api
from selfmm.app.scratch import Scratch

KILLED = """
import os, sys
from pathlib import Path
from selfmm.app.scratch import Scratch
with Scratch(Path(sys.argv[1])).folder() as folder:
    (folder / "recording.mp4").write_bytes(b"private")
    print(folder, flush=True)
    if sys.argv[2] == "die":
        os.kill(os.getpid(), 9)
    sys.stdin.read()
"""


def test_a_folder_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    with scratch.folder() as folder:
        (folder / "x").write_text("x")
        assert {oct(path.stat().st_mode & 0o777) for path in (folder, folder.parent)} == {"0o700"}
    assert not folder.exists()
    with suppress(ValueError), scratch.folder() as folder:
        (folder / "x").write_text("x")
        raise ValueError
    assert not folder.exists()
    scratch.close()
    assert [path.name for path in tmp_path.iterdir()] == [".start"]


def test_what_a_killed_server_left_is_removed_at_the_next_start_and_nothing_of_one_that_runs(tmp_path: Path) -> None:
    def start(how: str) -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    running, stays = start("live")
    killed, left = start("die")
    killed.wait(20)
    assert (left / "recording.mp4").is_file()
    Scratch(tmp_path).close()
    assert not left.parent.exists()
    assert (stays / "recording.mp4").is_file()
    running.communicate("", timeout=20)
    assert not stays.exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(api.OutputError):
        Scratch(tmp_path / "file")
