"""Pretrained models from a local folder or, by name, from the hub: safetensors only, and no code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selfmm.core.errors import WeightsError
from selfmm.core.messages import first_line

Loaded = TypeVar("Loaded")


def load_named(name: str, what: str, *, holds: str, instead: str, load: Callable[[str, bool], Loaded]) -> Loaded:
    """Load a model by the name of its folder or by its name on the hub. Only the latter may use the network.

    Args:
        name: as the user gave it.
        what: what the model is, for messages.
        holds: what a folder must contain.
        instead: what to do if the hub has no such model.
        load: function of a folder or hub name, and of whether only local files may be read.

    Raises:
        WeightsError: if the model is missing, or cannot be reached or read.
    """
    folder = Path(name).expanduser()
    local = folder.is_dir()
    if not local and name.startswith((".", "/", "~")):
        raise WeightsError(f"the folder {name} of the {what} does not exist.")
    try:
        return load(str(folder) if local else name, local)
    except Exception as error:  # the hub's client raises many kinds of errors, as its HTTP library does
        advice = f"The folder must contain {holds}." if local else f"Check the name and the network, or {instead}."
        raise WeightsError(f"cannot load the {what} {name!r}: {first_line(error)}. {advice}") from error


def load_transformer(name: str, local: bool) -> Any:
    """Load a transformers model in float32, from safetensors only and without running code that comes with it."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers.AutoModel.from_pretrained(
        name, local_files_only=local, use_safetensors=True, dtype=torch.float32, trust_remote_code=False
    )
