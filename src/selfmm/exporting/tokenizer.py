"""The tokenizer of a run as one text that the ``tokenizers`` library reads by itself."""

from __future__ import annotations

from typing import Any

from selfmm.core.errors import ExportError
from selfmm.models.text import tokenise

_SAMPLES = (
    "I really loved the ending!",
    "NOT bad... 3.5 out of 10, isn't it?",
    "Ça alors, naïve café \u2014 \U0001f600",
    "这部电影 很好看",
    "  two\tspaces \n and a line  ",
    "word " * 600,
)


def portable_tokenizer(tokenizer: Any, max_tokens: int) -> str:
    """The content of a ``tokenizer.json`` that gives the same ids as the run does, cut to ``max_tokens``.

    Raises:
        ExportError: the tokenizer is written in Python alone, or gives other ids without its Python part.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ExportError(
            f"the text encoder's tokenizer ({type(tokenizer).__name__}) is written in Python and has no "
            "tokenizer.json, so it cannot leave with the model. Train with an encoder that has a fast tokenizer."
        )
    alone = Tokenizer.from_str(backend.to_str())
    alone.no_padding()
    alone.enable_truncation(max_tokens)
    for sample, ids in zip(_SAMPLES, tokenise(tokenizer, _SAMPLES, max_tokens), strict=True):
        if alone.encode(sample).ids != ids.tolist():
            raise ExportError(
                f"the text encoder's tokenizer ({type(tokenizer).__name__}) reads {sample[:30]!r} otherwise without "
                "transformers, so it cannot leave with the model. Train with another text encoder."
            )
    content: str = alone.to_str()
    return content
