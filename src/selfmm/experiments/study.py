"""The state of a search: an Optuna study in a journal file that one process at a time reads and writes.

The values of a trial depend only on the finished trials and on its place among them, so a killed trial is repeated with
the same values.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from selfmm.core.errors import RunError
from selfmm.core.files import explain
from selfmm.experiments.search import Search
from selfmm.experiments.trial import Outcome
from selfmm.models.base import Range

JOURNAL = "journal.log"
_NAME = "selfmm"
_IDENTITY, _OUTCOME, _START = "identity", "outcome", "start"  # our attributes in the journal
_UNPRUNED_TRIALS = 5
_UNPRUNED_EPOCHS = 3  # generated labels have no effect in the first two
_FEW = 5  # complete trials; with fewer, importance is noise
_STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
_KILLED = "killed; a later trial repeated it"


@dataclass(frozen=True)
class Asked:
    """A trial to train.

    Attributes:
        number: from 0.
        values: value of each setting, by key; the first trial may lack some.
    """

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        number: from 0.
        values: value of each searched setting, by key.
        outcome: its result.
        start: whether it used the settings that the search started from.
        killed: whether it was killed and repeated by a later trial.
    """

    number: int
    values: Mapping[str, Any]
    outcome: Outcome
    start: bool
    killed: bool


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's own messages."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna\b")
            yield
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """A search in ``folder``, which the caller has locked.

    Args:
        folder: folder of the journal, which is created if needed.
        search: the settings and their spaces.
        identity: what must not change when a search is resumed.

    Raises:
        RunError: if the journal is damaged, or belongs to another search.
    """

    def __init__(self, folder: Path, search: Search, identity: Mapping[str, Any]) -> None:
        self.search = search
        self._open: dict[int, optuna.Trial] = {}
        try:
            self._study = _open(folder / JOURNAL)
            stored = self._study.user_attrs.get(_IDENTITY)
            if stored is None and not self._trials():
                self._study.set_user_attr(_IDENTITY, dict(identity))
            elif stored != identity:
                raise RunError(_differences(folder, stored, identity))
            self._close_killed()
        except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:  # Optuna checks no content
            raise RunError(
                f"{folder / JOURNAL} is damaged ({type(error).__name__}: {str(error)[:200]}). Choose another `out=...`."
            ) from error

    def _close_killed(self) -> None:
        for trial in self._trials():
            if trial.state == TrialState.RUNNING:
                outcome = trial.user_attrs.get(_OUTCOME)  # written just before the trial is closed
                self._finish(trial.number, Outcome("failed") if outcome is None else Outcome(**outcome))

    def ask(self) -> Asked:
        """Return the next trial: first the start values, then suggestions of Optuna's TPE sampler."""
        place = sum(not _was_killed(trial) for trial in self._trials() if trial.state != TrialState.WAITING)
        # A new sampler for each trial: the number of interruptions must not matter.
        seed = np.random.SeedSequence([self.search.base.seed, place]).generate_state(1)[0]
        self._study.sampler = optuna.samplers.TPESampler(seed=int(seed))
        if place == 0 and not any(trial.state == TrialState.WAITING for trial in self._trials()):
            self._study.enqueue_trial(self._start(), user_attrs={_START: True})
        trial = self._study.ask()
        keys = self._start() if place == 0 else self.search.spaces
        values = {key: self._suggest(trial, key) for key in keys}
        self._open[trial.number] = trial
        return Asked(trial.number, values)

    def _start(self) -> dict[str, Any]:
        """Return the start values that lie inside their spaces; Optuna accepts no others."""
        return {key: value for key, value in self.search.start.items() if self.search.holds_start(key)}

    def _suggest(self, trial: optuna.Trial, key: str) -> Any:
        space = self.search.spaces[key]
        if not isinstance(space, Range):
            return trial.suggest_categorical(key, space)
        if isinstance(self.search.start[key], int):
            return trial.suggest_int(key, int(space.low), int(space.high), log=space.log)
        return trial.suggest_float(key, space.low, space.high, log=space.log)

    def known(self, asked: Asked) -> Outcome | None:
        """Return the outcome of an earlier trial with the same values, or None; training is deterministic."""
        for trial in self._trials():
            outcome = trial.user_attrs.get(_OUTCOME)
            if outcome is not None and self._values(trial) == {**self.search.start, **asked.values}:
                reason = f"the same as trial {trial.number}" + (f": {outcome['reason']}" if outcome["reason"] else "")
                return Outcome(outcome["state"], outcome["mae"], outcome["epoch"], 0.0, reason)
        return None

    def record_epoch(self, number: int, epoch: int, mae: float) -> bool:
        """Record an epoch of a trial, and return whether the trial should continue."""
        trial = self._open[number]
        trial.report(mae, epoch)
        return not trial.should_prune()

    def tell(self, number: int, outcome: Outcome) -> None:
        """Record the outcome of a trial."""
        self._open.pop(number).set_user_attr(_OUTCOME, asdict(outcome))
        self._finish(number, outcome)

    def _finish(self, number: int, outcome: Outcome) -> None:
        value = outcome.mae if outcome.state == "complete" else None
        self._study.tell(number, value, state=_STATES[outcome.state])

    def counts(self) -> Counter[str]:
        """Return the number of ``complete``, ``pruned``, ``failed`` and ``running`` trials, without killed ones."""
        names = {state: name for name, state in _STATES.items()} | {TrialState.RUNNING: "running"}
        return Counter(names[t.state] for t in self._trials() if t.state in names and not _was_killed(t))

    def ended(self) -> list[Ended]:
        """Return all trials that have ended."""
        lost = asdict(Outcome("failed", reason=_KILLED))
        return [
            Ended(
                trial.number,
                self._values(trial),
                Outcome(**trial.user_attrs.get(_OUTCOME, lost)),
                start=bool(trial.user_attrs.get(_START)),
                killed=_was_killed(trial),
            )
            for trial in self._trials()
            if trial.state.is_finished()
        ]

    def importance(self) -> dict[str, float]:
        """Return the share of each setting in the variance of the complete trials, by fANOVA (Hutter, Hoos,
        Leyton-Brown, ICML 2014); empty if the trials are too few or all have the same MAE."""
        done = [trial for trial in self._trials() if trial.state == TrialState.COMPLETE]
        if len(done) < _FEW or len({trial.value for trial in done}) < 2:
            return {}
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # scikit-learn takes a second

        shares = get_param_importances(
            self._study, evaluator=FanovaImportanceEvaluator(seed=0), params=list(self.search.spaces)
        )
        return {key: float(share) for key, share in shares.items()}

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return {**self.search.start, **trial.params} if trial.user_attrs.get(_START) else dict(trial.params)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)


