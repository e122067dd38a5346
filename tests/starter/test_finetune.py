"""``selfmm starter``: from an archive of rated texts to a run, which every other command takes."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import selfmm
from cli.command_line import complains
from cli.command_line import selfmm as command
from selfmm.core.errors import SourceError
from selfmm.models.reading import ReadingRules
from selfmm.models.text import load_pretrained
from selfmm.starter import fit, texts
from selfmm.starter.finetune import HELD_OUT, rated_dataset, rated_source, recipe_for
from selfmm.starter.texts import COLLECTIONS, LABEL_RANGE, parse

QUICK = ("training.max_epochs=2", "text.lr=2e-3", "text.max_tokens=40", "training.accumulation=1")
RATED = {3.1: "the plot was wonderful", -3.2: "the plot was dreadful", 0.8: "the cast was sweet", -0.7: "it was dull"}


def lines(collection: str, count: int = 60) -> str:
    """The file of one collection; reviews and editorials have three sentences in each document."""
    ids = [str(row) if collection in ("tweets", "movieReviewSnippets") else f"{row // 3}_{row}" for row in range(count)]
    rated = [list(RATED.items())[row % 4] for row in range(count)]
    return "".join(f"{name}\t{label}\t{text}\r\n" for name, (label, text) in zip(ids, rated, strict=True))


def packed(folder: str, files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive like that of vaderSentiment, with made-up texts, and an empty cache folder."""
    inner = packed("hutto_ICWSM_2014", {f"{name}_GroundTruth.txt": lines(name).encode() for name in COLLECTIONS})
    content = packed("vaderSentiment-3.3.2/additional_resources", {"hutto_ICWSM_2014.tar.gz": inner})
    monkeypatch.setattr(texts, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("SELFMM_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(content)
    return path


def test_no_document_is_in_two_splits_and_the_test_is_of_another_kind() -> None:
    table = rated_source(parse({name: lines(name, 300) for name in COLLECTIONS})).table
    assert table["id"].is_unique
    assert (table.groupby("video")["split"].nunique() == 1).all()
    assert set(table.loc[table["split"] == "test", "collection"]) == {HELD_OUT}
    assert (table["collection"] == HELD_OUT).sum() == (table["split"] == "test").sum()
    assert 0.05 < (table["split"] == "valid").sum() / (table["split"] != "test").sum() < 0.15
    assert table["label"].between(*LABEL_RANGE).all()


def test_the_texts_are_fetched_once(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []

    def download(folder: Path) -> Path:
        fetched.append(folder)
        return archive

    monkeypatch.setattr(texts, "download", download)
    first, second = rated_dataset(), rated_dataset()
    assert len(fetched) == 1
    assert first.samples.equals(second.samples)
    assert "MIT" in first.manifest.provenance["source"]


@pytest.mark.slow
def test_texts_that_cannot_be_fetched(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(SourceError, match=r"pip could not download vadersentiment==3.3.2: .*`archive=\.\.\.`"):
        rated_dataset()


@pytest.mark.parametrize("encoder", ["minilm", "e5", "mpnet", "someone/encoder"])
def test_the_settings_for_an_encoder_are_valid(encoder: str) -> None:
    settings = selfmm.settings(overrides=[*recipe_for(encoder), f"text.encoder={encoder}"])
    assert settings.model == "lf_dnn"
    assert settings.training.max_epochs <= settings.training.patience


@pytest.mark.slow
def test_a_run_for_every_other_command(archive: Path, tiny_encoder: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    how = [word for value in QUICK for word in ("--set", value)]
    finetune: list[str | Path] = ["starter", "--finetune", "--encoder", tiny_encoder, "--out", run, *how]
    arguments: list[str | Path] = [*finetune, "--archive", archive]
    trained = command(*arguments)
    assert trained.returncode == 0, trained.stderr
    assert "60 test clips of 20 recordings" in trained.stdout
    model = selfmm.load(run)
    assert (model.info.dataset, model.info.language, [*model.info.modalities]) == ("rated_texts", "en", ["text"])
    assert len(model.history) == 2
    good, bad = model.predict(text=["the plot was wonderful", "the plot was dreadful"])["score"]
    assert good > bad
    assert command("predict", run, "--text", "the plot was wonderful").returncode == 0
    assert command("evaluate", run).returncode == 0
    complains(command(*arguments), f"{run} exists already. Pass --resume to continue it, or choose another --out")
    assert command(*arguments, "--resume").returncode == 0
    assert command(*finetune, "--resume").returncode == 0, "the texts are in the cache"


@pytest.mark.slow
def test_the_starter_again(archive: Path, tiny_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretrained = replace(load_pretrained(tiny_encoder), rules=ReadingRules("mean", "lower"))
    monkeypatch.setattr(fit, "text_encoder", lambda settings: pretrained)
    monkeypatch.setattr("selfmm.runs.trained_model.text_encoder", lambda settings, compact: pretrained)
    made = command("starter", "--archive", archive, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("starter, fitted on 240 English texts")
    scores = selfmm.load(tmp_path / "runs" / "starter-e5").predict(text=list(RATED.values()))["score"].to_numpy()
    assert np.corrcoef(scores, list(RATED))[0, 1] > 0.9


def test_wrong_arguments(archive: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other.tar.gz", tmp_path / "out"
    other.write_bytes(b"not it")
    finetune: list[str | Path] = ["starter", "--finetune", "--out", out]
    complains(command(*finetune, "--archive", other), "is not the source archive of vadersentiment==3.3.2")
    complains(command(*finetune, "--archive", archive, "--encoder", str(tmp_path)), "text encoder")
    complains(command(*finetune, "--archive", archive, "--set", "text.lrr=1"), "text.lr")
    complains(
        command("starter", "--encoder", "mpnet", "--archive", archive, "--out", out), "e5 or minilm", "--finetune"
    )
    complains(command("starter", "--seed", "3", "--out", out), "--set, --seed and --resume are for a training")
    complains(command("starter", "--finetune", "--archive", archive, "--out", tmp_path), "exists already")
    assert not out.exists()
