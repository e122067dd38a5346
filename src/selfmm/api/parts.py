"""What the commands and their screens need besides the functions of :mod:`selfmm.api`: formats, words, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfmm.core.lazy import lazy

if TYPE_CHECKING:
    from selfmm.api.arguments import TABLES as TABLES
    from selfmm.api.arguments import check_file as check_file
    from selfmm.api.arguments import open_run as open_run
    from selfmm.api.arguments import run_and_inputs as run_and_inputs
    from selfmm.api.arguments import spans as spans
    from selfmm.api.labelling import corrections_file as corrections_file
    from selfmm.api.labelling import label_rows as label_rows
    from selfmm.api.labelling import label_set as label_set
    from selfmm.api.scoring import describe_failure as describe_failure
    from selfmm.config.settings import StreamSettings as StreamSettings
    from selfmm.core.files import records as records
    from selfmm.core.files import to_json as to_json
    from selfmm.core.files import write_table as write_table
    from selfmm.core.jobs.plan import Plan as Plan
    from selfmm.core.languages import language_name as language_name
    from selfmm.core.machine import collect_rarely as collect_rarely
    from selfmm.core.messages import INTERRUPTED as INTERRUPTED
    from selfmm.core.messages import count as count
    from selfmm.core.processes import first_to_fail as first_to_fail
    from selfmm.core.processes import leave as leave
    from selfmm.core.version import __version__ as __version__
    from selfmm.core.weights import known as known
    from selfmm.data.findings import Lengths as Lengths
    from selfmm.data.scales import LabelScale as LabelScale
    from selfmm.evaluation.metrics import DESCRIPTIONS as DESCRIPTIONS
    from selfmm.evaluation.tables import cell as cell
    from selfmm.evaluation.tables import head as head
    from selfmm.evaluation.tables import metrics_table as metrics_table
    from selfmm.evaluation.tables import worth_table as worth_table
    from selfmm.evaluation.verdicts import UNKNOWN as UNKNOWN
    from selfmm.evaluation.verdicts import band_text as band_text
    from selfmm.evaluation.verdicts import cautions as cautions
    from selfmm.evaluation.verdicts import title as title
    from selfmm.evaluation.verdicts import verdict as verdict
    from selfmm.evaluation.worth import FUSION as FUSION
    from selfmm.evaluation.worth import RunWorth as RunWorth
    from selfmm.experiments.grid import Grid as Grid
    from selfmm.experiments.search import Search as Search
    from selfmm.experiments.search import describe_space as describe_space
    from selfmm.experiments.table import SECTIONS as SECTIONS
    from selfmm.experiments.table import Table as Table
    from selfmm.experiments.table import legend as legend
    from selfmm.experiments.trial import Outcome as Outcome
    from selfmm.experiments.tuning import describe_counts as describe_counts
    from selfmm.explain.explanation import FrameShares as FrameShares
    from selfmm.explain.words import printable as printable
    from selfmm.features.clips.clip import ClipList as ClipList
    from selfmm.features.streams import Transcript as Transcript
    from selfmm.recordings.prediction import figure as figure
    from selfmm.recordings.prediction import table_of as table_of
    from selfmm.report.cells import Row as Row
    from selfmm.report.cells import audit_gaps as audit_gaps
    from selfmm.report.cells import audit_rows as audit_rows
    from selfmm.report.cells import labels_of as labels_of
    from selfmm.report.cells import number as number
    from selfmm.report.cells import recovery_rows as recovery_rows
    from selfmm.report.cells import split_rows as split_rows
    from selfmm.report.cells import verdict_lines as verdict_lines
    from selfmm.report.cells import words as words
    from selfmm.report.style import drawing as drawing
    from selfmm.runs.folder import RunFolder as RunFolder
    from selfmm.training.seeds import describe_failures as describe_failures
    from selfmm.training.trainer import EpochRecord as EpochRecord

__getattr__, __dir__, __all__ = lazy(__name__)
