"""TETFN: its published size, text between the other modalities, and what each modality's task reads."""

from __future__ import annotations

import pytest
import torch

from models.worlds import MOSI, core_size, make_batch, make_model, sequence_of, shake
from oracles import attention as oracle
from selfmm.config.settings import load_settings
from selfmm.data.types import Stream
from selfmm.models.tetfn import TETFN, Options, Recurrent, TextEnhanced


def test_published_size() -> None:
    """With the sizes published for MOSI; the number is that of the published code with BERT taken out."""
    sizes = {"text.projection": 32, "audio.projection": 32, "vision.projection": 16, "audio.hidden": 16}
    chosen = [f"stream.{name}={size}" for name, size in {**sizes, "vision.hidden": 64}.items()]
    settings = load_settings(None, ["model=tetfn", "fusion.projection=64", *chosen])
    model = TETFN(MOSI, settings, None)
    assert model.tasks == ("text", "audio", "vision"), "labels are generated unless the user says otherwise"
    assert core_size(model) == 1_254_224


def test_text_stands_between_the_others() -> None:
    lengths = {"audio": [5, 2], "text": [3, 1], "vision": [2, 4]}
    model = TextEnhanced(tuple(lengths), Options(dim=4, heads=2, layers=1)).eval()
    weights = shake(model)
    streams = {name: sequence_of(ends, 4, seed=k, padding=k) for k, (name, ends) in enumerate(lengths.items())}
    found = model(streams)
    assert found.shape == (2, model.dim) == (2, 24)
    for clip in range(2):
        x = {name: stream.values[clip, : lengths[name][clip]] for name, stream in streams.items()}
        last = []
        for target in lengths:
            read = []
            for source in lengths:
                if source == target:
                    continue
                y = x[source]
                if "text" not in (target, source):
                    y = oracle.transformer(y, x["text"], oracle.under(weights, f"lower.{target} from {source}"), 2)
                pair = oracle.under(weights, f"pairs.{target} from {source}")
                read.append(oracle.transformer(x[target], y, pair, 2))
            memory = oracle.under(weights, f"memories.{target}")
            last.append(oracle.transformer(torch.cat(read, dim=1), None, memory, 2)[-1])
        torch.testing.assert_close(found[clip], torch.cat(last), atol=1e-4, rtol=1e-4)


def test_a_representation_is_the_highest_of_each_feature() -> None:
    """Over a clip's own steps: features that are all below zero are not lifted to the padding's zeros."""
    model = make_model("tetfn", "options.dim=5", "stream.audio.layers=2", "stream.audio.dropout=0.3")
    assert isinstance(model, TETFN)
    batch = make_batch({"text": [3, 2], "audio": [4, 1], "vision": [2, 2]}, aligned=False, padding=2)
    found, heard = model(batch), batch.streams["audio"].values
    recurrent = model.recurrent["audio"]
    assert isinstance(recurrent, Recurrent)
    for clip, end in enumerate([4, 1]):
        states, _ = recurrent.lstm(heard[clip : clip + 1, :end])
        highest = oracle.convolve(states[0], recurrent.conv.conv.weight).amax(dim=0)
        assert (highest < 0).any()
        feature, score = model.heads["audio"](highest[None])
        torch.testing.assert_close(found.features["audio"][clip], feature[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.unimodal["audio"][clip], score[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["tetfn", "almt"])
def test_a_task_reads_one_modality_alone(name: str) -> None:
    wide = [f"{branch}.projection=32" for branch in ("text", "stream.audio", "stream.vision")]
    model = make_model(name, "labels.source=human", *wide)
    batch = make_batch({"text": [4, 2], "audio": [3, 5], "vision": [6, 1]}, aligned=False)
    before = model(batch)
    for changed in model.tasks:
        other = make_batch({"text": [4, 2], "audio": [3, 5], "vision": [6, 1]}, aligned=False, seed=1)
        streams: dict[str, Stream] = {**batch.streams, changed: other.streams[changed]}
        after = model(type(batch)(batch.index, batch.labels, streams))
        assert not torch.allclose(after.fusion, before.fusion)
        for task in model.tasks:
            same = torch.equal(after.features[task], before.features[task])
            assert same == (task != changed), f"{task} after {changed} was another"
