"""This machine: what works on it, and its pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfmm.core.doctor import Diagnosis, OfflineWeights


def doctor() -> Diagnosis:
    """Return what this machine can do, and what would add the rest. Never fails, whatever is broken."""
    from selfmm.core.doctor import examine

    return examine()


def list_weights() -> tuple[OfflineWeights, ...]:
    """Return the weights that need no model hub; ``path`` is None for weights that are not on this machine."""
    from selfmm.core.doctor import offline_weights

    return tuple(offline_weights().values())


def get_weights(names: str | Sequence[str]) -> dict[str, Path]:
    """Download weights into the cache folder, check their hashes, and return their folders by name.

    Args:
        names: for example ``"minilm"`` or ``["tiny.en", "face"]``.

    Raises:
        WeightsError: if a name is unknown (then nothing is downloaded), or a download fails or was altered.
        OutputError: if the cache folder cannot be written.
    """
    from selfmm.core.weights import get, known

    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        known(name)
    return {name: get(name) for name in chosen}
