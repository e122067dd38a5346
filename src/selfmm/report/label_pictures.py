"""Pictures of the generated labels: how they spread over the epochs, where they left the m-label, how far to trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.labels.audit.history import LabelHistory
from selfmm.report.style import INK, MUTED, panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BINS = 31  # one of them is centred on the neutral label; MOSI's steps of 0.2 fall into one each
_EPOCHS_SHOWN = 6
_HATCHES = ("////", "....", "xx", "\\\\", "oo", "--", "++", "||", "....")


@dataclass(frozen=True)
class Picture:
    """One drawn picture.

    Attributes:
        name: of its files; letters, digits, ``_`` and ``-``.
        alt: what it shows, in words.
        figure: matplotlib's.
    """

    name: str
    alt: str
    figure: Figure


def over_epochs(told: LabelHistory, bound: float, neutral: float, colours: Mapping[str, str]) -> list[Picture]:
    """Per modality the distribution of its labels at the first, the second, ... and the last epoch."""
    edges = _edges(bound, neutral)
    places = _chosen(len(told.epochs))
    pictures = []
    for number, name in enumerate(told.modalities):
        shares = np.stack([_shares(told.u_labels[number, place], edges) for place in places])
        figure, axes = panel(name, "u-label", "epoch")
        step = 0.7 * (shares.max() or 1.0)
        for level, share in enumerate(shares):
            shade = 0.25 + 0.6 * level / max(len(places) - 1, 1)
            base = -level * step
            axes.stairs(share + base, edges, baseline=base, fill=True, color=colours[name], alpha=shade, zorder=level)
            axes.stairs(share + base, edges, baseline=base, color=colours[name], linewidth=1.0, zorder=level)
        axes.set_yticks([-level * step for level in range(len(places))], [str(told.epochs[place]) for place in places])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.axvline(neutral, color=MUTED, linewidth=0.8, linestyle=":")
        last = told.u_labels[number, -1]
        alt = (
            f"Distribution of the u-labels of {name} at epochs {', '.join(str(told.epochs[p]) for p in places)}. "
            f"{_spread_in_words(told.u_labels[number, 0], last)}"
        )
        pictures.append(Picture(f"labels-over-epochs-{name}", alt, figure))
    return pictures


def _spread_in_words(first: npt.NDArray[np.float32], last: npt.NDArray[np.float32]) -> str:
    def said(values: npt.NDArray[np.float32]) -> str:
        known = values[np.isfinite(values)].astype(np.float64)
        return f"mean {known.mean():.2f}, standard deviation {known.std():.2f}" if len(known) else "no labels"

    return f"First of them: {said(first)}; last: {said(last)}."


def _edges(bound: float, neutral: float) -> npt.NDArray[np.float64]:
    width = 2 * bound / (_BINS - 1)
    return neutral + np.linspace(-bound - width / 2, bound + width / 2, _BINS + 1)


def _chosen(epochs: int) -> list[int]:
    """Places of at most six epochs: the first two, the last, and between them at equal ratios."""
    if epochs <= _EPOCHS_SHOWN:
        return list(range(epochs))
    return sorted({0, *np.round(np.geomspace(1, epochs - 1, _EPOCHS_SHOWN - 1)).astype(int).tolist()})


def _shares(values: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of the labels per bin; what lies outside (rules without a limit) counts in the outermost ones."""
    known = values[np.isfinite(values)]
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    shares: npt.NDArray[np.float64] = counts / max(len(known), 1)
    return shares


