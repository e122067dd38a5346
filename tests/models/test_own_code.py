"""A model of one's own in a file: in every training, in child processes, and from a run only if it is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import selfmm
from cli.command_line import selfmm as selfmm_command
from conftest import QUICK
from selfmm.config.settings import load_settings
from selfmm.core.errors import RunError, SettingsError
from selfmm.data.store import Dataset
from selfmm.experiments.ablate import ablate
from selfmm.experiments.cases import case_names, model_cases
from selfmm.experiments.compare import compare
from selfmm.models import find_model, own_code
from selfmm.models.late_fusion import LateFusion
from selfmm.runs.folder import RunFolder
from selfmm.runs.trained_model import TrainedModel

NET = """
from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from selfmm.config.settings import Group
from selfmm.models.late_fusion import Fusion, LateFusion


class Options(Group):
    hidden: int = Field(4, ge=1, le=64, description="size of the sum")


class Net(LateFusion):
    paper: ClassVar[str] = "a test"
    Options: ClassVar[type[Group]] = Options
    search: ClassVar = {"options.hidden": (2, 4, 8)}

    def make_fusion(self) -> Fusion:
        return super().make_fusion()


class Other(Net):
    pass


SIZE = 3
"""
STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    file = tmp_path / "net.py"
    file.write_text(NET)
    return file


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own model+of mine")
    (folder / "net.py").write_text(NET)
    return folder


@pytest.fixture(scope="module")
def run(planted: Dataset, place: Path) -> Path:
    """A finished run of ``net.py:Net``; not to be changed."""
    return train(planted, place / "net.py", place / "run").folder.path


def train(planted: Dataset, file: Path, out: Path, *overrides: str, resume: bool = False) -> TrainedModel:
    return selfmm.train(planted, overrides=[*STREAMS, f"model={file}:Net", *overrides], out=out, resume=resume)


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that has loaded no code yet."""
    monkeypatch.setattr(own_code, "_classes", {})


def test_a_run_remembers_its_code(run: Path, place: Path) -> None:
    info = RunFolder(run).require_finished()
    assert info.model == f"{place / 'net.py'}:Net"
    assert info.model_name == "Net"
    assert len(info.code_sha256) == 64
    assert RunFolder(run).settings().model == info.model


@pytest.mark.usefixtures("fresh")
def test_code_is_loaded_from_a_run_only_when_it_is_named_or_trusted(run: Path, place: Path, planted: Dataset) -> None:
    with pytest.raises(
        RunError,
        match=r"trained with code that is not part of selfmm: Net in .*net\.py.*`model='.*net\.py:Net'`.*`trust=True`",
    ):
        selfmm.load(run)
    assert not own_code._classes
    named = selfmm.load(run, model=f"{place / 'net.py'}:Net")
    pd.testing.assert_frame_equal(named.predict(planted)[named.predictions.columns], named.predictions, atol=1e-5)
    assert type(named.assembly.model).__name__ == "Net"


@pytest.mark.usefixtures("fresh")
def test_trust_is_enough_while_the_file_is_the_same(run: Path) -> None:
    assert selfmm.load(run, trust=True).info.model_name == "Net"
    assert selfmm.load(run).info.model_name == "Net", "it is loaded already"


@pytest.mark.usefixtures("fresh")
def test_code_may_move(run: Path, net: Path) -> None:
    assert selfmm.load(run, model=f"{net}:Net").info.model_name == "Net"


@pytest.mark.usefixtures("fresh")
def test_changed_code_is_refused(
    planted: Dataset,
    net: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "run"
    before = train(planted, net, out)
    net.write_text(NET + "# edited\n")
    assert selfmm.load(out, model=f"{net}:Net").info == before.info, "this process still has what it trained with"
    monkeypatch.setattr(own_code, "_classes", {})
    for given in ({"trust": True}, {"model": f"{net}:Net"}):
        with pytest.raises(
            RunError, match=r"is not the file that .* was trained with.*Restore .*`model='.*:Net'` `trust=True`"
        ):
            selfmm.load(out, **given)
    assert not own_code._classes
    assert selfmm.load(out, model=f"{net}:Net", trust=True).info == before.info
    assert "net.py is not the file that" in caplog.text
    with pytest.raises(
        RunError, match=r"the code of .*net\.py:Net has changed since .* was begun\. Restore it, or choose"
    ):
        train(planted, net, out, resume=True)
    net.unlink()
    monkeypatch.setattr(own_code, "_classes", {})
    with pytest.raises(RunError, match=r"cannot be read: .*No such file.*name it: `model='path/to/file\.py:Net'`"):
        selfmm.load(out, trust=True)


def test_another_model_than_the_runs(run: Path, place: Path, trained: TrainedModel) -> None:
    with pytest.raises(RunError, match=r"trained with the class Net of .*net\.py, not lf_dnn"):
        selfmm.load(run, model="lf_dnn")
    with pytest.raises(RunError, match=r"trained with the class Net of .*net\.py, not .*:Other"):
        selfmm.load(run, model=f"{place / 'net.py'}:Other")
    with pytest.raises(RunError, match=r"trained with self_mm, not lf_dnn\. Leave out `model=\.\.\.`"):
        selfmm.load(trained.folder.path, model="lf_dnn")
    assert selfmm.load(trained.folder.path, model="self_mm", trust=True).info == trained.info


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("{}/none.py:Net", r"cannot read .*none\.py: No such file or directory"),
        ("{}/net.py", r"name the class too, for example .*net\.py:MyModel"),
        ("{}/net.py:", r"write path/to/file\.py:ClassName"),
        (":Net", r"write path/to/file\.py:ClassName"),
        ("{}/net.py:Nett", r"has no class 'Nett'; did you mean 'Net'\?"),
        ("{}/net.py:SIZE", r"SIZE in .*net\.py is not a model: derive it from .*LateFusion.*choose from: Net, Other"),
        ("{}/net.py:Options", r"Options in .*net\.py is not a model"),
        ("os:path", "the module os has no Python file; name a file"),
        ("{}/net:Net", r"is not a Python file; its name must end in \.py"),
        ("{}/broken.py:Net", r"broken\.py, line 2, raises ModuleNotFoundError: No module named 'nowhere'$"),
        ("{}/typo.py:Net", r"typo\.py, line 1, raises SyntaxError"),
        ("{}/empty.py:Net", r"has no class 'Net'; this file has no models"),
        ("{}/ends.py:Net", r"ends\.py, line 1, raises SystemExit: 3"),
        ("no_such.module:Net", r"there is no module 'no_such\.module' on Python's path; name its file instead"),
        ("selfmm.models.lmf:LMFF", r"has no class 'LMFF'; did you mean 'LMF'"),
        ("lmff", r"there is no such model; did you mean 'lmf'"),
    ],
)
def test_names_of_no_model(model: str, problem: str, place: Path) -> None:
    for name, text in {
        "broken": "\nimport nowhere\n",
        "typo": "def:\n",
        "empty": "",
        "ends": "raise SystemExit(3)",
    }.items():
        (place / f"{name}.py").write_text(text)
    with pytest.raises(SettingsError, match=problem) as error:
        find_model(model.format(place))
    assert len(error.value.problems) == 1
    assert "\n" not in error.value.problems[0]


