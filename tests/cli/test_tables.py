"""What the commands print under their figures."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

from rich.console import Console

import selfmm
from selfmm.cli.tables import run_summary
from selfmm.runs.trained_model import TrainedModel


def shown(model: TrainedModel) -> str:
    out = io.StringIO()
    Console(file=out, width=100).print(run_summary(model))
    return out.getvalue()


def test_figures_of_few_clips_are_called_so(trained: TrainedModel, tmp_path: Path) -> None:
    shutil.copytree(trained.folder.path, tmp_path / "run")
    file = tmp_path / "run" / "metrics.json"
    content = json.loads(file.read_text())
    for valid, test, said in ((25, 24, "few clips (24 in test)"), (4, 0, "few clips (4 in valid)"), (25, 99, "")):
        content["splits"]["valid"]["fusion"]["count"] = valid
        content["splits"]["test"]["fusion"]["count"] = test
        file.write_text(json.dumps(content))
        text = shown(selfmm.load(tmp_path / "run"))
        assert said in text
        assert ("few clips" in text) == bool(said)
