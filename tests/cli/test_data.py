"""The command that extracts: what it prints, and that its data set can be trained on."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cli.command_line import complains, selfmm
from features.recordings import tone, write_recording
from features.tone_clips import VOICE, write_clips
from selfmm.api import train
from selfmm.cli.progress import ClipBar, watch_clips
from selfmm.config.recipe import Recipe
from selfmm.data.store import Dataset
from selfmm.features.clips.clip import Clip


def printed(*words: str | Path) -> tuple[str, str]:
    """What a command that succeeds prints to either stream."""
    result = selfmm(*words)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), 12)


@pytest.mark.slow
def test_from_clips_to_a_run(table: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    options: list[str | Path] = ["--parts", "audio", "--cache", tmp_path / "cache", "--label-range", "-3,3"]
    out, errors = printed("extract", table, data, *options, "--name", "mine", "--set", "voice.rate=10")
    assert "mine" in (data / "dataset.json").read_text()
    assert f"{data}: 12 clips (" in out
    assert out.splitlines()[-1] == f"Next: selfmm inspect {data} && selfmm train {data}"
    assert "extracted before" not in out
    assert errors == "clip 10 of 12\n"  # a line for every tenth clip, and no bar, where there is no terminal
    out, _ = printed("extract", table, data, *options, "--set", "voice.rate=10", "--force")
    assert "; audio; 12 had been extracted before." in out

    quick = ["training.max_epochs=2", "training.batch_size=4", "training.accumulation=1"]
    run = train(data, overrides=quick, out=tmp_path / "run")
    assert run.info.recipe is not None
    assert run.info.recipe.voice.rate == 10
    content = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (
        Recipe.model_validate(content["recipe"])
        == run.info.recipe
        == Recipe.model_validate({**VOICE.model_dump(), "voice": {"rate": 10}})
    )


@pytest.mark.slow
def test_a_table_may_lie_elsewhere_than_its_recordings(table: Path, tmp_path: Path) -> None:
    head, first, *_ = table.read_text().splitlines()
    elsewhere = tmp_path / "one.csv"
    elsewhere.write_text(f"{head}\n{first}\n")
    options: list[str | Path] = ["--parts", "audio", "--cache", tmp_path / "cache", "--media-root", table.parent]
    out, _ = printed("extract", elsewhere, tmp_path / "data", *options)
    assert "1 clip (" in out


@pytest.mark.slow
def test_clips_that_are_left_out_are_named_once(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_recording(folder / "good.wav", sound=tone(0.5))
    for place in range(12):
        (folder / f"bad{place}.mp4").write_text("no film")
    out, errors = printed("extract", folder, tmp_path / "data", "--parts", "audio", "--cache", tmp_path / "cache")
    assert errors.count("left out: bad") == 10
    assert f"and 2 more; {tmp_path / 'data' / 'failures.csv'} lists every clip that was left out" in errors
    assert "1 clip (0 train, 0 valid, 1 test)" in out
    assert "1 clip has no rating" in out or "clips have no rating" in out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--parts", "sound"], "one or more of text, audio, vision"),
        (["--set", "face.speed=3"], "face.speed is not a setting"),
        (["--label-column", "lable"], "did you mean 'label'"),
        (["--parts", "audio", "--label-range", "-1,1"], "outside [-1, 1]"),
        (["--label-range", "1"], "--label-range is '1': write the lowest and the highest label"),
    ],
)
def test_what_is_wrong_is_told(table: Path, tmp_path: Path, options: list[str], says: str) -> None:
    complains(selfmm("extract", table, tmp_path / "data", "--cache", tmp_path / "cache", *options), says)
    assert not list(tmp_path.iterdir())


def test_settings_of_the_recipe_are_listed_with_their_meaning() -> None:
    out, _ = printed("settings", "--recipe")
    for name in ("parts", "speech.recogniser", "voice.rate", "face.choose", "align"):
        assert f"\n{name} " in out
    assert "frames analysed per second" in " ".join(out.split())
    complains(selfmm("settings", "--recipe", "--preset", "mosi"), "--recipe")
    assert "settings --recipe" in printed("extract", "--help")[0]


def test_the_bar_counts_what_is_left_to_do() -> None:
    out = io.StringIO()
    with watch_clips(Console(file=out, force_terminal=True, width=100)) as listener:
        assert isinstance(listener, ClipBar)
        listener.clips_planned(5)
        for place, (kept, problem) in enumerate([(True, None), (True, None), (False, None), (False, "broken")]):
            listener.clip(Clip(Path("a.wav"), id=str(place)), kept, problem)
        [task] = listener.progress.tasks
        assert (task.completed, task.total, task.description) == (2, 3, "clips (1 left out)")


def test_no_bar_without_a_terminal() -> None:
    out = io.StringIO()
    with watch_clips(Console(file=out, force_terminal=False)) as listener:
        listener.clips_planned(5)
    assert out.getvalue() == ""


def test_inspect_for_settings(planted: Dataset, tmp_path: Path) -> None:
    """The features are judged for a preset or a file of settings; labels of single modalities are recognised."""
    out, _ = printed("inspect", planted.path)
    assert "Features" in out
    assert "label_text (150 clips)" in out
    assert "--labels human" in out
    (tmp_path / "own.toml").write_text("[stream.audio]\nstandardise = false\n")
    content = json.loads(printed("inspect", planted.path, "--preset", tmp_path / "own.toml", "--json")[0])
    assert content["preset"] == str(tmp_path / "own.toml")
    assert {name: modality["raw_in"] for name, modality in content["modalities"].items()} == {
        "text": [],
        "audio": [str(tmp_path / "own.toml")],
        "vision": [],
    }
    assert content["modalities"]["text"]["ranges"] is None
    assert content["modalities"]["audio"]["ranges"]["widest"]["name"].startswith("column ")
    complains(selfmm("inspect", planted.path, "--preset", "mossi"), "did you mean 'mosi'")
