"""What the commands print under their figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import selfmm
from cli.command_line import shown
from selfmm.cli.show_results import run_summary
from selfmm.runs.trained_model import TrainedModel


def test_figures_of_few_clips_are_called_so(trained: TrainedModel, tmp_path: Path) -> None:
    shutil.copytree(trained.folder.path, tmp_path / "run")
    file = tmp_path / "run" / "metrics.json"
    content = json.loads(file.read_text())
    for valid, test, said in ((25, 24, "few clips (24 in test)"), (4, 0, "few clips (4 in valid)"), (25, 99, "")):
        content["splits"]["valid"]["fusion"]["count"] = valid
        content["splits"]["test"]["fusion"]["count"] = test
        file.write_text(json.dumps(content))
        text = shown(run_summary(selfmm.load(tmp_path / "run")))
        assert said in text
        assert ("few clips" in text) == bool(said)
