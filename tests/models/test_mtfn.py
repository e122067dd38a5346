"""MTFN: TFN with people's labels, of the size that a toolkit's log of it counts."""

from __future__ import annotations

import torch

from models.worlds import MODALITIES, SIMS, make_batch, make_model
from selfmm.config import load_settings
from selfmm.models.base import label_source
from selfmm.models.mtfn import MTFN

SIZES = (
    "fusion.projection=64",
    *("stream.text.hidden=256", "stream.text.out=128", "stream.text.projection=16"),
    *("stream.audio.hidden=32", "stream.audio.out=32", "stream.audio.projection=4"),
    *("stream.vision.hidden=256", "stream.vision.out=256", "stream.vision.projection=8"),
)


def test_it_is_tfn_with_peoples_labels() -> None:
    model, plain = make_model("mtfn"), make_model("tfn", "labels.source=human")
    assert isinstance(model, MTFN)
    assert label_source(type(model), model.settings) == "human", "without being told"
    assert model.tasks == plain.tasks == tuple(MODALITIES)
    batch = make_batch({"text": [4, 2], "audio": [3, 0], "vision": [1, 6]}, aligned=False)
    output, expected = model(batch), plain(batch)
    assert torch.equal(output.fusion, expected.fusion)
    assert all(torch.equal(output.unimodal[name], expected.unimodal[name]) for name in MODALITIES)


def test_as_many_parameters_as_logged() -> None:
    """71,429,620 on CH-SIMS with BERT's 768, heads and all, less those of the batch norms of audio and vision."""
    with torch.device("meta"):
        model = MTFN(SIMS, load_settings(None, ["model=mtfn", *SIZES]), None)
    norms = 2 * (33 + 709)
    own = [each.numel() for name, each in model.named_parameters() if not name.startswith("missing.")]
    assert sum(own) == 71_429_620 - norms


def test_a_task_reads_one_modality_alone() -> None:
    model = make_model("mtfn")
    batch = make_batch({"text": [4, 2], "audio": [3, 5], "vision": [1, 6]}, aligned=False)
    before = model(batch)
    batch.streams["audio"].values.mul_(-2)
    after = model(batch)
    assert (after.fusion != before.fusion).all()
    assert (after.unimodal["audio"] != before.unimodal["audio"]).all()
    for name in ("text", "vision"):
        torch.testing.assert_close(after.unimodal[name], before.unimodal[name], rtol=0, atol=0)
