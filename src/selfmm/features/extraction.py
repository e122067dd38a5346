"""Extract the words, voice and face of one clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from selfmm.config.recipe import Recipe
from selfmm.core.errors import MediaError
from selfmm.features.analysis import Analysis, Features
from selfmm.features.clips.clip import Clip
from selfmm.features.media.recording import probe, read_chunks
from selfmm.features.streams import Chunk, Transcript, joined
from selfmm.features.words.subtitles import read_subtitles
from selfmm.features.words.times import time_words


@dataclass(frozen=True)
class ClipFeatures:
    """The result of extracting a clip.

    Attributes:
        features: features of the whole clip.
        problems: faults of the file that did not prevent the extraction, one sentence each.
    """

    features: Features
    problems: tuple[str, ...] = ()


def given_words(clip: Clip, seconds: float | None = None) -> Transcript | None:
    """Return the words that came with the clip: its text and its words, or else its subtitles; None if it has none.

    With both, words of the text that are among the words get their times; other words share the time between them.

    Args:
        clip: the clip.
        seconds: how long it lasts, if that is known; subtitles that begin later are left out.

    Raises:
        SourceError: if the subtitles cannot be read.
    """
    text = (clip.text or "").strip()
    if clip.words:
        timed = Transcript(text or joined(clip.words, None), clip.words)
        latest = max(word.end for word in clip.words)
        span = (0.0, latest if clip.end is None else max(latest, clip.end - (clip.start or 0.0)))
        return replace(timed, words=time_words(text, timed, span)) if text else timed
    if text:
        return Transcript(text)
    if clip.subtitles is not None:
        length = None if seconds is None else (clip.start or 0.0) + seconds
        return read_subtitles(clip.subtitles, clip.start, clip.end, length=length)
    return None


def extract_clip(
    clip: Clip,
    recipe: Recipe,
    *,
    threads: int = 1,
    signals: bool = False,
    alive: Callable[[float], None] = lambda seconds: None,
) -> ClipFeatures:
    """Extract a clip in one pass over its file. Only a few seconds of it are in memory at a time.

    Args:
        clip: the recording and the span in it.
        recipe: what to extract, and how.
        threads: number of CPU threads; the result does not depend on it.
        signals: also measure `selfmm.features.analysis.Signals`.
        alive: called with the seconds that are read: 0 when the models are loaded, then after every chunk.

    Raises:
        MediaError: if the file cannot be read, or this span holds nothing that the recipe extracts.
        SourceError: if the subtitles cannot be read.
        SettingsError: if the recogniser does not know the language.
        MissingPackageError, WeightsError: if something that the recipe needs is not installed.
    """
    given = given_words(clip)
    problems: list[str] = []
    chunks = open_clip(clip, recipe, problems)
    analysis = Analysis(recipe, given=given, threads=threads, signals=signals)
    alive(0.0)
    for chunk in chunks:
        analysis.feed(chunk)
        alive(chunk.end)
    analysis.finish()
    if given is not None and given.words and given.words[-1].end > analysis.ready:
        analysis.given = given_words(clip, analysis.ready)
    features = analysis.features()
    if "text" not in recipe.parts:
        features = replace(features, transcript=Transcript(""))
    if not features.transcript.text and (recipe.align == "words" or not features.tracks):
        raise MediaError(
            f"{clip.path} has nothing to extract: {_nothing(recipe)}. "
            f"{_why(features.transcript) or 'Check that it is the right file and span.'}"
        )
    return ClipFeatures(features, tuple(problems))


def open_clip(clip: Clip, recipe: Recipe, problems: list[str], *, seconds: float = 2.0) -> Iterator[Chunk]:
    """Read the sound and pictures that the recipe needs and the file has; see ``read_chunks``.

    Chunks are shorter than most clips, so one can be analysed while the next is decoded.
    """
    info = probe(clip.path)
    return read_chunks(
        clip.path,
        start=clip.start,
        end=clip.end,
        frame_rate=recipe.face.rate if info.video and "vision" in recipe.parts else None,
        sound=info.sound,
        seconds=seconds,
        problems=problems,
    )


def _nothing(recipe: Recipe) -> str:
    if recipe.align == "words":
        return "no words were found, and voice and face are averaged over words"
    return f"{lack_of(recipe.parts)} could be found"


def lack_of(parts: Iterable[str]) -> str:
    """Return, for example, ``no words and no face`` for the parts of a recipe that are missing.

    >>> lack_of(["text", "vision"])
    'no words and no face'
    """
    names = {"text": "words", "audio": "voice", "vision": "face"}
    return " and ".join(f"no {names[part]}" for part in parts)


def _why(transcript: Transcript) -> str:
    """Return the warnings about the words, as sentences."""
    return " ".join(f"{warning[0].upper()}{warning[1:]}." for warning in transcript.warnings)
