"""Time one stage of extraction in a process of its own: first its first clip, then all clips again.

    python benchmarks/extraction_stages.py STAGE THREADS REPEATS CLIPS...    # prints one line of JSON

``extraction.py`` starts it. The first clip includes the one-time costs of a process: imports and loading the models.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selfmm.features.streams import Chunk

Work = Callable[[], Any]
RATE = 10.0
"""Pictures per second, the recipe's default."""


@dataclass(frozen=True)
class Cost:
    """Wall seconds and CPU seconds."""

    wall: float
    processor: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.processor + other.processor)


def least(costs: Sequence[Cost]) -> Cost:
    """Minimum of each, which other programs disturb least."""
    return Cost(min(one.wall for one in costs), min(one.processor for one in costs))


def timed(work: Work) -> Cost:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - processor)


def sound(path: Path, threads: int) -> Work:
    return lambda: _chunks(path, sound=True, rate=None)


def pictures(path: Path, threads: int) -> Work:
    return lambda: _chunks(path, sound=False, rate=RATE)


def activity(path: Path, threads: int) -> Work:
    chunks = _chunks(path, sound=True, rate=None)

    def work() -> None:
        from selfmm.features.voice.activity import SpeechActivity

        _fed(SpeechActivity(), chunks)

    return work


def voice(path: Path, threads: int) -> Work:
    chunks = _chunks(path, sound=True, rate=None)

    def work() -> None:
        from selfmm.config.recipe import VoiceSettings
        from selfmm.features.voice.analyser import voice_analyser

        _fed(voice_analyser(VoiceSettings()), chunks)

    return work


def words(path: Path, threads: int) -> Work:
    from selfmm.features.voice.activity import SpeechActivity

    chunks = _chunks(path, sound=True, rate=None)
    speech = _fed(SpeechActivity(), chunks)

    def work() -> None:
        from selfmm.config.recipe import SpeechSettings
        from selfmm.features.words.speech import SpeechAnalyser

        _fed(SpeechAnalyser(SpeechSettings(), speech, threads=threads), chunks)

    return work


def face(path: Path, threads: int) -> Work:
    chunks = _chunks(path, sound=False, rate=RATE)

    def work() -> None:
        from selfmm.config.recipe import FaceSettings
        from selfmm.features.face.analyser import face_analyser

        _fed(face_analyser(FaceSettings(), threads=threads), chunks).track(0.0, chunks[-1].end)

    return work


def everything(path: Path, threads: int) -> Work:
    return lambda: _extract(path, threads, [])


def without_recognition(path: Path, threads: int) -> Work:
    return lambda: _extract(path, threads, ["speech.recogniser=none"])


STAGES: dict[str, Callable[[Path, int], Work]] = {
    "sound": sound,
    "pictures": pictures,
    "activity": activity,
    "voice": voice,
    "words": words,
    "face": face,
    "without_recognition": without_recognition,
    "everything": everything,
}
"""What is measured; each makes the work on a clip, and what it is given (decoded sound, say) is not timed."""


def _chunks(path: Path, *, sound: bool, rate: float | None) -> list[Chunk]:
    from selfmm.features.media.recording import read_chunks

    return list(read_chunks(path, frame_rate=rate, sound=sound))


def _fed(analyser: Any, chunks: Sequence[Chunk]) -> Any:
    for chunk in chunks:
        analyser.feed(chunk)
    analyser.finish()
    return analyser


def _extract(path: Path, threads: int, settings: Sequence[str]) -> None:
    import torch

    from selfmm.config.recipe import load_recipe
    from selfmm.features.clips.clip import Clip
    from selfmm.features.extraction import extract_clip

    torch.set_num_threads(threads)
    extract_clip(Clip(path), load_recipe(settings), threads=threads)


def measure(stage: str, paths: Sequence[Path], threads: int, repeats: int) -> dict[str, Any]:
    """Cost of the first clip in this process, and of every clip, each the minimum of ``repeats`` passes."""
    works = [STAGES[stage](path, threads) for path in paths]
    cold = timed(works[0])
    warm = [least([timed(work) for _ in range(repeats)]) for work in works]
    return {"cold": asdict(cold), "warm": [asdict(cost) for cost in warm]}


def main() -> None:
    stage, threads, repeats, *paths = sys.argv[1:]
    print(json.dumps(measure(stage, [Path(path) for path in paths], int(threads), int(repeats))))


if __name__ == "__main__":
    main()
