"""Where the recording of a clip lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfmm.app.clip_media import recording_of, why_not
from selfmm.app.workspace import Workspace


@pytest.fixture
def shown(tmp_path: Path) -> Workspace:
    root = tmp_path / "project"
    for place in ("films", "sets/data/own", "sets/near"):
        (root / place).mkdir(parents=True)
    for file in (root / "films/a.mp4", root / "sets/data/own/b.mp4", root / "sets/near/c.mp4", tmp_path / "d.mp4"):
        file.write_bytes(b"x")
    (root / "link.mp4").symlink_to(tmp_path / "d.mp4")
    return Workspace(root)


def test_a_path_is_found_from_where_extract_may_have_run(shown: Workspace) -> None:
    root, data = shown.root, shown.root / "sets" / "data"
    assert recording_of(shown, data, "films/a.mp4") == root / "films/a.mp4"
    assert recording_of(shown, data, str(root / "films/a.mp4")) == root / "films/a.mp4"
    assert recording_of(shown, data, "own/b.mp4") == data / "own/b.mp4"
    assert recording_of(shown, data, "near/c.mp4") == root / "sets/near/c.mp4"
    assert recording_of(shown, data, "project/films/a.mp4") == root / "films/a.mp4"  # one folder above
    assert recording_of(shown, data, "/home/other/project/films/a.mp4") == root / "films/a.mp4"  # moved


@pytest.mark.parametrize(
    "stored", ["../d.mp4", "films/../../d.mp4", "link.mp4", "", "films", "x\0y", "n" * 5000, "/etc/passwd"]
)
def test_nothing_outside_and_nothing_odd(shown: Workspace, stored: str) -> None:
    assert recording_of(shown, shown.root / "sets" / "data", stored) is None
    assert why_not(shown, shown.root / "sets" / "data", stored).endswith(".")


def test_the_reason_says_what_to_do(shown: Workspace, tmp_path: Path) -> None:
    data = shown.root / "sets" / "data"
    assert "features without recordings" in why_not(shown, data, "")
    assert "Start selfmm app with a folder that contains both" in why_not(shown, data, str(tmp_path / "d.mp4"))
    assert "gone.mp4 is not where the data set says" in why_not(shown, data, "C:\\films\\gone.mp4")
