"""MFN's operators compared with slow versions, and the whole with its equations, one clip and one step at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.worlds import MODALITIES, MOSI, core_size, make_batch, make_model
from oracles.recurrent import Vector, delta_attention, gated_memory, lstm, network
from selfmm.config.settings import load_settings
from selfmm.models.mfn import MFN, DeltaMemoryAttention, GatedMemory, Options, lstm_states, with_previous

SMALL = Options(
    text_hidden=3, memory=4, proposal=5, retain=3, update=2, attention=6, retain_dropout=0.0, update_dropout=0.0
)
OPTIONS = ("options.text_hidden=3", "options.memory=4", "options.retain=3")


def test_cells_are_those_of_torch() -> None:
    torch.manual_seed(0)
    cell, values = nn.LSTMCell(3, 4), torch.randn(2, 5, 3)
    hidden, cells = lstm_states(cell, values)
    h = c = torch.zeros(2, 4)
    for t in range(5):
        h, c = cell(values[:, t], (h, c))
        torch.testing.assert_close(hidden[:, t], h)
        torch.testing.assert_close(cells[:, t], c)
    assert with_previous(cells)[0, 0].tolist() == [0.0] * 4 + cells[0, 0].tolist()


def test_delta_memory_attention() -> None:
    torch.manual_seed(0)
    attention, cells = DeltaMemoryAttention(3, SMALL).eval(), torch.randn(2, 4, 3)
    attended = attention(cells)
    for clip in range(2):
        slow = delta_attention(attention.network, cells[clip].tolist())
        torch.testing.assert_close(attended[clip], torch.tensor(slow))


def test_gated_memory() -> None:
    torch.manual_seed(0)
    memory, seen = GatedMemory(5, SMALL).eval(), 2 * torch.randn(2, 6, 5)
    kept = memory(seen)
    parts = (memory.propose, memory.gates, memory.retain, memory.update)
    for clip in range(2):
        torch.testing.assert_close(kept[clip], torch.tensor(gated_memory(*parts, seen[clip].tolist(), 4)))


def test_what_is_behind_a_step_does_not_change_the_memory_there() -> None:
    torch.manual_seed(0)
    memory, seen = GatedMemory(5, SMALL).eval(), torch.randn(1, 6, 5)
    whole = memory(seen)
    seen[:, 4:] = 100
    torch.testing.assert_close(memory(seen)[:, :4], whole[:, :4], rtol=0, atol=0)


def test_equations() -> None:
    """h and c of each modality alone, the attention over all cells, the memory, and the head on their ends."""
    frames = {"audio": MODALITIES["audio"], "vision": MODALITIES["vision"]}
    model = make_model("mfn", *OPTIONS, modalities=frames)
    assert isinstance(model, MFN)
    lengths = {"audio": [4, 2, 0], "vision": [4, 0, 3]}
    batch = make_batch(lengths, aligned=True, padding=2)
    output, core = model(batch), model.views
    parts = (core.memory.propose, core.memory.gates, core.memory.retain, core.memory.update)
    for clip, length in enumerate(max(ends) for ends in zip(*lengths.values(), strict=True)):
        ends: Vector = []
        cells: list[Vector] = [[] for _ in range(length)]
        for name in frames:
            steps = batch.streams[name].values[clip, :length]
            steps = steps if lengths[name][clip] else model.missing[name].expand(length, -1)
            hs, cs = lstm(dict(core.cells[name].named_parameters()), steps.tolist())
            ends += hs[-1]
            cells = [before + c for before, c in zip(cells, cs, strict=True)]
        attended = delta_attention(core.attention.network, cells)
        feature = network(model.fusion.project, ends + gated_memory(*parts, attended, 4)[-1])
        torch.testing.assert_close(output.fusion_feature[clip], torch.tensor(feature), atol=1e-5, rtol=1e-4)


def test_a_modality_alone_is_of_itself_alone() -> None:
    """What the score of the text alone says does not change with the voice; the fused score does."""
    model = make_model("mfn", *OPTIONS, "labels.source=human")
    lengths = {"text": [5, 3], "audio": [5, 3], "vision": [5, 3]}
    batch = make_batch(lengths, aligned=True)
    before = model(batch)
    batch.streams["audio"].values.mul_(-2)
    after = model(batch)
    torch.testing.assert_close(after.unimodal["text"], before.unimodal["text"], rtol=0, atol=0)
    assert (after.unimodal["audio"] != before.unimodal["audio"]).all()
    assert (after.fusion != before.fusion).all()


@pytest.mark.parametrize(("key", "size"), [("stream.audio.hidden", 9), ("options.text_hidden", 9)])
def test_sizes_are_those_of_the_settings(key: str, size: int) -> None:
    model = make_model("mfn", f"{key}={size}")
    assert isinstance(model, MFN)
    name = "audio" if "audio" in key else "text"
    cell = model.views.cells[name]
    assert isinstance(cell, nn.LSTMCell)
    assert cell.hidden_size == size


def test_as_many_parameters_as_published() -> None:
    """756,281 on MOSI with BERT's 768, as a toolkit's log of these sizes counts them."""
    options = {"attention": 256, "proposal": 128, "retain": 128, "update": 32, "memory": 64}
    settings = ["model=mfn", "fusion.projection=128", "fusion.extra_layer=false"]
    settings += [f"options.{key}={size}" for key, size in options.items()]
    settings += ["stream.text.hidden=128", "stream.audio.hidden=4", "stream.vision.hidden=16"]
    assert core_size(MFN(MOSI, load_settings(None, settings), None)) == 756_281
