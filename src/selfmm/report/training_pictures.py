"""Pictures of the training: its curves, its predictions, and the class centres that the labels come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from selfmm.core.messages import count
from selfmm.data.manifest import SPLITS
from selfmm.data.scales import LabelScale
from selfmm.report.plane import Plane
from selfmm.report.style import INK, MUTED, Picture, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PICK = "#d55e00"
_CENTRE = "#39424d"  # dark on a light page; on a dark page its white rim and sign show
_CURVES = (
    ("drift", "Drift of the labels", "mean |u - previous u|"),
    ("separation", "Separation of the centres", "gap / spread"),
)


def curves(history: pd.DataFrame, by_epoch: pd.DataFrame, best: int, colours: Mapping[str, str]) -> list[Picture]:
    """Draw validation error, losses and, if known, the drift of the labels and the separation of the centres."""
    pictures = [_validation(history, best)]
    losses = {name: history[f"loss_{name}"] for name in colours if f"loss_{name}" in history}
    if losses:
        pictures.append(_lines("losses", "Training losses", "loss", history["epoch"], losses, best, colours))
    for key, title, label in _CURVES:
        wide = by_epoch.pivot(index="epoch", columns="modality", values=key) if key in by_epoch else pd.DataFrame()
        lines = {name: wide[name] for name in colours if name in wide and wide[name].notna().any()}
        if lines:
            pictures.append(_lines(key, title, label, wide.index.to_series(), lines, best, colours))
    return pictures


def _validation(history: pd.DataFrame, best: int) -> Picture:
    figure, axes = panel("Validation error", "epoch", "MAE")
    epochs, errors = history["epoch"], history["valid_mae"]
    axes.plot(epochs, errors, color=INK, marker=".", markersize=4)
    chosen = history[epochs == best]
    axes.plot(chosen["epoch"], chosen["valid_mae"], "o", markersize=9, markerfacecolor="none", markeredgecolor=_PICK)
    _whole_epochs(axes)
    lowest = f"{chosen['valid_mae'].iloc[0]:.3f} at epoch {best}, which gives the weights" if len(chosen) else "unknown"
    alt = f"Validation error over {count(len(history), 'epoch')}: {errors.iloc[0]:.3f} at the first, {lowest}."
    return Picture("validation", alt, figure)


def _lines(
    key: str,
    title: str,
    label: str,
    epochs: pd.Series,
    lines: Mapping[str, pd.Series],
    best: int,
    colours: Mapping[str, str],
) -> Picture:
    figure, axes = panel(title, "epoch", label)
    axes.axvline(best, color=MUTED, linewidth=0.8, linestyle=":")
    for name, values in lines.items():
        axes.plot(epochs, values, color=colours[name], label=name, marker=".", markersize=4)
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    _whole_epochs(axes)
    shown = ", ".join(f"{name} {values.iloc[-1]:.3f}" for name, values in lines.items())
    return Picture(key, f"{title} over {count(len(epochs), 'epoch')}. At the last: {shown}.", figure)


def _whole_epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.6)


def answers(predictions: pd.DataFrame, scale: LabelScale) -> list[Picture]:
    """Draw the fused scores against the labels, for each split except training, without clips that have no label."""
    if not {"split", "label"} <= set(predictions):
        return []
    known = predictions[np.isfinite(predictions["label"].to_numpy(dtype=float))]
    groups = [(split, known[known["split"] == split]) for split in SPLITS if split != "train"]
    return [_answers(split, clips, scale) for split, clips in groups if len(clips)]


def _answers(split: str, clips: pd.DataFrame, scale: LabelScale) -> Picture:
    figure, axes = panel(f"{split} ({count(len(clips), 'clip')})", "label", "score")
    ends = [scale.neutral - scale.reach, scale.neutral + scale.reach]
    for line in (axes.axhline, axes.axvline):
        line(scale.neutral, color=MUTED, linewidth=0.6, linestyle=":")
    axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle="--")
    axes.scatter(clips["label"], clips["score"], s=9, color=MUTED, alpha=0.6, linewidths=0, rasterized=True)
    error = (clips["score"] - clips["label"]).abs()
    alt = (
        f"Fused score against the label; clips of the split {split}: {len(clips)}. Median error {error.median():.3f}, "
        f"largest {error.max():.3f}."
    )
    return Picture(f"predictions-{split}", alt, figure)


def centres(planes: Mapping[str, Plane], colours: Mapping[str, str]) -> list[Picture]:
    """Draw the class centres and a sample of clips of each feature space; clips of the negative class are hollow."""
    return [_plane(name, plane, colours[name]) for name, plane in planes.items()]


def _plane(name: str, plane: Plane, colour: str) -> Picture:
    figure, axes = panel(name, "along the line through the centres", "largest variance orthogonal to it")
    # Points are pixels, since two thousand SVG circles would make a page of megabytes. They cannot follow the page's
    # colour scheme, so the fusion is drawn in a grey that suits light and dark.
    colour = MUTED if colour == INK else colour
    for side, fill in ((-1, "none"), (0, "none"), (1, colour)):
        look: Any = {"facecolors": fill, "edgecolors": colour, "alpha": 0.35 if side == 0 else 0.6}
        x, y = plane.points[plane.sides == side].T
        axes.scatter(x, y, s=9, linewidths=0.6, rasterized=True, **look)
    for sign, place in (("−", -plane.half_gap), ("+", plane.half_gap)):
        axes.plot(
            [place], [0], "o", markersize=13, color=_CENTRE, markeredgecolor="white", markeredgewidth=1.2, zorder=5
        )
        axes.text(place, 0, sign, color="white", ha="center", va="center_baseline", fontweight="bold", zorder=6)
    axes.set_xlim(*_limits(plane, 0))
    axes.set_ylim(*_limits(plane, 1))
    axes.locator_params(nbins=5)
    alt = (
        f"Features of {name} for {len(plane.points)} of {plane.clips} clips in two dimensions, which show "
        f"{plane.shown:.0%} of their variance. The distance of the class centres is {2 * plane.half_gap:.3g}."
    )
    return Picture(f"centres-{name}", alt, figure)


def _limits(plane: Plane, axis: int) -> tuple[float, float]:
    """Return limits that show the middle 99 % and both centres; far outliers are cut off."""
    centres = [-plane.half_gap, plane.half_gap] if axis == 0 else [0.0]
    values = np.concatenate([np.quantile(plane.points[:, axis], [0.005, 0.995]), centres])
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * (high - low) or plane.half_gap
    return low - margin, high + margin
