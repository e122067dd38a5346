"""A folder of seeds, which ``selfmm train --seeds`` makes: several run folders that differ in the seed alone."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from selfmm.core.errors import RunError
from selfmm.core.messages import count
from selfmm.data.manifest import MANIFEST
from selfmm.runs.folder import RunFolder, RunInfo

_NAME = re.compile(r"seed-(\d+)")


def open_folder(path: Path) -> RunFolder:
    """Return what a path holds for commands that take a run or a folder of seeds: a `SeedsFolder` if it is one.

    Anything else is returned as a `RunFolder`, whose methods say what it is if it is not a run.
    """
    folder = SeedsFolder(path)
    return folder if folder.runs else RunFolder(path)


@dataclass(frozen=True)
class SeedsFolder(RunFolder):
    """A folder with the run folders ``seed-<seed>``. Its ``run.json`` is that of the first finished seed."""

    @cached_property
    def runs(self) -> dict[int, RunFolder]:
        """The run folders by seed, finished or not; empty if this is not a folder of seeds."""
        if any((self.path / name).exists() for name in ("run.json", MANIFEST)):
            return {}
        names = {file.parent: _NAME.fullmatch(file.parent.name) for file in self.path.glob("seed-*/run.json")}
        return dict(sorted((int(name[1]), RunFolder(path)) for path, name in names.items() if name))

    @cached_property
    def finished(self) -> dict[int, RunFolder]:
        """The finished runs by seed.

        Raises:
            RunError: if no seed is finished, a run folder is damaged, or the seeds were trained on different data.
        """
        finished = {seed: run for seed, run in self.runs.items() if run.info().status == "finished"}
        if not finished:
            first = next(iter(self.runs.values()))
            seeds = ",".join(map(str, self.runs))
            words = ["train", first.info().dataset_path, "--preset", str(first.path / "settings.toml")]
            words += ["--seeds", seeds, "--out", str(self.path), "--resume"]
            raise RunError(
                f"{self.path} holds {count(len(self.runs), 'seed')}, and none is finished. Continue with: selfmm "
                f"{shlex.join(words)}"
            )
        kinds = {seed: _trained_on(run.info()) for seed, run in finished.items()}
        one, *others = kinds.items()
        for seed, kind in others:
            if kind != one[1]:
                raise RunError(
                    f"{self.path} holds seeds of different trainings: seed {seed} has another data set, model or "
                    f"modalities than seed {one[0]}. Give one of them, for example {finished[seed].path}."
                )
        return finished

    def info(self) -> RunInfo:
        """Return ``run.json`` of the first finished seed; raise ``RunError`` like ``finished``."""
        return next(iter(self.finished.values())).info()

    def worth(self) -> None:
        """Return None: what the mean of the seeds' scores is worth has not been measured."""

    def notes(self) -> tuple[str, ...]:
        """Return a sentence about the seeds that are left out because they are not finished, and notes on others."""
        waiting = [str(seed) for seed in self.runs if seed not in self.finished]
        left_out = f"{count(len(waiting), 'seed')} not finished and left out: {', '.join(waiting)}."
        own = [f"seed {seed}: {note}" for seed, run in self.finished.items() for note in run.notes()]
        return (*([left_out] if waiting else []), *own)


def _trained_on(info: RunInfo) -> tuple[object, ...]:
    return info.fingerprint, info.model, tuple(info.modalities), info.label_range
