"""Scores of one clip from a file that `selfmm export` wrote; neither selfmm nor PyTorch is needed.

    pip install numpy onnxruntime tokenizers
    python onnx_scores.py model.onnx "I really loved the ending" audio=voice.npy vision=face.npy

Each .npy is (frames, features), float32, with the features the model was trained on. What is left out is missing.
"""

import json
import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # otherwise some versions report their use to their vendor
import onnxruntime
from tokenizers import Tokenizer


class Scorer:
    """An exported model. A clip is a mapping from a modality to a sentence or an array (frames, features).

    For a model that reads the words before a clip (its metadata have a ``context``), a clip may have ``earlier``, the
    list of the sentences before it.
    """

    def __init__(self, path: str) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.modalities: dict[str, dict[str, int | None]] = json.loads(metadata["modalities"])
        self.tokenizer = Tokenizer.from_str(metadata["tokenizer"]) if "tokenizer" in metadata else None
        self.lower = metadata.get("capitals") == "lower"
        self.context: dict[str, Any] | None = json.loads(metadata.get("context", "null"))
        if self.context:
            self.most = int(metadata["max_tokens"])
            self.whole = Tokenizer.from_str(metadata["tokenizer"])
            self.whole.no_truncation()

    def scores(self, clips: list[dict[str, Any]]) -> dict[str, npt.NDArray[np.float32]]:
        """Return ``score`` (clips,) and ``score_<modality>`` (clips,), NaN where a clip lacks the modality."""
        inputs: dict[str, npt.NDArray[np.generic]] = {}
        for name, modality in self.modalities.items():
            streams = [self._stream(clip.get(name), modality["dim"], clip.get("earlier", [])) for clip in clips]
            lengths = np.array([len(stream) for stream in streams], dtype=np.int64)
            padded = np.zeros((len(clips), max(lengths.max(), 1), *streams[0].shape[1:]), streams[0].dtype)
            for row, stream in zip(padded, streams, strict=True):
                row[: len(stream)] = stream
            inputs |= {name: padded, f"{name}_lengths": lengths}
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(None, inputs), strict=True))

    def _stream(
        self, value: str | npt.NDArray[np.float32] | None, dim: int | None, earlier: list[str]
    ) -> npt.NDArray[np.generic]:
        """Frames (L, dim) float32 or token ids (L,) int64; L is 0 if the clip lacks the modality."""
        if dim is not None:
            return np.zeros((0, dim), np.float32) if value is None else np.asarray(value, np.float32)
        if self.tokenizer is None or not isinstance(value, str) or not value.strip():
            return np.zeros(0, np.int64)
        ids = self.tokenizer.encode(self._prepared(value)).ids
        return np.array(ids if self.context is None else self._after(earlier, ids, **self.context), np.int64)

    def _prepared(self, text: str) -> str:
        mostly_capitals = 2 * sum(map(str.isupper, text)) > sum(map(str.isalpha, text))
        return text.lower() if self.lower and mostly_capitals else text

    def _after(
        self, earlier: list[str], ids: list[int], clips: int, before: int, between: list[int], limit: int | None
    ) -> list[int]:
        """The ids of a clip after those of the words before it, of which the far past is cut."""
        text = " ".join(map(self._prepared, earlier[-clips:]))
        words = self.whole.encode(text, add_special_tokens=False).ids[-self.most :]
        room = len(words) if limit is None else limit - len(ids) - len(between)
        return [*ids[:before], *words[-room:], *between, *ids[before:]] if words and room > 0 else ids


def main(path: str, *arguments: str) -> None:
    clip: dict[str, str | npt.NDArray[np.float32]] = {}
    for argument in arguments:
        name, _, file = argument.rpartition("=")
        if file.endswith(".npy"):
            clip[name] = np.load(file)
        else:
            clip["text"] = argument
    for name, values in Scorer(path).scores([clip]).items():
        print(f"{name}: {values[0]:.3f}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print(__doc__)
    else:
        main(*sys.argv[1:])
