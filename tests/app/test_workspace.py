"""What the app finds in a folder, and that nothing outside of it is reached."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selfmm import api
from selfmm.api import parts
from selfmm.app.errors import NotHereError
from selfmm.app.workspace import Workspace, run_version


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder, with a secret next to it."""
    root = tmp_path / "shown"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "clip.mp4").write_bytes(b"x")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "shown-too").mkdir()
    (tmp_path / "shown-too" / "clip.mp4").write_bytes(b"x")
    return root


def make(folder: Path, marker: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / marker).write_text("{}")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "..",
        "../shown-too/clip.mp4",
        "/etc/passwd",
        "//etc/passwd",
        "sub/\0clip.mp4",
        "no such",
        "a" * 5000,
        "/".join(["a"] * 5000),
        "~/secret",
        "sub/clip.mp4/../clip.mp4x",
        "caf\udce9.mp4",
        "C:\\Windows",
        "..\\secret.txt",
    ],
)
def test_a_name_that_is_not_in_the_folder_leads_nowhere(root: Path, name: str) -> None:
    with pytest.raises(NotHereError, match="moved or deleted") as info:
        Workspace(root).path(name)
    assert len(str(info.value)) < 300
    assert str(root) not in str(info.value)


def test_the_folders_own_absolute_path_is_no_name(root: Path) -> None:
    with pytest.raises(NotHereError):
        Workspace(root).path(str(root / "sub" / "clip.mp4"))


def test_links_out_of_the_folder_are_not_followed_and_those_inside_are(root: Path) -> None:
    (root / "out.txt").symlink_to(root.parent / "secret.txt")
    (root / "out").symlink_to(root.parent)
    (root / "round").symlink_to("round")
    (root / "in.mp4").symlink_to(root / "sub" / "clip.mp4")
    workspace = Workspace(root)
    for name in ("out.txt", "out", "out/secret.txt", "round"):
        with pytest.raises(NotHereError):
            workspace.path(name)
    assert workspace.path("in.mp4") == root / "sub" / "clip.mp4"
    assert workspace.name_of(root / "out" / "secret.txt") is None
    assert [item.name for item in workspace.items()] == [".", "sub"]


def test_names_are_the_way_from_the_folder(root: Path) -> None:
    workspace = Workspace(root)
    assert workspace.path("sub/clip.mp4") == root / "sub" / "clip.mp4"
    assert workspace.path(".") == root
    assert workspace.name_of(root / "sub") == "sub"
    assert workspace.name_of("sub") == "sub"
    assert workspace.name_of(root / "not yet") == "not yet"
    assert workspace.name_of("/etc") is None
    assert workspace.name_of("\0") is None


def test_names_that_are_not_utf8_or_are_html_are_found(root: Path) -> None:
    names = ["<img src=x onerror=alert(1)>", "caf\udce9", "a b#c?d%41", "'\"&"]
    for name in names:
        make(root / name, "run.json")
    workspace = Workspace(root)
    assert {item.name for item in workspace.items("run")} == set(names)
    for name in names:
        assert workspace.path(name).is_dir()


def test_it_finds_data_sets_runs_comparisons_and_recordings(root: Path) -> None:
    make(root / "data", parts.MANIFEST)
    make(root / "runs" / "first", "run.json")
    make(root / "seeds", "summary.json")
    make(root / "seeds" / "seed-1", "run.json")
    make(root / "table", "comparison.json")
    make(root / ".hidden" / "run", "run.json")
    make(root / "env", "pyvenv.cfg")
    make(root / "env" / "run", "run.json")
    make(root / "data" / "run", "run.json")
    make(root / "node_modules" / "run", "run.json")
    make(root / "/".join("123456"), "run.json")
    workspace = Workspace(root)
    assert {(item.kind, item.name) for item in workspace.items()} == {
        ("dataset", "data"),
        ("run", "runs/first"),
        ("seeds", "seeds"),
        ("run", "seeds/seed-1"),
        ("comparison", "table"),
        ("recordings", "sub"),
    }
    [recordings] = workspace.items("recordings")
    assert recordings.count == 1


def test_a_folder_that_vanishes_is_said_to_be_gone(root: Path) -> None:
    workspace = Workspace(root)
    assert workspace.items()
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(NotHereError, match="The folder 'shown' is gone"):
        workspace.items()
    with pytest.raises(NotHereError):
        workspace.path("sub/clip.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_hides_nothing_else(root: Path) -> None:
    make(root / "run", "run.json")
    (root / "closed").mkdir(mode=0)
    assert [item.name for item in Workspace(root).items("run")] == ["run"]


def test_what_is_not_a_folder_is_refused(root: Path) -> None:
    for path in (root / "sub" / "clip.mp4", root / "no such"):
        with pytest.raises(api.SourceError, match="is not a folder"):
            Workspace(path)


def test_a_run_is_the_starter_or_in_the_folder(root: Path) -> None:
    make(root / "run", "run.json")
    workspace = Workspace(root)
    assert workspace.run("starter") == "starter"
    assert workspace.run("run") == root / "run"
    with pytest.raises(NotHereError):
        workspace.run("../other")


def test_a_folder_that_cannot_be_written_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = Workspace(root)
    assert workspace.unwritable() == ""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert workspace.unwritable().startswith("The folder 'shown' cannot be written, so you cannot rate clips")


def test_a_run_and_a_folder_of_seeds_have_another_version_when_they_are_trained_again(tmp_path: Path) -> None:
    assert run_version("starter") == 0
    for name in ("run.json", "summary.json"):
        folder = tmp_path / name.removesuffix(".json")
        folder.mkdir()
        assert run_version(folder) == 0
        (folder / name).write_text("{}")
        before = run_version(folder)
        os.utime(folder / name, (1, 1))
        assert 0 < run_version(folder) != before
