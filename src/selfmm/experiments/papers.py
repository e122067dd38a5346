"""Names of the models as papers print them, and the bibliography of the tables for LaTeX."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib import resources

_PAPERS = {  # model: its name in papers, and the key of its paper in papers.bib
    "self_mm": ("Self-MM", "yu2021selfmm"),
    "lf_dnn": ("LF-DNN", "cambria2017benchmarking"),
    "ef_lstm": ("EF-LSTM", "williams2018recognizing"),
    "tfn": ("TFN", "zadeh2017tensor"),
    "lmf": ("LMF", "liu2018efficient"),
    "mfn": ("MFN", "zadeh2018memory"),
    "graph_mfn": ("Graph-MFN", "zadeh2018multimodal"),
    "mfm": ("MFM", "tsai2019learning"),
    "mag_bert": ("MAG-BERT", "rahman2020integrating"),
    "misa": ("MISA", "hazarika2020misa"),
    "mmim": ("MMIM", "han2021improving"),
    "mult": ("MulT", "tsai2019multimodal"),
    "tetfn": ("TETFN", "wang2023tetfn"),
    "almt": ("ALMT", "zhang2023learning"),
    "iccn": ("ICCN", "sun2020learning"),
    "mlf_dnn": ("MLF-DNN", "yu2020chsims"),
    "mtfn": ("MTFN", "yu2020chsims"),
    "mlmf": ("MLMF", "yu2020chsims"),
}


def display_name(case: str) -> str:
    """Return the name of a model in papers, with its own settings; another name as it is.

    >>> display_name("lf_dnn+labels.source=none"), display_name("best")
    ('LF-DNN, labels.source=none', 'best')
    """
    model, *own = case.split("+")
    return ", ".join([_PAPERS[model][0], *own]) if model in _PAPERS else case


def paper_of(case: str) -> str:
    """Return the key of the paper of a model in the bibliography; empty if it has none."""
    return _PAPERS.get(case.partition("+")[0], ("", ""))[1]


@cache
def entries() -> dict[str, str]:
    """Return the entries of ``papers.bib`` by their keys."""
    text = (resources.files("selfmm.experiments") / "papers.bib").read_text(encoding="utf-8")
    found = (part.strip() for part in re.split(r"\n(?=@)", text))
    return {re.split("[{,]", entry)[1]: entry for entry in found}


def bibliography(keys: Collection[str]) -> str:
    """Return a .bib file with the entries that a table cites, in the order of ``papers.bib``."""
    return "\n\n".join(entry for key, entry in entries().items() if key in keys) + "\n"
