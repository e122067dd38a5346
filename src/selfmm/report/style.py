"""The look of every picture, and its files. Colour-blind people can distinguish the colours."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import quoteattr

from selfmm.core.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#2a7ab9", "#d55e00", "#009e73", "#b8679a", "#c28a00")
"""After Okabe and Ito (2008), with light colours darkened: the contrast with white and near-black is at least 3:1."""
INK = "#1b1f24"
"""Text and axes; on the page, the colour of the text replaces it."""
MUTED = "#8a929c"
"""Grid and secondary elements; readable on light and dark."""
WIDTH, HEIGHT = 3.7, 2.9  # inches: three in a row on a wide page, one on a phone

_SETTINGS: Any = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # part of matplotlib, so the layout is the same everywhere
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
    """Return a colour for each modality by its position, and ink for the fusion."""
    return {"fusion": INK, **{name: PALETTE[place % len(PALETTE)] for place, name in enumerate(modalities)}}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the same style, whatever matplotlib settings the user has.

    Raises:
        OutputError: if matplotlib is not installed.
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
    """Return an empty picture with one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    return figure, axes


_NO_DATES = {"Date": None, "Creator": None}
_FONT = re.compile(r"(font: [^;'\"]*?px )[^;\"]*")
_NAMED = re.compile(r'(\bid="|xlink:href="#|url\(#)')


def png(figure: Figure) -> bytes:
    """Return a PNG at 200 dpi on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, transparent=False, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def pdf(figure: Figure) -> bytes:
    """Return a PDF file on white."""
    buffer = io.BytesIO()
    nothing = {"CreationDate": None, "Creator": None, "Producer": None}
    figure.savefig(buffer, format="pdf", transparent=False, facecolor="white", metadata=nothing)
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """Return an SVG file on white; text is drawn as outlines, so it looks the same everywhere."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", dpi=200, transparent=False, facecolor="white", metadata=_NO_DATES)
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """Return an SVG element for a page of HTML: no background, text as text, ink in the text colour of the page.

    Args:
        figure: the picture.
        name: unique on the page; every id inside begins with it.
        alt: a description for readers who cannot see it.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", dpi=160, metadata=_NO_DATES)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # matplotlib's style element would apply to the whole page, and the page's policy allows only its own.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = _NAMED.sub(rf"\g<1>{name}-", text).replace(INK, "currentColor")
    text = _FONT.sub(r"\1system-ui, sans-serif", text)
    for size in ("width", "height"):
        text = re.sub(rf'(<svg[^>]*?) {size}="[^"]*"', r"\1", text, count=1)
    look = f'<svg role="img" aria-label={quoteattr(alt)} stroke-linejoin="round" stroke-linecap="butt"'
    return text.replace("<svg", look, 1)


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        name: name of its files; letters, digits, ``_`` and ``-``.
        alt: a description in words.
        figure: the matplotlib figure.
    """

    name: str
    alt: str
    figure: Figure
