"""Small modalities and batches for tests of every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selfmm.config.settings import Settings, load_settings
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.models import find_model, packed
from selfmm.models.adapt import Stack
from selfmm.models.base import Model, label_source
from selfmm.models.sequences import Sequence as Steps

MODALITIES = {
    "text": Modality(kind="tokens"),
    "audio": Modality(kind="frames", dim=5),
    "vision": Modality(kind="frames", dim=4),
}
WORDS = 50


def settings_for(name: str, *overrides: str, **values: Any) -> Settings:
    """Small sizes for all that models share."""
    sizes = ("hidden", 6), ("out", 6), ("projection", 4)
    small = [f"stream.{modality}.{key}={size}" for modality in ("audio", "vision") for key, size in sizes]
    return load_settings(
        None, [f"model={name}", "fusion.projection=8", "text.projection=4", *small, *overrides], **values
    )


def tiny_transformer() -> nn.Module:
    """A BERT of two layers and 16 dimensions with random weights."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    model: nn.Module = BertModel(
        BertConfig(vocab_size=WORDS, max_position_embeddings=32, **sizes), add_pooling_layer=False
    )
    return model


def make_model(name: str, *overrides: str, seed: int = 0, modalities: Mapping[str, Modality] = MODALITIES) -> Model:
    """A model in evaluation mode; its vectors for missing modalities are not zero, so that a test sees when they are
    used."""
    torch.manual_seed(seed)
    transformer = tiny_transformer() if any(m.kind != "frames" for m in modalities.values()) else None
    model = find_model(name)(modalities, settings_for(name, *overrides), transformer)
    for stand_in in model.missing.values():
        nn.init.normal_(stand_in)
    if isinstance(fusion := getattr(model, "fusion", None), Stack):
        nn.init.normal_(fusion.weights)
    return model.eval()


def make_batch(lengths: Mapping[str, Sequence[int]], *, aligned: bool, padding: int = 0, seed: int = 0) -> Batch:
    """Random clips; each clip's content depends only on ``seed`` and its place.

    Args:
        lengths: per modality, each clip's. If the modalities are ``aligned``, those that a clip has take the first's.
        padding: number of steps beyond the longest clip's, filled with zeros.
    """
    count = len(next(iter(lengths.values())))
    streams = {}
    for number, name in enumerate(lengths):
        ends = [_end(lengths, name, clip, aligned) for clip in range(count)]
        longest = max(1, *ends) + padding
        words = MODALITIES[name].kind != "frames"
        values = torch.zeros(count, longest, *(() if words else (MODALITIES[name].dim or 0,)))
        values = values.long() if words else values
        for clip, end in enumerate(ends):
            random = torch.Generator().manual_seed(1000 * seed + 10 * clip + number)
            shape = (end, *values.shape[2:])
            made = torch.randint(1, WORDS, shape, generator=random) if words else torch.randn(shape, generator=random)
            values[clip, :end] = made
        ends_ = torch.tensor(ends)
        streams[name] = Stream(values, ends_, ends_ > 0)
    labels = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return Batch(torch.arange(count), labels, streams)


def _end(lengths: Mapping[str, Sequence[int]], name: str, clip: int, aligned: bool) -> int:
    own = lengths[name][clip]
    return next(each[clip] for each in lengths.values() if each[clip]) if aligned and own else own


def part_of(batch: Batch, clip: int) -> Batch:
    """One clip alone, without padding."""
    streams = {}
    for name, stream in batch.streams.items():
        end = stream.lengths[clip : clip + 1]
        streams[name] = Stream(stream.values[clip : clip + 1, : max(1, int(end))], end, end > 0)
    return Batch(torch.arange(1), batch.labels[clip : clip + 1], streams)


def sequence_of(lengths: Sequence[int], dim: int, *, seed: int = 0, padding: int = 0) -> Steps:
    """Random steps as ``combine`` gets them, of clips with these lengths, and ``padding`` more steps than the longest
    has."""
    ends = torch.tensor(lengths)
    values = torch.randn(len(lengths), max(lengths) + padding, dim, generator=torch.Generator().manual_seed(seed))
    real = torch.arange(values.shape[1]) < ends[:, None]
    return Steps(values * real[:, :, None], ends, real)


def shake(module: nn.Module) -> dict[str, Tensor]:
    """Change all weights at random, so that norms scale and biases shift; return the weights by name."""
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
    return {name: each.detach() for name, each in module.named_parameters()}


def core_size(model: Model) -> int:
    """Parameters without the encoders and the vectors for missing modalities, which no published code has."""
    names = ("encoders.", "missing.")
    return sum(each.numel() for name, each in model.named_parameters() if not name.startswith(names))


MOSI = {
    "text": Modality(kind="frames", dim=768),
    "audio": Modality(kind="frames", dim=5),
    "vision": Modality(kind="frames", dim=20),
}
"""Its features as published, with the tokens of BERT as frames, so that nothing has to be loaded."""
SIMS = {**MOSI, "audio": Modality(kind="frames", dim=33), "vision": Modality(kind="frames", dim=709)}
"""Likewise."""


def check_peoples_labels(name: str, plain: str) -> None:
    """``name`` is ``plain`` with people's labels by default, and each of its tasks reads one modality alone."""
    model, other = make_model(name), make_model(plain, "labels.source=human")
    assert label_source(type(model), model.settings) == "human"
    assert model.tasks == other.tasks == tuple(MODALITIES)
    batch = make_batch({"text": [4, 2], "audio": [3, 0], "vision": [1, 6]}, aligned=False)
    output, expected = model(batch), other(batch)
    assert torch.equal(output.fusion, expected.fusion)
    assert all(torch.equal(output.unimodal[task], expected.unimodal[task]) for task in MODALITIES)
    batch.streams["audio"].values.mul_(-2)
    after = model(batch)
    assert after.fusion[0] != output.fusion[0]
    assert after.unimodal["audio"][0] != output.unimodal["audio"][0]
    for task in ("text", "vision"):
        torch.testing.assert_close(after.unimodal[task], output.unimodal[task], rtol=0, atol=0)


def as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """BERT's words stay padded, as where a GPU is."""
    monkeypatch.setattr(packed, "Layout", lambda lengths, longest, _: packed.Padded(lengths, longest))


def bytes_kept(model: nn.Module, forward: Callable[[], object]) -> int:
    """Return how many bytes a forward pass keeps for the backward pass; parameters do not count."""
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.is_mkldnn:  # it has no storage that can be asked; the graph holds the tensor, so its id is its own
            kept[id(tensor)] = tensor.numel() * tensor.element_size()
        elif tensor.data_ptr() not in own:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = forward()  # it holds the graph: no memory is freed and counted again
    del output
    return sum(kept.values())
