"""Scoring what a model has not seen: words alone, tables with features, and inputs that cannot be scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from conftest import PLANTED, QUICK
from selfmm.api import Listener, train
from selfmm.core.errors import DatasetError, RunError, SourceError, WeightsError
from selfmm.data.planted import planted_source
from selfmm.data.store import Dataset
from selfmm.data.writer import write_dataset
from selfmm.recordings.model import SentimentModel


def test_sentences_alone(trained: SentimentModel) -> None:
    table = trained.predict(text=["the plot was wonderful", "the plot was dreadful"])
    assert table["id"].tolist() == ["text_1", "text_2"]
    assert np.isfinite(table[["score", "score_text"]]).all(axis=None)
    assert table[["label", "score_audio", "score_vision"]].isna().all(axis=None)


def test_sentences_score_as_the_same_words_in_a_table(trained: SentimentModel, tmp_path: Path) -> None:
    texts = ["the plot was wonderful", "the acting was dreadful and the plot was dreadful too"]
    pd.DataFrame({"id": ["text_1", "text_2"], "text": texts, "split": "test"}).to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(trained.predict(text=texts), trained.predict(tmp_path / "t.csv"), check_dtype=False)


def test_a_loaded_model_has_every_weight_of_the_run(trained: SentimentModel) -> None:
    """Nothing is drawn at random on loading, so a weight that the file lacked would be whatever the memory held."""
    from selfmm.core.tensors import load_tensors

    torch.manual_seed(5)
    state = torch.get_rng_state()
    loaded = selfmm.load(trained.folder.path).assembly.model
    assert torch.equal(torch.get_rng_state(), state)
    stored = load_tensors(trained.folder.weights)
    for name, value in [*loaded.named_parameters(), *loaded.named_buffers()]:
        if name in stored:
            assert torch.equal(value.cpu(), stored[name])
        else:  # computed, not learnt
            assert name.rpartition(".")[2] in {"position_ids", "token_type_ids"}


def test_a_missing_streams_stand_in_is_the_training_splits_mean(trained: SentimentModel, planted: Dataset) -> None:
    """No training clip lacked audio, so a zero vector would be one the model has never met."""
    from selfmm.models.scoring import MeanEncodings, score

    maker = trained.assembly.maker(planted, planted.rows("train"))
    means = MeanEncodings(trained.assembly.model, np.ones(len(maker), dtype=bool))
    score(trained.assembly.model, maker, trained.device, watch=means.add)
    for name, mean in means.values().items():
        np.testing.assert_allclose(trained.assembly.model.missing[name].detach(), mean, atol=1e-6)


def test_clips_that_lack_what_every_training_clip_has(tiny_encoder: str, tmp_path: Path) -> None:
    """Their stored scores are those of the finished model, whose stand-in is known once the training clips are read."""
    source = planted_source(PLANTED)
    without = source.table.index[source.table["split"] == "test"][:2]
    source.table.loc[without, "text"] = ""
    stages: list[tuple[str, int, int]] = []

    class Stages(Listener):
        def finishing(self, stage: str, done: int = 0, total: int = 0) -> None:
            stages.append((stage, done, total))

    dataset, overrides = write_dataset(source, tmp_path / "data"), [*QUICK, "training.max_epochs=1"]
    run = train(dataset, text_encoder=tiny_encoder, overrides=overrides, out=tmp_path / "run", listener=Stages())
    assert run.assembly.model.missing["text"].abs().sum() > 0
    np.testing.assert_allclose(run.predictions["score"], run.score(dataset)["score"], atol=1e-6)
    assert run.predictions["score_text"].isna().to_numpy().nonzero()[0].tolist() == without.tolist()
    clips = len(dataset)
    scoring = [("scoring all clips", done, clips) for done in (0, 64, 128, clips)]
    assert stages == [*scoring, ("writing the weights", 0, 0), ("measuring what the scores are worth", 0, 0)]


def test_a_table_with_features_next_to_it(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    rows = [3, 1, 8]
    table = planted.samples.iloc[rows][["id", "text"]]
    table.to_csv(tmp_path / "clips.csv", index=False)
    for name in ("audio", "vision"):
        (tmp_path / name).mkdir()
        for r in rows:
            np.save(tmp_path / name / f"{planted.samples['id'].iloc[r]}.npy", planted.frames(name, r))
    got = trained.predict(tmp_path / "clips.csv")
    expected = trained.predictions.iloc[rows]
    assert got["id"].tolist() == expected["id"].tolist()
    np.testing.assert_allclose(got["score"], expected["score"], atol=1e-5)
    np.testing.assert_allclose(got["score_audio"], expected["score_audio"], atol=1e-5)


def test_one_split_of_a_data_set(trained: SentimentModel, planted: Dataset) -> None:
    table = trained.predict(planted.path, split="test")
    assert set(table["split"]) == {"test"}
    with pytest.raises(DatasetError, match="no clip in a split 'tset'"):
        trained.predict(planted, split="tset")


@pytest.mark.parametrize("texts", [[], [""], ["good", "  "], ["good", "\x01"], ["\u200b"]])
def test_nothing_to_score(trained: SentimentModel, texts: list[str]) -> None:
    with pytest.raises(SourceError, match="nothing to score"):
        trained.predict(text=texts)


def test_a_text_that_is_too_long_says_so(trained: SentimentModel) -> None:
    words = "the plot was wonderful "
    table = trained.predict(text=[words, words * 100])
    limit = trained.assembly.settings.text.max_tokens
    assert table["warnings"].tolist() == ["", f"the text is too long: only the first {limit} of 402 tokens are read"]
    assert "warnings" not in trained.predict(text=[words])


def test_a_clip_that_lacks_everything_has_no_score(trained: SentimentModel, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a", "b"], "text": ["the plot was wonderful", "\x01"]}).to_csv(tmp_path / "t.csv", index=False)
    table = trained.predict(tmp_path / "t.csv")
    assert table["score"].notna().tolist() == [True, False]
    assert table["low"].isna().all()


def test_a_path_that_does_not_exist(trained: SentimentModel, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        trained.predict(tmp_path / "nothing")


def test_evaluation_on_other_data_and_without_labels(trained: SentimentModel, tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a"], "text": ["the plot was wonderful"]}).to_csv(tmp_path / "t.csv", index=False)
    metrics = trained.evaluate(tmp_path / "t.csv")
    assert metrics.count == 0
    assert np.isnan(metrics.values["mae"])
    assert metrics.reasons["mae"]


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder: it does not exist"):
        selfmm.load(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"is not a run folder: it has no run\.json"):
        selfmm.load(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="is not a run folder: it is a file"):
        selfmm.load(tmp_path / "run.json")
    with pytest.raises(RunError, match="is not valid: selfmm: Field required"):
        selfmm.load(tmp_path)


def test_what_a_folder_is_instead_of_a_run(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"it is a data set\. Give the folder of a run"):
        selfmm.load(planted.path)
    shutil.copytree(trained.folder.path, tmp_path / "mult")
    with pytest.raises(RunError, match=r"it holds the runs 'mult'\. Give one of them"):
        selfmm.load(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes").touch()
    with pytest.raises(RunError, match=r"it holds 'notes', but no run\.json"):
        selfmm.load(tmp_path / "other")


def test_a_run_whose_data_set_is_gone(trained: SentimentModel, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained.folder.path, run)
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "dataset_path": str(tmp_path / "gone")}))
    with pytest.raises(RunError, match=r"was moved or deleted: .*selfmm evaluate .* DATA"):
        selfmm.evaluate(run)


def test_an_unfinished_or_damaged_run(trained: SentimentModel, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(trained.folder.path, out)
    info = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps({**info, "status": "training"}))
    with pytest.raises(RunError, match=r"is not finished. Resume it with: selfmm train .* --resume"):
        selfmm.load(out)
    (out / "run.json").write_text(json.dumps(info))
    (out / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(RunError, match="is incomplete"):
        selfmm.load(out)
    shutil.copy(trained.folder.weights, out / "model.safetensors")
    shutil.rmtree(out / "text_encoder")
    with pytest.raises(RunError, match=r"config\.json is missing or has changed since training"):
        selfmm.load(out)


def test_a_strangers_text_encoder_runs_no_code(trained: SentimentModel, tmp_path: Path) -> None:
    """Nor does it ask whether it may: transformers would prompt for code of a folder."""
    from selfmm.models.text import load_architecture

    folder = tmp_path / "encoder"
    shutil.copytree(trained.folder.text_encoder, folder)
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    plain = json.loads((folder / "config.json").read_text())
    for bad in (
        {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModel": "evil.M"}},
        {"attn_implementation": "someone/kernel"},
    ):
        (folder / "config.json").write_text(json.dumps({**plain, **bad}))
        with pytest.raises(WeightsError, match="needs code of its own"):
            load_architecture(folder)
    for damaged in (
        "null",
        "{",
        "[]",
        json.dumps({**plain, "hidden_size": -1}),
        json.dumps({**plain, "hidden_act": "x"}),
    ):
        (folder / "config.json").write_text(damaged)
        with pytest.raises(WeightsError):
            load_architecture(folder)


def test_scores_that_overflow_are_refused(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    clip = str(planted.samples["id"].iloc[3])
    pd.DataFrame({"id": [clip]}).to_csv(tmp_path / "clips.csv", index=False)
    (tmp_path / "audio").mkdir()
    np.save(tmp_path / "audio" / f"{clip}.npy", np.full((4, 5), 1e38, dtype=np.float32))
    model = selfmm.load(trained.folder.path)
    dict(model.assembly.model.named_buffers())["encoders.audio.scale"].fill_(1e-4)  # as of nearly constant features
    with pytest.raises(DatasetError, match=f"without a finite score: 1 of 1; the first is '{clip}'"):
        model.predict(tmp_path / "clips.csv")


def test_a_centred_run_scores_a_data_set_as_in_training(planted: Dataset, tmp_path: Path) -> None:
    overrides = ["training.max_epochs=1", "modalities=audio,vision", "stream.audio.centre=video", "model=lmf"]
    model = selfmm.train(planted, overrides=overrides, out=tmp_path / "run")
    again = selfmm.load(tmp_path / "run").score(planted)
    np.testing.assert_allclose(again["score"], model.predictions["score"], atol=1e-5)
    videos = planted.samples.assign(video=planted.samples["id"])
    alone = model.score(Dataset(planted.path, planted.manifest, videos))
    assert not np.allclose(again["score"], alone["score"], atol=1e-3)
    assert model.evaluate().count == len(planted.rows("test"))
