"""The dynamic fusion graph against one that is built by the number of members of each subset, and its limits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models.worlds import MODALITIES, MOSI, core_size, make_batch, make_model, settings_for
from oracles.recurrent import fusion_graph, gated_memory, lstm, network, with_previous
from selfmm.config.settings import load_settings
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.models.graph_mfn import MOST, DynamicFusionGraph, GraphMFN

NAMES = ("text", "audio", "vision", "hands", "pulse", "gaze")


def alphas_of(graph: DynamicFusionGraph, values: torch.Tensor) -> dict[tuple[frozenset[str], frozenset[str]], float]:
    return {
        (frozenset(parent), frozenset(child)): alpha
        for (parent, child), alpha in zip(graph.edges, values.tolist(), strict=True)
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_graph(count: int) -> None:
    torch.manual_seed(count)
    sizes = {name: 2 + k for k, name in enumerate(NAMES[:count])}
    graph = DynamicFusionGraph(sizes, 3)
    singles = {name: torch.randn(2, 3, size) for name, size in sizes.items()}
    outcome, efficacies = graph(singles)
    assert efficacies.shape == (2, 3, len(graph.edges))
    for clip, t in ((0, 0), (1, 2)):
        here = {name: value[clip, t].tolist() for name, value in singles.items()}
        alphas = network(graph.efficacy, [v for value in here.values() for v in value])
        torch.testing.assert_close(efficacies[clip, t], torch.tensor(alphas))
        slow = fusion_graph(list(graph.networks), alphas_of(graph, efficacies[clip, t]), here)
        torch.testing.assert_close(outcome[clip, t], torch.tensor(slow))


@given(count=st.integers(1, MOST))
def test_every_subset_has_an_edge_to_all_that_hold_it(count: int) -> None:
    """3^n - 2^(n+1) + 1 pairs of a subset and one that holds it, and 2^n - 1 edges to the outcome."""
    graph = DynamicFusionGraph(dict.fromkeys(NAMES[:count], 1), 1)
    assert len(set(graph.edges)) == len(graph.edges) == 3**count - 2 ** (count + 1) + 1 + 2**count - 1
    assert all(set(parent) < set(child) or child == () for parent, child in graph.edges)


def test_what_no_edge_lets_through_is_not_seen() -> None:
    torch.manual_seed(0)
    graph = DynamicFusionGraph({"text": 2, "audio": 3}, 4)
    last = graph.efficacy[-2]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([-1e9 if parent == ("audio",) else 0.0 for parent, _ in graph.edges]))
    text, audio = torch.randn(1, 2), torch.randn(1, 3)
    outcome, efficacies = graph({"text": text, "audio": audio})
    assert set(efficacies[0].tolist()) == {0.0, 0.5}
    torch.testing.assert_close(graph({"text": text, "audio": audio + 5})[0], outcome, rtol=0, atol=0)
    assert (graph({"text": text + 5, "audio": audio})[0] != outcome).any()


def test_equations() -> None:
    frames = {"audio": MODALITIES["audio"], "vision": MODALITIES["vision"]}
    model = make_model("graph_mfn", "options.memory=4", "options.vertex=3", modalities=frames)
    assert isinstance(model, GraphMFN)
    lengths = {"audio": [4, 2], "vision": [4, 0]}
    batch = make_batch(lengths, aligned=True, padding=1)
    output = model(batch)
    parts = (model.memory.propose, model.memory.gates, model.memory.retain, model.memory.update)
    for clip, length in enumerate(lengths["audio"]):
        ends, singles = [], {}
        for name in frames:
            steps = batch.streams[name].values[clip, :length]
            steps = steps if lengths[name][clip] else model.missing[name].expand(length, -1)
            hs, _ = lstm(dict(model.lstms[name].named_parameters()), steps.tolist(), "_l0")
            ends += hs[-1]
            pairs = [network(model.singles[name], pair) for pair in with_previous(hs)]
            singles[name] = [[max(v, 0.0) for v in pair] for pair in pairs]
        seen = []
        for t in range(length):
            here = {name: value[t] for name, value in singles.items()}
            alphas = torch.tensor(network(model.graph.efficacy, [v for value in here.values() for v in value]))
            seen.append(fusion_graph(list(model.graph.networks), alphas_of(model.graph, alphas), here))
        feature = network(model.fusion.project, ends + gated_memory(*parts, seen, 4)[-1])
        torch.testing.assert_close(output.fusion_feature[clip], torch.tensor(feature), atol=1e-5, rtol=1e-4)


def test_six_modalities_and_no_more() -> None:
    six = {name: Modality(kind="frames", dim=2) for name in NAMES}
    small = [f"stream.{name}.hidden=2" for name in NAMES]
    model = GraphMFN(six, settings_for("graph_mfn", "options.vertex=2", *small), None)
    length = torch.tensor([2])
    streams = {name: Stream(torch.randn(1, 2, 2), length, length > 0) for name in NAMES}
    assert model(Batch(torch.arange(1), torch.zeros(1), streams)).fusion.isfinite().all()
    with pytest.raises(SettingsError, match=r"takes 6 at most, and these data have 7 .*choose some of them"):
        GraphMFN({**six, "smell": Modality(kind="frames", dim=2)}, settings_for("graph_mfn"), None)


def test_as_many_parameters_as_published() -> None:
    """934,960 on MOSI with BERT's 768, as a toolkit's log of these sizes counts them: it leaves out the networks of the
    vertices of two and more modalities, which its code does not train.
    """
    options = {"vertex": 64, "proposal": 128, "retain": 128, "update": 128, "memory": 300}
    settings = ["model=graph_mfn", "fusion.projection=32", "fusion.extra_layer=false"]
    settings += [f"options.{key}={size}" for key, size in options.items()]
    settings += ["stream.text.hidden=128", "stream.audio.hidden=16", "stream.vision.hidden=128"]
    model = GraphMFN(MOSI, load_settings(None, settings), None)
    untrained = sum(p.numel() for network in list(model.graph.networks)[:-1] for p in network.parameters())
    assert core_size(model) - untrained == 934_960
