"""Scores of recordings: of clips, of a long file span by span, and of what is still arriving."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.config.recipe import Recipe
from selfmm.core.errors import DatasetError, MediaError, SettingsError, SourceError
from selfmm.data.store import TEXT
from selfmm.features.analysis import Analysis, Features
from selfmm.features.clips.clip import Clip, Failure
from selfmm.features.extraction import ClipFeatures, extract_clip, given_words, open_clip
from selfmm.features.streams import Chunk, Transcript
from selfmm.recordings.prediction import Prediction
from selfmm.recordings.scorer import recipe_of
from selfmm.recordings.spans import BySentence, Even, Sentences, Windows
from selfmm.runs.folder import RunFolder

if TYPE_CHECKING:
    from selfmm.recordings.scorer import Scorer
    from selfmm.runs.trained_model import TrainedModel

_CHUNK = 5.0  # seconds that are read at once
_PACKAGES = {"text": "faster_whisper", "vision": "mediapipe"}


def predict_clip(model: TrainedModel, clip: Clip, *, explain: bool = False, threads: int = 2) -> Prediction:
    """The scores of one clip, extracted as the run's training data were.

    Raises:
        MediaError: the file cannot be read, or has nothing to go by.
        SourceError: its subtitles cannot be read.
        RunError: the run was trained on features that cannot be extracted.
        MissingPackageError, WeightsError: something that extraction needs is not installed.
        DatasetError: its features are so far outside the training data's that its score is not finite.
    """
    return _scored(model.scorer, clip, extract_clip(clip, model.scorer.recipe, threads=threads), explain)


def predict_clips(
    run: TrainedModel | str | Path, clips: Iterable[Clip], *, explain: bool = False, threads: int = 2
) -> Iterator[Prediction | Failure]:
    """The scores of many clips, in their order; a clip that has none gives the reason and stops no other.

    The next clip is read while one is scored. Of a run's folder the model is loaded meanwhile.

    Raises:
        RunError, MissingPackageError, WeightsError: like :func:`predict_clip`.
    """
    info = RunFolder(Path(run)).finished() if isinstance(run, str | Path) else run.info
    recipe, _ = recipe_of(info)
    scorer = None if _import(recipe) else _loaded(run).scorer
    with ThreadPoolExecutor(1, thread_name_prefix="clips") as pool:
        for clip, reading in _ahead(pool, clips, recipe, threads):
            scorer = scorer or _loaded(run).scorer
            try:
                yield _scored(scorer, clip, reading.result(), explain)
            except (MediaError, SourceError, DatasetError) as error:
                yield Failure(_name(clip), str(clip.path), str(error))


def predict_curve(
    model: TrainedModel, clip: Clip, spans: Windows | Sentences | None = None, *, threads: int = 2
) -> Iterator[Prediction]:
    """The scores of a long recording, span by span, while it is read. Memory does not grow with its length.

    What is scored of a window is what lies in it of the whole recording's features: the rows of its times, and the
    words whose middle lies in it.

    Args:
        clip: its subtitles, if it has any, are taken for what is said; a text without times is not.
        spans: even windows (the default), or sentences.

    Raises:
        Like :func:`predict_clip`.
    """
    given = given_words(replace(clip, text=None))
    if given is not None and not given.words:
        given = None
    problems: list[str] = []
    chunks = open_clip(clip, model.scorer.recipe, problems, seconds=_CHUNK)
    yield from _predict(model.scorer, chunks, spans or Windows(), _name(clip), given, threads, problems)


def predict_stream(
    model: TrainedModel, chunks: Iterable[Chunk], spans: Windows | Sentences | None = None, *, threads: int = 2
) -> Iterator[Prediction]:
    """The scores of what is still arriving: those of :func:`predict_curve`, each as soon as it is known.

    That is when the chunk after has come, and everything in the span is settled: voice a half second after its end, a
    face at once. Words take longest, as a phrase is recognised when it is over: after a pause of .8 s in those of 8 s
    and more, of 2 s in shorter ones, and after 28 s at the latest. A run that reads no words does not wait for any.

    Args:
        chunks: pieces of any length, one after the other; pictures at the rate of the run's recipe
            (``model.info.recipe.face.rate``).
        spans: as of :func:`predict_curve`.
    """
    yield from _predict(model.scorer, chunks, spans or Windows(), "live", None, threads, [])


def _predict(
    scorer: Scorer,
    chunks: Iterable[Chunk],
    spans: Windows | Sentences,
    name: str,
    given: Transcript | None,
    threads: int,
    problems: list[str],
) -> Iterator[Prediction]:
    recipe = scorer.recipe
    if (
        isinstance(spans, Sentences)
        and given is None
        and (TEXT not in recipe.parts or recipe.speech.recogniser == "none")
    ):
        raise SettingsError(["the run hears no words, so it knows no sentences; give subtitles, or take even windows"])
    analysis = Analysis(recipe, given=given, threads=threads)
    cut = Even(analysis, spans) if isinstance(spans, Windows) else BySentence(analysis, given)
    count = 0

    def scored(features: list[Features]) -> list[Prediction]:
        named = [(f"{name}_{place:05d}", one) for place, one in enumerate(features, start=count)]
        return scorer.predict(named, problems) if named else []

    for chunk in chunks:
        # What the chunk before brought, so that it is worked off while this one was being read.
        for made in scored(cut.due()):
            count += 1
            yield made
        analysis.feed(chunk)
    analysis.finish()
    yield from scored(cut.rest())


def _scored(scorer: Scorer, clip: Clip, found: ClipFeatures, explain: bool) -> Prediction:
    [made] = scorer.predict([(_name(clip), found.features)], found.problems, explain=explain)
    return made


def _name(clip: Clip) -> str:
    return clip.id or clip.path.stem


def _ahead(
    pool: ThreadPoolExecutor, clips: Iterable[Clip], recipe: Recipe, threads: int
) -> Iterator[tuple[Clip, Future[ClipFeatures]]]:
    """Each clip while it and the one after are being read: no more, whose features would fill the memory."""
    begun: deque[tuple[Clip, Future[ClipFeatures]]] = deque()
    for clip in clips:
        begun.append((clip, pool.submit(extract_clip, clip, recipe, threads=threads)))
        if len(begun) > 1:
            yield begun.popleft()
    yield from begun


def _loaded(run: TrainedModel | str | Path) -> TrainedModel:
    if not isinstance(run, str | Path):
        return run
    from selfmm.runs.trained_model import TrainedModel

    return TrainedModel.load(Path(run))


def _import(recipe: Recipe) -> bool:
    """Has packages imported before there are two threads, in which imports can stand in each other's way.

    Returns:
        Whether that is all of them: encoders of the recipe import parts of transformers as they are loaded, and so
        does the model.
    """
    for package in ["av", *(package for part, package in _PACKAGES.items() if part in recipe.parts)]:
        with suppress(ImportError):  # who needs it says what is missing
            import_module(package)
    return recipe.voice.features in ("voice", "egemaps") and recipe.face.features == "face"
