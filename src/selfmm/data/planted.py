"""A synthetic data set whose true labels are known: the sentiment of each modality, and where one contradicts the rest.

Every clip has a sentiment per modality in [-3, 3]. In most clips the modalities agree up to a small spread; in the
others, one of them expresses the opposite of the rest (sarcasm: friendly words, a bored voice). The m-label is the
label that a rater of the whole clip would give. A method that generates labels per modality from the m-label alone
can therefore be compared with the truth; see `selfmm.labels.audit.recovery`.

How a sentiment becomes words or frames does not depend on the seed: different seeds are samples of the same world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from selfmm.core.errors import SettingsError
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.planted_words import sentence
from selfmm.data.store import Dataset
from selfmm.data.writer import Frames, Source, write_dataset

MODALITIES = (TEXT, "audio", "vision")
LIMIT = 3.0
"""Labels are in [-LIMIT, LIMIT], as in MOSI and MOSEI."""

_NOISE = {TEXT: 0.4, "audio": 1.0, "vision": 1.2}
_STRENGTH = dict.fromkeys(MODALITIES, 1.0)
_SPREAD = 0.35  # standard deviation between agreeing modalities
_PULL = 0.15  # how far a contradicting modality pulls the m-label
_CLEAR = 0.6  # both sides of a contradiction are at least this far from 0
_STEP = 0.2  # the labels of MOSI are means of whole numbers of five raters
_MEMORY = 0.8  # coefficient of the AR(1) noise from frame to frame
_WHOLE, _CLIP, _SPEAKER = range(3)  # purposes of a random generator

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlantedSettings:
    """Settings of a planted data set.

    Attributes:
        clips: number of clips, at least 3.
        conflict: fraction of clips in which one modality contradicts the others, in [0, 1].
        noise: standard deviation of what a modality (``text``, ``audio``, ``vision``) expresses around its true label,
            on the scale of the labels; noise between frames is in proportion. Other modalities keep their default.
        strength: factor on the true label of a modality before it becomes words or frames; 0 leaves no sentiment.
        positive_share: fraction of clips that are positive as a whole; 10/11 gives classes of 10:1.
        audio_dim, vision_dim: features per frame.
        audio_frames, vision_frames: smallest and largest number of frames.
        missing: fraction of clips that lack one modality (never the contradicting one); its true label is then NaN.
        label_noise: standard deviation of the rater's error in the m-label.
        clips_per_video: approximate number of clips that share a video and speaker.
        seed: seed of all random numbers.
    """

    clips: int = 600
    conflict: float = 0.2
    noise: Mapping[str, float] = field(default_factory=lambda: dict(_NOISE))
    strength: Mapping[str, float] = field(default_factory=lambda: dict(_STRENGTH))
    positive_share: float = 0.5
    audio_dim: int = 5
    audio_frames: tuple[int, int] = (20, 60)
    vision_dim: int = 8
    vision_frames: tuple[int, int] = (10, 30)
    missing: float = 0.0
    label_noise: float = 0.2
    clips_per_video: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        problems = _problems(self)
        if problems:
            raise SettingsError(problems)
        object.__setattr__(self, "noise", {**_NOISE, **self.noise})
        object.__setattr__(self, "strength", {**_STRENGTH, **self.strength})


def _problems(settings: PlantedSettings) -> list[str]:
    problems = []
    for name, least in [("clips", 3), ("audio_dim", 1), ("vision_dim", 1), ("clips_per_video", 1), ("seed", 0)]:
        if getattr(settings, name) < least:
            problems.append(f"{name} is {getattr(settings, name)}; it must be at least {least}")
    for name in ("conflict", "positive_share", "missing"):
        value = getattr(settings, name)
        problems += [] if 0 <= value <= 1 else [f"{name} is {value}; it must be a fraction from 0 to 1"]
    for name in ("audio_frames", "vision_frames"):
        shortest, longest = getattr(settings, name)
        if not 1 <= shortest <= longest:
            problems.append(f"{name} is {(shortest, longest)}; give the shortest length (at least 1), then the longest")
    if not 0 <= settings.label_noise < np.inf:
        problems.append(f"label_noise is {settings.label_noise}; it must be a standard deviation of 0 or more")
    for name in ("noise", "strength"):
        for modality, value in getattr(settings, name).items():
            if modality not in MODALITIES:
                problems.append(f"{name} names {modality!r}; the modalities are {', '.join(MODALITIES)}")
            elif not 0 <= value < np.inf:
                problems.append(f"{name}[{modality!r}] is {value}; it must be 0 or more")
    return problems


def write_planted(path: str | Path, settings: PlantedSettings | None = None, *, force: bool = False) -> Dataset:
    """Write a planted data set to the folder ``path``.

    Raises:
        OutputError: if ``path`` exists and ``force`` is False, or if it cannot be written.
    """
    return write_dataset(planted_source(settings), path, force=force)


def planted_source(settings: PlantedSettings | None = None) -> Source:
    """Return the planted data set; its frames are generated when they are read.

    Besides the usual columns the table has ``label_text``, ``label_audio``, ``label_vision`` (the true label of each
    modality, in [-3, 3]; NaN where it is missing) and ``conflict`` (name of the contradicting modality, or empty).
    """
    settings = settings or PlantedSettings()
    rng = _generator(settings.seed, 0, _WHOLE, 0)
    truths, contradicting = _truths(settings, rng)
    labels = _rated(truths, contradicting, rng.normal(0, settings.label_noise, settings.clips))
    lacking = _lacking(settings, contradicting, rng)
    table = _videos(settings, rng)
    table["label"] = labels
    table[TEXT] = pd.Series(_texts(settings, truths[0], lacking), dtype="object")
    for number, name in enumerate(MODALITIES):
        table[f"label_{name}"] = np.where(lacking == number, np.nan, truths[number])
    table["conflict"] = ["" if c < 0 else MODALITIES[c] for c in contradicting]
    speakers = table["video"].factorize()[0]
    return Source(
        table=table,
        frames={m: _frames(settings, m, truths[n], lacking == n, speakers) for n, m in enumerate(MODALITIES) if n},
        name="planted",
        label_range=(-LIMIT, LIMIT),
        language="en",
        provenance={"generator": "selfmm.data.planted", "settings": asdict(settings)},
    )


def _generator(seed: int, stream: int, purpose: int, number: int) -> np.random.Generator:
    """Return a generator for one clip and purpose, so that the order of reading clips does not matter."""
    # Always four words: numpy pads shorter seeds with zeros, so [s, 1] and [s, 1, 0] would be the same.
    return np.random.default_rng([seed, stream, purpose, number])


def _truths(settings: PlantedSettings, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return the true labels, (3, N), and the number of the contradicting modality or -1, (N,)."""
    n = settings.clips
    side = np.where(rng.permutation(n) < round(settings.positive_share * n), 1.0, -1.0)
    torn = rng.permutation(n) < round(settings.conflict * n)
    contradicting = np.where(torn, rng.integers(len(MODALITIES), size=n), -1)
    least = np.where(torn, _CLEAR, 0.0)
    whole = rng.uniform(least, LIMIT - 0.1)
    sizes = np.clip(whole + rng.normal(0, _SPREAD, (len(MODALITIES), n)), np.maximum(least, 0.05), LIMIT)
    truths = side * sizes
    torn_clips = np.flatnonzero(torn)
    opposite = -side[torn] * rng.uniform(_CLEAR, LIMIT - 0.1, torn_clips.size)
    truths[contradicting[torn], torn_clips] = opposite
    return truths, contradicting


