"""Run an exported file with ONNX Runtime, for the check, the loss of int8 and the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from selfmm.core.errors import ExportError
from selfmm.core.messages import first_line
from selfmm.data.batches import BatchMaker, evaluation_plan
from selfmm.data.types import Batch
from selfmm.exporting.graph import input_names
from selfmm.models.scoring import Scores

_BATCH = 64


class OnnxModel:
    """An ONNX file written by ``selfmm export``, on the CPU.

    Args:
        path: the file.
        modalities: modalities of the run, in its order.
        threads: number of threads; 0: chosen by ONNX Runtime.

    Raises:
        ExportError: if the file cannot be read.
    """

    def __init__(self, path: Path, modalities: list[str], *, threads: int = 0) -> None:
        onnxruntime.disable_telemetry_events()  # for those who imported it before selfmm
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        self.modalities = modalities
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # a dozen types without a common base
            raise ExportError(f"ONNX Runtime cannot read {path.name}: {str(error)[:300]}") from error

    @property
    def tasks(self) -> list[str]:
        """Modalities with their own score."""
        names = [output.name for output in self.session.get_outputs()]
        return [name.removeprefix("score_") for name in names if name.startswith("score_")]

    def __call__(self, batch: Batch) -> list[npt.NDArray[np.float32]]:
        """Return the fused scores (B,), then those of each of ``tasks`` (B,), NaN if a clip lacks it; and of an
        ensemble, the deviations (B,)."""
        arrays: list[npt.NDArray[Any]] = []
        for name in self.modalities:
            arrays += [batch.streams[name].values.numpy(), batch.streams[name].lengths.numpy()]
        try:
            scores: list[npt.NDArray[np.float32]] = self.session.run(
                None, dict(zip(input_names(self.modalities), arrays, strict=True))
            )
        except Exception as error:  # as above; the text encoder may be of any family
            raise ExportError(
                f"ONNX Runtime cannot compute scores with the exported file: {first_line(error)}. This text encoder, "
                "or these versions of torch and onnxruntime, are not compatible."
            ) from error
        return scores

    def score(self, maker: BatchMaker) -> Scores:
        """Score every clip of ``maker``, as :func:`selfmm.models.scoring.score` does."""
        table = np.full((1 + len(self.tasks), len(maker)), np.nan)
        for positions in evaluation_plan(maker.cost, _BATCH):
            table[:, positions] = self(maker.make(positions))[: len(table)]
        return Scores(table[0], dict(zip(self.tasks, table[1:], strict=True)))
