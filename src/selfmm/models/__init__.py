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
}
"""The models of selfmm: name, which is also that of the file, and class."""

FITTED: dict[str, str] = {"starter": "Starter"}
"""Likewise, models that are not trained by gradients. Runs may have them; no setting does."""


def find_model(name: str, *, fitted: bool = False) -> type[Model]:
    """Return the class of a model: the one place that turns the setting ``model`` into a class.

    Args:
        name: one of ``MODELS``, or your own code, ``path/to/file.py:ClassName`` or ``package.module:ClassName``, which
            is run.
        fitted: also accept one of ``FITTED``.

    Raises:
        SettingsError: if there is no such model, or if the code cannot be read, fails, or has no such model.
    """
    if is_code(name):
        from selfmm.models.own_code import OwnCode

        return OwnCode.read(name).load()
    if is_file(name):
        raise SettingsError([f"model = {name!r}: name the class too, for example {name}:MyModel"])
    models = MODELS | FITTED if fitted else MODELS
    if name in FITTED and not fitted:
        raise SettingsError([f"model = {name!r}: this model cannot be trained; `selfmm predict {name}` uses it"])
    if name not in models:
        raise SettingsError([f"model = {name!r}: there is no such model{did_you_mean(name, list(MODELS))}"])
    model: type[Model] = getattr(import_module(f"selfmm.models.{name}"), models[name])
    return model
