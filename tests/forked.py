"""The program in processes of its own that begin with torch and transformers imported.

Each is forked from a process that has done nothing but import them: to import them again takes seconds, and most of the
time of tests that start, kill and resume runs went into that.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

import psutil

from waiting import PATIENCE

_IMPORTED = (
    "selfmm.cli.root",
    "selfmm.training.run",
    "torch.distributed",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
)


def forkserver() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


class Program:
    """``selfmm WORDS`` in a process of its own, which heeds Ctrl-C.

    Args:
        words: the arguments.
        environment: variables that differ from this process's.
        script: is run instead of selfmm.
    """

    def __init__(
        self,
        words: Sequence[str | Path] = (),
        environment: Mapping[str, str] | None = None,
        script: Path | None = None,
    ) -> None:
        self._said = TemporaryDirectory(prefix="selfmm-test-")
        called = ["selfmm" if script is None else str(script), *map(str, words)]
        told = (called, os.environ | (environment or {}), str(Path.cwd()), self._said.name, script is not None)
        # Of a daemon the end of the tests is the end.
        self._process = forkserver().Process(target=_be, args=told, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float = PATIENCE) -> CompletedProcess[str]:
        """What it left when it has ended.

        Raises:
            TimeoutError: it has not; it is killed.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise TimeoutError(f"still at work after {timeout} s; it said {self._read('err')}")
        return CompletedProcess([], self._process.exitcode, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        file = Path(self._said.name) / name  # not there if it was killed before it began
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""


def helpers_aside() -> list[psutil.Process]:
    """This process's children, but for those that multiprocessing and joblib start for themselves and keep."""
    kept = ("resource_tracker", "multiprocessing.forkserver")
    return [one for one in psutil.Process().children() if not any(name in " ".join(one.cmdline()) for name in kept)]


def _be(words: list[str], environment: dict[str, str], place: str, folder: str, script: bool) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    sys.argv = words
    import torch

    from selfmm.cli import main

    torch.set_num_threads(1)

    try:
        if script:
            runpy.run_path(words[0], run_name="__main__")
        else:
            main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
        sys.stdout.flush()
        sys.stderr.flush()
