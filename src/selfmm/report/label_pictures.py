"""Pictures of labels per modality: their distribution, differences from the m-label, outcomes, and trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.messages import clips
from selfmm.labels.audit.history import LabelHistory
from selfmm.report.style import INK, MUTED, Picture, panel

_BINS = 31  # one is centred on the neutral label; each of MOSI's steps of 0.2 has its own bin
_EPOCHS_SHOWN = 6
_HATCHES = ("////", "....", "xx", "\\\\", "oo", "--", "++", "||", "....")


def over_epochs(history: LabelHistory, bound: float, neutral: float, colours: Mapping[str, str]) -> list[Picture]:
    """Draw the distribution of each modality's labels at some epochs, the first and the last included.

    Labels that were estimated before training are drawn below the m-labels.
    """
    if history.estimated:
        values = [[history.m_labels, history.u_labels[number, -1]] for number in range(len(history.modalities))]
        return _distributions(history, values, ["m", "u"], "label", _edges(bound, neutral), neutral, colours)
    places = _chosen(len(history.epochs))
    values = [[history.u_labels[number, place] for place in places] for number in range(len(history.modalities))]
    shown = [str(history.epochs[place]) for place in places]
    return _distributions(history, values, shown, "epoch", _edges(bound, neutral), neutral, colours)


def _distributions(
    history: LabelHistory,
    values: Sequence[Sequence[npt.NDArray[np.float32]]],
    shown: Sequence[str],
    what: str,
    edges: npt.NDArray[np.float64],
    neutral: float,
    colours: Mapping[str, str],
) -> list[Picture]:
    """Draw a picture per modality with a histogram per name in ``shown``; ``what`` they are: epochs or labels."""
    pictures = []
    for name, own in zip(history.modalities, values, strict=True):
        shares = np.stack([_shares(part, edges) for part in own])
        figure, axes = panel(name, "label" if what == "label" else "u-label", what)
        step = 0.7 * (shares.max() or 1.0)
        for level, share in enumerate(shares):
            shade = 0.25 + 0.6 * level / max(len(own) - 1, 1)
            base = -level * step
            axes.stairs(share + base, edges, baseline=base, fill=True, color=colours[name], alpha=shade, zorder=level)
            axes.stairs(share + base, edges, baseline=base, color=colours[name], linewidth=1.0, zorder=level)
        axes.set_yticks([-level * step for level in range(len(own))], shown)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.axvline(neutral, color=MUTED, linewidth=0.8, linestyle=":")
        first, last = (_spread_in_words(own[place]) for place in (0, -1))
        alt = (
            f"Distribution of the u-labels of {name} at epochs {', '.join(shown)}. First epoch: {first}; last: {last}."
        )
        if what == "label":
            alt = f"Distribution of the m-labels ({first}) and of the u-labels of {name} ({last})."
        pictures.append(Picture(f"labels-over-epochs-{name}", alt, figure))
    return pictures


def _spread_in_words(values: npt.NDArray[np.float32]) -> str:
    known = values[np.isfinite(values)].astype(np.float64)
    return f"mean {known.mean():.2f}, standard deviation {known.std():.2f}" if len(known) else "no labels"


def _edges(bound: float, neutral: float) -> npt.NDArray[np.float64]:
    width = 2 * bound / (_BINS - 1)
    return neutral + np.linspace(-bound - width / 2, bound + width / 2, _BINS + 1)


def _chosen(epochs: int) -> list[int]:
    """Return the positions of at most six epochs: the first two, the last, and others at equal ratios between them."""
    if epochs <= _EPOCHS_SHOWN:
        return list(range(epochs))
    return sorted({0, *np.round(np.geomspace(1, epochs - 1, _EPOCHS_SHOWN - 1)).astype(int).tolist()})


def _shares(values: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the share of labels per bin; labels outside (of rules without a limit) count in the outermost bins."""
    known = values[np.isfinite(values)]
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    shares: npt.NDArray[np.float64] = counts / max(len(known), 1)
    return shares


def against_m(history: LabelHistory, bound: float, neutral: float, colours: Mapping[str, str]) -> list[Picture]:
    """Draw the number of clips by m-label and u-label for each modality, at the last epoch of ``history``."""
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb

    edges = _edges(bound, neutral)
    pictures = []
    for number, name in enumerate(history.modalities):
        u_labels = history.u_labels[number, -1]
        known = np.isfinite(u_labels)
        inside = [np.clip(values[known], edges[0], edges[-1]) for values in (history.m_labels, u_labels)]
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
        far = float(np.mean(np.abs(u_labels[known] - history.m_labels[known]) > bound / 6)) if known.any() else 0.0
        alt = (
            f"u-label of {name} against the m-label, {clips(int(known.sum()))}. {far:.0%} are more than a twelfth of "
            "the range away from the diagonal, where both are equal."
        )
        pictures.append(Picture(f"u-against-m-{name}", alt, figure))
    return pictures


def outcomes(shares: pd.DataFrame, colours: Mapping[str, str]) -> Picture:
    """Draw the outcome of the labels: one bar per modality, divided by outcome."""
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
        # The strength is part of the colour: an alpha of the bar would fill "none" with black.
        strength = {"updated": 1.0, "clamped": 0.45}.get(str(outcome), 0.12)
        fill = [(colours[name] if moved else MUTED, strength) for name in names]
        axes.barh(names, width, left=left, height=0.62, color=fill, **look)
        key.append(Patch(facecolor=(MUTED, strength), label=str(outcome).replace("_", " "), **look))
        left = left + width
    figure.legend(handles=key, loc="outside lower center", ncols=min(len(key), 3))
    axes.set_xlim(0, 100)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    named = shares.rename(columns=lambda column: str(column).replace("_", " "))
    description = "; ".join(
        f"{name}: " + ", ".join(f"{column} {value:.1%}" for column, value in row.items() if value > 0)
        for name, row in named.iterrows()
    )
    return Picture("outcomes", f"Share of the labels by outcome. {description}.", figure)


def trust_histogram(labels: pd.DataFrame, modalities: list[str], colours: Mapping[str, str]) -> Picture:
    """Draw the distribution of the trust in the labels, one line per modality."""
    figure, axes = panel("Trust in the labels", "trust", "share of the labels, %")
    edges = np.linspace(0, 1, 41)
    for name in modalities:
        values = labels.loc[labels["modality"] == name, "trust"].dropna().to_numpy(dtype=np.float64)
        counts, _ = np.histogram(values, edges)
        axes.stairs(100 * counts / max(len(values), 1), edges, color=colours[name], linewidth=1.6, label=name)
    axes.set_xlim(0, 1)
    axes.legend(loc="upper right")
    means = labels.groupby("modality")["trust"].mean()
    shown = ", ".join(f"{name} {means[name]:.2f}" for name in modalities if name in means)
    return Picture("trust", f"Distribution of the trust in the labels. Means: {shown}.", figure)
