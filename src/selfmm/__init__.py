"""selfmm: multimodal sentiment analysis that also scores words, voice and face on their own.

Everything is in :mod:`selfmm.api`; nearly all of it is also here. The exceptions are functions that share their name
with a package of selfmm: ``api.demo``, ``api.explain``, ``api.labels``, ``api.models`` and ``api.report``.

>>> import selfmm
>>> selfmm.train is selfmm.api.train
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm import api as api
from selfmm.core.lazy import lazy
from selfmm.core.machine import send_nothing

if TYPE_CHECKING:
    from selfmm.api import Clip as Clip
    from selfmm.api import Dataset as Dataset
    from selfmm.api import Prediction as Prediction
    from selfmm.api import SelfmmError as SelfmmError
    from selfmm.api import SentimentModel as SentimentModel
    from selfmm.api import ablate as ablate
    from selfmm.api import agreement as agreement
    from selfmm.api import annotate as annotate
    from selfmm.api import audit as audit
    from selfmm.api import compare as compare
    from selfmm.api import corrections as corrections
    from selfmm.api import doctor as doctor
    from selfmm.api import ensemble as ensemble
    from selfmm.api import evaluate as evaluate
    from selfmm.api import export as export
    from selfmm.api import extract as extract
    from selfmm.api import import_dataset as import_dataset
    from selfmm.api import import_labels as import_labels
    from selfmm.api import inspect as inspect
    from selfmm.api import load as load
    from selfmm.api import open_dataset as open_dataset
    from selfmm.api import planted as planted
    from selfmm.api import predict as predict
    from selfmm.api import settings as settings
    from selfmm.api import train as train
    from selfmm.api import train_seeds as train_seeds
    from selfmm.api import tune as tune
    from selfmm.core.version import __version__ as __version__

send_nothing()
__getattr__, __dir__, __all__ = lazy(__name__, "api")
