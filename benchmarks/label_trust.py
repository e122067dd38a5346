"""Does the expected error of estimated labels come true? On planted sets, where the true labels are known.

    python benchmarks/label_trust.py             # 5 sets, 3 seeds: the table of docs/inspection.md

Per set and modality, means over clips and seeds: the trust; the share by which the u-labels really err less than the
m-labels (``gain``: root mean squared error, ``spared``: mean absolute error); the expected error and the actual ones;
and the rank correlation of expected and actual error.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfmm.config.settings import load_settings
from selfmm.data.planted import PlantedSettings, write_planted
from selfmm.training.label_sets import from_data

SETS: dict[str, dict[str, Any]] = {
    "no conflict": {"conflict": 0.0},
    "conflict 20 %": {},
    "conflict 50 %": {"conflict": 0.5},
    "weak vision": {"strength": {"vision": 0.3}},
    "dead vision": {"strength": {"vision": 0.0}},
}


def measure(clips: int, seed: int, encoder: str) -> pd.DataFrame:
    """One row per set and modality."""
    settings = load_settings(None, [f"text.encoder={encoder}"])
    rows = []
    for name, planted in SETS.items():
        with tempfile.TemporaryDirectory() as folder:
            dataset = write_planted(Path(folder) / "data", PlantedSettings(clips=clips, seed=seed, **planted))
            audit = from_data(dataset, settings).audit()
        assert audit.recovery is not None
        table = audit.figures[["trust", "expected_error"]].join(audit.recovery)
        rows.append(table.reset_index().assign(set=name, seed=seed))
    return pd.concat(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=400)
    parser.add_argument("--encoder", default="minilm")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    table = pd.concat(measure(options.clips, seed, options.encoder) for seed in seeds)
    table["gain"] = 1 - table["rmse"] / table["rmse_trivial"]
    table["spared"] = 1 - table["mae"] / table["mae_trivial"]
    shown = ["trust", "gain", "spared", "expected", "mae", "rmse", "rank_corr"]
    groups = table.groupby(["set", "modality"], sort=False)[shown].mean().round(3)
    print(groups.to_string())
    print(f"corr(trust, gain) = {np.corrcoef(table['trust'], table['gain'])[0, 1]:.2f}")


if __name__ == "__main__":
    main()
