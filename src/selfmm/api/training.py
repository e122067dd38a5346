"""Train one run, or one for each of several seeds; make a starter; list the settings and models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.api.arguments import setting_values
from selfmm.core.errors import ArgumentsError, OutputError

if TYPE_CHECKING:
    import pandas as pd

    from selfmm.api.arguments import Run
    from selfmm.config.recipe import Recipe
    from selfmm.config.settings import Settings
    from selfmm.core.listener import Listener
    from selfmm.data.store import Dataset
    from selfmm.models.base import Model
    from selfmm.recordings.model import SentimentModel
    from selfmm.training.seeds import SeedRuns


def train(
    data: Dataset | str | Path,
    *,
    preset: str | Path | None = None,
    model: str | None = None,
    labels: str | None = None,
    text_encoder: str | None = None,
    start: Run | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> SentimentModel:
    """Train a model on a data set and leave a run folder.

    Args:
        data: a data-set folder, or an open data set.
        preset: one of ``selfmm.config.settings.PRESETS``, or a TOML file.
        model: name of a model, see :func:`models`, or your own ``path/to/file.py:Class``. This and the next three
            arguments override the preset. Default: that of the preset; without one, ``adapt`` for few rated clips
            and ``self_mm`` for many, see :mod:`selfmm.training.choice`.
        labels: labels per modality: ``generated``, ``human``, ``none`` or ``auto`` (as the model was published).
        text_encoder: hub name, local folder, or ``minilm``, ``mpnet`` or ``e5``.
        start: begin from another run: its folder, ``starter``, or loaded. Its text encoder comes with its weights and
            with its settings ``text.encoder``, ``text.pooling``, ``text.layer`` and ``text.capitals``. Other encoders,
            heads and the fusion are taken where they fit, see :mod:`selfmm.training.start`; ``metrics["fit"]`` of
            the trained model says which. The starter's score of the words becomes that of the heads that read them.
        seed: seed of everything random.
        overrides: further settings, like ``training.max_epochs=20``.
        settings: complete settings, instead of the seven arguments above.
        out: the run folder; default ``runs/<data set>-<preset>-<seed>``.
        resume: continue an interrupted run; start one if the folder has none.
        listener: receives the progress of the training.

    Returns:
        The trained model, at its best epoch on the validation split; ``adapt`` is fitted at once.

    Raises:
        SettingsError, DatasetError, TrainingError, WeightsError, OutputError, RunError: the message says what to do.
    """
    from selfmm.config.settings import each, load_settings
    from selfmm.core.listener import Listener
    from selfmm.data.store import as_dataset
    from selfmm.recordings.model import SentimentModel
    from selfmm.runs.folder import RunFolder
    from selfmm.training.choice import choose_model
    from selfmm.training.run import Run as Training

    dataset, reason = as_dataset(data), ""
    if settings is None:
        if _leaves_model_open(preset, model, labels, overrides):
            given = setting_values(overrides, text_encoder=text_encoder)
            chosen = choose_model(dataset, given, start=start is not None)
            model, reason, start = chosen.model, chosen.reason, start or chosen.start
            overrides = [*chosen.settings, *each(overrides)]
        values = setting_values(overrides, model=model, labels=labels, text_encoder=text_encoder, start=start)
        settings = load_settings(preset, values, seed=seed)
    default = default_folder(dataset, preset, settings.model_name, settings.seed)
    folder = RunFolder(default if out is None else Path(out))
    listener = listener or Listener()
    _note_what_is_missing_later(dataset, listener)
    Training(dataset, settings, folder, listener, reason=reason).execute(resume=resume)
    return SentimentModel.load(folder)


def train_seeds(
    data: Dataset | str | Path,
    *,
    seeds: str | Sequence[int],
    preset: str | Path | None = None,
    model: str | None = None,
    labels: str | None = None,
    text_encoder: str | None = None,
    start: Run | None = None,
    overrides: Sequence[str] = (),
    settings: Settings | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> SeedRuns:
    """Train with several seeds in parallel processes, and return mean and deviation.

    The figures of a seed are those of :func:`train` with the same number of threads. If a seed fails, the others
    continue; ``failed`` has the reason, and ``resume`` trains what is missing.

    Args:
        data: a data-set folder, or an open data set; every process reads the folder.
        seeds: like ``"1111-1115"`` or ``"1111,1113,1120-1122"``, or numbers.
        preset, model, labels, text_encoder, start, overrides, settings: see :func:`train`; their seed is ignored.
        out: the folder of run folders ``seed-<seed>``; default ``runs/<data set>-<preset>``.
        resume: continue what was interrupted, and keep what is finished.
        jobs: number of runs at once. Default: one per GPU if there are several; otherwise as many as cores and free
            memory allow, measured in the first epoch of the first run.
        listener: receives the progress of the runs.

    Returns:
        Run folders, figures per seed and their summary; also written to ``summary.csv`` and ``summary.json``.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: raised before any training; the message says what to do.
        TrainingError: if the data cannot be trained on, or no seed has a result.
    """
    from selfmm.config.settings import load_settings
    from selfmm.core.listener import Listener
    from selfmm.data.store import as_dataset
    from selfmm.training.choice import choose_model
    from selfmm.training.seeds import read_seeds, run_seeds

    numbers = read_seeds(seeds, overrides)
    dataset = as_dataset(data)
    values = setting_values(overrides, model=model, labels=labels, text_encoder=text_encoder, start=start)
    chosen = settings or load_settings(preset, values)
    folder = Path(out) if out is not None else default_folder(dataset, preset, chosen.model_name)
    listener = listener or Listener()
    if settings is None and _leaves_model_open(preset, model, labels, overrides):
        given = setting_values(overrides, text_encoder=text_encoder)
        if choose_model(dataset, given, start=start is not None).model == "adapt":
            listener.chose(
                f"model: {chosen.model_name} for each seed. With so few ratings, a training without `seeds` takes "
                "adapt, which is the same for every seed."
            )
    _note_what_is_missing_later(dataset, listener)
    return run_seeds(dataset, chosen, numbers, folder, resume=resume, jobs=jobs, listener=listener)


def starter(
    *,
    finetune: bool = False,
    encoder: str = "e5",
    archive: str | Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> SentimentModel:
    """Make a run of texts that people rated: see docs/starter.md.

    Args:
        finetune: train the text encoder on them, for :func:`train` to begin from: an ordinary run that reads words.
            Otherwise fit a regression to the encoder as it is, and so make again the starter that comes with selfmm.
        encoder: hub name, local folder, or ``minilm``, ``mpnet`` or ``e5``; without ``finetune``, ``e5`` or ``minilm``.
        archive: the source archive of vadersentiment 3.3.2, which holds the texts; default: pip downloads it.
        overrides, seed, resume, listener: see :func:`train`; only with ``finetune``.
        out: the run folder; default ``runs/starter-<encoder>``.

    Raises:
        SourceError: if pip cannot download the archive, or ``archive`` is another file.
        SettingsError, DatasetError, TrainingError, WeightsError, OutputError, RunError: the message says what to do.
    """
    from selfmm.core.files import safe_name
    from selfmm.recordings.model import SentimentModel

    folder = Path("runs") / f"starter-{safe_name(Path(encoder).name)}" if out is None else Path(out)
    if not resume and folder.exists() and (folder.is_file() or any(folder.iterdir())):
        otherwise = "Pass `resume=True` to continue it, or choose" if finetune else "Choose"
        raise OutputError(f"{folder} exists already. {otherwise} another `out=...`.")
    if finetune:
        from selfmm.starter.finetune import rated_dataset, recipe_for

        texts, how = rated_dataset(archive), [*recipe_for(encoder), *overrides]
        return train(
            texts, text_encoder=encoder, overrides=how, seed=seed, out=folder, resume=resume, listener=listener
        )
    if overrides or seed is not None or resume:
        raise ArgumentsError(["`overrides=...`, `seed=...` and `resume=True` are for a training: `finetune=True`"])
    from selfmm.starter.fit import make
    from selfmm.starter.texts import rated_texts

    make(rated_texts(archive), folder, encoder)
    return SentimentModel.load(folder)


def ensemble(
    runs: Run | Sequence[Run],
    *,
    out: str | Path,
    model: str | None = None,
    trust: bool = False,
) -> SentimentModel:
    """Make one run that scores with the mean of several, which is nearly always closer to the label than each of them.

    Nothing is trained, and the runs are not changed. The new run can be used like any other, also exported. Its error
    band is wider for clips on which the runs disagree, see :mod:`selfmm.evaluation.worth`.

    Args:
        runs: two or more run folders, or the folder that :func:`train_seeds` made, which stands for its finished seeds.
            The runs must have been trained on the same data set and read clips in the same way, with any model.
        out: the new run folder.
        model, trust: allow runs to use your own code, see :func:`selfmm.load`.

    Raises:
        RunError, SettingsError, OutputError: the message says what to do.
    """
    from selfmm.api.arguments import open_run
    from selfmm.recordings.model import SentimentModel
    from selfmm.runs.ensemble import make_ensemble

    several = [runs] if isinstance(runs, str | Path) or not isinstance(runs, Iterable) else runs
    folder = make_ensemble([open_run(run, seeds=True) for run in several], Path(out), model=model, trust=trust)
    return SentimentModel.load(folder, model, trust)


def _leaves_model_open(
    preset: str | Path | None, model: str | None, labels: str | None, overrides: Sequence[str]
) -> bool:
    """Return whether the arguments of a training name no model, so that :mod:`selfmm.training.choice` chooses it."""
    from selfmm.config.settings import names_model

    return preset is None and model is None and labels is None and not names_model(overrides)


def _note_what_is_missing_later(dataset: Dataset, listener: Listener) -> None:
    """Say now what a run on this data set will lack when it scores recordings without given words."""
    from selfmm.core.errors import WeightsError
    from selfmm.features.words.later import notes_of

    with suppress(WeightsError):  # a recogniser that is not known here is an error when it is needed
        for line in notes_of(dataset):
            listener.note(line)


def default_folder(dataset: Dataset, preset: str | Path | None, model: str, seed: int | None = None) -> Path:
    """Return ``runs/<data set>-<preset>-<seed>``, with the model before the seed if it is not Self-MM.

    Runs never overwrite each other. Several seeds share a folder without a seed in its name.
    """
    from selfmm.core.files import safe_name

    parts = [safe_name(dataset.name), Path(preset).stem if preset else "default"]
    parts += [] if model == "self_mm" else [safe_name(model)]
    return Path("runs") / "-".join([*parts, *([] if seed is None else [str(seed)])])


def settings(preset: str | Path | None = None, *, overrides: Sequence[str] = ()) -> Settings:
    """Return every setting of training.

    Args:
        preset: one of ``selfmm.config.settings.PRESETS``, or a TOML file; None for the defaults.
        overrides: changes like ``training.max_epochs=20``.

    Raises:
        SettingsError: if a setting is not valid; lists every problem.
    """
    from selfmm.config.settings import load_settings

    return load_settings(preset, overrides, trust=True)  # reading settings runs no code


def recipe(*, overrides: Sequence[str] = ()) -> Recipe:
    """Return every setting of :func:`selfmm.extract`, with changes like ``face.rate=5``.

    Raises:
        SettingsError: if a setting is not valid; lists every problem.
    """
    from selfmm.config.recipe import load_recipe

    return load_recipe(overrides)


def models(name: str | None = None) -> pd.DataFrame:
    """Return a table of all models, or of one model's own settings.

    Returns:
        A row per model: ``model``, ``published``, ``labels per modality``, ``needs``. For one model, a row per
        setting: ``setting``, ``default``, ``meaning``, ``selfmm tune tries``.

    Raises:
        SettingsError: if no model has this name.
    """
    import pandas as pd

    from selfmm.models import MODELS, find_model

    if name is not None:
        return _options(find_model(name))
    classes = {name: find_model(name) for name in MODELS}
    rows = [(name, model.paper, model.labels, ", ".join(_needs(model))) for name, model in classes.items()]
    return pd.DataFrame(rows, columns=["model", "published", "labels per modality", "needs"])


def _needs(model: type[Model]) -> list[str]:
    needs = model.needs
    conditions = {
        "text": needs.text,
        f"{needs.modalities} modalities": needs.modalities > 1,
        "aligned streams": needs.aligned,
        "words or token ids": needs.inside,
    }
    return [name for name, needed in conditions.items() if needed]


def _options(model: type[Model]) -> pd.DataFrame:
    import pandas as pd

    from selfmm.config.settings import Settings
    from selfmm.models.base import Range, search_spaces

    searched = {
        key: f"{space.low:g} to {space.high:g}" if isinstance(space, Range) else ", ".join(map(str, space))
        for key, space in search_spaces(model, Settings()).items()
    }
    options = {f"options.{key}": field for key, field in model.Options.model_fields.items()}
    rows = [(key, str(field.default), field.description or "", searched.get(key, "")) for key, field in options.items()]
    rows += [(key, "", "see `selfmm settings`", space) for key, space in searched.items() if key not in options]
    return pd.DataFrame(rows, columns=["setting", "default", "meaning", "selfmm tune tries"])
