"""A drawn picture as a PNG, an SVG file, or SVG to stand inside a page. The same picture gives the same bytes."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from selfmm.report.style import INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NO_DATES = {"Date": None, "Creator": None}
_FONT = re.compile(r"(font: [^;'\"]*?px )[^;\"]*")
_NAMED = re.compile(r'(\bid="|xlink:href="#|url\(#)')


def png(figure: Figure) -> bytes:
    """A PNG at 200 dpi on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, transparent=False, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """An SVG file on white; text is outlines, so it looks the same wherever it is opened."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", dpi=200, transparent=False, facecolor="white", metadata=_NO_DATES)
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str, alt: str) -> str:
    """An SVG element for a page of HTML: no background, text as text, ink in the page's own text colour.

    Args:
        figure: the picture.
        name: unique on the page; every id inside begins with it.
        alt: what it shows, for those who cannot see it.
    """
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", dpi=160, metadata=_NO_DATES)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # matplotlib's style element would hold for the whole page, and the page's policy allows none but its own.
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = _NAMED.sub(rf"\g<1>{name}-", text).replace(INK, "currentColor")
    text = _FONT.sub(r"\1system-ui, sans-serif", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    look = f'<svg role="img" aria-label={quoteattr(alt)} stroke-linejoin="round" stroke-linecap="butt"'
    return text.replace("<svg", look, 1)