class _Journal(JournalFileBackend):
    """A journal that explains write errors."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            super().append_logs(logs)
        except OSError as error:
            raise explain(error, Path(self._file_path)) from error


def _open(journal: Path) -> optuna.Study:
    # kill -9 may leave an incomplete line and a lock of the killed process. We hold the lock of the folder.
    if journal.is_file():
        content = journal.read_bytes()
        os.truncate(journal, content.rfind(b"\n") + 1)
    for stale in journal.parent.glob(f"{JOURNAL}.lock*"):
        stale.unlink()
    storage = optuna.storages.JournalStorage(_Journal(str(journal), JournalFileOpenLock(str(journal))))
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS, n_warmup_steps=_UNPRUNED_EPOCHS)
    return optuna.create_study(study_name=_NAME, storage=storage, pruner=pruner, load_if_exists=True)


def _was_killed(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.FAIL and _OUTCOME not in trial.user_attrs


def _differences(folder: Path, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Return the message for a journal of another search."""
    pairs = [((before or {}).get(part, {}), values) for part, values in now.items()]
    changed = [
        f"{key}: {old.get(key)!r} before, {new.get(key)!r} now"
        for old, new in pairs
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
    return (
        f"{folder} holds a different search ({'; '.join(changed[:5])}). Give the same data, preset, "
        "`overrides=...` and `spaces=...`, or choose another `out=...`."
    )
