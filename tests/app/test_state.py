"""The private folder of the app: who can read it, where it is, and what happens if it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selfmm import api
from selfmm.app import pages
from selfmm.app.state import State, private_folder, state_home


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)


def test_only_the_user_can_read_it_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        state = State.of(tmp_path / "data")
        token = state.token()
    finally:
        os.umask(before)
    assert {mode(path) for path in (state.path, state.uploads, state.jobs)} == {"0o700"}
    assert mode(state.path / "token") == "0o600"
    assert len(token) >= 32


def test_it_is_not_in_the_folder_that_is_shown_and_each_has_its_own(tmp_path: Path) -> None:
    one, other = State.of(tmp_path / "a" / "data"), State.of(tmp_path / "b" / "data")
    assert one.path != other.path
    assert one.token() != other.token()
    assert not one.path.is_relative_to(tmp_path / "a")
    assert State.of(tmp_path / "a" / "data") == one


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "caf\udce9", "..", "a/b", "x" * 250, "\n", "ä"])
def test_odd_names_make_plain_ones(tmp_path: Path, name: str) -> None:
    path = State.of(tmp_path / name).path
    assert path.parent == tmp_path / "state" / "selfmm"
    assert len(path.name) < 120
    assert "<" not in path.name


def test_the_token_stays_unless_it_is_damaged(tmp_path: Path) -> None:
    state = State.of(tmp_path)
    token = state.token()
    assert state.token() == token
    for damage in (b"", b"short", b"\xff\xfe" * 40):
        (state.path / "token").write_bytes(damage)
        again = state.token()
        assert len(again) >= 32
        assert again != token
        assert mode(state.path / "token") == "0o600"


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(api.OutputError, match=r"a part of the path is a file.*\. selfmm keeps .* set XDG_STATE_HOME"):
        State.of(tmp_path)


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State.of(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(api.OutputError, match="the disk is full"):
        state.token()
    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(api.OutputError, match="the disk is full"):
        private_folder(tmp_path / "x")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(api.OutputError, match="belongs to another user"):
        private_folder(tmp_path / "x")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(api.OutputError, match="set XDG_STATE_HOME"):
        state_home()


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (28, "The disk is full. Free some space"),
        (13, "Check the permissions"),
        (30, "read-only"),
        (5, "Input/output error"),
    ],
)
def test_an_error_of_the_disk_is_a_sentence_for_people(number: int, sentence: str) -> None:
    status, message = pages._described(OSError(number, os.strerror(number)))
    assert status == 507
    assert sentence in message
