"""Figures of two programs measured in pairs: ratios, a table, and whether a ratio fell since the last table.

A ratio is above 1 if ours is better: more clips a second, or less time and memory.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, float]
"""Figures of one program in one pair, by the names in ``METRICS``."""
ALLOWED_FALL = 0.25
PEER = "peer"


@dataclass(frozen=True)
class Metric:
    """Name of a figure, and how to read and show it.

    Attributes:
        scale, digits: the figure is shown divided by ``scale``, with ``digits`` after the point.
        checked: whether ``--check`` fails if its ratio falls.
    """

    title: str
    more_is_better: bool = False
    scale: float = 1.0
    digits: int = 2
    checked: bool = True


# The first epochs are not checked: they are short and vary from run to run. The whole process includes their cost.
METRICS = {
    "clips_per_second": Metric("training, clips/s, best epoch", more_is_better=True, digits=1),
    "first_clips_per_second": Metric("training, clips/s, first epoch", more_is_better=True, digits=1, checked=False),
    "step_clips_per_second": Metric("training, clips/s", more_is_better=True, digits=1),
    "clips_per_processor_second": Metric("training, clips per processor s", more_is_better=True, digits=1),
    "epoch_seconds": Metric("epoch with validation, s, best"),
    "first_epoch_seconds": Metric("epoch with validation, s, first", checked=False),
    "epoch_processor_seconds": Metric("epoch with validation, processor s, least"),
    "run_seconds": Metric("the whole process, s", digits=1),
    "run_processor_seconds": Metric("the whole process, processor s", digits=1),
    "peak_memory": Metric("peak memory, GB", scale=1e9),
    "peak_gpu_memory": Metric("peak GPU memory, GB", scale=1e9),
    "start_seconds": Metric("start-up, s"),
    "install_bytes": Metric("installed, GB", scale=1e9),
}


@dataclass(frozen=True)
class Spread:
    """Median, lowest and highest over the pairs."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def ratio(name: str, ours: float, peers: float) -> float:
    return ours / peers if METRICS[name].more_is_better else peers / ours


def ratios(pairs: Sequence[Mapping[str, Figures]]) -> dict[str, dict[str, Spread]]:
    """Ratios of each program except the peer, per metric, over the pairs.

    Args:
        pairs: per pair, the figures of each program that ran in it, including ``peer``. A figure of 0 means no figure.
    """
    found: dict[str, dict[str, Spread]] = {}
    for program in (name for name in pairs[0] if name != PEER):
        both = {name: [(pair[program].get(name, 0), pair[PEER].get(name, 0)) for pair in pairs] for name in METRICS}
        found[program] = {
            name: Spread.of([ratio(name, *pair) for pair in values])
            for name, values in both.items()
            if all(ours and peers for ours, peers in values)
        }
    return found


def falls(now: Mapping[str, Mapping[str, Spread]], before: Mapping[str, Mapping[str, Spread]]) -> list[str]:
    """A sentence for each ratio whose median fell by more than a quarter, among those that both have."""
    return [
        f"{program}: {METRICS[name].title}: {then.median:.2f} times the peer then, {spread.median:.2f} now"
        for program, metrics in now.items()
        for name, spread in metrics.items()
        if METRICS[name].checked
        and (then := before.get(program, {}).get(name))
        and spread.median < (1 - ALLOWED_FALL) * then.median
    ]


def markdown(pairs: Sequence[Mapping[str, Figures]]) -> str:
    """Table with a row per metric: the peer's figure, then each program's and its ratio, as medians with a range."""
    found = ratios(pairs)
    lines = ["| | peer |" + "".join(f" {program} | ratio |" for program in found)]
    lines.append("|---|---|" + "---|---|" * len(found))
    for name in METRICS:
        if any(name in metrics for metrics in found.values()):
            cells = [_figure(name, pairs, PEER)]
            for program, metrics in found.items():
                spread = metrics.get(name)
                cells += [_figure(name, pairs, program), _ratio(spread) if spread else ""]
            lines.append(f"| {METRICS[name].title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figure(name: str, pairs: Sequence[Mapping[str, Figures]], program: str) -> str:
    metric = METRICS[name]
    return f"{statistics.median(pair[program].get(name, 0) for pair in pairs) / metric.scale:.{metric.digits}f}"


def _ratio(spread: Spread) -> str:
    spans = f" ({spread.low:.2f}-{spread.high:.2f})" if spread.low < spread.high else ""
    return f"**{spread.median:.2f}**{spans}"


def from_json(entry: Mapping[str, Any]) -> dict[str, dict[str, Spread]]:
    """Ratios of an entry of a results file."""
    return {program: {name: Spread(**s) for name, s in metrics.items()} for program, metrics in entry["ratios"].items()}
