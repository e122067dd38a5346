"""A comparison and an ablation from end to end: every number from the run folders, and the same after a resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli.command_line import complains, selfmm
from conftest import QUICK
from selfmm.core.errors import SettingsError
from selfmm.data.store import Dataset
from selfmm.experiments.ablate import Ablation, ablate
from selfmm.experiments.compare import Comparison, compare, compare_all
from selfmm.experiments.table import Table
from selfmm.models.assembly import POOLED
from selfmm.runs.folder import RunFolder

STREAMS = [*QUICK, "modalities=audio,vision", "training.max_epochs=2"]


@pytest.fixture(scope="module")
def compared(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """Two models with two seeds, and one that the data do not serve; not to be changed."""
    out = tmp_path_factory.mktemp("compared") / "out"
    overrides = [*STREAMS, f"text.encoder={tiny_encoder}"]
    return compare(
        planted, ["self_mm", "lf_dnn", "mag_bert"], seeds=[5, 6], overrides=overrides, out=out, published="mosi"
    )


@pytest.fixture(scope="module")
def ablated(planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    """Tasks of one seed and modality; not to be changed."""
    out = tmp_path_factory.mktemp("ablated") / "out"
    return ablate(planted, ["tasks"], seeds=[5], overrides=[*STREAMS, "modalities=audio"], out=out)


@pytest.mark.slow
def test_every_number_is_that_of_a_run(compared: Comparison, planted: Dataset) -> None:
    rows = {(row.name, row.kind): row for row in compared.table.rows}
    test = planted.samples["split"] == "test"
    errors = {}
    for name in ("self_mm", "lf_dnn"):
        row = rows[name, "run"]
        runs = [RunFolder(compared.folder / name / f"seed-{seed}") for seed in (5, 6)]
        for key, values in row.figures.items():
            assert values == [run.metrics()["splits"]["test"]["fusion"]["values"][key] for run in runs]
        assert row.parameters == runs[0].info().parameters
        assert row.seconds == pytest.approx(np.mean([run.history()["seconds"].sum() for run in runs]))
        scores = np.stack([run.predictions().loc[test, "score"] for run in runs])
        errors[name] = np.abs(scores - planted.samples.loc[test, "label"].to_numpy()).mean()
        assert row.mean("mae") == pytest.approx(errors[name])
    gap = rows["lf_dnn", "run"].difference
    assert gap is not None
    assert gap.value == pytest.approx(errors["lf_dnn"] - errors["self_mm"])
    assert rows["self_mm", "run"].difference is None
    assert rows["mean", "trivial"].mean("mae") > 0
    assert rows["text ridge", "trivial"].seeds == 1
    assert "needs text" in rows["mag_bert", "failed"].note
    assert ("self_mm", "published") in rows


@pytest.mark.slow
def test_models_of_aligned_modalities_pool_other_data_and_say_so(planted: Dataset, tmp_path: Path) -> None:
    result = compare(planted, ["lf_dnn", "ef_lstm"], seeds=[5], overrides=STREAMS, out=tmp_path / "out")
    notes = {row.name: row.note for row in result.table.rows if row.kind == "run"}
    assert notes == {"lf_dnn": "", "ef_lstm": POOLED}
    assert "ef_lstm \\[1\\]" in (tmp_path / "out" / "comparison.md").read_text().replace("\\_", "_")


@pytest.mark.slow
def test_files_say_the_same(compared: Comparison) -> None:
    stems = {path.name for path in compared.folder.iterdir() if path.is_file() and path.name[0] != "."}
    endings = ("md", "tex", "bib", "html", "csv", "json", "svg", "png", "pdf")
    cases = {f"comparison-cases.{ending}" for ending in ("md", "tex", "csv")}
    assert stems == {f"comparison.{ending}" for ending in endings} | cases
    frame = pd.read_csv(compared.folder / "comparison.csv")
    assert frame["system"].tolist() == [row.name for row in compared.table.rows]
    for key in compared.table.metrics:
        means = frame[frame["kind"] == "run"].set_index("system")[f"{key}_mean"]
        gap = frame.loc[frame["system"] == "lf_dnn", f"{key}_difference"].iloc[0]
        assert gap == pytest.approx(means["lf_dnn"] - means["self_mm"]), key
    content = json.loads((compared.folder / "comparison.json").read_text())
    assert set(content["runs"]) == {"self_mm 5", "self_mm 6", "lf_dnn 5", "lf_dnn 6"}
    assert content["baseline"] == "self_mm"


@pytest.mark.slow
def test_single_clips_are_those_of_the_runs(compared: Comparison, planted: Dataset) -> None:
    cases = pd.read_csv(compared.folder / "comparison-cases.csv").set_index("id")
    for name in ("self_mm", "lf_dnn"):
        runs = [RunFolder(compared.folder / name / f"seed-{seed}").predictions().set_index("id") for seed in (5, 6)]
        mean = (runs[0]["score"] + runs[1]["score"]) / 2
        np.testing.assert_allclose(cases[name], mean[cases.index])
    assert len(cases) == len(planted.rows("test"))
    assert "mag_bert" not in cases
    assert cases["shown"].notna().sum() <= 9


def test_the_table_of_all_shows_names_and_folders_are_safe(
    planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("Models", ("mae", "corr"), (), "")
    monkeypatch.setattr(
        "selfmm.experiments.compare.compare",
        lambda data, *_, out, **__: Comparison(out, None, table),  # type: ignore[arg-type]
    )
    named = [
        Dataset(planted.path, planted.manifest.model_copy(update={"name": name}), planted.samples, {})
        for name in ("a & b/c", "a & b/c", "é 名")
    ]
    result = compare_all(named, ["lf_dnn"], columns=["mae"], out=tmp_path)
    assert [part.title for part in result.tables] == ["a & b/c-1", "a & b/c-2", "é 名"]
    assert all("/" not in folder and "&" not in folder for folder in result.parts)
    assert "{a \\& b/c-2}" in (tmp_path / "comparison.tex").read_text(encoding="utf-8")


@pytest.mark.slow
def test_several_data_sets_make_one_table(planted: Dataset, tmp_path: Path) -> None:
    """Two of one name; what was trained is kept, and columns are chosen."""
    command = ["compare", str(planted.path), str(planted.path), "--models", "lf_dnn,tfn", "--seeds", "5", "--resume"]
    for override in [*STREAMS, "training.max_epochs=1"]:
        command += ["--set", override]
    out = tmp_path / "out"
    result = selfmm(*command, "--columns", "corr,p", "--out", out)
    assert result.returncode == 0, result.stderr
    name = planted.name
    frame = pd.read_csv(out / "comparison.csv")
    assert frame["dataset"].unique().tolist() == [f"{name}-1", f"{name}-2"]
    parts = [pd.read_csv(out / part / "comparison.csv") for part in (f"{name}-1", f"{name}-2")]
    pd.testing.assert_frame_equal(frame.drop(columns="dataset"), pd.concat(parts, ignore_index=True))
    head = (out / "comparison.md").read_text().splitlines()[2]
    assert head == f"| system | {name}-1 Corr ↑ | {name}-1 p | {name}-2 Corr ↑ | {name}-2 p |"
    assert f"\\multicolumn{{2}}{{c}}{{{name}-2}}" in (out / "comparison.tex").read_text()
    assert "of all data sets" in result.stdout
    assert result.stdout.count("lf_dnn") >= 2
    complains(selfmm(*command, "--columns", "acc9", "--out", out), "columns: 'acc9' is not a column; did you mean")


@pytest.mark.slow
def test_what_was_lost_is_made_again_and_the_table_is_the_same(
    compared: Comparison, planted: Dataset, tiny_encoder: str, tmp_path: Path
) -> None:
    """As after a kill in the middle: a run is gone, another lost its end, the tables were not yet written."""
    out = tmp_path / "out"
    shutil.copytree(compared.folder, out)
    shutil.rmtree(out / "lf_dnn" / "seed-6")
    for path in out.glob("comparison.*"):
        path.unlink()
    command = ["compare", str(planted.path), "--models", "self_mm,lf_dnn", "--seeds", "5,6", "--out", str(out)]
    for override in STREAMS:
        command += ["--set", override]
    command += ["--text-encoder", tiny_encoder]
    complains(selfmm(*command), "Pass --resume")
    result = selfmm(*command, "--resume")
    assert result.returncode == 0, result.stderr
    assert "1 run to train (3 finished already)" in result.stdout
    before, after = (pd.read_csv(folder / "comparison.csv").set_index("system") for folder in (compared.folder, out))
    measured = [name for name in map(str, after) if name.endswith(("_mean", "_std", "_runs")) or name == "parameters"]
    old, new = (frame.loc[frame["kind"] == "run", measured].loc[["self_mm", "lf_dnn"]] for frame in (before, after))
    pd.testing.assert_frame_equal(old, new)


@pytest.mark.slow
def test_a_case_without_a_result_ends_in_an_error_after_the_table(
    compared: Comparison, planted: Dataset, tiny_encoder: str
) -> None:
    command = ["compare", str(planted.path), "--models", "self_mm,lf_dnn,mag_bert", "--seeds", "5,6", "--resume"]
    for override in STREAMS:
        command += ["--set", override]
    result = selfmm(*command, "--text-encoder", tiny_encoder, "--out", compared.folder)
    complains(result, "2 runs have no result")
    assert "needs text" in result.stdout


def test_a_baseline_must_be_compared(planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="baseline = 'tfn' is not one of the models: self_mm"):
        compare(planted, ["self_mm"], baseline="tfn", out=tmp_path / "out")


@pytest.mark.slow
def test_tasks_are_ablated(ablated: Ablation) -> None:
    rows = ablated.tables["tasks"].rows
    assert [(row.name, row.kind) for row in rows] == [("full", "run"), ("tasks=m", "run")]
    assert [row.difference is None for row in rows] == [True, False]
    for row, tasks in zip(rows, ({"score_audio"}, set()), strict=True):
        scores = RunFolder(ablated.folder / row.name / "seed-5").predictions()
        assert {str(name) for name in scores if str(name).startswith("score_")} == tasks
    for name in ("tasks.tex", "tasks.bib", "tasks.svg", "tasks-cases.md"):
        assert (ablated.folder / name).is_file()


@pytest.mark.slow
def test_robustness_is_that_of_the_full_runs_which_are_not_trained_again(ablated: Ablation, planted: Dataset) -> None:
    command = ["ablate", str(planted.path), "--what", "robustness", "--seeds", "5", "--resume"]
    for override in [*STREAMS, "modalities=audio"]:
        command += ["--set", override]
    result = selfmm(*command, "--out", ablated.folder)
    assert result.returncode == 0, result.stderr
    assert "0 runs to train (1 finished already)" in result.stdout
    curves = pd.read_csv(ablated.folder / "robustness.csv")
    start = curves.loc[(curves["level"] == 0) & (curves["metric"] == "mae"), "mean"]
    full = next(row for row in ablated.tables["tasks"].rows if row.name == "full")
    np.testing.assert_allclose(start, full.mean("mae"), atol=1e-5)
    assert list(ablated.folder.glob("robustness-*.svg"))


def test_no_such_ablation(planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'task' is not an ablation; did you mean 'tasks'"):
        ablate(planted, ["task"], out=tmp_path / "out")
