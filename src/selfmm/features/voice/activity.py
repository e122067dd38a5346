"""Find speech in sound with Silero VAD."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from selfmm.core.errors import MissingPackageError
from selfmm.features.streams import SOUND_RATE
from selfmm.features.voice.blocks import Block, BlockAnalyser, SoundBlocks

STEP = 512
"""Samples for which the model gives one probability."""

_CONTEXT = 64  # samples of the previous step that the model also reads
_STEPS = 8  # steps per call: more would not be measurably faster, and these delay by only a quarter of a second
_STATE = (1, 1, 128)


class SpeechActivity(BlockAnalyser):
    """The probability of speech: column ``speech``, 0 to 1, 31.25 rows per second, one for each .032 s that has begun.

    The model (Silero VAD, MIT, https://github.com/snakers4/silero-vad) comes with faster-whisper. It is recurrent and
    keeps its state from the beginning of the clip.

    Raises:
        MissingPackageError: if faster-whisper or onnxruntime is not installed.
    """

    def __init__(self) -> None:
        super().__init__(("speech",), SOUND_RATE / STEP, SoundBlocks(STEP * _STEPS, before=_CONTEXT))
        self._model = _model()
        self._hidden = self._cell = np.zeros(_STATE, dtype=np.float32)

    def _work(self, block: Block) -> None:
        # Each step reads the end of the one before.
        windows = np.lib.stride_tricks.sliding_window_view(block.sound, _CONTEXT + STEP)[::STEP]
        inputs = {"input": np.ascontiguousarray(windows), "h": self._hidden, "c": self._cell}
        speech, self._hidden, self._cell = self._model.run(None, inputs)
        steps = -(-(block.last - _CONTEXT) // STEP)
        self._rows.append(np.clip(speech.reshape(-1, 1)[:steps], 0, 1))


@functools.lru_cache(maxsize=1)
def _model() -> Any:
    # Only the file is needed: importing faster_whisper would also load its recogniser.
    package = importlib.util.find_spec("faster_whisper")
    path = Path(package.origin).parent / "assets" / "silero_vad_v6.onnx" if package and package.origin else None
    if path is None or not path.is_file() or importlib.util.find_spec("onnxruntime") is None:
        raise MissingPackageError(
            "Finding speech needs onnxruntime and faster-whisper 1.2.1 or later, which includes the model. "
            "Install them with: pip install 'selfmm[video]'"
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # A step is too small for several threads, and sums would depend on the number of cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
