"""The starter, or another run, on rated texts that it was not fitted on: ``python benchmarks/starter.py TABLE [RUN]``.

TABLE is a .csv with the columns ``text`` and ``label`` (from -3 to 3), for example the utterances of MOSI. No label is
used but to measure.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import selfmm
from selfmm.evaluation.metrics import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("run", nargs="?", default="starter")
    arguments = parser.parse_args()
    clips = pd.read_csv(arguments.table).dropna(subset=["text", "label"])
    model = selfmm.load(arguments.run)
    scores = model.predict(text=clips["text"].astype(str).tolist())["score"].to_numpy()
    labels = clips["label"].to_numpy(dtype=np.float64)
    for name, value in evaluate(scores, labels).values.items():
        print(f"{name:>12} {value:.4f}")
    assert model.worth is not None
    band = model.worth.scores["fusion"].band
    errors = np.abs(scores - labels)
    wider = np.quantile(errors, 0.8)
    print(f"{'band':>12} {band:.3f}, holds {np.mean(errors <= band):.1%}; 80 % are within {wider:.3f}")
    slope, offset = np.polyfit(scores, labels, 1)
    print(f"{'labels':>12} = {slope:.2f} * score {offset:+.2f}; deviation {labels.std():.2f}")


if __name__ == "__main__":
    main()
