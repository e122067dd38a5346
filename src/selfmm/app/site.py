"""What the handlers of one server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import psutil

from selfmm.app.analysis import Analyses
from selfmm.app.clip_runs import ClipRuns
from selfmm.app.clip_table import ClipTables
from selfmm.app.explanations import Explanations
from selfmm.app.jobs import Jobs
from selfmm.app.media import Media
from selfmm.app.offered import InFolder, Offered
from selfmm.app.rating import Rating
from selfmm.app.rating_scores import Proposals
from selfmm.app.run_table import RunTable
from selfmm.app.scores import Scores
from selfmm.app.scoring import Scoring
from selfmm.app.scratch import Scratch
from selfmm.app.state import State
from selfmm.app.workspace import Workspace

_ROOM = 6 * 2**30  # bytes of free memory for a second process that scores


def _workers() -> int:
    """Return the number of processes that score: with two, a short clip does not wait for a long one."""
    return 2 if psutil.virtual_memory().available >= _ROOM else 1


@dataclass(frozen=True)
class Limits:
    """Limits on what is accepted.

    Attributes:
        upload: largest recording, in bytes.
        kept: bytes of all uploads together; the oldest are removed first.
        days: days after which an upload and its scores are removed.
        text: largest text, in characters.
        texts: most sentences in one request.
        seconds: longest recording that a program may send, in seconds; None for any.
    """

    upload: int = 4 * 2**30
    kept: int = 20 * 2**30
    days: float = 30.0
    text: int = 100_000
    texts: int = 1000
    seconds: float | None = None


@dataclass(frozen=True)
class Service:
    """What the routes for programs share.

    Attributes:
        runs: what can score.
        scoring: the processes that score.
        scratch: where the recordings of a request are kept until it is answered.
        limits: what is accepted.
    """

    runs: Offered
    scoring: Scoring
    scratch: Scratch
    limits: Limits


@dataclass(frozen=True)
class Site:
    """What the handlers of one server share.

    Attributes:
        workspace: the folder that is shown.
        state: the private folder of the app.
        limits: what is accepted.
        scoring: the processes that score.
    """

    workspace: Workspace
    state: State
    limits: Limits = field(default_factory=Limits)
    scoring: Scoring = field(default_factory=lambda: Scoring(workers=_workers()))

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs of the folder: trainings, extractions and others."""
        return Jobs(self.state.jobs, self.workspace.root)

    @cached_property
    def service(self) -> Service:
        """What the routes for programs need."""
        return Service(InFolder(self.workspace), self.scoring, Scratch(self.state.requests), self.limits)

    @cached_property
    def runs(self) -> RunTable:
        """The runs of the folder."""
        return RunTable(self.workspace)

    @cached_property
    def explanations(self) -> Explanations:
        """Why clips of data sets have their scores."""
        return Explanations(self.scoring)

    @cached_property
    def analyses(self) -> Analyses:
        """Audits of labels, and pictures of reports."""
        return Analyses(self.state.path / "analyses")

    @cached_property
    def media(self) -> Media:
        """Pictures and sound of recordings."""
        return Media(self.state.path / "media")

    @cached_property
    def tables(self) -> ClipTables:
        """The clips of data sets."""
        return ClipTables()

    @cached_property
    def clip_runs(self) -> ClipRuns:
        """Which runs were trained on a data set, and their scores of its clips."""
        return ClipRuns(self.workspace)

    @cached_property
    def scores(self) -> Scores:
        """The recordings of the Score screen."""
        limits = self.limits
        return Scores(self.state.uploads, self.workspace, self.scoring, kept=limits.kept, days=limits.days)

    @cached_property
    def rating(self) -> Rating:
        """The ratings of the clips in the folder."""
        return Rating(self.workspace, self.state.path / "ratings")

    @cached_property
    def proposals(self) -> Proposals:
        """The scores to propose to raters."""
        return Proposals(self.workspace, self.clip_runs, self.rating.folder)
