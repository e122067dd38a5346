"""A data set as a small HTML table, for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_TEMPLATE = """\
<table>
<caption>Data set <strong>{{ name }}</strong></caption>
{% for head, cell in facts.items() %}<tr><th scope="row">{{ head }}</th><td colspan="3">{{ cell }}</td></tr>
{% endfor %}<tr><th>clip</th><th>split</th><th>label</th><th>text</th></tr>
{% for row in clips %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
"""


def dataset_html(name: str, facts: Mapping[str, str], clips: Sequence[Sequence[object]]) -> str:
    """Return the HTML of a table; every value is escaped.

    Args:
        name: of the data set.
        facts: what the first rows say, by their heading.
        clips: id, split, label and text of some clips.
    """
    from jinja2 import Environment  # takes a tenth of a second, which other uses of a data set do not need

    return Environment(autoescape=True).from_string(_TEMPLATE).render(name=name, facts=facts, clips=clips)
