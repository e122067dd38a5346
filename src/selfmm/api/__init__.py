"""Everything that ``selfmm`` can do, as Python functions: one for each command, with options of the same names.

>>> from selfmm import api
>>> "train" in dir(api), "compare" in dir(api)
(True, True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm.core.lazy import lazy

if TYPE_CHECKING:
    from selfmm.annotation.acts import Act as Act
    from selfmm.annotation.importing import Imported as Imported
    from selfmm.annotation.journal import RatingJournal as RatingJournal
    from selfmm.annotation.order import rating_order as rating_order
    from selfmm.api.data_sets import demo as demo
    from selfmm.api.data_sets import extract as extract
    from selfmm.api.data_sets import import_dataset as import_dataset
    from selfmm.api.data_sets import inspect as inspect
    from selfmm.api.data_sets import planted as planted
    from selfmm.api.experiments import ablate as ablate
    from selfmm.api.experiments import compare as compare
    from selfmm.api.labelling import AnnotationFiles as AnnotationFiles
    from selfmm.api.labelling import LabelFiles as LabelFiles
    from selfmm.api.labelling import agreement as agreement
    from selfmm.api.labelling import annotate as annotate
    from selfmm.api.labelling import audit as audit
    from selfmm.api.labelling import corrections as corrections
    from selfmm.api.labelling import forget_corrections as forget_corrections
    from selfmm.api.labelling import import_labels as import_labels
    from selfmm.api.labelling import labels as labels
    from selfmm.api.labelling import save_labels as save_labels
    from selfmm.api.machine import doctor as doctor
    from selfmm.api.machine import get_weights as get_weights
    from selfmm.api.machine import list_weights as list_weights
    from selfmm.api.rating import AppliedRatings as AppliedRatings
    from selfmm.api.rating import apply_ratings as apply_ratings
    from selfmm.api.rating import clips_to_rate as clips_to_rate
    from selfmm.api.rating import open_ratings as open_ratings
    from selfmm.api.rating import rater_agreement as rater_agreement
    from selfmm.api.rating import rater_disagreements as rater_disagreements
    from selfmm.api.rating import save_rated_clips as save_rated_clips
    from selfmm.api.rating import save_ratings as save_ratings
    from selfmm.api.scoring import evaluate as evaluate
    from selfmm.api.scoring import explain as explain
    from selfmm.api.scoring import export as export
    from selfmm.api.scoring import find_recordings as find_recordings
    from selfmm.api.scoring import load as load
    from selfmm.api.scoring import predict as predict
    from selfmm.api.scoring import predict_each as predict_each
    from selfmm.api.scoring import predict_texts as predict_texts
    from selfmm.api.scoring import report as report
    from selfmm.api.scoring import save_predictions as save_predictions
    from selfmm.api.training import ensemble as ensemble
    from selfmm.api.training import models as models
    from selfmm.api.training import recipe as recipe
    from selfmm.api.training import settings as settings
    from selfmm.api.training import starter as starter
    from selfmm.api.training import train as train
    from selfmm.api.training import train_seeds as train_seeds
    from selfmm.config.recipe import Recipe as Recipe
    from selfmm.config.settings import Settings as Settings
    from selfmm.core.doctor import Diagnosis as Diagnosis
    from selfmm.core.doctor import OfflineWeights as OfflineWeights
    from selfmm.core.errors import ArgumentsError as ArgumentsError
    from selfmm.core.errors import DatasetError as DatasetError
    from selfmm.core.errors import ExportError as ExportError
    from selfmm.core.errors import MediaError as MediaError
    from selfmm.core.errors import MissingPackageError as MissingPackageError
    from selfmm.core.errors import OutputError as OutputError
    from selfmm.core.errors import RunError as RunError
    from selfmm.core.errors import SelfmmError as SelfmmError
    from selfmm.core.errors import SettingsError as SettingsError
    from selfmm.core.errors import SourceError as SourceError
    from selfmm.core.errors import TrainingError as TrainingError
    from selfmm.core.errors import UnsafePickleError as UnsafePickleError
    from selfmm.core.errors import WeightsError as WeightsError
    from selfmm.core.listener import Listener as Listener
    from selfmm.data.batches import collate as collate
    from selfmm.data.findings import Inspection as Inspection
    from selfmm.data.store import Dataset as Dataset
    from selfmm.data.store import open_dataset as open_dataset
    from selfmm.evaluation.metrics import Metrics as Metrics
    from selfmm.evaluation.seeds import SeedMetrics as SeedMetrics
    from selfmm.experiments.ablate import Ablation as Ablation
    from selfmm.experiments.compare import Comparison as Comparison
    from selfmm.experiments.compare import Comparisons as Comparisons
    from selfmm.experiments.tune import tune as tune
    from selfmm.experiments.tuning import Tuning as Tuning
    from selfmm.explain.explanation import Explanation as Explanation
    from selfmm.exporting.export import Exported as Exported
    from selfmm.features.clips.clip import Clip as Clip
    from selfmm.features.clips.clip import Failure as Failure
    from selfmm.features.extract import Extracted as Extracted
    from selfmm.features.media.clip_sound import clip_sound as clip_sound
    from selfmm.features.media.playback import playable as playable
    from selfmm.features.media.playback import playable_copy as playable_copy
    from selfmm.features.media.preview import thumbnail as thumbnail
    from selfmm.labels.audit.audit import Audit as Audit
    from selfmm.recordings.model import SentimentModel as SentimentModel
    from selfmm.recordings.prediction import Prediction as Prediction
    from selfmm.recordings.prediction import Predictions as Predictions
    from selfmm.training.seeds import SeedRuns as SeedRuns

__getattr__, __dir__, __all__ = lazy(__name__)
