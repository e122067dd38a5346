"""Spaces of a search: what may be written, what every model declares, and what becomes of a setting."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.worlds import MODALITIES
from selfmm.config.settings import load_settings
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import Modality
from selfmm.experiments.search import Search, describe_space, make_search, parse_space, with_values
from selfmm.models import MODELS, find_model
from selfmm.models.base import Range


def searched(*given: str, model: str = "ef_lstm", fixed: tuple[str, ...] = ()) -> Search:
    return make_search(load_settings(None, [f"model={model}"]), MODALITIES, given, fixed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("text.lr=1e-5..1e-3 log", ("text.lr", Range(1e-5, 1e-3, log=True))),
        (" a.b = -1 .. 2.5 ", ("a.b", Range(-1, 2.5))),
        ("options.heads=2, 4,8", ("options.heads", (2, 4, 8))),
        ("labels.rule=authors,centre-gap", ("labels.rule", ("authors", "centre-gap"))),
        ("text.finetune=true,false", ("text.finetune", (True, False))),
        ("text.encoder=../one,../other", ("text.encoder", ("../one", "../other"))),
    ],
)
def test_written_spaces(text: str, expected: tuple[str, object]) -> None:
    assert parse_space(text) == expected


@pytest.mark.parametrize("text", ["", "x", "=1,2", "x=", "x=..", "x=1..", "x=..2", "x=1..2 lin", "x=a..b", "x=1..2..3"])
def test_what_is_no_space(text: str) -> None:
    with pytest.raises(SettingsError, match=r"is not a (search space|range); for example"):
        parse_space(text)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6)


@given(numbers, numbers, st.booleans())
def test_a_range_is_read_as_it_is_described(low: float, high: float, log: bool) -> None:
    space = Range(low, high, log)
    assert parse_space(f"key={describe_space(space)}") == ("key", space)


@given(st.lists(numbers | st.booleans() | st.sampled_from(["mean", "centre-gap"]), min_size=2))
def test_choices_are_read_as_they_are_described(values: list[Any]) -> None:
    assert parse_space(f"key={describe_space(tuple(values))}") == ("key", tuple(values))


def test_a_model_in_closed_form_has_nothing_to_search() -> None:
    """Otherwise a search would train it by gradients."""
    for spaces in ((), ("text.max_tokens=20,40",)):
        with pytest.raises(SettingsError, match="model = 'adapt': it is fitted at once and needs no search"):
            searched(*spaces, model="adapt")


@pytest.mark.parametrize("model", [name for name in MODELS if not find_model(name).closed_form])
def test_every_model_can_be_searched_from_its_defaults(model: str) -> None:
    search = searched(model=model)
    assert search.spaces
    assert search.spaces.keys() == search.start.keys()
    again = make_search(with_values(search.base, search.start), MODALITIES)
    assert again.start == search.start, "the start written out is the start"


def test_a_star_is_each_modality_of_frames() -> None:
    spaces = searched("stream.*.hidden=8..64", "stream.vision.hidden=4,8").spaces
    assert spaces["stream.audio.hidden"] == Range(8, 64)
    assert spaces["stream.vision.hidden"] == (4, 8)
    assert {"stream.audio.lr", "stream.vision.lr"} < spaces.keys()
    assert not [key for key in spaces if "*" in key or "stream.text" in key]
    text = {"text": Modality(kind="text")}
    assert not [key for key in make_search(load_settings(), text).spaces if key.startswith("stream")]
    with pytest.raises(SettingsError, match=r"\* stands for each modality with frames, and the model reads none"):
        make_search(load_settings(), text, ["stream.*.lr=1e-3,1e-4"])


@pytest.mark.parametrize("model", ["self_mm", "lf_dnn"])
def test_a_text_encoder_that_is_trained_is_searched_too(model: str) -> None:
    words = {"text.lr", "training.accumulation"} | ({"text.projection_dropout"} if model == "self_mm" else set())
    base = load_settings(None, [f"model={model}"])
    trained = make_search(base, MODALITIES)
    frozen = make_search(load_settings(None, [f"model={model}", "text.finetune=false"]), MODALITIES)
    assert trained.spaces.keys() - frozen.spaces.keys() == words
    assert all(trained.holds_start(key) for key in words)
    frames = {name: modality for name, modality in MODALITIES.items() if modality.kind == "frames"}
    assert not words & make_search(base, frames).spaces.keys(), "without words there is no text encoder"


def test_what_the_user_says_goes_before_what_the_model_says() -> None:
    declared = searched().spaces
    changed = searched("fusion.lr=1e-3,1e-2", "text.max_tokens=20..40", fixed=("options.hidden", "fusion.lr")).spaces
    assert changed["fusion.lr"] == (1e-3, 1e-2), "a space of the user's counts, whatever is fixed"
    assert changed.keys() == (declared.keys() | {"text.max_tokens"}) - {"options.hidden"}
    with pytest.raises(SettingsError, match="nothing is left to search"):
        searched(fixed=tuple(declared))


def test_the_start_is_what_the_settings_are() -> None:
    base = load_settings(None, ["model=ef_lstm", "options.layers=3", "stream.audio.hidden=7"])
    search = make_search(
        base, MODALITIES, ["stream.*.hidden=8..64", "options.dropout=0,0.5", "text.finetune=true,false"]
    )
    assert search.start["options.layers"] == 3
    assert (search.start["stream.audio.hidden"], search.start["stream.vision.hidden"]) == (7, 32)
    assert search.start["options.dropout"] == 0.1
    assert search.start["text.finetune"] is True
    inside = {key for key in search.spaces if search.holds_start(key)}
    assert search.spaces.keys() - inside == {"stream.audio.hidden", "options.dropout"}


def test_values_go_where_they_belong_and_nowhere_else() -> None:
    base = load_settings("mosi", ["model=ef_lstm"])
    changed = with_values(base, {"stream.voice.lr": 0.25, "options.hidden": 5, "text.finetune": False})
    assert changed.stream_for("voice").lr == 0.25
    assert changed.stream["audio"] == base.stream["audio"]
    assert changed.options == {"hidden": 5}
    assert not changed.text.finetune
    assert with_values(base, {}) == base == load_settings("mosi", ["model=ef_lstm"])


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ("text.lrr=1,2", "text.lrr is not a setting of ef_lstm that can be searched; did you mean 'text.lr'"),
        ("options.heads=1,2", "options.heads is not a setting of ef_lstm"),
        ("seed=1,2", "the seed with the best validation figure is only the luckiest"),
        ("model=ef_lstm,lf_dnn", "tune the models one by one"),
        ("modalities=text,audio", "modalities is not a setting of ef_lstm that can be searched"),
        ("fusion.lr=2..1", "the first number must be below the second"),
        ("fusion.lr=0..1 log", "a logarithmic range must lie above 0"),
        ("fusion.lr=0.1..inf", "the first number must be below the second"),
        ("fusion.lr=-1..1", r"fusion.lr = -1: input should be greater than 0"),
        ("fusion.lr=1,0", r"fusion.lr = 0: input should be greater than 0"),
        ("fusion.lr=1,nan", "must be finite numbers"),
        ("fusion.lr=1,", "must be finite numbers"),
        ("fusion.lr=1", "fix a single value with `overrides="),
        ("fusion.lr=1,1.0", "at least two different values"),
        ("options.layers=1..2.5", "the setting is a whole number"),
        ("options.layers=0,1", r"options.layers = 0: input should be greater than or equal to 1"),
        ("text.finetune=0..1", "the setting is True, which has no range"),
        ("text.encoder=1..2", "the setting is 'minilm', which has no range"),
    ],
)
def test_spaces_that_cannot_be_searched(space: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        searched(space)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        searched("x", "seed=1,2", "fusion.lr=2..1")
    assert len(caught.value.problems) == 3
