"""MLMF: LMF with people's labels, with the size in a toolkit's log."""

from __future__ import annotations

import torch

from models.worlds import SIMS, check_peoples_labels
from selfmm.config.settings import load_settings
from selfmm.models.mlmf import MLMF

SIZES = (
    "options.rank=4",
    *("stream.text.hidden=64", "stream.text.out=32", "stream.text.projection=64"),
    *("stream.audio.hidden=16", "stream.audio.out=16", "stream.audio.projection=5"),
    *("stream.vision.hidden=64", "stream.vision.out=64", "stream.vision.projection=16"),
)


def test_it_is_lmf_with_peoples_labels() -> None:
    check_peoples_labels("mlmf", "lmf")


def test_as_many_parameters_as_logged() -> None:
    """280,168 on CH-SIMS with BERT's 768, heads and all, less those of the batch norms of audio and vision."""
    with torch.device("meta"):
        model = MLMF(SIMS, load_settings(None, ["model=mlmf", *SIZES]), None)
    norms = 2 * (33 + 709)
    own = [each.numel() for name, each in model.named_parameters() if not name.startswith("missing.")]
    assert sum(own) == 280_168 - norms
