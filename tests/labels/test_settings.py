"""What a label generator says about arguments that do not fit."""

from __future__ import annotations

import pytest
import torch

from selfmm.core.errors import SettingsError
from selfmm.labels.generator import UnimodalLabelGenerator


def test_sugrm_needs_one_width() -> None:
    """The message names the settings to change, and only those."""
    dims = {"text": 2, "audio": 4, "vision": 3}
    with pytest.raises(SettingsError, match="2 for text, 4 for audio, 3 for vision, and 4 for the fusion") as error:
        UnimodalLabelGenerator(torch.zeros(3), dims, 4, rule="sugrm")
    assert "`overrides=['text.projection=4', 'stream.vision.projection=4']`" in str(error.value)
    UnimodalLabelGenerator(torch.zeros(3), dict.fromkeys(dims, 4), 4, rule="sugrm")
