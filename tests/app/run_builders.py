"""A folder with runs of every kind: finished, with other scores, unfinished, damaged, without data, seeds, compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

HOSTILE = "<img src=x onerror=alert(1)>#?&%2e"


def make(workspace: Path, root: Path) -> Path:
    """Return ``root`` with the data set and run of ``workspace``, and runs made from that one."""
    shutil.copytree(workspace, root)
    first = root / "runs" / "first"
    _point(first, root / "data")
    for name in ("second", "unfinished", "damaged", "gone", "seeds/seed-1", "seeds/seed-2", HOSTILE):
        shutil.copytree(first, root / "runs" / name)
    for number, name in enumerate(("second", "seeds/seed-2"), start=1):
        rescore(root / "runs" / name, number)
    _point(root / "runs" / "gone", root / "nowhere")
    _edit(root / "runs" / "unfinished" / "run.json", status="training")
    for file in ("metrics.json", "predictions.parquet"):
        (root / "runs" / "unfinished" / file).unlink()
    (root / "runs" / "damaged" / "run.json").write_text('{"status": "<img src=x onerror=alert(1)>"}')
    (root / "runs" / "seeds" / "summary.json").write_text("{}")
    _change_seed(root / "runs" / "second" / "settings.toml")
    _comparison(root / "comparisons" / "two")
    (root / "comparisons" / "broken").mkdir()
    (root / "comparisons" / "broken" / "comparison.json").write_text("{")
    return root


def make_mean(workspace: Path, averaged: Path, root: Path) -> Path:
    """Return ``root`` with the data set and run of ``workspace``, and the run ``averaged`` on the same data set."""
    shutil.copytree(workspace, root)
    shutil.copytree(averaged, root / "runs" / "mean")
    for name in ("first", "mean"):
        _point(root / "runs" / name, root / "data")
    return root


def rescore(run: Path, seed: int) -> None:
    """Give the run other scores, some of them with another sign; its metrics stay."""
    table = pd.read_parquet(run / "predictions.parquet")
    noise = np.random.default_rng(seed).normal(0, 1.2, len(table))
    table["score"] = np.clip(table["score"] + noise, -3, 3)
    table.to_parquet(run / "predictions.parquet")


def _point(run: Path, dataset: Path) -> None:
    _edit(run / "run.json", dataset_path=str(dataset))


def _edit(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def _change_seed(file: Path) -> None:
    text = file.read_text()
    assert "batch_size = 16" in text
    file.write_text(text.replace("batch_size = 16", "batch_size = 8"))


def _comparison(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = [
        {"system": "lf_dnn", "kind": "run", "seeds": 2, "mae_mean": 0.6, "mae_std": 0.05, "corr_mean": 0.8},
        {"system": "self_mm", "kind": "run", "seeds": 2, "mae_mean": 0.5, "mae_std": 0.04, "corr_mean": 0.9}
        | {"mae_difference": -0.1, "mae_difference_low": -0.15, "mae_difference_high": -0.05},
        {"system": "mean", "kind": "trivial", "seeds": 1, "mae_mean": 1.3},
    ]
    pd.DataFrame(rows).to_csv(folder / "comparison.csv", index=False)
    content = {"dataset": "data", "baseline": "lf_dnn", "seeds": [1, 2], "cases": {}, "failed": {}, "runs": {}}
    (folder / "comparison.json").write_text(json.dumps(content))
