"""The mean of several runs as a run: what it scores, what it stores, and which runs cannot be averaged."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import selfmm
from conftest import QUICK
from selfmm.core.errors import OutputError, RunError
from selfmm.core.tensors import load_tensors
from selfmm.data.store import Dataset
from selfmm.models.ensemble import Ensemble
from selfmm.recordings.model import SentimentModel


def changed(run: Path, folder: Path, **values: object) -> Path:
    """A copy of a run with other values in its ``run.json``."""
    copy = folder / run.name
    shutil.copytree(run, copy)
    content = json.loads((copy / "run.json").read_text("utf-8"))
    (copy / "run.json").write_text(json.dumps({**content, **values}), encoding="utf-8")
    return copy


def test_it_scores_with_the_mean(averaged: SentimentModel, members: list[Path], planted: Dataset) -> None:
    parts = [selfmm.load(run).predict(planted) for run in members[:2]]
    table = averaged.predict(planted)
    for name in ("score", "score_text", "score_audio", "score_vision"):
        np.testing.assert_allclose(table[name], (parts[0][name] + parts[1][name]) / 2, atol=1e-5)
    np.testing.assert_allclose(table["deviation"], abs(parts[0]["score"] - parts[1]["score"]) / 2**0.5, atol=1e-5)
    stored = averaged.predictions
    for name in ("score", "deviation"):
        np.testing.assert_allclose(stored[name], table[name], atol=1e-5)


def test_it_is_a_run(averaged: SentimentModel, members: list[Path], planted: Dataset) -> None:
    again = selfmm.load(averaged.folder.path)
    assert again.info.model == "ensemble"
    assert [Path(member.run) for member in again.info.members] == members[:2]
    metrics = selfmm.evaluate(again)
    assert metrics.values["mae"] == pytest.approx(
        averaged.metrics["splits"]["test"]["fusion"]["values"]["mae"], abs=1e-5
    )
    worth = averaged.worth
    assert worth is not None
    assert metrics.worth is not None
    assert metrics.worth.scores["fusion"].mae == pytest.approx(worth.scores["fusion"].mae, abs=1e-5)
    assert metrics.worth.scores["fusion"].coverage == worth.scores["fusion"].coverage
    assert again.history.empty
    assert "model: ensemble" in repr(again)
    assert averaged.metrics["fit"] == [f"The mean of 2 runs: {members[0]}, {members[1]}."]
    [words] = selfmm.api.predict_texts(again, ["I love it"])
    assert words.score is not None
    assert words.deviation is not None


def test_clips_on_which_the_runs_disagree_have_a_wider_band(averaged: SentimentModel, planted: Dataset) -> None:
    table = averaged.predict(planted)
    worth = averaged.worth
    assert worth is not None
    low, high = worth.label_range
    inside = (table["low"] > low) & (table["high"] < high)
    width = (table["high"] - table["low"])[inside] / 2
    fused = worth.scores["fusion"]
    np.testing.assert_allclose(width, fused.factor * np.hypot(fused.floor, table["deviation"][inside]))
    [prediction] = selfmm.api.predict_texts(averaged, ["I hate it"])
    complete = replace(prediction, worth=replace(worth, always=()))  # the band of a clip of words alone is not known
    agreed, disputed = (replace(complete, deviation=deviation).interval("fusion") for deviation in (0.0, 0.5))
    assert agreed is not None
    assert disputed is not None
    assert disputed[0] < agreed[0] < agreed[1] < disputed[1]
    row, content = complete.row(), complete.to_json()
    assert row["deviation"] == content["deviation"] == prediction.deviation
    assert (row["low"], row["high"]) == pytest.approx(complete.interval("fusion"))
    assert content["intervals"]["fusion"] == pytest.approx(complete.interval("fusion"))


def test_equal_weights_are_stored_once(averaged: SentimentModel, members: list[Path]) -> None:
    frozen = averaged.folder.frozen_weights
    assert frozen.stat().st_ino == (members[0] / "frozen.safetensors").stat().st_ino, "one file on disk"
    names = {name.split(".")[0] for name in load_tensors(averaged.folder.weights)}
    assert {"0", "1", "encoders"} <= names, "standardisation is the same in all seeds"
    model = averaged.assembly.model
    assert isinstance(model, Ensemble)
    assert model.shared is not None, "a frozen text encoder runs once"
    assert averaged.info.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_other_models_and_trained_encoders(
    trained: SentimentModel, members: list[Path], planted: Dataset, tmp_path: Path
) -> None:
    chosen = [trained.folder.path, members[2], members[0]]
    mean = selfmm.ensemble(chosen, out=tmp_path / "mean")
    parts = [selfmm.load(member).predict(planted, "test") for member in chosen]
    table = mean.predict(planted, "test")
    np.testing.assert_allclose(table["score"], sum(part["score"] for part in parts) / 3, atol=1e-5)
    assert [name for name in table if str(name).startswith("score_")] == [], "LMF has no scores of modalities"
    model = mean.assembly.model
    assert isinstance(model, Ensemble)
    assert model.shared is None


def test_a_folder_of_seeds_stands_for_its_finished_seeds(members: list[Path], tmp_path: Path) -> None:
    for run, name in zip(members, ("seed-1", "seed-2", "seed-3"), strict=True):
        shutil.copytree(run, tmp_path / "seeds" / name)
    file = tmp_path / "seeds" / "seed-3" / "run.json"
    file.write_text(file.read_text("utf-8").replace('"finished"', '"training"'), encoding="utf-8")
    mean = selfmm.ensemble(tmp_path / "seeds", out=tmp_path / "mean")
    assert [Path(member.run).name for member in mean.info.members] == ["seed-1", "seed-2"]
    assert mean.metrics["fit"][1] == "1 seed not finished and left out: 3."
    assert mean.notes == selfmm.load(mean.folder.path).notes
    with pytest.raises(RunError, match="is given twice"):
        selfmm.ensemble([tmp_path / "seeds", tmp_path / "seeds" / "seed-2"], out=tmp_path / "more")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fingerprint": "0"}, r"different data \(.*changed in between\)"),
        ({"fingerprint": "0", "dataset_path": "/elsewhere"}, r"different data \(.* and /elsewhere\)"),
        ({"label_range": [0, 1]}, r"the range of the labels \(\(-3\.0, 3\.0\) and \(0\.0, 1\.0\)\)"),
        ({"language": "de"}, r"language \(en and de\)"),
        ({"text_encoder": {}}, "the files of the text encoder"),
        ({"recipe": {}}, "the recipe of extraction"),
        ({"status": "training"}, "is not finished"),
        ({}, "have the same weights"),
    ],
)
def test_runs_that_cannot_be_averaged(
    values: dict[str, object], message: str, members: list[Path], tmp_path: Path
) -> None:
    other = changed(members[1] if values else members[0], tmp_path, **values)
    with pytest.raises(RunError, match=message):
        selfmm.ensemble([members[0], other], out=tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_settings_that_must_agree(members: list[Path], tmp_path: Path) -> None:
    other = changed(members[1], tmp_path)
    settings = (other / "settings.toml").read_text("utf-8")
    (other / "settings.toml").write_text(settings.replace("max_tokens = 40", "max_tokens = 50"), encoding="utf-8")
    with pytest.raises(RunError, match=r"differ in text\.max_tokens \(40 and 50\)"):
        selfmm.ensemble([members[0], other], out=tmp_path / "mean")


def test_too_few_runs_and_others_that_are_no_members(
    averaged: SentimentModel, members: list[Path], tmp_path: Path, planted: Dataset
) -> None:
    out = tmp_path / "mean"
    with pytest.raises(RunError, match="two or more runs, and there is only"):
        selfmm.ensemble(members[0], out=out)
    with pytest.raises(RunError, match="two or more runs, and none is given"):
        selfmm.ensemble([], out=out)
    with pytest.raises(RunError, match="is given twice"):
        selfmm.ensemble([members[0], members[0]], out=out)
    with pytest.raises(RunError, match=r"is an ensemble already\. Name its runs instead"):
        selfmm.ensemble([members[0], averaged], out=out)
    with pytest.raises(RunError, match="starter is fitted at once"):
        selfmm.ensemble(["starter", members[0]], out=out)
    with pytest.raises(RunError, match="not a run folder"):
        selfmm.ensemble([members[0], tmp_path / "nowhere"], out=out)
    with pytest.raises(RunError, match="Leave out `model"):
        selfmm.ensemble(members[:2], out=out, model="net.py:Net")
    assert not out.exists()
    with pytest.raises(OutputError, match="exists"):
        selfmm.ensemble(members[:2], out=averaged.folder.path)


def test_without_its_data_set_nothing_can_be_measured(members: list[Path], tmp_path: Path) -> None:
    gone = [changed(run, tmp_path, dataset_path=str(tmp_path / "gone")) for run in members[:2]]
    with pytest.raises(RunError, match="moved, deleted or changed"):
        selfmm.ensemble(gone, out=tmp_path / "mean")


def test_what_is_of_one_training_says_so(averaged: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    for verb in (selfmm.api.labels, selfmm.audit):
        with pytest.raises(RunError, match="labels per modality are of one training"):
            verb(averaged.folder.path)
    with pytest.raises(RunError, match="cannot start from an ensemble"):
        selfmm.train(planted, start=averaged.folder.path, overrides=QUICK, out=tmp_path / "run")
    with pytest.raises(selfmm.SelfmmError, match="selfmm ensemble"):
        selfmm.train(planted, preset=averaged.folder.path / "settings.toml", out=tmp_path / "run")
    with pytest.raises(RunError, match="Leave out `model"):
        selfmm.load(averaged.folder.path, model="net.py:Net")


OWN = """
from selfmm.models.lf_dnn import LFDNN


