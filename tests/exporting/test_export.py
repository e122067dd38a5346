"""The exported file scores as the run does, says what it needs, and is not there when something went wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from transformers import BertTokenizerFast

import selfmm
from cli.command_line import complains
from cli.command_line import selfmm as selfmm_command
from selfmm.core.errors import ExportError, OutputError, RunError
from selfmm.data.context import earlier_texts
from selfmm.data.store import Dataset
from selfmm.data.writer import sha256
from selfmm.exporting import check, graph, network
from selfmm.exporting.export import Exported
from selfmm.recordings.model import SentimentModel

pytestmark = pytest.mark.slow  # a fixture trains or exports for all of them


def clips_of(dataset: Dataset, rows: list[int]) -> list[dict[str, object]]:
    """Clips as the example reader wants them."""
    return [
        {"text": dataset.samples["text"].iloc[row], **{name: dataset.frames(name, row) for name in ("audio", "vision")}}
        for row in rows
    ]


def test_scores_are_those_of_the_run(
    exported: Path, trained: SentimentModel, planted: Dataset, reader: ModuleType
) -> None:
    """Read by a program that knows nothing of selfmm, from words and frames to scores."""
    rows = list(range(len(planted)))
    scores = reader.Scorer(str(exported)).scores(clips_of(planted, rows))
    for name, values in scores.items():
        np.testing.assert_allclose(values, trained.predictions[name], atol=1e-5)
    one = reader.Scorer(str(exported)).scores(clips_of(planted, [7]))
    assert abs(one["score"][0] - trained.predictions["score"][7]) < 1e-5


@pytest.mark.parametrize("trained_encoder", [False, True])
def test_an_ensemble(
    trained_encoder: bool,
    averaged: SentimentModel,
    members: list[Path],
    trained: SentimentModel,
    planted: Dataset,
    tmp_path: Path,
    reader: ModuleType,
) -> None:
    """With one frozen text encoder, which is in the file once, and with two."""
    run = averaged
    if trained_encoder:
        run = selfmm.ensemble([members[0], trained.folder.path], out=tmp_path / "run")
    exported = selfmm.export(run.folder.path, tmp_path / "model.onnx")
    assert exported.difference < 1e-5
    scores = reader.Scorer(str(exported.path)).scores(clips_of(planted, list(range(40))))
    assert list(scores) == ["score", "score_text", "score_audio", "score_vision", "deviation"]
    for name, values in scores.items():
        np.testing.assert_allclose(values, run.predictions[name][:40], atol=1e-5)
    size = sum(parameter.numel() for parameter in run.assembly.model.parameters()) * 4
    assert exported.path.stat().st_size < size + 400_000, "weights, and a graph"
    worth = json.loads({entry.key: entry.value for entry in onnx.load(exported.path).metadata_props}["worth"])
    assert run.worth is not None
    assert worth["scores"]["fusion"]["factor"] == run.worth.scores["fusion"].factor


def test_missing_streams(exported: Path, trained: SentimentModel, planted: Dataset, reader: ModuleType) -> None:
    scores = reader.Scorer(str(exported)).scores([{"text": "the plot was wonderful"}, {"text": "  "}])
    expected = trained.predict(text="the plot was wonderful")
    assert abs(scores["score"][0] - expected["score"][0]) < 1e-5
    assert abs(scores["score_text"][0] - expected["score_text"][0]) < 1e-5
    assert np.isnan(scores["score_audio"]).all()
    assert np.isnan(scores["score_text"][1])
    assert np.isfinite(scores["score"]).all()


@pytest.mark.parametrize("layer", ["last", "weighted"])
def test_words_read_as_a_mean_and_without_capitals(
    layer: str, planted: Dataset, tiny_encoder: str, tmp_path: Path, reader: ModuleType
) -> None:
    """By a cased encoder, so that the reader must put capitals in lower case."""
    encoder = tmp_path / "encoder"
    shutil.copytree(tiny_encoder, encoder)
    BertTokenizerFast(str(encoder / "vocab.txt"), do_lower_case=False).save_pretrained(encoder)
    settings = ["training.max_epochs=1", "text.max_tokens=30", "text.pooling=mean", "modalities=text"]
    settings.append(f"text.layer={layer}")
    run = selfmm.train(planted, text_encoder=str(encoder), overrides=settings, out=tmp_path / "run")
    scorer = reader.Scorer(str(selfmm.export(tmp_path / "run", tmp_path / "model.onnx").path))
    texts = ["the plot was wonderful", "THE PLOT WAS WONDERFUL", "The Plot Was Wonderful"]
    scores = scorer.scores([{"text": text} for text in texts])["score"]
    np.testing.assert_allclose(scores, run.predict(text=texts)["score"], atol=1e-5)
    assert abs(scores[0] - scores[1]) < 1e-6 < abs(scores[0] - scores[2])


def test_words_before_a_clip(planted: Dataset, tiny_encoder: str, tmp_path: Path, reader: ModuleType) -> None:
    settings = ["training.max_epochs=1", "text.max_tokens=30", "text.pooling=mean", "modalities=text", "text.context=2"]
    run = selfmm.train(planted, text_encoder=tiny_encoder, overrides=settings, out=tmp_path / "run")
    scorer = reader.Scorer(str(selfmm.export(tmp_path / "run", tmp_path / "model.onnx").path))
    earlier = earlier_texts(planted, np.arange(30), 5)  # more than it reads
    clips = [{"text": clip.text, "earlier": before} for clip, before in zip(planted[:30], earlier, strict=True)]
    scores = scorer.scores(clips)["score"]
    np.testing.assert_allclose(scores, run.predictions["score"][:30], atol=1e-5)
    alone = scorer.scores([{"text": clip.text} for clip in planted[:30]])["score"]
    assert [abs(one - other) < 1e-6 for one, other in zip(alone, scores, strict=True)] == [not each for each in earlier]


def test_a_run_without_words(planted: Dataset, tmp_path: Path, reader: ModuleType) -> None:
    streams = ("stream.audio.layers=2", "stream.audio.bidirectional=true", "stream.vision.bidirectional=true")
    settings = ("training.max_epochs=1", "modalities=audio,vision", *streams)
    run = selfmm.train(planted, overrides=settings, out=tmp_path / "run")
    scorer = reader.Scorer(str(selfmm.export(tmp_path / "run", tmp_path / "model.onnx").path))
    assert scorer.tokenizer is None
    scores = scorer.scores(clips_of(planted, list(range(len(planted)))))
    assert list(scores) == ["score", "score_audio", "score_vision"]
    for name, values in scores.items():
        np.testing.assert_allclose(values, run.predictions[name], atol=1e-5)


def test_metadata(exported: Path, trained: SentimentModel) -> None:
    model = onnx.load(exported)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert list(json.loads(metadata["modalities"])) == list(trained.info.modalities)
    assert json.loads(metadata["modalities"])["audio"] == {"kind": "frames", "dim": 5}
    assert json.loads(metadata["label_range"]) == [-3.0, 3.0]
    assert trained.worth is not None
    worth = json.loads(metadata["worth"])
    assert worth["scores"]["fusion"]["band"] == pytest.approx(trained.worth.scores["fusion"].band)
    assert worth["scores"].keys() == trained.worth.scores.keys()
    assert metadata["max_tokens"] == "40"
    assert metadata["weights_sha256"] == sha256(trained.folder.weights)
    assert metadata["selfmm"] == selfmm.__version__
    assert metadata["precision"] == "fp32"
    shapes = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes["text"] == ["batch", "text_longest"]
    assert shapes["audio"] == ["batch", "audio_longest", 5]
    assert shapes["audio_lengths"] == shapes["score"] == shapes["score_vision"] == ["batch"]


def test_int8_says_what_it_costs(trained: SentimentModel, planted: Dataset, tmp_path: Path, reader: ModuleType) -> None:
    made = selfmm.export(trained.folder.path, tmp_path / "small.onnx", int8=True)
    assert made.size == made.path.stat().st_size < made.fp32_size
    assert [loss.split for loss in made.int8_losses] == ["valid", "test"]
    for loss in made.int8_losses:
        rows = planted.rows(loss.split).tolist()
        labels = planted.labels()[rows]
        scores = reader.Scorer(str(made.path)).scores(clips_of(planted, rows))["score"]
        plain = trained.predictions["score"][rows]
        assert loss.clips == len(rows)
        assert loss.fp32 == pytest.approx(np.abs(plain - labels).mean(), abs=1e-5)
        # Activations share a scale over a batch, so other batches give slightly other scores.
        assert loss.int8 == pytest.approx(np.abs(scores - labels).mean(), abs=0.02)
        assert 0 < loss.difference < 0.2
    assert {e.key: e.value for e in onnx.load(made.path).metadata_props}["precision"] == "int8"
    assert list(tmp_path.iterdir()) == [made.path]


def test_int8_where_the_data_are_gone_or_changed(
    trained: SentimentModel, planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from selfmm.exporting.quantise import training_data

    assert training_data(trained) is not None
    run = shutil.copytree(trained.folder.path, tmp_path / "run")
    data = shutil.copytree(planted.path, tmp_path / "data")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**info, "dataset_path": str(data)}))
    moved = selfmm.load(run)
    assert training_data(moved) is not None
    table = planted.samples.assign(label=-planted.samples["label"])
    table.to_parquet(data / "samples.parquet", index=False)
    assert training_data(moved) is None
    shutil.rmtree(data)
    assert training_data(moved) is None


def test_a_wrong_graph_is_noticed_and_no_file_is_left(
    trained: SentimentModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_reordered", lambda weights: weights)  # PyTorch's order of the gates
    with pytest.raises(ExportError, match="differ from those of PyTorch"):
        selfmm.export(trained.folder.path, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_score_that_is_missing_is_noticed(exported: Path, trained: SentimentModel, tmp_path: Path) -> None:
    model = onnx.load(exported)
    (where,) = [node for node in model.graph.node if "score_audio" in node.output]
    where.input[2] = where.input[1]  # never NaN
    onnx.save(model, tmp_path / "wrong.onnx")
    with pytest.raises(ExportError, match=r"the audio scores of 1 clip are .* in the ONNX file"):
        check.check(trained, tmp_path / "wrong.onnx")
    (tmp_path / "wrong.onnx").write_bytes(b"nothing")
    with pytest.raises(ExportError, match=r"cannot read wrong\.onnx"):
        check.check(trained, tmp_path / "wrong.onnx")


def test_places_that_are_refused(trained: SentimentModel, planted: Dataset, tmp_path: Path) -> None:
    run = trained.folder.path
    (tmp_path / "there.onnx").write_text("mine")
    (tmp_path / "folder.onnx").mkdir()
    for out, said in (
        (tmp_path / "model.pt", r"end in \.onnx"),
        (run / "model.onnx", "is in the run folder"),
        (planted.path / "model.onnx", "is in a data set"),
        (tmp_path / "there.onnx", "exists already"),
        (tmp_path / "folder.onnx", "is a folder"),
        (tmp_path / "there.onnx" / "model.onnx", "a part of the path is a file"),
    ):
        with pytest.raises(OutputError, match=said):
            selfmm.export(run, out)
    assert (tmp_path / "there.onnx").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.onnx", "there.onnx"]


def test_runs_that_are_refused(trained: SentimentModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    with pytest.raises(RunError, match="is not a run folder"):
        selfmm.export(tmp_path / "nothing", out)
    monkeypatch.setattr(graph, "_LARGEST", 1000)
    with pytest.raises(ExportError, match="an ONNX file is limited to"):
        selfmm.export(trained.folder.path, out)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match=r"pip install 'selfmm\[onnx\]'"):
        selfmm.export(trained.folder.path, out)
    assert not out.exists()


def test_the_command(exported: Path, trained: SentimentModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    out.write_text("old")
    arguments = ["export", str(trained.folder.path), str(out)]
    complains(selfmm_command(*arguments), "exists already", "--force")
    assert out.read_text() == "old"
    result = selfmm_command(*arguments, "--force")
    assert result.stdout.startswith("fp32: 0.")
    assert result.stdout.endswith(f"{out}\n")
    assert sha256(out) == sha256(exported)  # the same run gives the same file
    made = Exported(out, 4, 16, 1e-7)
    monkeypatch.setattr("selfmm.exporting.export.export", lambda *_, **__: made)
    assert "MAE not measured" in selfmm_command(*arguments, "--int8", "--force").stdout


def test_the_example_needs_neither_selfmm_nor_torch(
    exported: Path, trained: SentimentModel, planted: Dataset, tmp_path: Path
) -> None:
    np.save(tmp_path / "voice.npy", planted.frames("audio", 3))
    example = Path(__file__).parents[2] / "examples" / "onnx_scores.py"
    arguments = [str(example), str(exported), "the plot was wonderful", f"audio={tmp_path / 'voice.npy'}"]
    code = (
        "import runpy, sys; sys.modules.update(torch=None, selfmm=None, transformers=None); "
        f"sys.argv = {arguments!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(": ") for line in result.stdout.splitlines())
    assert float(lines["score_audio"]) == pytest.approx(trained.predictions["score_audio"][3], abs=1e-3)
    assert lines["score_vision"] == "nan"
