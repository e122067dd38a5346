"""Data that cannot be trained on, or do not fit, are refused before anything is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import selfmm
from selfmm.config.settings import load_settings
from selfmm.core.errors import DatasetError, SettingsError, TrainingError
from selfmm.data.manifest import Modality
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset
from selfmm.models.assembly import POOLED, assemble, chosen_modalities
from selfmm.models.scoring import score
from selfmm.recordings.model import SentimentModel
from selfmm.training.objective import check_trainable

CPU = torch.device("cpu")


def toy(path: Path, labels: list[float], splits: list[str], name: str = "voice", dim: int = 3) -> Dataset:
    ids = [f"clip{i}" for i in range(len(labels))]
    table = pd.DataFrame({"id": ids, "split": splits, "label": labels, "text": None, "video": ids})
    rng = np.random.default_rng(0)
    frames = Frames(
        Modality(kind="frames", dim=dim),
        np.full(len(labels), 4),
        lambda i: rng.normal(size=(4, dim)).astype(np.float32),
    )
    return write_dataset(Source(table, {name: frames}, "toy", (-3.0, 3.0)), path)


def test_one_sided_labels_say_what_is_needed(tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0, 2.0, 3.0, 1.0], ["train", "train", "train", "valid"])
    with pytest.raises(TrainingError, match=r"one-sided \(3 above 0, 0 below, 0 equal to it.*true `label_range="):
        selfmm.train(dataset, overrides=["labels.rule=authors"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_sides_are_those_of_the_neutral_label(tmp_path: Path) -> None:
    def scaled(name: str, labels: list[float]) -> Dataset:
        dataset = toy(tmp_path / name, [0.0] * 4, ["train", "train", "train", "valid"])
        manifest = dataset.manifest.model_copy(update={"label_range": (1.0, 5.0)})
        return Dataset(dataset.path, manifest, dataset.samples.assign(label=labels))

    authors = load_settings(overrides=["labels.rule=authors"])
    check_trainable(scaled("both", [1.0, 4.0, 5.0, 1.0]), authors, "generated")
    with pytest.raises(TrainingError, match=r"2 above 3, 0 below, 1 equal to it.*both sides of 3.*range 1 to 5"):
        check_trainable(scaled("one", [3.0, 4.0, 5.0, 1.0]), authors, "generated")
    check_trainable(scaled("estimated", [3.0, 4.0, 5.0, 1.0]), load_settings(), "generated")
    check_trainable(scaled("none", [3.0, 4.0, 5.0, 1.0]), load_settings(), "none")


def test_one_clip(tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0], ["train"])
    with pytest.raises(TrainingError, match=r"data set in .*no clip in its valid split.*3 or more in total"):
        selfmm.train(dataset, model="self_mm", out=tmp_path / "run")


def test_unlabelled_training_clips_are_named(tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0, float("nan"), -1.0, 1.0], ["train", "train", "train", "valid"])
    with pytest.raises(TrainingError, match=r"1 of 3 clips in the train split has no label: 'clip1'\."):
        check_trainable(dataset, load_settings(), "generated")


def test_unknown_modalities_in_settings(planted: Dataset) -> None:
    with pytest.raises(SettingsError, match="no modality 'vison'; did you mean 'vision'"):
        chosen_modalities(planted, load_settings(None, ["modalities=text,vison"]))
    with pytest.raises(SettingsError, match="no modality 'vison'; did you mean 'vision'"):
        chosen_modalities(planted, load_settings(None, ["stream.vison.hidden=3"]))
    assert list(chosen_modalities(planted, load_settings("mosi", ["modalities=audio,text"]))) == ["text", "audio"]


def test_one_modality_of_any_name_trains(tmp_path: Path) -> None:
    labels = [1.0, -1.0, 2.0, -2.0, 0.0, 1.0, -1.0]
    dataset = toy(tmp_path / "data", labels, ["train"] * 5 + ["valid"] * 2, name="pulse")
    model = selfmm.train(dataset, preset="mosi", overrides=["training.max_epochs=3"], out=tmp_path / "run")
    assert model.labels["modality"].unique().tolist() == ["pulse"]
    assert model.metrics["splits"]["test"]["fusion"]["count"] == 0


def test_a_name_that_torch_has_taken(tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0, -1.0, 1.0], ["train", "train", "valid"], name="values")
    with pytest.raises(SettingsError, match="torch uses this name"):
        selfmm.train(dataset, out=tmp_path / "run")


def test_a_device_that_is_not_here(planted: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"training\.device = 'cuda'.*use auto or cpu"):
        selfmm.train(planted, overrides=["training.device=cuda"], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_fusion_is_no_modality(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'fusion' is the name of the task"):
        toy(tmp_path / "data", [1.0, -1.0, 1.0], ["train", "train", "valid"], name="fusion")


@pytest.mark.slow
def test_other_dims_than_the_model_was_trained_with(trained: SentimentModel, tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0], ["test"], name="audio", dim=74)
    with pytest.raises(DatasetError, match="frames of 74 features, but the model reads frames of 5 features"):
        trained.predict(dataset)


@pytest.mark.slow
def test_nothing_in_common_with_the_model(trained: SentimentModel, tmp_path: Path) -> None:
    dataset = toy(tmp_path / "data", [1.0], ["test"], name="pulse")
    with pytest.raises(
        DatasetError, match=r"the model reads text, audio, vision, but the data set in .* has only pulse"
    ):
        trained.predict(dataset)


def test_token_ids_beyond_the_vocabulary(tmp_path: Path, tiny_encoder: str) -> None:
    ids = ["a", "b", "c"]
    table = pd.DataFrame(
        {"id": ids, "split": ["train", "train", "valid"], "label": [1.0, -1.0, 1.0], "text": None, "video": ids}
    )
    tokens = Frames(
        Modality(kind="tokens", tokenizer="bert-base-uncased"),
        np.array([2, 2, 2]),
        lambda i: np.array([1, 20_000 if i == 2 else 3], dtype=np.int32),
        np.dtype(np.int32),
    )
    dataset = write_dataset(Source(table, {"text": tokens}, "ids", (-3.0, 3.0)), tmp_path / "data")
    with pytest.raises(DatasetError, match=r"go up to 20000.*come from bert-base-uncased"):
        selfmm.train(dataset, text_encoder=tiny_encoder, overrides=["text.max_tokens=40"], out=tmp_path / "run")
    seen = dataset.without("valid")  # the id is in that split alone
    assembly = assemble(seen, load_settings(None, [f"text.encoder={tiny_encoder}", "text.max_tokens=40"]))
    assert assembly.maker(seen, seen.rows("train")).lengths["text"].tolist() == [2, 2]


def test_a_text_cut_to_its_limit_stays_aligned(tmp_path: Path, tiny_encoder: str) -> None:
    """A frame for each word, and a text of more words than are read: every token has its own word's frame."""
    texts = ["great plot", "great plot acting great plot acting"]
    counts = np.array([len(text.split()) for text in texts])
    table = pd.DataFrame({"id": ["a", "b"], "split": "train", "label": [1.0, -1.0], "text": texts, "video": ["a", "b"]})
    voice = Frames(Modality(kind="frames", dim=1), counts, lambda i: np.arange(counts[i], dtype=np.float32)[:, None])
    dataset = write_dataset(Source(table, {"voice": voice}, "toy", (-3.0, 3.0)), tmp_path / "data")
    settings = load_settings(None, ["model=ef_lstm", f"text.encoder={tiny_encoder}", "text.max_tokens=5"])
    batch = assemble(dataset, settings).maker(dataset, np.arange(2)).make(np.arange(2))
    assert batch.streams["text"].lengths.tolist() == batch.streams["voice"].lengths.tolist() == [4, 5]
    assert batch.streams["voice"].values[:, :, 0].tolist() == [[0, 0, 1, 1, 0], [0, 0, 1, 2, 2]]


