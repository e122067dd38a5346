"""The trained model that ``selfmm.load`` returns. It scores data sets, texts and recordings."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import pandas as pd

from selfmm.core.errors import ArgumentsError, SourceError
from selfmm.data.store import Dataset
from selfmm.explain.table import contributions
from selfmm.features.clips.clip import Clip, ClipList, Failure
from selfmm.features.clips.listing import is_recording
from selfmm.recordings.inputs import exists, find_recordings, named_inputs
from selfmm.recordings.prediction import Prediction, Predictions, with_trust
from selfmm.recordings.scorer import RecordingScorer
from selfmm.runs.trained_model import TrainedModel, texts_dataset


@dataclass(frozen=True, repr=False)
class SentimentModel(TrainedModel):
    """A finished run, ready to score.

    ``predict`` scores data sets, texts and recordings. Use ``recordings.curve`` to score a long file span by span, and
    ``recordings.stream`` for a live source.

    Attributes:
        folder, info, assembly, device: see :class:`selfmm.runs.trained_model.TrainedModel`.
    """

    @cached_property
    def recordings(self) -> RecordingScorer:
        """The scorer of recordings, which recognises words as in training; see :meth:`scorer`.

        Raises:
            RunError: if nothing that the model reads can be extracted from a recording.
        """
        return RecordingScorer(self.info, lambda: self)

    def scorer(self, recogniser: str | None = None, language: str | None = None) -> RecordingScorer:
        """Return a scorer of recordings that recognises words in another way; see :meth:`predict`.

        Raises:
            RunError, SettingsError, WeightsError: see :class:`RecordingScorer`.
        """
        if recogniser is None and language is None:
            return self.recordings
        return RecordingScorer(self.info, lambda: self, recogniser=recogniser, language=language)

    @overload
    def predict(self, data: Dataset, split: str | None = None, *, explain: bool = False) -> pd.DataFrame: ...

    @overload
    def predict(
        self, data: Clip, *, explain: bool = False, recogniser: str | None = None, language: str | None = None
    ) -> Prediction: ...

    @overload
    def predict(
        self,
        data: str | Path,
        split: str | None = None,
        *,
        explain: bool = False,
        recogniser: str | None = None,
        language: str | None = None,
    ) -> Any: ...

    @overload
    def predict(
        self,
        data: Sequence[str | Path | Clip],
        *,
        explain: bool = False,
        recogniser: str | None = None,
        language: str | None = None,
    ) -> Predictions: ...

    @overload
    def predict(self, *, text: str | Sequence[str], explain: bool = False) -> pd.DataFrame: ...

    def predict(
        self,
        data: Dataset | Clip | str | Path | Sequence[str | Path | Clip] | None = None,
        split: str | None = None,
        *,
        text: str | Sequence[str] | None = None,
        explain: bool = False,
        recogniser: str | None = None,
        language: str | None = None,
    ) -> pd.DataFrame | Prediction | Predictions:
        """Score a data set, sentences or recordings, on the scale of the labels that the model was trained on.

        A string is always a path. To score words, pass them as ``text=``.

        Args:
            data: what to score:

                - a data set, its folder, or a table with features next to it. Modalities may be missing; a clip has no
                  score of a modality that it lacks.
                - a recording: a file name, a path, or a ``selfmm.Clip`` for a part of it. Its features are extracted
                  with the run's recipe; a .txt, .srt or .vtt file next to it holds its words.
                - several recordings: a folder or a table of them, or a list of file names, paths and clips.
            split: score only this split of a data set; None: all clips.
            text: a sentence or a list of sentences, instead of ``data``.
            explain: also explain the scores: a prediction gets an ``explanation``, a table the columns of
                :func:`selfmm.explain.table.contributions`.
            recogniser: recordings: recognise words with this model instead of that of the run: ``tiny.en``, ``base``, a
                hub name, a folder, or ``none``. Everything else is extracted as in training.
            language: recordings: language of the speech, such as ``de``. Without it, a multilingual recogniser detects
                the language. With it, ``base`` replaces a recogniser that knows English only.

        Returns:
            A :class:`Prediction` for one recording. For several, :class:`Predictions`: a list in the order of the
            input. A recording that cannot be scored does not stop the others: it is in ``failures`` of the list, and
            causes a Python warning. Otherwise a table, see :meth:`TrainedModel.score`, with the columns of
            :func:`selfmm.recordings.prediction.trust_columns`; sentences have the ids text_1, text_2 and so on. If a
            sentence is too long to be read as a whole, or the model was trained to read the words before a clip, there
            is a column ``warnings``.

        Raises:
            SettingsError: if both or neither of ``data`` and ``text`` are given, a ``split`` without a data set, or a
                ``recogniser`` or ``language`` without a recording or that do not fit together.
            SourceError, DatasetError: if the data cannot be read, or do not fit the model.
            MediaError: if a single recording cannot be read.
            RunError: if nothing that the model reads can be extracted from a recording.
            MissingPackageError, WeightsError: if something that extraction needs is not installed.
        """
        if (data is None) == (text is None):
            raise ArgumentsError(
                ["give either `data=...` or `text=...`, for example: model.predict(text='I loved it')"]
            )
        if text is not None:
            _refuse_split(split, "a text")
            _refuse_speech(recogniser, language, "a text")
            texts = list(text) if isinstance(text, Iterable) and not isinstance(text, str) else [text]
            table = self._table(texts_dataset(texts), None, explain)
            cut = self.cut_texts(texts)
            warned = [[*self.without_context, *([cut[place]] if place in cut else [])] for place in range(len(texts))]
            return table.assign(warnings=list(map("; ".join, warned))) if any(warned) else table
        if data is None or isinstance(data, Dataset):  # None is ruled out above
            _refuse_speech(recogniser, language, "a data set")
            return self._table(data, split, explain)  # type: ignore[arg-type]
        if isinstance(data, str | Path):
            if not exists(data):
                raise SourceError(
                    f"{str(data)[:200]} does not exist. Give a recording, a data-set folder or a table; to score "
                    "words, use `text=...`."
                )
            clips = find_recordings([Path(data)], self.info.recipe)
            if clips is None:
                _refuse_speech(recogniser, language, "a data set")
                return self._table(data, split, explain)
            single = is_recording(Path(data))
        else:
            single = isinstance(data, Clip)
            clips = find_recordings([data] if isinstance(data, Clip) else named_inputs(data), self.info.recipe)
        assert clips is not None  # only a single path can be something else
        _refuse_split(split, "a recording")
        scorer = self.scorer(recogniser, language)
        return self._one(scorer, clips, explain) if single else self._many(scorer, clips, explain)

    def _table(self, data: Dataset | str | Path, split: str | None, explain: bool) -> pd.DataFrame:
        table = contributions(self, data, split) if explain else self.score(data, split)
        alone = [f"score_{name}" for name in self.info.modalities]
        if set(alone) <= set(table):  # without any modality, the score says nothing about the clip
            table["score"] = table["score"].where(table[alone].notna().any(axis=1))
        return with_trust(table, self.worth)

    def _one(self, scorer: RecordingScorer, clips: ClipList, explain: bool) -> Prediction:
        for failure in clips.failures:
            raise SourceError(failure.reason)
        [clip] = clips.clips
        return scorer.clip(clip, explain=explain)

    def _many(self, scorer: RecordingScorer, clips: ClipList, explain: bool) -> Predictions:
        results = list(scorer.clips(clips.clips, explain=explain))
        predictions = [result for result in results if isinstance(result, Prediction)]
        failures = (*clips.failures, *(result for result in results if isinstance(result, Failure)))
        if failures:
            warnings.warn(
                f"{len(failures)} of {len(predictions) + len(failures)} recordings could not be scored, see .failures. "
                f"The first: {failures[0].id}: {failures[0].reason}",
                stacklevel=3,
            )
        return Predictions(predictions, failures)


def _refuse_split(split: str | None, kind: str) -> None:
    if split is not None:
        raise ArgumentsError([f"`split={split!r}` is for data sets; {kind} has no splits"])


def _refuse_speech(recogniser: str | None, language: str | None, kind: str) -> None:
    if recogniser is not None or language is not None:
        raise ArgumentsError([f"`recogniser=...` and `language=...` are for recordings; {kind} has its words"])