def _rated(truths: Array, contradicting: npt.NDArray[np.int64], error: Array) -> Array:
    """Return the m-labels: the mean of the agreeing modalities, pulled a little to a contradiction, never across 0."""
    against = np.arange(len(truths))[:, None] == contradicting
    agreed = np.mean(truths, axis=0, where=~against)
    drawn = agreed + _PULL * np.sum(truths - agreed, axis=0, where=against) + error
    steps = np.rint(np.sign(agreed) * drawn / _STEP)
    lowest = np.where(contradicting < 0, 0, 1)
    rated: Array = np.sign(agreed) * np.clip(steps, lowest, round(LIMIT / _STEP)) / round(1 / _STEP)
    return rated + 0.0  # no -0.0


def _lacking(
    settings: PlantedSettings, contradicting: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return the number of the modality that each clip lacks, or -1, (N,)."""
    n = settings.clips
    others = np.where(contradicting < 0, rng.integers(3, size=n), (contradicting + rng.integers(1, 3, size=n)) % 3)
    return np.where(rng.permutation(n) < round(settings.missing * n), others, -1)


def _videos(settings: PlantedSettings, rng: np.random.Generator) -> pd.DataFrame:
    """Return ids, videos and splits (about 70/10/20 of the videos; each split has at least one)."""
    count = min(max(3, round(settings.clips / settings.clips_per_video)), settings.clips)
    sizes = 1 + rng.multinomial(settings.clips - count, np.full(count, 1 / count))
    valid, test = max(1, round(0.1 * count)), max(1, round(0.2 * count))
    splits = np.repeat(["train", "valid", "test"], [count - valid - test, valid, test])
    video = np.repeat(np.arange(count), sizes)
    names = [f"video{number:04d}" for number in video]
    starts = np.cumsum(sizes) - sizes
    ids = [f"{name}_{i - starts[number]:02d}" for i, (name, number) in enumerate(zip(names, video, strict=True))]
    return pd.DataFrame({"id": ids, "split": splits[video], "video": names})


def _texts(settings: PlantedSettings, truth: Array, lacking: npt.NDArray[np.int64]) -> list[str | None]:
    texts: list[str | None] = []
    for clip in range(settings.clips):
        rng = _generator(settings.seed, 0, _CLIP, clip)
        expressed = settings.strength[TEXT] * truth[clip] + rng.normal(0, settings.noise[TEXT])
        texts.append(None if lacking[clip] == 0 else sentence(float(np.clip(expressed, -LIMIT, LIMIT)), rng))
    return texts


def _frames(
    settings: PlantedSettings, name: str, truth: Array, lacking: npt.NDArray[np.bool_], speakers: npt.NDArray[np.intp]
) -> Frames:
    stream = MODALITIES.index(name)
    dim = settings.audio_dim if name == "audio" else settings.vision_dim
    shortest, longest = settings.audio_frames if name == "audio" else settings.vision_frames
    rng = _generator(settings.seed, stream, _WHOLE, 0)
    lengths = np.where(lacking, 0, rng.integers(shortest, longest, endpoint=True, size=settings.clips))
    strength, noise = settings.strength[name], settings.noise[name]
    world = _world(stream, dim)

    def read(clip: int) -> npt.NDArray[np.float32]:
        rng = _generator(settings.seed, stream, _CLIP, clip)
        expressed = strength * truth[clip] + rng.normal(0, noise)
        speaker = _generator(settings.seed, stream, _SPEAKER, int(speakers[clip])).normal(size=dim)
        length = int(lengths[clip])
        return (world(expressed, length, speaker) + noise * _drift(length, dim, rng)).astype(np.float32)

    return Frames(Modality(kind="frames", dim=dim), lengths.astype(np.int64), read)


def _world(stream: int, dim: int) -> Callable[[float, int, Array], Array]:
    """Return the function from a sentiment to frames. It depends on the modality and the dim, not on the seed.

    The first three fifths of the features follow the sentiment, each through its own curve and in its own part of the
    clip. The others only differ between speakers.
    """
    rng = np.random.default_rng([20210208, stream, dim])
    driven = np.arange(dim) < np.ceil(0.6 * dim)
    gain = rng.choice([-1.0, 1.0], dim) * rng.uniform(0.8, 1.6, dim) * driven
    slope, bend = rng.uniform(0.5, 1.2, dim), rng.uniform(-1.0, 1.0, dim)
    centre, width = rng.uniform(0.1, 0.9, dim), rng.uniform(0.2, 0.5, dim)
    accent = np.where(driven, 0.25, 1.0)

    def shape(sentiment: float, length: int, speaker: Array) -> Array:
        time = np.linspace(0, 1, length)[:, None]
        envelope = np.exp(-(((time - centre) / width) ** 2))
        shown: Array = gain * np.tanh(slope * sentiment + bend) * envelope + accent * speaker
        return shown

    return shape


def _drift(length: int, dim: int, rng: np.random.Generator) -> Array:
    """Return AR(1) noise of variance 1, (length, dim)."""
    steps = rng.normal(size=(length, dim))
    steps[1:] *= np.sqrt(1 - _MEMORY**2)
    for t in range(1, length):
        steps[t] += _MEMORY * steps[t - 1]
    return steps
