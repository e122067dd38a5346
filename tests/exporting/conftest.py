"""One exported file of the run that all tests share, and its content scored without selfmm."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import selfmm
from selfmm.runs.trained_model import TrainedModel

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_scores.py"


@pytest.fixture(scope="session")
def exported(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file; not to be changed."""
    return selfmm.export(trained.folder.path, tmp_path_factory.mktemp("exported") / "model.onnx").path


@pytest.fixture(scope="session")
def reader() -> ModuleType:
    """``examples/onnx_scores.py`` as a module."""
    spec = importlib.util.spec_from_file_location("onnx_scores", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
