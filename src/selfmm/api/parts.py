"""What the commands and their screens need besides the functions of :mod:`selfmm.api`: formats, words, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm.core.lazy import lazy

if TYPE_CHECKING:
    from selfmm.api.arguments import STARTER as STARTER
    from selfmm.api.arguments import TABLES as TABLES
    from selfmm.api.arguments import check_file as check_file
    from selfmm.api.arguments import open_run as open_run
    from selfmm.api.arguments import run_and_inputs as run_and_inputs
    from selfmm.api.arguments import spans as spans
    from selfmm.api.first_steps import fresh as fresh
    from selfmm.api.labelling import corrections_file as corrections_file
    from selfmm.api.labelling import label_rows as label_rows
    from selfmm.api.labelling import label_set as label_set
    from selfmm.api.scoring import describe_failure as describe_failure
    from selfmm.config.settings import PRESETS as PRESETS
    from selfmm.config.settings import StreamSettings as StreamSettings
    from selfmm.config.settings import flatten as flatten
    from selfmm.core.files import explain as explain
    from selfmm.core.files import records as records
    from selfmm.core.files import safe_name as safe_name
    from selfmm.core.files import to_json as to_json
    from selfmm.core.files import without_nan as without_nan
    from selfmm.core.files import write_table as write_table
    from selfmm.core.files import write_text as write_text
    from selfmm.core.jobs.plan import Plan as Plan
    from selfmm.core.languages import language_name as language_name
    from selfmm.core.machine import collect_rarely as collect_rarely
    from selfmm.core.messages import INTERRUPTED as INTERRUPTED
    from selfmm.core.messages import clips as clips
    from selfmm.core.messages import count as count
    from selfmm.core.messages import typed as typed
    from selfmm.core.processes import first_to_fail as first_to_fail
    from selfmm.core.processes import leave as leave
    from selfmm.core.version import __version__ as __version__
    from selfmm.core.weights import KNOWN as KNOWN
    from selfmm.core.weights import cache_folder as cache_folder
    from selfmm.core.weights import known as known
    from selfmm.data.agreement import agreement_level as agreement_level
    from selfmm.data.findings import Lengths as Lengths
    from selfmm.data.manifest import MANIFEST as MANIFEST
    from selfmm.data.manifest import SPLITS as SPLITS
    from selfmm.data.manifest import TABLE as TABLE
    from selfmm.data.other_paths import RECORDINGS as RECORDINGS
    from selfmm.data.ratings import CORRECTIONS as CORRECTIONS
    from selfmm.data.scales import LabelScale as LabelScale
    from selfmm.data.scales import widened as widened
    from selfmm.data.splits import shared_videos as shared_videos
    from selfmm.data.writer import WORDS as WORDS
    from selfmm.evaluation.metrics import DESCRIPTIONS as DESCRIPTIONS
    from selfmm.evaluation.metrics import HIGHER_IS_BETTER as HIGHER_IS_BETTER
    from selfmm.evaluation.metrics import scale_for as scale_for
    from selfmm.evaluation.tables import cell as cell
    from selfmm.evaluation.tables import head as head
    from selfmm.evaluation.tables import metrics_table as metrics_table
    from selfmm.evaluation.tables import worth_table as worth_table
    from selfmm.evaluation.verdicts import HEADS as HEADS
    from selfmm.evaluation.verdicts import UNKNOWN as UNKNOWN
    from selfmm.evaluation.verdicts import band_text as band_text
    from selfmm.evaluation.verdicts import cautions as cautions
    from selfmm.evaluation.verdicts import headline as headline
    from selfmm.evaluation.verdicts import title as title
    from selfmm.evaluation.verdicts import verdict as verdict
    from selfmm.evaluation.verdicts import worth_notes as worth_notes
    from selfmm.evaluation.verdicts import worth_rows as worth_rows
    from selfmm.evaluation.verdicts import worth_title as worth_title
    from selfmm.evaluation.worth import FUSION as FUSION
    from selfmm.evaluation.worth import RunWorth as RunWorth
    from selfmm.evaluation.worth import Worth as Worth
    from selfmm.experiments.grid import Grid as Grid
    from selfmm.experiments.paired import Difference as Difference
    from selfmm.experiments.paired import compare_systems as compare_systems
    from selfmm.experiments.search import Search as Search
    from selfmm.experiments.search import describe_space as describe_space
    from selfmm.experiments.table import SECTIONS as SECTIONS
    from selfmm.experiments.table import Table as Table
    from selfmm.experiments.table import legend as legend
    from selfmm.experiments.trial import Outcome as Outcome
    from selfmm.experiments.tuning import describe_counts as describe_counts
    from selfmm.explain.explanation import ADDS_NOTHING as ADDS_NOTHING
    from selfmm.explain.explanation import FrameShares as FrameShares
    from selfmm.explain.words import printable as printable
    from selfmm.features.clips.clip import ClipList as ClipList
    from selfmm.features.clips.listing import read_clips as read_clips
    from selfmm.features.media.recording import probe as probe
    from selfmm.features.media.recording import seconds_of as seconds_of
    from selfmm.features.streams import Transcript as Transcript
    from selfmm.features.streams import Word as Word
    from selfmm.models import MODELS as MODELS
    from selfmm.recordings.prediction import figure as figure
    from selfmm.recordings.prediction import table_of as table_of
    from selfmm.recordings.prediction import with_trust as with_trust
    from selfmm.recordings.timeline import Timeline as Timeline
    from selfmm.report.cells import Row as Row
    from selfmm.report.cells import audit_gaps as audit_gaps
    from selfmm.report.cells import audit_rows as audit_rows
    from selfmm.report.cells import labels_of as labels_of
    from selfmm.report.cells import metric_rows as metric_rows
    from selfmm.report.cells import number as number
    from selfmm.report.cells import recovery_rows as recovery_rows
    from selfmm.report.cells import split_rows as split_rows
    from selfmm.report.cells import verdict_lines as verdict_lines
    from selfmm.report.cells import words as words
    from selfmm.report.style import drawing as drawing
    from selfmm.runs.folder import RunFolder as RunFolder
    from selfmm.runs.material import run_samples as run_samples
    from selfmm.runs.seeds import SeedsFolder as SeedsFolder
    from selfmm.runs.seeds import mean_scores as mean_scores
    from selfmm.training.seeds import describe_failures as describe_failures
    from selfmm.training.trainer import EpochRecord as EpochRecord

__getattr__, __dir__, __all__ = lazy(__name__)