SPEAKERS = load_settings(None, ["modalities=audio,vision", "stream.audio.centre=video", "model=lmf"])


def talking(planted: Dataset, offset: float, per_video: int = 5) -> Dataset:
    """The audio and face of planted clips, each video with an offset of its own in the audio."""
    rows, sizes = range(len(planted)), planted.lengths("audio")
    splits = planted.samples["split"].tolist()
    video = [f"{split}{row // (per_video * 10)}" for row, split in zip(rows, splits, strict=True)]
    shift = np.random.default_rng(5).normal(size=(1 + max(rows) // (per_video * 10), 5)) * offset
    frames = [planted.frames("audio", row) + shift[row // (per_video * 10)] for row in rows]
    matrices = {"audio": np.concatenate(frames).astype(np.float32), "vision": planted.matrix("vision")}
    table = planted.samples.assign(video=video, audio_offset=np.cumsum(sizes) - sizes)
    return Dataset(planted.path, planted.manifest, table, matrices)


@pytest.mark.parametrize("model", ["lmf", "self_mm", "mult"])
def test_what_is_added_to_all_clips_of_a_video_changes_no_score(planted: Dataset, model: str) -> None:
    settings = SPEAKERS.model_copy(update={"model": model, "align": "pool"})
    scores = []
    for offset in (0.0, 30.0):
        dataset = talking(planted, offset)
        torch.manual_seed(0)
        assembly = assemble(dataset, settings)
        scores += [score(assembly.model.eval(), assembly.maker(dataset, dataset.rows("test")), CPU).fusion]
        assert [*assembly.centred] == ["audio"]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-4)
    assert np.std(scores[0]) > 1e-3


def test_a_clip_of_an_unknown_video_is_read_on_the_same_scale(planted: Dataset) -> None:
    dataset = talking(planted, 30.0)
    assembly = assemble(dataset, SPEAKERS)
    mean = assembly.centred["audio"].mean.numpy()
    rows = dataset.rows("test")
    known = np.concatenate([assembly.maker(dataset, rows).stream("audio", np.array([at])).values[0] for at in range(9)])
    np.testing.assert_allclose(known.mean(axis=0), mean, atol=1)
    first = dataset.samples.iloc[rows[:1]].reset_index(drop=True)
    alone = Dataset(dataset.path, dataset.manifest, first, dataset.matrices)
    values = assembly.maker(alone, np.array([0])).stream("audio", np.array([0])).values[0]
    np.testing.assert_array_equal(values, dataset.frames("audio", rows[0]))


def test_centring_needs_videos_of_several_clips(planted: Dataset) -> None:
    alone = Dataset(planted.path, planted.manifest, planted.samples.assign(video=planted.samples["id"]))
    with pytest.raises(SettingsError, match=r"stream\.audio\.centre = 'video': no video .* has 3 clips"):
        assemble(alone, SPEAKERS)


def two_voices(path: Path, lengths: list[int]) -> Dataset:
    """Four clips with 4 frames of one modality, and of another as many as ``lengths`` says."""
    ids = [f"clip{i}" for i in range(4)]
    splits = ["train", "train", "valid", "test"]
    table = pd.DataFrame({"id": ids, "split": splits, "label": [1.0, -1.0, 0.5, 0.1], "text": None, "video": ids})
    rng = np.random.default_rng(0)

    def frames(counts: list[int]) -> Frames:
        return Frames(
            Modality(kind="frames", dim=3),
            np.array(counts),
            lambda i: rng.normal(size=(counts[i], 3)).astype(np.float32),
        )

    return write_dataset(Source(table, {"low": frames([4] * 4), "high": frames(lengths)}, "toy", (-3.0, 3.0)), path)


@pytest.mark.parametrize(
    ("lengths", "chosen"),
    [([4, 4, 4, 4], "stored"), ([4, 4, 9, 4], "pool"), ([4, 4, 4, 9], "pool"), ([0, 4, 4, 4], "stored")],
)
def test_align_auto_pools_where_stored_frames_do_not_fit(tmp_path: Path, lengths: list[int], chosen: str) -> None:
    """For all splits alike: a test clip alone decides it too."""
    dataset = two_voices(tmp_path / "data", lengths)
    for model, expected in (("ef_lstm", chosen), ("lf_dnn", "auto")):
        assembly = assemble(dataset, load_settings(None, [f"model={model}"]))
        assert (assembly.settings.align, assembly.pools) == (expected, model == "ef_lstm" and chosen == "pool")


def test_what_align_auto_did_is_kept_and_said(tmp_path: Path) -> None:
    dataset = two_voices(tmp_path / "data", [4, 7, 9, 4])
    overrides = ["model=ef_lstm", "training.max_epochs=1"]
    for name, fitting in (("auto", ()), ("pool", ("align=pool",))):
        run = selfmm.train(dataset, overrides=[*overrides, *fitting], out=tmp_path / name)
        assert run.folder.settings().align == "pool"
        assert POOLED in run.metrics["fit"]
    auto, pool = (selfmm.load(tmp_path / name) for name in ("auto", "pool"))
    pd.testing.assert_frame_equal(auto.predictions, pool.predictions)
    again = selfmm.train(dataset, overrides=overrides, out=tmp_path / "auto", resume=True)
    assert again.metrics == auto.metrics
    with pytest.raises(DatasetError, match="together step by step"):
        selfmm.train(dataset, overrides=[*overrides, "align=stored"], out=tmp_path / "stored")


def test_a_run_from_before_align_auto_can_be_continued(tmp_path: Path) -> None:
    dataset = two_voices(tmp_path / "data", [4, 4, 4, 4])
    for model in ("ef_lstm", "lf_dnn"):
        overrides, out = [f"model={model}", "training.max_epochs=1"], tmp_path / model
        before = selfmm.train(dataset, overrides=[*overrides, "align=stored"], out=out)
        assert selfmm.train(dataset, overrides=overrides, out=out, resume=True).metrics == before.metrics
