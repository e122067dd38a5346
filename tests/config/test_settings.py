"""Settings: presets, overrides, and errors that name the nearest known key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from selfmm.config.settings import PRESETS, Settings, flatten, load_settings
from selfmm.core.errors import SettingsError


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_valid_and_survive_a_round_trip(preset: str, tmp_path: Path) -> None:
    settings = load_settings(preset)
    file = tmp_path / "settings.toml"
    file.write_text(settings.to_toml(), encoding="utf-8")
    assert load_settings(file) == settings


def test_mosi_has_the_published_settings() -> None:
    settings = load_settings("mosi")
    rates = (settings.text.lr, settings.stream["audio"].lr, settings.stream["vision"].lr, settings.fusion.lr)
    assert rates == (5e-5, 5e-3, 5e-3, 1e-3)
    assert (settings.training.batch_size, settings.training.accumulation, settings.training.patience) == (16, 4, 8)
    sizes = (settings.fusion.projection, settings.text.projection, settings.stream["audio"].projection)
    assert (*sizes, settings.stream["vision"].projection) == (128, 32, 16, 32)


def test_sources_take_precedence_in_order() -> None:
    settings = load_settings("mosi", ["seed=5", "stream.audio.hidden=8", "text.encoder=minilm"], seed=6)
    assert settings.seed == 6
    assert settings.stream["audio"].hidden == 8
    assert settings.stream["audio"].projection == 16  # the preset's, not the default
    assert settings.text.encoder == "minilm"


def test_values_are_read_as_toml_or_as_words() -> None:
    settings = load_settings(None, ["modalities=text,audio", "text.finetune=false", 'labels.rule="paper"'])
    assert settings.modalities == ("text", "audio")
    assert settings.text.finetune is False
    assert settings.labels.rule == "paper"


def test_all_problems_at_once_with_the_nearest_key() -> None:
    overrides = ["training.batchsize=3", "training.patience=0", "lables.rule=paper", "nonsense", "stream.audio.hiden=2"]
    with pytest.raises(SettingsError) as caught:
        load_settings(None, overrides)
    message = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "training.batchsize is not a setting; did you mean 'training.batch_size'?" in message
    assert "lables is not a setting; did you mean 'labels'?" in message
    assert "stream.audio.hiden is not a setting; did you mean 'stream.audio.hidden'?" in message
    assert "training.patience = 0: input should be greater than or equal to 1" in message
    assert "'nonsense' is not a setting; write key=value" in message


@pytest.mark.parametrize("value", ["nonsense", "-99"])
def test_a_setting_of_several_types_is_one_problem(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(overrides=[f"text.layer={value}"])
    [problem] = caught.value.problems
    assert problem.startswith("text.layer = ")
    assert ": input should be 'last' or 'weighted' or input should be " in problem


def test_a_value_where_a_group_is_expected() -> None:
    with pytest.raises(SettingsError, match="training"):
        load_settings(None, ["training=3"])
    with pytest.raises(SettingsError, match=r"seed\.x: a part of this key is a value"):
        load_settings(None, ["seed=1", "seed.x=2"])


@pytest.mark.parametrize(
    ("content", "message"),
    [("[training\n", "is not valid TOML"), ("[trainin]\n", "did you mean 'training'"), (None, "cannot read")],
)
def test_bad_files(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load_settings(file)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="begins as UTF-16 text, but is damaged"):
        load_settings(tmp_path / "mine.toml")


def test_settings_of_older_runs_that_were_removed(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[labels]\nrule = "paper"\nbank = "float32"\nbank_folder = ""\n')
    assert load_settings(file) == load_settings(overrides=["labels.rule=paper"])
    file.write_text('[labels]\nbank = "float16"\n')
    with pytest.raises(SettingsError, match=r"labels.bank = 'float16': this setting was removed.*'float32'.*delete it"):
        load_settings(file)


def test_settings_that_older_runs_do_not_name_are_as_they_were(tmp_path: Path) -> None:
    """A file that names every other setting was written by an older version; a person's own file gets the defaults."""
    whole, own = tmp_path / "settings.toml", tmp_path / "own.toml"
    lines = load_settings(None).to_toml().splitlines()
    added = ("weighting =", "optimizer =")
    older = [line for line in lines if not line.startswith(added)]
    assert len(older) == len(lines) - 2
    whole.write_text("\n".join(older), encoding="utf-8")
    own.write_text("[labels]\nrule = 'authors'\n[training]\nmax_epochs = 3\n", encoding="utf-8")
    for file, weighting, optimizer in ((whole, "published", "adam"), (own, "encoder", "adamw")):
        settings = load_settings(file)
        assert (settings.labels.weighting, settings.training.optimizer) == (weighting, optimizer)
    assert load_settings(whole, ["labels.weighting=encoder"]).labels.weighting == "encoder"
    whole.write_text("labels = 3\ntraining = 4\nseed = 1\ntext = 2\nfusion = 2\n", encoding="utf-8")
    with pytest.raises(SettingsError):
        load_settings(whole)


def test_unknown_preset() -> None:
    with pytest.raises(SettingsError, match="there is no preset 'mossi'; did you mean 'mosi'"):
        load_settings("mossi")


def test_flatten_names_every_setting_like_the_command_line() -> None:
    settings = load_settings("mosi")
    for key, value in flatten(settings).items():
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            assert load_settings("mosi", [f"{key}={value}"]) == settings, key


def test_every_setting_says_what_it_means() -> None:
    groups = [type(value) for value in vars(Settings()).values() if isinstance(value, BaseModel)]
    for group in groups:
        for name, field in group.model_fields.items():
            assert field.description, f"{group.__name__}.{name}"


def test_the_rules_are_those_of_the_generator() -> None:
    from typing import get_args

    from selfmm.config.settings import LabelSettings
    from selfmm.labels import RULES

    assert set(get_args(LabelSettings.model_fields["rule"].annotation)) == {*RULES, "posterior"}
    assert {name: load_settings(name).labels.rule for name in PRESETS} == {
        **dict.fromkeys(("mosi", "mosei", "sims", "simsv2"), "authors"),
        "quickstart": "posterior",
        "best": "posterior",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_settings_that_an_editor_of_windows_wrote(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes("[training]\r\nmax_epochs = 7\r\n".encode(encoding))
    assert load_settings(file).training.max_epochs == 7
