"""``selfmm settings`` at any width of the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from selfmm.cli.show_settings import show_settings
from selfmm.config.recipe import load_recipe
from selfmm.config.settings import load_settings


def printed(width: int, settings: object, *, terminal: bool = False) -> str:
    out = io.StringIO()
    show_settings(Console(file=out, width=width, force_terminal=terminal, color_system=None), settings)  # type: ignore[arg-type]
    return out.getvalue()


def names() -> list[str]:
    settings = load_settings("mosi")
    tree = settings.model_dump()
    found = [f"stream.{name}.{key}" for name, stream in tree.pop("stream").items() for key in stream]
    for name, value in tree.items():
        found += [f"{name}.{key}" for key in value] if isinstance(value, dict) and name != "options" else [name]
    return found


@pytest.mark.parametrize("width", [1, 10, 20, 39, 40, 41, 60, 79, 80, 100, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_no_name_is_cut_at_any_width(width: int, terminal: bool) -> None:
    lines = printed(width, load_settings("mosi"), terminal=terminal).splitlines()
    firsts = {line.split()[0] for line in lines if line and not line.startswith(" ")}
    assert set(names()) - firsts == set()


@pytest.mark.parametrize("width", [10, 40, 80, 120])
def test_values_and_meanings_are_whole(width: int) -> None:
    long = load_settings(None, [f"model=/{'a' * 90}.py:Class", "modalities=text,audio", "text.lr=0.00001"])
    text = printed(width, long)
    assert f"/{'a' * 90}.py:Class" in text
    assert "text, audio" in text
    assert "1e-05" in text
    assert "…" not in text
    words = set(printed(200, load_settings()).split()) - {"setting", "value", "meaning"}
    narrow = printed(width, load_settings()).split()
    assert words <= set(narrow) or width < 20  # otherwise a word is divided


def test_a_wide_terminal_has_a_table() -> None:
    assert printed(100, load_settings()).splitlines()[0].split() == ["setting", "value", "meaning"]
    assert "setting  " not in printed(40, load_settings())


def test_the_recipe() -> None:
    assert "speech.recogniser = " in printed(40, load_recipe())
    assert "stream.<modality>.projection_dropout = " in printed(40, load_settings())
