"""selfmm: multimodal sentiment analysis that also says what words, voice and face say alone.

>>> import selfmm
>>> print(*sorted(selfmm.__all__))
Clip Prediction __version__ export extract import_dataset load open_dataset train train_seeds tune
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from selfmm.core.version import __version__

if TYPE_CHECKING:
    from selfmm.api import load, train, train_seeds
    from selfmm.data.importing import import_dataset
    from selfmm.data.store import open_dataset
    from selfmm.experiments.tune import tune
    from selfmm.exporting.export import export
    from selfmm.features.clips.clip import Clip
    from selfmm.features.extract import extract
    from selfmm.recordings.prediction import Prediction

__all__ = [
    "Clip",
    "Prediction",
    "__version__",
    "export",
    "extract",
    "import_dataset",
    "load",
    "open_dataset",
    "train",
    "train_seeds",
    "tune",
]

_HOME = {
    "Clip": "selfmm.features.clips.clip",
    "Prediction": "selfmm.recordings.prediction",
    "export": "selfmm.exporting.export",
    "extract": "selfmm.features.extract",
    "import_dataset": "selfmm.data.importing",
    "load": "selfmm.api",
    "open_dataset": "selfmm.data.store",
    "train": "selfmm.api",
    "train_seeds": "selfmm.api",
    "tune": "selfmm.experiments.tune",
}


def __getattr__(name: str) -> Any:
    # Importing torch takes seconds; it waits until something that needs it is asked for.
    if name not in _HOME:
        raise AttributeError(f"module 'selfmm' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOME[name]), name)
