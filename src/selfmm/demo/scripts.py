"""Write the scripts of the demo clips: the speaker, the words and the true labels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from selfmm.core.errors import SettingsError
from selfmm.data.planted import PlantedSettings, planted_source
from selfmm.data.planted_words import sentence
from selfmm.demo.speakers import SPEAKERS, Speaker

Seconds = tuple[float, float]
"""The lengths of the shortest and the longest clip."""

_WORDS = 2.4  # words per second, a relaxed pace
_TRIES = 200  # most sentences to sample until one is short enough
_AWAY_EVERY = 6  # in one of this many clips, the face leaves the picture for a while


class Purpose(IntEnum):
    """The use of random numbers."""

    SCRIPT, LEAVING, VOICE, FACE = range(4)


@dataclass(frozen=True)
class Script:
    """The content of a clip.

    Attributes:
        label: rating of the whole clip, in [-3, 3].
        truth: true labels of text, audio and vision, each in [-3, 3].
        away: start and end of the time when the face is out of the picture, as shares of the clip; None: never.
        number: number of the clip; with ``seed``, it determines all random numbers, see `generator`.
        seed: seed of all clips.
    """

    id: str
    speaker: Speaker
    label: float
    truth: tuple[float, float, float]
    text: str
    away: tuple[float, float] | None
    number: int
    seed: int


def write_scripts(count: int, seed: int, seconds: Seconds) -> list[Script]:
    """Write the script of each clip.

    Raises:
        SettingsError: if ``count``, ``seed`` or ``seconds`` is wrong.
    """
    problems = [] if count >= 3 else [f"count is {count}; it must be at least 3"]
    problems += [] if seed >= 0 else [f"seed is {seed}; it must be at least 0"]
    if not 1 <= seconds[0] <= seconds[1] <= 60:
        problems.append(f"seconds is {seconds}; give the shortest (at least 1), then the longest (at most 60)")
    if problems:
        raise SettingsError(problems)
    table = planted_source(PlantedSettings(clips=count, seed=seed)).table
    speakers = SPEAKERS[: int(np.clip(count // 4, 4, len(SPEAKERS)))]
    leaves = generator(seed, 0, Purpose.LEAVING).permutation(count) < round(count / _AWAY_EVERY)
    scripts = []
    for number, row in enumerate(table.to_dict("records")):
        rng = generator(seed, number, Purpose.SCRIPT)
        speaker, start = speakers[number % len(speakers)], rng.uniform(0.2, 0.5)
        script = Script(
            id=f"{speaker.name}_{number // len(speakers):02d}",
            speaker=speaker,
            label=row["label"],
            truth=(row["label_text"], row["label_audio"], row["label_vision"]),
            text=_text(row["label_text"], int(_WORDS * seconds[1]), rng),
            away=(start, start + rng.uniform(0.25, 0.4)) if leaves[number] else None,
            number=number,
            seed=seed,
        )
        scripts.append(script)
    return scripts


def _text(sentiment: float, words: int, rng: np.random.Generator) -> str:
    """Return a sentence of at most this many words, or the shortest of many."""
    shortest = sentence(sentiment, rng)
    for _ in range(_TRIES):
        if len(shortest.split()) <= words:
            break
        shortest = min(shortest, sentence(sentiment, rng), key=lambda text: len(text.split()))
    return shortest


def generator(seed: int, number: int, purpose: Purpose) -> np.random.Generator:
    """Return independent random numbers for a clip and a purpose."""
    return np.random.default_rng([20210208, seed, number, purpose])
