"""The use of a finished run: scores and their explanations, metrics, a report, an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from selfmm.api.arguments import STARTER, TABLES, open_run, run_and_inputs, spans
from selfmm.core.errors import ArgumentsError, DatasetError, OutputError, SourceError

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.api.arguments import Run
    from selfmm.core.listener import Listener
    from selfmm.data.store import Dataset
    from selfmm.evaluation.worth import Evaluation
    from selfmm.explain.explanation import Explanation
    from selfmm.exporting.export import Exported
    from selfmm.features.clips.clip import Clip, ClipList, Failure
    from selfmm.recordings.model import SentimentModel
    from selfmm.recordings.prediction import Prediction, Predictions
    from selfmm.recordings.scorer import RecordingScorer

    # A data set, its folder, a table with features; or a recording, a folder or table of recordings, or several.
    Data: TypeAlias = Dataset | Clip | str | Path | Sequence[str | Path | Clip]


def load(run: str | Path, model: str | None = None, trust: bool = False) -> SentimentModel:
    """Load a finished run.

    A run that was trained with your own code (``file.py:Class``) remembers the file's path and SHA-256. selfmm runs
    that code only if you allow it, once per process.

    Args:
        run: the run folder; or a folder of seeds, which is loaded as one model that scores with their mean; or
            ``starter``, the run that comes with selfmm.
        model: names your code again, ``path/to/file.py:Class`` or ``package.module:Class``; its path may differ from
            the path in training. Not needed for the models of selfmm.
        trust: run the code that the run remembers, if it is unchanged. With ``model``, accept a file that has changed
            since training.

    Raises:
        RunError: if the folder is not a finished run, or its code is neither named nor trusted, or has changed.
        SettingsError: if the code that ``model`` names cannot be loaded.
    """
    return _load(run, model, trust)


def _load(run: Run, model: str | None = None, trust: bool = False) -> SentimentModel:
    from selfmm.recordings.model import SentimentModel
    from selfmm.recordings.seeds import SeedModels
    from selfmm.runs.seeds import SeedsFolder

    if isinstance(run, SentimentModel):
        return run
    folder = open_run(run, seeds=True)
    return (SeedModels if isinstance(folder, SeedsFolder) else SentimentModel).load(folder, model, trust)


def _scorer(
    run: Run,
    model: str | None,
    trust: bool,
    recogniser: str | None = None,
    language: str | None = None,
    *,
    lanes: bool = False,
    listener: Listener | None = None,
) -> RecordingScorer:
    """Return the scorer of recordings, which loads the network when it reads the first recording."""
    from selfmm.recordings.scorer import RecordingScorer

    source = open_run(run, seeds=True) if isinstance(run, str | Path) else run  # reads run.json once
    info = open_run(source).require_finished()
    return RecordingScorer(
        info,
        lambda: _load(source, model, trust),
        recogniser=recogniser,
        language=language,
        lanes=lanes,
        listener=listener,
    )


def evaluate(
    run: Run,
    data: Dataset | str | Path | None = None,
    split: str = "test",
    *,
    model: str | None = None,
    trust: bool = False,
) -> Evaluation:
    """Measure the scores on a split of a data set, by default the one that the run was trained on.

    Args:
        run, model, trust: see :func:`load`; a run may be loaded already.
        data: a data set or its folder.
        split: ``train``, ``valid`` or ``test``.

    Returns:
        The metrics of the fused score; ``worth`` says what each score is worth on these clips, and how often the bands
        of the run hold. For a folder of seeds, :class:`selfmm.evaluation.seeds.SeedMetrics`: means, and the metrics of
        each seed.

    Raises:
        RunError, DatasetError: the message says what to do.
    """
    return _load(run, model, trust).evaluate(data, split)


def predict(
    run: Run = STARTER,
    data: Data | None = None,
    *,
    text: str | Sequence[str] | None = None,
    split: str | None = None,
    window: float | None = None,
    hop: float | None = None,
    by_sentence: bool = False,
    explain: bool = False,
    recogniser: str | None = None,
    language: str | None = None,
    model: str | None = None,
    trust: bool = False,
) -> pd.DataFrame | Prediction | Predictions:
    """Score clips by all modalities together and by each alone, on the scale of the run's labels.

    Args:
        run, model, trust: see :func:`load`; a run may be loaded already. Without a run, the starter scores:
            ``predict("clip.mp4")``, ``predict(text="I loved it")``.
        data, text, split, explain, recogniser, language: see
            :meth:`selfmm.recordings.model.SentimentModel.predict`.
        window: score one recording in windows of this length, in seconds.
        hop: seconds from the start of one window to the next; default 1, or ``window`` if that is less.
        by_sentence: score one recording sentence by sentence.

    Returns:
        For a data set or text, a table with one row per clip: id, split, label (NaN if unknown), score (all modalities
        together), score_<modality> (NaN if the clip lacks it), and how far to trust each score: low, high, informs (see
        :func:`selfmm.recordings.prediction.trust_columns`). For an ensemble or a folder of seeds, the scores are the
        means over its runs, and ``deviation`` is the deviation of score. For one recording, a
        :class:`selfmm.Prediction`; for several recordings, windows or sentences, a list of predictions.

    Raises:
        SettingsError: if arguments contradict each other.
        SourceError, DatasetError, MediaError: if the data cannot be read, or do not fit the run.
        RunError, MissingPackageError, WeightsError: if the run cannot be loaded, or features cannot be extracted.
    """
    if data is None and text is None and isinstance(run, str | Path):
        run, inputs = run_and_inputs(Path(run), [])
        data = inputs[0] if inputs else None
    if spans(window, hop, by_sentence) is None:
        return _load(run, model, trust).predict(  # type: ignore[call-overload, no-any-return, misc]
            data, split, text=text, explain=explain, recogniser=recogniser, language=language
        )
    from selfmm.features.clips.clip import Failure
    from selfmm.recordings.prediction import Predictions

    source = open_run(run, seeds=True) if isinstance(run, str | Path) else run
    listed = None if data is None else find_recordings(source, data)
    if listed is None or split is not None:
        raise ArgumentsError(["windows and sentences are for one recording, without `text=...` and `split=...`"])
    for failure in listed.failures:
        raise SourceError(describe_failure(failure))
    results = predict_each(
        source,
        listed.clips,
        window=window,
        hop=hop,
        by_sentence=by_sentence,
        explain=explain,
        recogniser=recogniser,
        language=language,
        model=model,
        trust=trust,
    )
    return Predictions(result for result in results if not isinstance(result, Failure))


def find_recordings(run: Run, data: Data) -> ClipList | None:
    """Return the clips that ``data`` names, and those that cannot be used; None if ``data`` is not recordings.

    Args:
        run: a finished run. Unless it was trained on the output of :func:`selfmm.extract`, a table with a column
            ``path`` is a table of features.
        data: see :func:`predict`.

    Raises:
        SettingsError, SourceError: if the inputs are of several kinds.
    """
    from selfmm.data.store import Dataset
    from selfmm.features.clips.clip import Clip
    from selfmm.recordings.inputs import find_recordings, named_inputs

    if isinstance(data, Dataset):
        return None
    inputs = [data] if isinstance(data, str | Path | Clip) else named_inputs(data)
    recipe = open_run(run, seeds=True).require_finished().recipe
    return find_recordings([Path(entry) if isinstance(entry, str) else entry for entry in inputs], recipe)


def predict_each(
    run: Run,
    clips: str | Path | Clip | Sequence[str | Path | Clip],
    *,
    window: float | None = None,
    hop: float | None = None,
    by_sentence: bool = False,
    explain: bool = False,
    recogniser: str | None = None,
    language: str | None = None,
    model: str | None = None,
    trust: bool = False,
    lanes: bool = False,
    listener: Listener | None = None,
) -> Iterator[Prediction | Failure]:
    """Yield the prediction of each clip, or the reason why it failed, as soon as it is known.

    Args:
        clips: one or several recordings or parts of them, or a folder or table of recordings. With ``window`` or
            ``by_sentence``, exactly one; each window or sentence then has its own prediction.
        run, window, hop, by_sentence, explain, recogniser, language, model, trust: see :func:`predict`.
        lanes: also return what voice and face do over time, as the field ``lanes`` of each prediction.
        listener: receives the progress, see :meth:`selfmm.Listener.stage` and :meth:`selfmm.Listener.reading`.

    Raises:
        SettingsError: if windows or sentences are asked for, and there is not exactly one recording.
        SourceError: if the recording has no sentence.
    """
    listed = find_recordings(run, clips)
    if listed is None:
        raise SourceError(f"{clips!s:.200} is not a recording, nor a folder or table of recordings.")
    divided = spans(window, hop, by_sentence)
    scorer = _scorer(run, model, trust, recogniser, language, lanes=lanes, listener=listener)
    if divided is None:
        yield from listed.failures
        yield from scorer.clips(listed.clips, explain=explain)
        return
    if len(listed.clips) != 1:
        raise ArgumentsError([f"a curve is of one recording, and there are {len(listed.clips)}"])
    count = 0
    for prediction in scorer.curve(listed.clips[0], divided, explain=explain):
        count += 1
        yield prediction
    if not count:
        raise SourceError(
            f"{listed.clips[0].path} has no sentence to score: no words were found in it. "
            "Score it as a whole to see warnings about its words."
        )


def predict_texts(
    run: Run,
    texts: Sequence[str],
    *,
    explain: bool = False,
    model: str | None = None,
    trust: bool = False,
) -> Predictions:
    """Score sentences by their words alone, like recordings without sound and pictures.

    :func:`predict` returns a table instead.

    Args:
        texts: the sentences, none of them empty.
        run, explain, model, trust: see :func:`predict`.

    Raises:
        SourceError: if there is no text, or one is empty.
        RunError: if the run reads no words.
    """
    from selfmm.recordings.prediction import Predictions

    return Predictions(_scorer(run, model, trust).texts(list(texts), explain=explain))


def describe_failure(failure: Failure) -> str:
    """Return a sentence that names the clip and the reason."""
    return failure.reason if failure.path and failure.path in failure.reason else f"{failure.id}: {failure.reason}"


def explain(
    run: Run,
    data: Data | None = None,
    *,
    clip: str | None = None,
    text: str | Sequence[str] | None = None,
    split: str | None = None,
    model: str | None = None,
    trust: bool = False,
) -> Explanation | pd.DataFrame | Prediction | Predictions:
    """Explain scores: what each modality, word and frame contributes.

    Args:
        run, data, text, split, model, trust: see :func:`predict`.
        clip: id of one clip of the data set ``data``, to be explained down to words and frames.

    Returns:
        With ``clip``, its :class:`selfmm.api.Explanation`; otherwise what :func:`predict` returns with
        ``explain=True``.

    Raises:
        DatasetError: if the data set has no such clip, or does not fit the run.
        RunError: if the model does not encode each modality as one vector before it fuses them.
    """
    if clip is None:
        return predict(run, data, text=text, split=split, explain=True, model=model, trust=trust)
    from selfmm.data.store import Dataset, as_dataset
    from selfmm.explain.clip import explain

    trained = _load(run, model, trust)
    if not isinstance(data, Dataset | str | Path | None):
        raise ArgumentsError(["`clip=...` names a clip of a data set; give the data set as `data=...`"])
    dataset = trained.folder.training_data() if data is None else as_dataset(data)
    rows = dataset.samples.index[dataset.samples["id"] == clip]
    if len(rows) != 1:
        raise DatasetError(f"{dataset.title} has no clip {clip!r}.")
    return explain(trained, dataset, int(rows[0]))


def save_predictions(predictions: Sequence[Prediction], path: str | Path) -> None:
    """Write predictions to a file.

    Args:
        predictions: predictions of recordings, at least one.
        path: the file. Its ending sets the format: ``.csv``, ``.xlsx`` and ``.parquet`` a table, ``.json`` everything,
            ``.srt`` subtitles; ``.png`` and ``.svg`` a picture of the explanation, or without one, of the curve.

    Raises:
        OutputError: if the ending is unknown, the file cannot be written, or a picture needs matplotlib.
    """
    from selfmm.core.files import to_json, write_table, write_text
    from selfmm.recordings.prediction import overlay, table_of

    path = Path(path)
    if path.suffix in TABLES:
        write_table(path, table_of(predictions))
    elif path.suffix == ".json":
        write_text(path, to_json([prediction.to_json() for prediction in predictions]) + "\n")
    elif path.suffix == ".srt":
        from selfmm.features.words.subtitles import to_srt

        write_text(path, to_srt(overlay(predictions)))
    elif path.suffix in (".png", ".svg"):
        from selfmm.report.clip_pictures import explanation_picture, write_picture
        from selfmm.report.score_curve import curve_picture

        first = predictions[0]
        if first.explanation is not None:
            picture = explanation_picture(first.explanation)
        else:
            picture = curve_picture(table_of(predictions), first.label_range)
        write_picture(picture, path)
    else:
        raise OutputError(
            f"cannot tell the format of {path}: name a .csv, .xlsx, .parquet, .json, .srt, .png or .svg file."
        )


def report(
    run: Run, out: str | Path | None = None, *, pictures: str | Path | None = None, force: bool = False
) -> list[Path]:
    """Write one page of HTML about a run, and its pictures if a folder for them is given.

    Args:
        run: a finished run: its folder, or loaded.
        out: the page; default: ``<run>-report.html`` next to the run.
        pictures: folder for each picture as PNG and SVG.
        force: replace existing files.

    Returns:
        The files that were written, the page first.

    Raises:
        RunError, OutputError: the message says what to do.
    """
    from selfmm.report.report import write_report

    page = None if out is None else Path(out)
    return write_report(open_run(run).path, page, None if pictures is None else Path(pictures), force=force)


def export(
    run: Run, out: str | Path, *, int8: bool = False, force: bool = False, model: str | None = None, trust: bool = False
) -> Exported:
    """Write a run as one ONNX file, which scores clips without selfmm and PyTorch; it is checked against PyTorch.

    Args:
        run, model, trust: see :func:`load`; a run may be loaded already.
        out: the file, ``.onnx``.
        int8: store weights as 8-bit integers: smaller, faster, a little less accurate.
        force: replace ``out``.

    Raises:
        RunError, OutputError, ExportError: see :func:`selfmm.exporting.export.export`.
    """
    from selfmm.exporting.export import export

    return export(open_run(run).path, out, int8=int8, force=force, model=model, trust=trust)
