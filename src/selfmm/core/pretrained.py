"""Pretrained models from a local folder, or from the hub if the user names one: safetensors only, and no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selfmm.core.errors import WeightsError

Loaded = TypeVar("Loaded")


def load_named(name: str, what: str, *, holds: str, instead: str, load: Callable[[str, bool], Loaded]) -> Loaded:
    """Load a model from a folder, or by its name on the hub. Only a hub name may use the network.

    Args:
        name: the folder or the hub name, as the user gave it.
        what: the kind of model, for messages.
        holds: what a folder must hold, for messages.
        instead: what to do if the hub has no such model, for messages.
        load: takes a folder or hub name, and whether only local files may be read.

    Raises:
        WeightsError: if the model does not exist, cannot be reached, or cannot be read.
    """
    folder = Path(name).expanduser()
    local = folder.is_dir()
    if not local and name.startswith((".", "/", "~")):
        raise WeightsError(f"the folder {name} of the {what} does not exist.")
    try:
        return load(str(folder) if local else name, local)
    except Exception as error:  # the hub's client raises what its HTTP library raises, of many kinds
        advice = f"The folder must hold {holds}." if local else f"Check the name and the network, or {instead}."
        raise WeightsError(f"cannot load the {what} {name!r}: {first_line(error)} {advice}") from error


def load_transformer(name: str, local: bool) -> Any:
    """Load a model of transformers in float32, from safetensors only and without code of its own."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.AutoModel.from_pretrained(
        name, local_files_only=local, use_safetensors=True, dtype=torch.float32, trust_remote_code=False
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, to be part of another one."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