def test_a_module_is_named_with_dots() -> None:
    assert find_model("selfmm.models.lmf:LMF") is find_model("lmf")
    lmf = find_model("lmf")
    assert len(own_code.digest_of("selfmm.models.lmf:LMF", lmf)) == 64
    assert own_code.digest_of("lmf", lmf) == ""


def test_a_file_is_found_from_any_folder(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(net.parent)
    settings = load_settings(None, ["model=net.py:Net"])
    assert settings.model == f"{net}:Net"
    assert settings.model_name == "Net"
    assert issubclass(find_model("net.py:Net"), LateFusion)
    assert find_model("net.py:Net") is find_model(settings.model), "it is run once"


def test_a_preset_runs_no_code_unasked(run: Path, place: Path) -> None:
    preset, named = run / "settings.toml", f"model={place / 'net.py'}:Net"
    with pytest.raises(SettingsError, match=r"settings\.toml names code as its model\..*`model='.*net\.py:Net'`"):
        load_settings(preset)
    assert load_settings(preset, [named]) == load_settings(preset, trust=True)
    assert load_settings(preset, ["model=tfn"]).model == "tfn"
    with pytest.raises(SettingsError, match="names code as its model"):
        model_cases(["lf_dnn", str(preset)], None, [])
    cases = model_cases([f"{place / 'net.py'}:Net", str(preset)], None, [])
    assert [case.name for case in cases] == ["Net", "settings"]


def test_names_of_cases(place: Path) -> None:
    file = place / "net.py"
    assert case_names([f"{file}:Net+labels.source=none", f"{file}:Net", "tfn"]) == [
        "Net+labels.source=none",
        "Net",
        "tfn",
    ]
    assert case_names(["a.b:Net", f"{file}:Net"]) == ["b.Net", "net.Net"]


@pytest.mark.slow
def test_several_seeds(planted: Dataset, place: Path, run: Path) -> None:
    """Each in a process of its own, which loads the file; its figures are those of a run alone."""
    overrides = [*STREAMS, f"model={place / 'net.py'}:Net"]
    result = selfmm.train_seeds(planted, seeds=[1111, 1112], overrides=overrides, out=place / "seeds", jobs=2)
    assert not result.failed
    pd.testing.assert_frame_equal(result.runs[1111].predictions(), RunFolder(run).predictions(), check_exact=True)


@pytest.mark.slow
def test_comparison_and_ablation(planted: Dataset, place: Path) -> None:
    model = f"{place / 'net.py'}:Net"
    result = compare(
        planted, ["lf_dnn", model], seeds="1-2", overrides=STREAMS, baseline=model, out=place / "compared", jobs=2
    )
    assert not result.grid.failed
    assert {path.name for path in (place / "compared").iterdir() if path.is_dir()} >= {"lf_dnn", "Net"}
    assert result.table.baseline == "Net"
    varied = ablate(planted, ["robustness"], model=model, seeds=[1], overrides=STREAMS, out=place / "varied")
    assert not varied.grid.failed
    assert varied.curves is not None


def test_tuning(planted: Dataset, place: Path) -> None:
    pytest.importorskip("optuna")
    found = selfmm.tune(planted, trials=2, model=f"{place / 'net.py'}:Net", overrides=STREAMS, out=place / "tuned")
    assert list(found.search.spaces) == ["options.hidden"]
    assert found.settings.model == f"{place / 'net.py'}:Net"


@pytest.mark.slow
@pytest.mark.usefixtures("fresh")
def test_from_the_command_line(planted: Dataset, place: Path) -> None:
    """The path may be relative to where the command is given."""
    settings = [word for setting in STREAMS for word in ("--set", setting)]
    command("train", planted.path, "--model", "net.py:Net", *settings, "--out", "cli", cwd=place)
    assert RunFolder(place / "cli").require_finished().model == f"{place / 'net.py'}:Net"
    command("report", "cli", "--out", "report.html", cwd=place)
    assert ">Net<" in (place / "report.html").read_text()


def command(*words: object, cwd: Path) -> None:
    done = selfmm_command(*map(str, words), cwd=cwd)
    assert done.returncode == 0, done.stderr
