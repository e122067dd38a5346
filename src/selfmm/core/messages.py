"""Parts of messages: counts, lists of ids, and the nearest known name."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence

INTERRUPTED = "complete results are kept, and no file is half-written."
_SHOWN = 3


def some(ids: Sequence[object], *, quoted: bool = True) -> str:
    """Return the first few of many ids, for a message: ``'a', 'b', 'c' and 7 more``; numbers need no quotes."""
    shown = ", ".join(repr(str(id_)[:80]) if quoted else str(id_) for id_ in ids[:_SHOWN])
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN} more"


def repeated_ids(ids: Sequence[str]) -> str:
    """Return the beginning of a message about ids that several clips have.

    >>> repeated_ids(["a"]), repeated_ids(["a", "b"])
    ("1 id occurs more than once: 'a'", "2 ids occur more than once: 'a', 'b'")
    """
    return f"{count(len(ids), 'id')} {'occurs' if len(ids) == 1 else 'occur'} more than once: {some(ids)}"


def typed(path: object) -> str:
    """Return a path as it is typed in a command, in quotes if it has blanks or other characters that a shell reads.

    >>> typed("data"), typed("my data")
    ('data', "'my data'")
    """
    return shlex.quote(str(path))


def clips(count: int, verb: tuple[str, str] = ("", "")) -> str:
    """Return ``1 clip`` or ``7 clips``, with the verb in the right number."""
    return f"{count:,} clip{'s' if count != 1 else ''} {verb[count != 1]}".rstrip()


def did_you_mean(word: str, known: Sequence[str], prefix: str = "") -> str:
    """Return the end of a sentence: the nearest known name, or all of them; ``prefix`` goes before each.

    >>> did_you_mean("vison", ["audio", "vision"])
    "; did you mean 'vision'?"
    """
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {prefix + near[0]!r}?"
    return f"; choose from: {', '.join(prefix + name for name in sorted(known))}"


def plain(message: str) -> str:
    """Return a message of pydantic without its prefix for the errors of validators.

    >>> plain("Value error, give one or more of text, audio")
    'give one or more of text, audio'
    """
    return message.removeprefix("Value error, ")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message without its full stop, to quote in a message of selfmm."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300].rstrip(".")


def count(number: int, noun: str) -> str:
    """Return a number with its noun in the right form.

    >>> count(1, "seed"), count(2, "seed")
    ('1 seed', '2 seeds')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