def against_m(told: LabelHistory, bound: float, neutral: float, colours: Mapping[str, str]) -> list[Picture]:
    """Per modality how many clips have which m-label and which u-label, at the last epoch."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb

    edges = _edges(bound, neutral)
    pictures = []
    for number, name in enumerate(told.modalities):
        u_labels = told.u_labels[number, -1]
        known = np.isfinite(u_labels)
        inside = [np.clip(values[known], edges[0], edges[-1]) for values in (told.m_labels, u_labels)]
        counts, _, _ = np.histogram2d(inside[0], inside[1], bins=[edges, edges])
        figure, axes = panel(name, "m-label", "u-label")
        red, green, blue = to_rgb(colours[name])
        shades = LinearSegmentedColormap.from_list(name, [(red, green, blue, 0.22), (red, green, blue, 1.0)])
        axes.axhline(neutral, color=MUTED, linewidth=0.6, linestyle=":")
        axes.axvline(neutral, color=MUTED, linewidth=0.6, linestyle=":")
        axes.plot(edges[[0, -1]], edges[[0, -1]], color=INK, linewidth=0.8, linestyle="--")
        span = (edges[0], edges[-1], edges[0], edges[-1])
        shown = np.ma.masked_equal(counts.T, 0)
        scale = LogNorm(1, max(float(counts.max()), 2.0))
        image = axes.imshow(shown, cmap=shades, norm=scale, extent=span, origin="lower", interpolation="nearest")
        figure.colorbar(image, ax=axes, label="clips", shrink=0.8).outline.set_visible(False)
        off = float(np.mean(np.abs(u_labels[known] - told.m_labels[known]) > bound / 6)) if known.any() else 0.0
        alt = (
            f"u-label of {name} against the m-label, {int(known.sum())} clips. {off:.0%} lie more than a twelfth of "
            "the range off the diagonal, where both are equal."
        )
        pictures.append(Picture(f"u-against-m-{name}", alt, figure))
    return pictures


def outcomes(shares: pd.DataFrame, colours: Mapping[str, str]) -> Picture:
    """What became of the labels in the last epoch: one bar per modality, divided by outcome."""
    from matplotlib.patches import Patch

    figure, axes = panel("", "share of the clips, %", "", height=0.95 + 0.42 * len(shares) + 0.16 * shares.shape[1] / 3)
    names, left, key = list(shares.index), np.zeros(len(shares)), []
    for place, outcome in enumerate(shares.columns):
        width = 100 * shares[outcome].to_numpy(dtype=np.float64)
        moved = outcome in {"updated", "clamped"}
        look: Any = {
            "edgecolor": MUTED,
            "linewidth": 0.6,
            "hatch": "" if outcome == "updated" else _HATCHES[place % len(_HATCHES)],
        }
        # The strength goes with the colour: an alpha of the bar would fill "none" with black.
        strength = {"updated": 1.0, "clamped": 0.45}.get(str(outcome), 0.12)
        fill = [(colours[name] if moved else MUTED, strength) for name in names]
        axes.barh(names, width, left=left, height=0.62, color=fill, **look)
        key.append(Patch(facecolor=(MUTED, strength), label=str(outcome).replace("_", " "), **look))
        left = left + width
    figure.legend(handles=key, loc="outside lower center", ncols=min(len(key), 3))
    axes.set_xlim(0, 100)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{str(column).replace('_', ' ')} {value:.1%}" for column, value in row.items() if value > 0)
        for name, row in shares.iterrows()
    )
    return Picture("outcomes", f"Share of the labels by outcome in the last epoch. {told}.", figure)


def quality_histogram(labels: pd.DataFrame, modalities: list[str], colours: Mapping[str, str]) -> Picture:
    """How the quality of the labels spreads, one line per modality."""
    figure, axes = panel("Quality of the labels", "quality", "share of the labels, %")
    edges = np.linspace(0, 1, 41)
    for name in modalities:
        values = labels.loc[labels["modality"] == name, "quality"].dropna().to_numpy(dtype=np.float64)
        counts, _ = np.histogram(values, edges)
        axes.stairs(100 * counts / max(len(values), 1), edges, color=colours[name], linewidth=1.6, label=name)
    axes.set_xlim(0, 1)
    axes.legend(loc="upper left")
    medians = labels.groupby("modality")["quality"].median()
    told = ", ".join(f"{name} {medians[name]:.2f}" for name in modalities if name in medians)
    return Picture("quality", f"Distribution of the quality of the labels. Medians: {told}.", figure)
