"""Find the class of a run's model. The user's own code is run only with permission."""

from __future__ import annotations

import logging

from selfmm.config.model_name import is_code, short_name, split_code
from selfmm.core.errors import RunError, SettingsError
from selfmm.models import find_model
from selfmm.models.base import Model
from selfmm.models.own_code import OwnCode, loaded
from selfmm.runs.folder import RunFolder, RunInfo

_LOG = logging.getLogger(__name__)  # Python prints its warnings on standard error


def model_class(folder: RunFolder, info: RunInfo, model: str | None, trust: bool) -> type[Model]:
    """Return the class of a run's model; run the user's own code only if the user allows it.

    Args:
        folder, info: of a run.
        model: the model as the user names it now, or None.
        trust: without ``model``, run the file that the run remembers if it is unchanged; with it, also accept a file
            that has changed since training.

    Raises:
        RunError: if the run has code of its own that the user has neither named nor trusted, if the code has changed
            since training, or if ``model`` names another model.
        SettingsError: if the code that ``model`` names cannot be loaded.
    """
    if not is_code(info.model):
        if model not in (None, info.model):
            raise RunError(f"{folder.path} was trained with {info.model}, not {model}. Leave out `model=...`.")
        return find_model(info.model)
    if model is not None:
        return _named(folder, info, model, trust)
    known = loaded(info.model, info.code_sha256)
    if known is not None:  # the user named it before, and this process has run it
        return known
    place = split_code(info.model)[0]
    if not trust:
        raise RunError(
            f"{folder.path} was trained with code that is not part of selfmm: {info.model_name} in {place}. selfmm "
            f"runs it only if you name it: `model={info.model!r}`. If you trust both the run and that code, "
            "`trust=True` is enough."
        )
    try:
        code = OwnCode.read(info.model)
    except SettingsError as error:
        raise RunError(
            f"the code that {folder.path} was trained with cannot be read: {error.problems[0]}. If it is in another "
            f"place now, name it: `model='path/to/file.py:{info.model_name}'`."
        ) from error
    if code.digest != info.code_sha256:
        raise _changed(folder, info, code)
    return code.load()


def _named(folder: RunFolder, info: RunInfo, model: str, trust: bool) -> type[Model]:
    if not is_code(model) or short_name(model) != info.model_name:
        raise RunError(
            f"{folder.path} was trained with the class {info.model_name} of {split_code(info.model)[0]}, not {model}. "
            f"Give `model='path/to/file.py:{info.model_name}'`."
        )
    code = OwnCode.read(model)
    known = loaded(info.model, info.code_sha256)
    if code.digest == info.code_sha256 or trust:
        if code.digest != info.code_sha256:
            _LOG.warning(
                "warning: %s is not the file that %s was trained with; scores may differ", code.file, folder.path
            )
        return code.load()
    if code.model == info.model and known is not None:  # edited since this process trained with it
        return known
    raise _changed(folder, info, code)


def _changed(folder: RunFolder, info: RunInfo, code: OwnCode) -> RunError:
    return RunError(
        f"{code.file} is not the file that {folder.path} was trained with (SHA-256 {code.digest[:12]}..., in training "
        f"{info.code_sha256[:12]}...), so the weights may not fit or mean something else. Restore the file or train "
        "again. If you know that the change does not matter, name it and trust it: "
        f"`model={code.model!r}` `trust=True`."
    )
