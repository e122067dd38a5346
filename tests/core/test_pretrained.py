"""Models by folder or hub name: the hub is asked once, and never where it must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfmm.core.errors import WeightsError
from selfmm.core.pretrained import load_named, why_offline


class Session:
    """A client of the hub that counts its requests and cannot connect."""

    def __init__(self, reachable: bool = False) -> None:
        self.reachable, self.asked = reachable, 0

    def head(self, link: str, timeout: float) -> None:
        self.asked += 1
        if not self.reachable:
            raise ConnectionError("Name or service not known")


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session()
    monkeypatch.setattr("huggingface_hub.get_session", lambda: session)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return session


def load(name: str, calls: list[tuple[str, bool]], repository: str = "") -> str:
    def call(place: str, local: bool) -> str:
        calls.append((place, local))
        return "model"

    given: dict[str, Any] = {"holds": "config.json", "instead": "choose minilm", "repository": repository}
    return load_named(name, "text encoder", load=call, **given)


def test_a_hub_that_cannot_be_reached_is_asked_once(session: Session) -> None:
    calls: list[tuple[str, bool]] = []
    with pytest.raises(WeightsError, match=r"because the hub cannot be reached: Name or service .*, or choose minilm"):
        load("nobody/model", calls)
    assert (session.asked, calls) == (1, [])


def test_offline_it_is_not_asked_at_all(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"nothing was downloaded, because HF_HUB_OFFLINE is set\."):
        load("nobody/model", [])
    assert session.asked == 0


@pytest.mark.parametrize("offline", [False, True])
def test_what_is_in_its_cache_is_read_from_there(
    offline: bool, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: "/cache/config.json")
    calls: list[tuple[str, bool]] = []
    assert load("somebody/model", calls) == "model"
    assert calls == [("somebody/model", True)]


def test_a_model_with_another_name_on_the_hub(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``small`` of the speech recognisers is somebody's repository there."""
    cached = {"somebody/whisper-small": "/cache/config.json"}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: cached.get(name))
    calls: list[tuple[str, bool]] = []
    load("small", calls, repository="somebody/whisper-small")
    assert calls == [("small", True)]
    with pytest.raises(WeightsError, match="nor in the hub's cache"):
        load("small", calls)


def test_a_hub_that_answers_is_used(session: Session) -> None:
    session.reachable = True
    calls: list[tuple[str, bool]] = []
    assert load("somebody/model", calls) == "model"
    assert calls == [("somebody/model", False)]


def test_a_folder_needs_no_hub(session: Session, tmp_path: Path) -> None:
    calls: list[tuple[str, bool]] = []
    assert load(str(tmp_path), calls) == "model"
    assert (session.asked, calls) == (0, [(str(tmp_path), True)])


@pytest.mark.parametrize("name", ["my models/bert", "a/b/c", "runs/x/text_encoder", "bert--base"])
def test_a_name_that_no_hub_has(name: str, session: Session) -> None:
    with pytest.raises(WeightsError, match=r"there is no folder .*, and it is not a name on the hub either"):
        load(name, [])
    assert session.asked == 0


def test_a_file_is_no_folder(session: Session, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="is a file, not a folder"):
        why_offline(str(tmp_path / "model.safetensors"), "text encoder", "choose minilm")
    with pytest.raises(WeightsError, match="does not exist"):
        why_offline("./nowhere", "text encoder", "choose minilm")


def test_errors_of_loading_say_that_nothing_was_downloaded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: "/cache/config.json")

    def fail(place: str, local: bool) -> Any:
        raise OSError("there is no model.safetensors")

    with pytest.raises(WeightsError, match=r"no model\.safetensors\. Only files on this machine were read \(the hub"):
        load_named("somebody/model", "text encoder", holds="", instead="choose minilm", load=fail)


def _load(place: str, local: bool) -> str:
    raise OSError("Unrecognized model")


@pytest.mark.parametrize("inner", ["0_Transformer", "snapshots/0123abc"])
def test_a_folder_around_the_models_folder(inner: str, tmp_path: Path) -> None:
    (tmp_path / inner).mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / inner / name).write_bytes(b"{}")
    with pytest.raises(WeightsError) as caught:
        load_named(str(tmp_path), "text encoder", holds="x", instead="y", load=_load)
    assert f"It has no config.json; {tmp_path / inner} has one, so give that folder." in str(caught.value)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"It has no config\.json\. The folder must contain x\."):
        load_named(str(tmp_path), "text encoder", holds="x", instead="y", load=_load)


def test_a_pointer_instead_of_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"model\.safetensors is a pointer of Git LFS.*git lfs pull"):
        load_named(str(tmp_path), "text encoder", holds="x", instead="y", load=_load)


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name(name: str, session: Session) -> None:
    with pytest.raises(WeightsError, match="the name of the text encoder is empty"):
        load_named(name, "text encoder", holds="x", instead="y", load=_load)
    assert session.asked == 0
