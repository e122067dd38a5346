"""A finished run to report on, and one whose every text is hostile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from selfmm.data.manifest import TABLE
from selfmm.data.store import Dataset, open_dataset
from selfmm.data.writer import fingerprint
from selfmm.runs.folder import RunFolder
from selfmm.runs.trained_model import TrainedModel

HOSTILE = (
    "</q></td><script>document.title='owned'</script><img src=//evil.example/x onerror=alert(1)>\x00\u202e{{ 7*7 }}"
)


def change_ids_and_texts(run: Path, data: Path) -> None:
    """Puts markup into every id, text and video of a run and its data, so that they still fit each other."""
    dataset = open_dataset(data)
    table = dataset.samples.assign(text=HOSTILE, video=HOSTILE, path=HOSTILE, start=1.0, end=62.5)
    table.assign(id=HOSTILE + table["id"]).to_parquet(data / TABLE)
    folder = RunFolder(run)
    for name, content in (("labels", folder.labels()), ("predictions", folder.predictions())):
        content.assign(id=HOSTILE + content["id"]).to_parquet(run / f"{name}.parquet")
    info = json.loads((run / "run.json").read_text())
    info |= {"dataset_path": str(data), "fingerprint": fingerprint(open_dataset(data)), "dataset": HOSTILE}
    (run / "run.json").write_text(json.dumps(info))


@pytest.fixture(scope="session")
def hostile(trained: TrainedModel, planted: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder; not to be changed."""
    place = tmp_path_factory.mktemp("hostile")
    run, data = place / "a&b <i>run", place / "data"
    shutil.copytree(trained.folder.path, run)
    shutil.copytree(planted.path, data)
    change_ids_and_texts(run, data)
    return run
