"""MTFN: TFN with people's labels, with the size in a toolkit's log."""

from __future__ import annotations

import torch

from models.worlds import SIMS, check_peoples_labels
from selfmm.config.settings import load_settings
from selfmm.models.mtfn import MTFN

SIZES = (
    "fusion.projection=64",
    *("stream.text.hidden=256", "stream.text.out=128", "stream.text.projection=16"),
    *("stream.audio.hidden=32", "stream.audio.out=32", "stream.audio.projection=4"),
    *("stream.vision.hidden=256", "stream.vision.out=256", "stream.vision.projection=8"),
)


def test_it_is_tfn_with_peoples_labels() -> None:
    check_peoples_labels("mtfn", "tfn")


def test_as_many_parameters_as_logged() -> None:
    """71,429,620 on CH-SIMS with BERT's 768, heads and all, less those of the batch norms of audio and vision."""
    with torch.device("meta"):
        model = MTFN(SIMS, load_settings(None, ["model=mtfn", *SIZES]), None)
    norms = 2 * (33 + 709)
    own = [each.numel() for name, each in model.named_parameters() if not name.startswith("missing.")]
    assert sum(own) == 71_429_620 - norms
