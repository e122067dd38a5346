"""A small HTML table for notebooks, with everything in it escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_TEMPLATE = """\
<table>
<caption>{{ caption }}</caption>
{% for head, cell in facts.items() %}<tr><th scope="row">{{ head }}</th><td colspan="{{ span }}">{{ cell }}</td></tr>
{% endfor %}<tr>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
"""


def table_html(caption: str, facts: Mapping[str, str], heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the HTML of a table: facts by their headings, then ``rows`` under ``heads``."""
    from jinja2 import Environment  # takes a tenth of a second, which most uses do not need

    template = Environment(autoescape=True).from_string(_TEMPLATE)
    return template.render(caption=caption, facts=facts, heads=heads, rows=rows, span=max(1, len(heads) - 1))
