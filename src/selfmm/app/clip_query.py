"""The filters and the order of clips, as a link states them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from selfmm.app.clip_table import Bools, ClipTable, Floats
from selfmm.app.errors import RequestError

Rows = npt.NDArray[np.int64]

_NAMES = ("q", "split", "missing", "warnings", "rated", "labelled", "disagree", "from", "to", "run", "sort", "view")
_YES_NO = ("yes", "no")
_SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class ClipQuery:
    """Filters and order, as in the link of a page. An empty text, or None, means no filter.

    Attributes:
        q: words that must all occur in the id, the text or the name of the recording.
        split: ``train``, ``valid`` or ``test``.
        missing: a modality that the clip lacks, or ``any``.
        warnings, rated, labelled, disagree: ``yes`` or ``no``.
        low, high: lowest and highest m-label; ``from`` and ``to`` in a link.
        run: name of the run whose scores are shown.
        view: ``grid``; empty or ``table`` for a table.
        sort: a column, with ``-`` in front for the largest first; empty for the order of the data set.
    """

    q: str = ""
    split: str = ""
    missing: str = ""
    warnings: str = ""
    rated: str = ""
    labelled: str = ""
    disagree: str = ""
    low: float | None = None
    high: float | None = None
    run: str = ""
    sort: str = ""
    view: str = ""

    @classmethod
    def of(cls, values: Mapping[str, str]) -> ClipQuery:
        """Return the query that the parameters of a link state; ignore unknown parameters.

        Raises:
            RequestError: if one is not valid.
        """
        texts = {name: values.get(name, "").strip()[:500] for name in _NAMES}
        for name in ("warnings", "rated", "labelled", "disagree"):
            _choice(name, texts[name], _YES_NO)
        _choice("split", texts["split"], _SPLITS)
        _choice("sort", texts["sort"].removeprefix("-"), tuple(SORTS))
        _choice("view", texts["view"], ("table", "grid"))
        low, high = _number("from", texts.pop("from")), _number("to", texts.pop("to"))
        return cls(**texts, low=low, high=high)

    def link(self) -> str:
        """Return the query as a part of a link, without the question mark."""
        values = {name: getattr(self, {"from": "low", "to": "high"}.get(name, name)) for name in _NAMES}
        shown = {name: f"{value:.10g}" if isinstance(value, float) else value for name, value in values.items()}
        return urlencode({name: value for name, value in shown.items() if value not in ("", None)})

    def select(self, table: ClipTable, scores: Floats | None = None, *, by_label: bool = True) -> Rows:
        """Return the rows that pass, in order.

        Args:
            table: the clips.
            scores: (N,) scores of the run; None if there is no run.
            by_label: whether to apply ``low`` and ``high``.
        """
        passes = np.ones(len(table), dtype=np.bool_)
        if self.split:
            passes &= table.splits == self.split
        if self.missing:
            lacks = [values for name, values in table.missing.items() if self.missing in (name, "any")]
            passes &= np.any(lacks, axis=0) if lacks else np.False_
        for answer, holds in (
            (self.warnings, lambda: np.array([bool(text) for text in table.warnings], dtype=np.bool_)),
            (self.rated, lambda: table.ratings > 0),
            (self.labelled, lambda: np.isfinite(table.labels)),
            (self.disagree, lambda: table.disagree),
        ):
            passes &= _answered(answer, holds)
        if by_label:
            passes &= self._in_range(table)
        if self.q:
            terms = self.q.casefold().split()
            passes &= np.array([all(term in words for term in terms) for words in table.words], dtype=np.bool_)
        rows: Rows = np.flatnonzero(passes)
        return self._sorted(table, rows, scores)

    def _in_range(self, table: ClipTable) -> Bools | np.bool_:
        if self.low is None and self.high is None:
            return np.True_
        low, high = table.dataset.manifest.label_range
        inside = np.clip(table.labels, low, high)  # labels outside the range are in the outer bars
        from_, to = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        return np.asarray((inside >= from_ - 1e-9) & (inside <= to + 1e-9))

    def _sorted(self, table: ClipTable, rows: Rows, scores: Floats | None) -> Rows:
        name = self.sort.removeprefix("-")
        if not name:
            return rows
        largest_first = self.sort.startswith("-")
        keys = SORTS[name](table, np.full(len(table), np.nan) if scores is None else scores)
        if isinstance(keys, list):
            return np.array(sorted(rows.tolist(), key=lambda row: keys[row], reverse=largest_first), dtype=np.int64)
        known = np.isfinite(keys[rows])
        order = np.argsort(-keys[rows[known]] if largest_first else keys[rows[known]], kind="stable")
        return np.concatenate([rows[known][order], rows[~known]])  # clips without a value always come last


def _float(values: npt.NDArray[np.int64] | list[int]) -> Floats:
    return np.asarray(values, dtype=np.float64)


SORTS: Mapping[str, Callable[[ClipTable, Floats], Floats | list[str]]] = {
    "id": lambda table, scores: table.ids,
    "split": lambda table, scores: _float([_SPLITS.index(str(split)) for split in table.splits]),
    "label": lambda table, scores: table.labels,
    "text": lambda table, scores: table.texts,
    "length": lambda table, scores: _float([len(text.split()) for text in table.texts]),
    "video": lambda table, scores: table.videos,
    "ratings": lambda table, scores: _float(table.ratings),
    "spread": lambda table, scores: table.spread,
    "score": lambda table, scores: scores,
    "error": lambda table, scores: np.abs(scores - table.labels),
}
"""Columns that clips can be sorted by."""


def _answered(answer: str, holds: Callable[[], Bools]) -> Bools | np.bool_:
    return np.True_ if not answer else holds() == (answer == "yes")


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value and value not in choices:
        raise RequestError(f"`{name}` in the link is {value[:40]!r}; it must be one of: {', '.join(choices)}.")


def _number(name: str, value: str) -> float | None:
    if not value:
        return None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(f"`{name}` in the link is {value[:40]!r}; it must be a label, a number.")
    return number
