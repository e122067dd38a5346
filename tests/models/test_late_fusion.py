"""The skeleton tells the author of a model what is missing."""

from __future__ import annotations

import pytest
from torch import nn

from models.worlds import make_model
from selfmm.models.late_fusion import LateFusion


def test_a_fusion_that_does_not_tell_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LateFusion, "make_fusion", lambda self: nn.Identity())
    with pytest.raises(TypeError, match=r"\w+\.make_fusion\(\) returned a Identity without an integer ``dim``"):
        make_model("lf_dnn")
