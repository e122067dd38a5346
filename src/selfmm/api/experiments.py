"""Experiments with many runs: compare models, or vary one model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfmm.api.arguments import names, setting_values

if TYPE_CHECKING:
    from selfmm.core.listener import Listener
    from selfmm.data.store import Dataset
    from selfmm.experiments.ablate import Ablation
    from selfmm.experiments.compare import Comparison, Comparisons


def compare(
    data: Dataset | str | Path | Sequence[Dataset | str | Path],
    models: str | Sequence[str] = "all",
    *,
    seeds: str | Sequence[int] = "1111-1115",
    baseline: str | None = None,
    published: str | None = None,
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
    columns: str | Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> Comparison | Comparisons:
    """Train models with the same seeds on the same clips, and compare them on the test split.

    Args:
        data: a data-set folder, or an open data set; or several, for one table of all of them.
        models: names or TOML presets, as a list or as ``"mult,tfn"``; each may be followed by its own settings, as in
            ``lf_dnn+labels.source=generated``. ``"all"`` stands for every model.
        text_encoder: hub name, local folder, or ``minilm``, ``mpnet`` or ``e5``, for all models.
        columns: metrics and facts that the tables show, as a list or as ``"mae,corr,acc2"``; see
            :func:`selfmm.experiments.table.chosen_columns`.
        seeds, baseline, published, preset, overrides, out, resume, jobs, listener: see
            :func:`selfmm.experiments.compare.compare` and :func:`selfmm.experiments.compare.compare_all`.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: raised before any training; the message says what to do.
        TrainingError: if no run has a result.
    """
    from selfmm.data.store import Dataset
    from selfmm.experiments.compare import compare, compare_all

    several = not isinstance(data, Dataset | str | Path)
    run: Any = compare_all if several else compare
    result: Comparison | Comparisons = run(
        data,
        names(models),
        seeds=seeds,
        preset=preset,
        overrides=setting_values(overrides, text_encoder=text_encoder),
        baseline=baseline,
        published=published,
        columns=names(columns),
        out=out,
        resume=resume,
        jobs=jobs,
        listener=listener,
    )
    return result


def ablate(
    data: Dataset | str | Path,
    what: str | Sequence[str] = "tasks",
    *,
    model: str = "self_mm",
    seeds: str | Sequence[int] = "1111-1115",
    preset: str | Path | None = None,
    text_encoder: str | None = None,
    overrides: Sequence[str] = (),
    columns: str | Sequence[str] = (),
    out: str | Path | None = None,
    resume: bool = False,
    jobs: int | None = None,
    listener: Listener | None = None,
) -> Ablation:
    """Train variations of a model with the same seeds, to see what each part contributes.

    Args:
        what: ``tasks``, ``rules``, ``modalities``, ``amount``, ``robustness``, as a list or as ``"tasks,rules"``.
        text_encoder: hub name, local folder, or ``minilm``, ``mpnet`` or ``e5``.
        columns: as in :func:`compare`.
        data, model, seeds, preset, overrides, out, resume, jobs, listener: see
            :func:`selfmm.experiments.ablate.ablate`.

    Raises:
        SettingsError, DatasetError, OutputError, RunError: raised before any training; the message says what to do.
        TrainingError: if no run has a result.
    """
    from selfmm.experiments.ablate import ablate

    return ablate(
        data,
        names(what),
        model=model,
        seeds=seeds,
        preset=preset,
        overrides=setting_values(overrides, text_encoder=text_encoder),
        columns=names(columns),
        out=out,
        resume=resume,
        jobs=jobs,
        listener=listener,
    )