class Own(LFDNN):
    pass
"""


def test_own_code_runs_only_if_it_is_named_or_trusted(
    members: list[Path], planted: Dataset, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    code, overrides = f"{tmp_path / 'own.py'}:Own", [*QUICK, "text.finetune=false", "training.max_epochs=1"]
    selfmm.train(planted, model=code, text_encoder=tiny_encoder, overrides=overrides, out=tmp_path / "own")
    monkeypatch.setattr("selfmm.runs.code.loaded", lambda *_: None)  # as in a new process
    runs = [members[0], tmp_path / "own"]
    with pytest.raises(RunError, match="not part of selfmm: Own in"):
        selfmm.ensemble(runs, out=tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    mean = selfmm.ensemble(runs, out=tmp_path / "mean", model=code)
    assert mean.info.members[1].code_sha256
    with pytest.raises(RunError, match="not part of selfmm: Own in"):
        selfmm.load(tmp_path / "mean")
    assert selfmm.load(tmp_path / "mean", trust=True).predict(text="I love it")["deviation"].notna().all()


def test_damaged(averaged: SentimentModel, tmp_path: Path) -> None:
    copy = tmp_path / "mean"
    shutil.copytree(averaged.folder.path, copy)
    (copy / "model.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match="incomplete"):
        selfmm.load(copy)
