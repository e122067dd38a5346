"""How every picture looks: sizes, colours that the colour-blind can tell apart, and one colour per modality."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#2a7ab9", "#d55e00", "#009e73", "#b8679a", "#c28a00")
"""After Okabe and Ito (2008), the lighter ones darkened: at least 3:1 against white and against a near-black page."""
INK = "#1b1f24"
"""Text and axes; on the page it becomes the text's own colour."""
MUTED = "#8a929c"
"""Grid, second things; readable on light and dark."""
WIDTH, HEIGHT = 3.7, 2.9  # inches: three in a row on a wide page, one on a phone

_SETTINGS: Any = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so the layout is the same everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "text.usetex": False,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.8,
    "path.simplify": True,
    "svg.hashsalt": "selfmm",
    "savefig.transparent": True,
}


def modality_colours(modalities: Sequence[str]) -> dict[str, str]:
    """A colour per modality by its place, and ink for all of them together."""
    return {"fusion": INK, **{name: PALETTE[place % len(PALETTE)] for place, name in enumerate(modalities)}}


@contextmanager
def drawing() -> Iterator[None]:
    """Pictures made inside look alike, whatever the user's own settings of matplotlib are.

    Raises:
        OutputError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise OutputError(
            "pictures are drawn with matplotlib, which is not installed. Install it with: pip install 'selfmm[report]'"
        ) from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def panel(title: str, xlabel: str, ylabel: str, *, height: float = HEIGHT) -> tuple[Figure, Axes]:
    """An empty picture with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure, axes
