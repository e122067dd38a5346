"""One exception type per kind of mistake. Every message states what was given, what was expected, and what to do."""

from __future__ import annotations

from collections.abc import Sequence


class SelfmmError(Exception):
    """Base of every error that selfmm raises on purpose; the command line prints it without a traceback."""


class SourceError(SelfmmError):
    """A file given to ``selfmm import`` or ``predict`` does not contain what it should."""


def refuse(lead: str, problems: Sequence[str]) -> None:
    """Raise ``SourceError`` with ``lead`` and all ``problems``, if there are any."""
    if problems:
        raise SourceError("\n  - ".join([lead, *problems]))


class UnsafePickleError(SourceError):
    """A pickle asks for something other than numpy arrays and plain containers."""


class DatasetError(SelfmmError):
    """A data-set folder is missing, damaged, or unsuitable for the task."""


class SettingsError(SelfmmError):
    """One or more settings or arguments are wrong; the message lists all problems.

    Args:
        problems: one sentence per problem.
    """

    what = "settings"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = "\n  - ".join([f"{len(self.problems)} {self.what} are wrong:", *self.problems])
        super().__init__(self.problems[0] if len(self.problems) == 1 else several)


class ArgumentsError(SettingsError):
    """Arguments of a function or command are wrong or contradict each other."""

    what = "arguments"


class OutputError(SelfmmError):
    """A result cannot be written: the path exists already, is not writable, or the disk is full."""


class WeightsError(SelfmmError):
    """Pretrained weights are missing, altered, or cannot be loaded."""


class TrainingError(SelfmmError):
    """A run cannot start or continue, for example because a loss is not finite."""


class RunError(SelfmmError):
    """A run folder is missing, unfinished, or unsuitable for the task."""


class ExportError(SelfmmError):
    """A run cannot be exported to an ONNX file, or the file does not give the run's scores."""


class MediaError(SelfmmError):
    """A recording cannot be read: it is missing, damaged, empty, or not a recording."""


class MissingPackageError(SelfmmError):
    """An optional package is not installed; the message gives the command that installs it."""
