"""Pretrained models from a local folder or, by name, from the hub: safetensors only, and no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selfmm.core.errors import WeightsError
from selfmm.core.messages import first_line

Loaded = TypeVar("Loaded")

_PATIENCE = 10.0  # seconds
_POINTER = b"version https://git-lfs"
_DEPTH = 2  # of folders in which a model may be: 0_Transformer, or snapshots/<commit> in the hub's cache
_UNUSED = ("pooler.", "masked_spec_embed", "mask_token")  # parts of models that nothing here computes with


def load_named(
    name: str, what: str, *, holds: str, instead: str, load: Callable[[str, bool], Loaded], repository: str = ""
) -> Loaded:
    """Load a model by the name of its folder or by its name on the hub. Only the latter may use the network.

    Args:
        name: as the user gave it.
        what: what the model is, for messages.
        holds: what a folder must contain.
        instead: what to do if the hub has no such model.
        load: function of a folder or hub name, and of whether only local files may be read.
        repository: the model's name on the hub, if it is another.

    Raises:
        WeightsError: if the model is missing, or cannot be reached or read.
    """
    folder = Path(name).expanduser()
    offline = why_offline(name, what, instead, repository)
    is_folder = folder.is_dir()
    try:
        return load(str(folder) if is_folder else name, is_folder or bool(offline))
    except WeightsError:
        raise
    except Exception as error:  # the hub's client raises many kinds of errors, as its HTTP library does
        advice = (
            f"{_hint(folder)}The folder must contain {holds}."
            if is_folder
            else f"Check the name and the network, or {instead}."
        )
        if offline:
            advice = f"Only files on this machine were read ({offline}). {advice}"
        raise WeightsError(f"cannot load the {what} {name!r}: {first_line(error)}. {advice}") from error


def _hint(folder: Path) -> str:
    """Return what is wrong with a folder that holds no model, as a sentence and a blank; empty if that is not clear."""
    pointers = (file for file in folder.glob("*.safetensors") if file.is_file())
    for file in pointers:
        with file.open("rb") as opened:
            if opened.read(len(_POINTER)) == _POINTER:
                return f"{file.name} is a pointer of Git LFS instead of the file itself: run `git lfs pull` there. "
    if (folder / "config.json").is_file():
        return ""
    inner = (config.parent for depth in range(1, _DEPTH + 1) for config in folder.glob("*/" * depth + "config.json"))
    models = [str(place) for place in inner if any(place.glob("*.safetensors"))]
    return f"It has no config.json{f'; {models[0]} has one, so give that folder' if models else ''}. "


def why_offline(name: str, what: str, instead: str, repository: str = "") -> str:
    """Return why only files on this machine can be read of a model on the hub; empty for a folder, or if it is asked.

    Without this, the hub's client would repeat every request for a minute, also for a model that is on this machine.

    Raises:
        WeightsError: if there is no such folder and the name cannot be one on the hub, or if the hub cannot be asked
            and the model is not on this machine.
    """
    if not name.strip():
        raise WeightsError(f"the name of the {what} is empty. Give a folder or a name on the hub, or {instead}.")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return ""
    if folder.exists() or name.startswith((".", "/", "~")):
        problem = "is a file, not a folder" if folder.exists() else "does not exist"
        raise WeightsError(f"the folder {name} of the {what} {problem}.")
    from huggingface_hub import constants, get_session, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        cached = isinstance(try_to_load_from_cache(repository or name, "config.json"), str)
    except HFValidationError as error:
        raise WeightsError(
            f"there is no folder {name!r}, and it is not a name on the hub either, so there is no such {what}. Check "
            f"the name, or {instead}."
        ) from error
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else ""
    if not reason:
        try:
            get_session().head(f"{constants.ENDPOINT}/{repository or name}/resolve/main/config.json", timeout=_PATIENCE)
        except Exception as error:  # of the HTTP library, which differs between versions of the hub's client
            reason = f"the hub cannot be reached: {first_line(error)}"
    if reason and not cached:
        raise WeightsError(
            f"cannot load the {what} {name!r}: it is neither a folder nor in the hub's cache on this machine, and "
            f"nothing was downloaded, because {reason}. Check the name and the network, or {instead}."
        )
    return reason


def load_transformer(name: str, local: bool, part: Callable[[Any], Any] = lambda model: model) -> Any:
    """Load a transformers model in float32, from safetensors only and without running code that comes with it.

    Args:
        name: a folder, or a name on the hub.
        local: whether only local files may be read.
        part: function of the model that returns the part of it to use.

    Raises:
        WeightsError: if the file lacks weights of this part, which would then be random numbers.
    """
    import torch
    import transformers

    quiet()
    model, report = transformers.AutoModel.from_pretrained(
        name,
        local_files_only=local,
        use_safetensors=True,
        dtype=torch.float32,
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    used = part(model)
    needed = {id(weights) for key, weights in used.named_parameters() if not key.startswith(_UNUSED)}
    lacking = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    missing = [key for key, weights in model.named_parameters() if key in lacking and id(weights) in needed]
    if missing:
        raise WeightsError(
            f"the weights of {name!r} do not fit its config.json: {len(missing)} of the {len(needed)} tensors that the "
            f"model needs are missing or have another size, the first is {missing[0]!r}. The file is incomplete or "
            "belongs to another model."
        )
    return used


def quiet() -> None:
    """Stop transformers from printing what selfmm says itself."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
