"""``selfmm labels --audit`` and ``selfmm report`` as a user meets them."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from cli.command_line import complains, selfmm, shown
from selfmm.cli.show_labels import render
from selfmm.core.errors import OutputError, RunError, SelfmmError
from selfmm.data.store import Dataset
from selfmm.report.report import write_report
from selfmm.runs.material import Material
from selfmm.runs.trained_model import TrainedModel


def printed(*arguments: str | Path) -> str:
    result = selfmm(*arguments, COLUMNS="120")
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_audit_prints_figures_and_writes_each_label(trained: TrainedModel, tmp_path: Path) -> None:
    out = tmp_path / "audit.csv"
    text = printed("labels", trained.folder.path, "--audit", "--out", out)
    for part in ("separation", "u-label | m-label", "updated", "known labels", "disagree most"):
        assert part in text
    table = pd.read_csv(out)
    best = trained.metrics["best_epoch"]
    assert f"u-labels of epoch {best}, whose weights the model has" in text
    assert "only training clips have labels" in text
    assert len(table) == (trained.labels["epoch"] == best).sum()
    assert list(table) == ["id", "modality", "m_label", "u_label", "score", "outcome"]


def test_audit_as_json_is_unrounded_and_strict(trained: TrainedModel) -> None:
    content = json.loads(printed("labels", trained.folder.path, "--audit", "--json"), parse_constant=pytest.fail)
    audit = Material.read(trained.folder.path).audit()
    assert content["modalities"]["audio"]["distance_m"] == audit.figures.loc["audio", "distance_m"]
    assert content["by_epoch"][0]["drift"] is None
    assert [clip["id"] for clip in content["clips"]] == audit.clips["id"].tolist()
    assert content["clips"][0]["text"]


def test_texts_are_no_markup(trained: TrainedModel) -> None:
    material = Material.read(trained.folder.path)
    audit = material.audit()
    audit.clips.loc[0, ["id", "text"]] = ["[red]x[/red]", "[b]odd[/b] [/nothing]"]
    text = shown(render(replace(audit, notes=("[i]note[/i]",))), 110)
    for part in ("[red]x[/red]", "[b]odd[/b] [/nothing]", "[i]note[/i]"):
        assert part in text


@pytest.mark.slow
def test_report_says_what_it_wrote_and_replaces_nothing(trained: TrainedModel, tmp_path: Path) -> None:
    copy = shutil.copytree(trained.folder.path, tmp_path / "run")
    before = sorted(copy.rglob("*"))
    text = printed("report", copy, "--pictures", tmp_path / "pictures")
    assert text.splitlines()[0] == str(tmp_path / "run-report.html")
    assert (tmp_path / "pictures" / "centres-fusion.svg").is_file()
    assert sorted(copy.rglob("*")) == before
    complains(selfmm("report", copy), "run-report.html exists already", "--force")
    other = selfmm("report", copy, "--out", tmp_path / "other.html", "--pictures", tmp_path / "pictures")
    complains(other, "already has labels-over-epochs-text.png")
    assert not (tmp_path / "other.html").exists()


def test_report_refuses_wrong_places(trained: TrainedModel, planted: Dataset, tmp_path: Path) -> None:
    path = trained.folder.path
    with pytest.raises(OutputError, match=r"end in \.html"):
        write_report(path, tmp_path / "page.pdf")
    with pytest.raises(OutputError, match="is in the run folder"):
        write_report(path, path / "page.html")
    with pytest.raises(OutputError, match="is in a data set"):
        write_report(path, planted.path / "page.html")
    with pytest.raises(OutputError, match="is in the run folder"):
        write_report(path, tmp_path / "page.html", path)
    with pytest.raises(SelfmmError, match="is not a run folder"):
        write_report(planted.path, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_it_says_what_to_install(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(OutputError, match=r"pip install 'selfmm\[report\]'"):
        write_report(trained.folder.path, tmp_path / "page.html")


def test_options_that_do_not_go_together(trained: TrainedModel) -> None:
    complains(selfmm("labels", trained.folder.path, "--json"), "--json needs --audit")
    complains(selfmm("labels", trained.folder.path, "--audit", "--epoch", "all"), "give that epoch")
    complains(selfmm("labels", trained.folder.path, "--audit", "--long"), "leave out --split and --long")
    complains(selfmm("labels", trained.folder.path, "--epoch", "all"), "give --long too")


def spoil(run: Path, name: str, content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (run / name).write_text(text, encoding="utf-8")


EPOCH = {"epoch": 1, "loss": {}, "valid": {"mae": 1.0}, "best": True, "seconds": 1, "clips_per_second": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("history.jsonl", ""),
        ("history.jsonl", "["),
        ("history.jsonl", "[" * 100_000),
        ("history.jsonl", "[1]\n3\n"),
        ("history.jsonl", {**EPOCH, "loss": {"audio": "x"}}),
        ("history.jsonl", {**EPOCH, "valid": {}}),
        ("history.jsonl", {**EPOCH, "labels": None}),
        ("metrics.json", "[" * 100_000),
        ("metrics.json", {"best_epoch": 1}),
        ("metrics.json", {"best_epoch": 1, "splits": {}}),
        ("metrics.json", '{"best_epoch": Infinity, "splits": {}}'),
    ],
)
def test_damaged_records_of_a_run_are_named(trained: TrainedModel, tmp_path: Path, name: str, content: object) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder.path, folder)
    spoil(folder, name, content)
    with pytest.raises(RunError, match=name):
        write_report(folder, tmp_path / "page.html")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run"]


def test_damaged_predictions_are_named(trained: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder.path, folder)
    scores = trained.predictions
    for table in (scores.drop(columns="id"), scores.assign(score_audio="x"), scores.drop(columns="score")):
        table.to_parquet(folder / "predictions.parquet")
        with pytest.raises(RunError, match=r"predictions\.parquet"):
            write_report(folder, tmp_path / "page.html")


@pytest.mark.slow
def test_a_missing_figure_of_the_history_is_no_mistake(trained: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder.path, folder)
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for row in rows:  # NaN is written as null
        row["valid"]["mae"] = row["loss"]["audio"] = None
    spoil(folder, "history.jsonl", "\n".join(map(json.dumps, rows)))
    write_report(folder, tmp_path / "page.html")
    assert "</main>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_modalities_of_foreign_labels_name_no_files(trained: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder.path, folder)
    evil = {"audio": '/../../evil/"><script>'}
    trained.labels.replace({"modality": evil}).to_parquet(folder / "labels.parquet")
    with pytest.raises(RunError, match="another run"):
        write_report(folder, tmp_path / "page.html", tmp_path / "pictures")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run"]


def test_foreign_labels_are_refused_by_every_command(trained: TrainedModel, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder.path, folder)
    for table in (
        trained.labels[["id"]],
        trained.labels.assign(epoch="x"),
        trained.labels.assign(u_label=float("nan")),
        trained.labels.assign(id=pd.Series([[1]] * len(trained.labels), dtype=object)),
    ):
        table.to_parquet(folder / "labels.parquet")
        commands: list[list[str | Path]] = [
            ["labels", folder],
            ["labels", folder, "--audit"],
            ["annotate", folder, tmp_path / "x.csv"],
        ]
        for command in commands:
            complains(selfmm(*command), "damaged")


def test_a_file_in_the_place_of_the_pictures_leaves_no_page(trained: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("mine")
    with pytest.raises(OutputError, match="is not a folder"):
        write_report(trained.folder.path, tmp_path / "page.html", tmp_path / "pictures", force=True)
    assert [file.name for file in tmp_path.iterdir()] == ["pictures"]
