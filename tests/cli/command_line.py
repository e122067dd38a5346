"""The command line as a user meets it: exit codes, what is printed, messages; and single screens of it."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from rich.console import Console

from selfmm.cli import main

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "HF_HUB_OFFLINE": "1"}


def selfmm(
    *arguments: str | Path, cwd: Path | None = None, encoding: str = "utf-8", **environment: str
) -> CompletedProcess[str]:
    """Run the program in this process: one of its own would import torch for seconds."""
    words = ["selfmm", *map(str, arguments)]
    out, errors = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.setattr(sys, "argv", words)
        patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment once, on import
        for name, value in (_ENVIRONMENT | environment).items():
            patch.setenv(name, value)
        if cwd is not None:
            patch.chdir(cwd)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return CompletedProcess(words, code, _text_of(out), _text_of(errors))


def _text_of(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def complains(result: CompletedProcess[str], *words: str) -> None:
    """Check that there is one screen on standard error, no traceback, and exit code 1."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) <= 24
    for word in words:
        assert word in result.stderr


def shown(content: object, width: int = 100, *, colour: bool = False) -> str:
    """What a screen looks like that is ``width`` characters wide."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colour or None, color_system="truecolor" if colour else None).print(
        content
    )
    return out.getvalue()
