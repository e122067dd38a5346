"""Score recordings with a trained model: clips, a long file span by span, or a live source."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from selfmm.config.recipe import Recipe
from selfmm.core.errors import ArgumentsError, DatasetError, MediaError, RunError, SourceError
from selfmm.core.listener import Listener
from selfmm.core.weights import KNOWN, require
from selfmm.data.blank import is_blank
from selfmm.data.context import with_earlier
from selfmm.data.manifest import TEXT
from selfmm.evaluation.worth import FUSION
from selfmm.features.analysis import Analysis, Features
from selfmm.features.clips.clip import Clip, Failure
from selfmm.features.dataset import dataset_of
from selfmm.features.extraction import ClipFeatures, extract_clip, given_words, open_clip
from selfmm.features.media.recording import probe
from selfmm.features.quality import warnings
from selfmm.features.streams import Chunk, Transcript
from selfmm.recordings.lanes import lanes_of
from selfmm.recordings.prediction import Prediction, Spread
from selfmm.recordings.recipe import recipe_of
from selfmm.recordings.spans import BySentence, EarlierWords, Even, Sentences, Windows
from selfmm.runs.folder import RunInfo

if TYPE_CHECKING:
    from selfmm.runs.trained_model import TrainedModel

_CHUNK = 5.0  # seconds that are read at a time

_NEAR = 0.1  # seconds; the precision of declared lengths

LOADING, FINISHING, SCORING = "loading the models", "finishing words, voice and face", "scoring"
EXPLAINING = "finding out what each word adds"
"""Stages of a clip, for `Listener.stage`; in between, it is read."""


class RecordingScorer:
    """Scores recordings with one model. Their features are extracted in the same way as the training data.

    Args:
        info: the run.
        load: returns the model of the run; called while the first recording is read.
        recogniser: recognise words with another model than that of the recipe; see
            :func:`selfmm.recordings.recipe.other_speech`.
        language: language of the speech, such as ``de``.
        lanes: whether predictions get their ``lanes``.
        listener: receives the progress.

    Attributes:
        info: the run.
        recipe: how recordings are extracted; ``recipe.face.rate`` is the rate of pictures for :meth:`stream`.

    Raises:
        RunError: if nothing that the model reads can be extracted from a recording.
        SettingsError, WeightsError: if the recogniser is unknown, or does not know the language.
        WeightsError: if a hub model that extraction needs is not on this machine.
    """

    def __init__(
        self,
        info: RunInfo,
        load: Callable[[], TrainedModel],
        *,
        recogniser: str | None = None,
        language: str | None = None,
        lanes: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self.info = info
        self._lanes = lanes
        self._listener = listener or Listener()
        self.recipe, self._left_out = recipe_of(info, recogniser, language)
        self._other_speech = recogniser is not None or language is not None
        self._load = load

    @cached_property
    def model(self) -> TrainedModel:
        """The trained model, which is loaded when it is first used."""
        return self._load()

    def clip(self, clip: Clip | str | Path, *, explain: bool = False, threads: int = 2) -> Prediction:
        """Score one clip.

        Args:
            clip: a recording, or a part of one.
            explain: also explain the score.
            threads: number of CPU threads for extraction.

        Raises:
            MediaError: if the file cannot be read, or holds nothing that the model reads.
            SourceError: if its subtitles cannot be read.
            MissingPackageError, WeightsError: if something that extraction needs is not installed.
            DatasetError: if its features are so far outside those of the training data that its score is not finite.
        """
        clip = self._ready(clip)
        return self._scored(clip, self._extract(clip, threads), explain)

    def clips(
        self, clips: Iterable[Clip | str | Path], *, explain: bool = False, threads: int = 2
    ) -> Iterator[Prediction | Failure]:
        """Score clips in their order; yield a ``Failure`` for each one that cannot be scored.

        The next clip is read while one is scored.

        Args:
            clips: recordings, or parts of them.
            explain, threads: see :meth:`clip`.

        Raises:
            MissingPackageError, WeightsError: see :meth:`clip`.
        """
        if not _import_packages(self.recipe):
            self.model  # noqa: B018  load it before there is a second thread
        with ThreadPoolExecutor(1, thread_name_prefix="clips") as pool:
            for clip, reading in self._read_ahead(pool, map(self._ready, clips), threads):
                self.model  # noqa: B018  load it while the first clip is read
                try:
                    yield self._scored(clip, reading.result(), explain)
                except (MediaError, SourceError, DatasetError) as error:
                    yield Failure(_name(clip), str(clip.path), str(error))

    def curve(
        self,
        clip: Clip | str | Path,
        spans: Windows | Sentences | None = None,
        *,
        explain: bool = False,
        threads: int = 2,
    ) -> Iterator[Prediction]:
        """Score a long recording span by span, while it is read. Memory does not grow with its length.

        A span is scored by the features in it: the rows of its times, and the words with their middle in it.

        Args:
            clip: the recording. Its words are those with times that came with it, if any: its ``words`` or subtitles.
            spans: windows of one length (the default), or sentences.
            explain, threads: see :meth:`clip`.

        Raises:
            SettingsError: if sentences are requested, but there are no subtitles and the run recognises no words.
            MediaError, SourceError, MissingPackageError, WeightsError, DatasetError: see :meth:`clip`.
        """
        clip = self._ready(clip)
        given = given_words(clip if clip.words else replace(clip, text=None), probe(clip.path).duration)
        if given is not None and not given.words:
            given = None
        problems: list[str] = []
        chunks = self._watched(clip, open_clip(clip, self.recipe, problems, seconds=_CHUNK))
        yield from self._spans(chunks, spans or Windows(), _name(clip), given, threads, problems, explain)

    def stream(
        self, chunks: Iterable[Chunk], spans: Windows | Sentences | None = None, *, threads: int = 2
    ) -> Iterator[Prediction]:
        """Score a live source like :meth:`curve`. Yield each score as soon as it is known.

        A score is known when the next chunk arrives and everything in the span is final: voice half a second after the
        end of the span, a face immediately. Words take longest, because a phrase is recognised when it is over: after a
        pause of .8 s in phrases of 8 s and more, of 2 s in shorter ones, and after 28 s at the latest. A run that reads
        no words does not wait for them, unless the voice consists of the recogniser's states.

        Args:
            chunks: consecutive pieces of any length, with pictures at the rate ``recipe.face.rate``.
            spans, threads: see :meth:`curve`.
        """
        yield from self._spans(chunks, spans or Windows(), "live", None, threads, [])

    def score(
        self,
        clips: Sequence[tuple[str, Features]],
        problems: Sequence[str] = (),
        *,
        earlier: Sequence[Sequence[str]] | None = None,
        explain: bool = False,
    ) -> list[Prediction]:
        """Score clips whose features are already extracted. Return one prediction per clip.

        Args:
            clips: the id and features of each clip.
            problems: further warnings about all of them.
            earlier: the texts of earlier clips of the same recording for each clip, in order, for a run that reads
                them (``text.context``). None: unknown, which is a warning.
            explain: also explain the scores.

        Raises:
            DatasetError: see :meth:`clip`.
        """
        dataset = dataset_of(clips, self.recipe, self.info.modalities)
        if earlier is not None:
            dataset = with_earlier(dataset, earlier)
        any_modality = np.any([dataset.lengths(name) > 0 for name in dataset.modalities], axis=0)
        table = self.model.score(dataset)
        predictions, cut = [], {}
        if TEXT in dataset.samples:
            cut = self.model.cut_texts(dataset.samples[TEXT].fillna("").tolist())
        deviations = table.get("deviation", pd.Series(np.nan, table.index)).tolist()
        for row, (name, features) in enumerate(clips):
            values = {task: float(table[f"score_{task}"].iloc[row]) for task in self._tasks}
            scores = {task: None if np.isnan(value) else value for task, value in values.items()}
            score = float(table["score"].iloc[row]) if any_modality[row] else None
            prediction = Prediction(
                id=name,
                start=features.start,
                end=features.end,
                score=score,
                scores=scores,
                ranks={task: self._rank(task, value) for task, value in {FUSION: score, **scores}.items()},
                spreads=self._spreads,
                label_range=self.info.label_range,
                transcript=features.transcript,
                worth=self.model.worth,
                unscored=self.info.unscored,
                deviation=None if np.isnan(deviations[row]) or score is None else deviations[row],
                warnings=(
                    *self.model.notes,
                    *self._left_out,
                    *self._not_centred,
                    *(self.model.without_context if earlier is None else ()),
                    *problems,
                    *([f"{cut[row]}; score a long recording in windows or by sentence"] if row in cut else []),
                    *self._other_words(features.transcript),
                    *self._quality(features),
                ),
            )
            if self._lanes:
                prediction = replace(prediction, lanes=lanes_of(features))
            if explain and score is not None:
                from selfmm.explain.clip import explain as explain_clip  # loads torch, as the model does

                prediction = replace(prediction, explanation=explain_clip(self.model, dataset, row))
            predictions.append(prediction)
        return predictions

    def texts(self, texts: Sequence[str], *, explain: bool = False) -> list[Prediction]:
        """Score sentences by their words alone. Their ids are text_1, text_2 and so on; they last 0 s.

        Raises:
            SourceError: if a text is empty.
            RunError: if the model reads no words.
        """
        if TEXT not in self.info.modalities:
            raise RunError("the run reads no words, so it cannot score a sentence. Give it a recording.")
        if not texts or any(is_blank(text) for text in texts):
            raise SourceError("there is nothing to score: give one or more sentences, none of them empty.")
        spans = [Features(0.0, 0.0, Transcript(text.strip()), {}, None, None, None) for text in texts]
        return self.score([(f"text_{place}", span) for place, span in enumerate(spans, start=1)], explain=explain)

    def _quality(self, features: Features) -> tuple[str, ...]:
        if features.start == features.end:
            return ()  # a sentence: it has no sound and no pictures to warn about
        return warnings(features, self.info.language, self.recipe.parts, multilingual=self._multilingual)

    @property
    def _multilingual(self) -> bool:
        """Whether the run comes with selfmm and has an encoder of several languages."""
        name = self.info.encoder_weights
        return bool(self.info.about) and name in KNOWN and KNOWN[name].languages > 1

    def _other_words(self, transcript: Transcript) -> list[str]:
        """Return a warning if the words of the training clips were recognised by another model."""
        recipe, own = self.info.recipe, transcript.recogniser
        if not (self._other_speech and own) or recipe is None or self.info.about:
            return []  # the clips of a run that comes with selfmm, or without a recipe, were not recognised
        theirs = recipe.speech.recogniser
        if theirs in ("none", own):
            return []
        return [f"the words were recognised by {own}, those of the training clips by {theirs}"]

    def _ready(self, clip: Clip | str | Path) -> Clip:
        """Return the clip; raise ``WeightsError``, once for all, if a run that names offline weights lacks some."""
        clip = _as_clip(clip)
        if self.info.encoder_weights:
            names = [self.info.encoder_weights]
            if self.recipe.encodes_speech or (TEXT in self.recipe.parts and given_words(clip) is None):
                names.append(self.recipe.speech.recogniser)
            names += ["face"] if "vision" in self.recipe.parts else []
            require(name for name in names if name in KNOWN)
        return clip

    @cached_property
    def _tasks(self) -> list[str]:
        """The modalities that have their own scores."""
        return [task for task in self.model.assembly.model.tasks if task in self.info.modalities]

    @cached_property
    def _not_centred(self) -> tuple[str, ...]:
        """A warning if the run centres features by video, which needs several clips of one."""
        names = " and ".join(self.model.assembly.centred)
        if not names:
            return ()
        return (
            f"{names} could not be centred by video as in training, because recordings are scored one by one; extract "
            "the clips of a speaker to a data set and score that",
        )

    @cached_property
    def _spreads(self) -> dict[str, Spread]:
        """The distribution of each score over the training clips, from the run's predictions."""
        table = self.model.predictions
        table = table[table["split"] == "train"]
        columns = {FUSION: "score", **{task: f"score_{task}" for task in self.model.assembly.model.tasks}}
        result = {}
        for task, column in columns.items():
            values = np.sort(table[column].dropna().to_numpy(dtype=np.float64)) if column in table else np.zeros(0)
            if len(values):
                deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
                result[task] = Spread(float(values.mean()), deviation, values)
        return result

    def _rank(self, task: str, score: float | None) -> float | None:
        spread = self._spreads.get(task)
        return None if score is None or spread is None else spread.rank(score)

    def _extract(self, clip: Clip, threads: int) -> ClipFeatures:
        self._listener.stage(clip, LOADING)
        total = self._seconds(clip)

        def alive(seconds: float) -> None:
            self._listener.reading(clip, seconds, total)
            if total is not None and seconds >= total - _NEAR:
                self._listener.stage(clip, FINISHING)

        return extract_clip(clip, self.recipe, threads=threads, signals=self._lanes, alive=alive)

    def _watched(self, clip: Clip, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        self._listener.stage(clip, LOADING)
        total = self._seconds(clip)
        for chunk in chunks:
            yield chunk
            self._listener.reading(clip, chunk.end, total)
        self._listener.stage(clip, FINISHING)

    def _seconds(self, clip: Clip) -> float | None:
        """Return the length of a clip; None if its file does not say it, or cannot be read."""
        try:
            ends = [end for end in (clip.end, probe(clip.path).duration) if end is not None]
        except MediaError:
            return None
        return min(ends) - (clip.start or 0.0) if ends else None

    def _read_ahead(
        self, pool: ThreadPoolExecutor, clips: Iterable[Clip], threads: int
    ) -> Iterator[tuple[Clip, Future[ClipFeatures]]]:
        """Yield each clip while it and the next one are read. Reading more would fill the memory with features."""
        begun: deque[tuple[Clip, Future[ClipFeatures]]] = deque()
        for clip in clips:
            begun.append((clip, pool.submit(self._extract, clip, threads)))
            if len(begun) > 1:
                yield begun.popleft()
        yield from begun

    def _scored(self, clip: Clip, extracted: ClipFeatures, explain: bool) -> Prediction:
        self._listener.stage(clip, SCORING)
        named = [(_name(clip), extracted.features)]
        if explain and type(self._listener).scored is not Listener.scored:  # somebody waits for the scores
            self._listener.scored(clip, self.score(named, extracted.problems)[0])
            self._listener.stage(clip, EXPLAINING)
        [prediction] = self.score(named, extracted.problems, explain=explain)
        return prediction

    def _spans(
        self,
        chunks: Iterable[Chunk],
        spans: Windows | Sentences,
        name: str,
        given: Transcript | None,
        threads: int,
        problems: list[str],
        explain: bool = False,
    ) -> Iterator[Prediction]:
        hears_words = TEXT in self.recipe.parts and self.recipe.speech.recogniser != "none"
        if isinstance(spans, Sentences) and given is None and not hears_words:
            raise ArgumentsError(
                ["the run recognises no words, so it cannot find sentences; give subtitles, or use windows"]
            )
        analysis = Analysis(self.recipe, given=given, threads=threads, signals=self._lanes)
        cut = Even(analysis, spans) if isinstance(spans, Windows) else BySentence(analysis, given)
        count = 0
        before: EarlierWords | None = None

        def scored(features: list[Features]) -> list[Prediction]:
            nonlocal before
            if not features:
                return []
            named = [(f"{name}_{number:05d}", part) for number, part in enumerate(features, start=count)]
            before = before or EarlierWords(self.model.context)
            return self.score(named, problems, earlier=list(map(before.before, features)), explain=explain)

        for chunk in chunks:
            # The spans that the previous chunk completed: they were analysed while this one was read.
            for prediction in scored(cut.due()):
                count += 1
                yield prediction
            analysis.feed(chunk)
        analysis.finish()
        yield from scored(cut.rest())


def _as_clip(clip: Clip | str | Path) -> Clip:
    return clip if isinstance(clip, Clip) else Clip(Path(clip))


def _name(clip: Clip) -> str:
    return clip.id or clip.path.stem


def _import_packages(recipe: Recipe) -> bool:
    """Import packages before there are two threads, whose imports could block each other.

    Returns:
        Whether these are all. Encoders of the recipe import parts of transformers later, as the model does.
    """
    packages = {"faster_whisper": recipe.may_recognise, "mediapipe": "vision" in recipe.parts}
    for package in ["av", *(package for package, needed in packages.items() if needed)]:
        with suppress(ImportError):  # the code that needs it reports what is missing
            import_module(package)
    return recipe.voice.features in ("voice", "whisper", "both", "egemaps") and recipe.face.features == "face"
