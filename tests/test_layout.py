"""The tests mirror the package: ``tests/a/test_b.py`` tests ``src/selfmm/a/b.py`` or the subpackage ``a/b``."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "selfmm"

ELSEWHERE = {"benchmarks", "oracles"}
"""Folders of tests that test no folder of the package."""

ACROSS = {
    "cli/test_commands.py": "what holds for all commands, and the way through several of them",
    "cli/test_report.py": "the commands that judge a run: labels --audit, and report",
    "cli/test_seeds.py": "train --seeds",
    "cli/test_tune.py": "tune",
    "data/test_gaps.py": "frames of NaN, from the writer to the encoders",
    "demo/test_landmarker.py": "drawn faces, as a face tracker made for people sees them",
    "features/test_unread.py": "what of a source is not read, and how extract says so",
    "models/test_every_model.py": "what holds for every model",
    "models/test_learning.py": "every model learns",
    "test_documents.py": "the commands and the code in README.md and docs/",
    "test_layout.py": "this file",
    "training/test_processes.py": "a run in several processes",
    "training/test_resume.py": "a run that is killed and resumed",
    "training/test_run_worth.py": "what a run says of its own scores",
    "training/test_scales.py": "a run on any range of labels",
}
"""Files that test something across modules, and what that is."""


def suites() -> list[Path]:
    """Return all files with tests, relative to ``tests/``."""
    return [path.relative_to(TESTS) for path in sorted(TESTS.rglob("test_*.py"))]


def has_a_module(suite: Path) -> bool:
    module = PACKAGE / suite.parent / suite.stem.removeprefix("test_")
    return module.with_suffix(".py").is_file() or (module / "__init__.py").is_file()


def test_every_folder_of_tests_is_a_folder_of_the_package() -> None:
    folders = {suite.parent for suite in suites()} - {Path(name) for name in ELSEWHERE}
    assert [folder for folder in sorted(folders) if not (PACKAGE / folder / "__init__.py").is_file()] == []


def test_every_file_tests_a_module_of_its_folder() -> None:
    mirrored = [suite for suite in suites() if suite.parts[0] not in ELSEWHERE and suite.as_posix() not in ACROSS]
    assert [suite.as_posix() for suite in mirrored if not has_a_module(suite)] == []


def test_the_files_that_test_across_modules_exist_and_no_module_has_their_name() -> None:
    assert [name for name in ACROSS if not (TESTS / name).is_file() or has_a_module(Path(name))] == []
