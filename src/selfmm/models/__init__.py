"""Models: networks from a Batch to an Output. Each is one file on the shared skeletons, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from selfmm.config.model_name import is_code, is_file
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean

if TYPE_CHECKING:
    from selfmm.models.base import Model

MODELS: dict[str, str] = {
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
    "adapt": "Adapt",
}
"""The models of selfmm: name, which is also that of the file, and class."""


def find_model(name: str) -> type[Model]:
    """Return the class of a model: the one place that turns the setting ``model`` into a class.

    Args:
        name: one of ``MODELS``, or your own code, ``path/to/file.py:ClassName`` or ``package.module:ClassName``, which
            is run.

    Raises:
        SettingsError: if there is no such model, or if the code cannot be read, fails, or has no such model.
    """
    if is_code(name):
        from selfmm.models.own_code import OwnCode

        return OwnCode.read(name).load()
    if is_file(name):
        raise SettingsError([f"model = {name!r}: name the class too, for example {name}:MyModel"])
    if name == "ensemble":
        raise SettingsError(
            ["model = 'ensemble': it is made of runs, not trained: selfmm ensemble RUN RUN --out FOLDER"]
        )
    if name not in MODELS:
        raise SettingsError([f"model = {name!r}: there is no such model{did_you_mean(name, list(MODELS))}"])
    model: type[Model] = getattr(import_module(f"selfmm.models.{name}"), MODELS[name])
    return model
