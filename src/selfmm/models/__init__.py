"""Models: from a Batch to an Output. Each is one file on the shared skeletons, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean

if TYPE_CHECKING:
    from selfmm.models.base import Model

MODELS: dict[str, str | type[Model]] = {
    "self_mm": "SelfMM",
    "lf_dnn": "LFDNN",
    "ef_lstm": "EFLSTM",
    "tfn": "TFN",
    "lmf": "LMF",
    "mfn": "MFN",
    "graph_mfn": "GraphMFN",
    "mfm": "MFM",
    "mag_bert": "MAGBert",
    "misa": "MISA",
    "mmim": "MMIM",
    "mult": "MulT",
    "tetfn": "TETFN",
    "almt": "ALMT",
    "iccn": "ICCN",
    "mlf_dnn": "MLFDNN",
    "mtfn": "MTFN",
    "mlmf": "MLMF",
}
"""Name of the model, which is that of its file here, and of its class in there; or a class from elsewhere."""


def find_model(name: str) -> type[Model]:
    """The class of a model by name.

    Raises:
        SettingsError: there is no such model.
    """
    if name not in MODELS:
        raise SettingsError([f"model = {name!r}: there is no such model{did_you_mean(name, list(MODELS))}"])
    known = MODELS[name]
    model: type[Model] = getattr(import_module(f"selfmm.models.{name}"), known) if isinstance(known, str) else known
    return model
