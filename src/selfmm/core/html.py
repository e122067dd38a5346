"""HTML from jinja2 templates. Every value is escaped, so names and texts from data are safe in a page or a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_TABLE = """\
<table>{% if caption %}<caption>{{ caption }}</caption>{% endif %}
{%- if heads %}<thead><tr>{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>{% endif %}
<tbody>{% for row in rows %}
<tr><th scope="row">{{ row[0] }}</th>{% for cell in row[1:] %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table>
{%- for note in notes %}<p>{{ note }}</p>{% endfor %}"""


@cache
def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined  # a tenth of a second, which a score does not need

    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(template: str, **values: object) -> str:
    """Fill in a jinja2 template. Values are escaped, unless they are ``markupsafe.Markup``."""
    return _environment().from_string(template).render(**values)


def html_table(
    rows: Sequence[Sequence[str]], heads: Sequence[str] = (), *, caption: str = "", notes: Sequence[str] = ()
) -> str:
    """Return an HTML table for a notebook.

    Args:
        rows: the cells of each row, as plain text; the first cell is the heading of the row.
        heads: the headings of the columns, if any.
        caption: one line above the table, if any.
        notes: sentences below the table.
    """
    return render(_TABLE, rows=[tuple(row) for row in rows], heads=list(heads), caption=caption, notes=list(notes))
