"""Data sets: make them from features or recordings, make data to try things on, and inspect them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from selfmm.api.arguments import label_range as as_range
from selfmm.core.errors import ArgumentsError

if TYPE_CHECKING:
    from selfmm.config.recipe import Recipe
    from selfmm.core.listener import Listener
    from selfmm.data.checks import Missing
    from selfmm.data.findings import Inspection
    from selfmm.data.finite import NonFinite
    from selfmm.data.manifest import Form
    from selfmm.data.store import Dataset
    from selfmm.demo.spoken import Synthesizer
    from selfmm.features.extract import Extracted
    from selfmm.features.workers import Backend


def import_dataset(
    src: str | Path,
    dst: str | Path,
    *,
    name: str | None = None,
    language: str | None = None,
    label_range: str | tuple[float, float] | None = None,
    text: Form | None = None,
    tokenizer: str | None = None,
    non_finite: NonFinite = "error",
    missing: Missing = "error",
    seed: int = 0,
    force: bool = False,
) -> tuple[Dataset, tuple[str, ...]]:
    """Turn features into a data-set folder; see :func:`selfmm.data.importing.import_dataset`.

    Args:
        label_range: lowest and highest label, two numbers or ``"-3,3"``.

    Returns:
        The data set, and notes on what was changed or is unusual.
    """
    from selfmm.data.importing import import_dataset

    return import_dataset(
        src,
        dst,
        name=name,
        language=language,
        label_range=as_range(label_range),
        text=text,
        tokenizer=tokenizer,
        non_finite=non_finite,
        missing=missing,
        seed=seed,
        force=force,
    )


def inspect(data: Dataset | str | Path, *, preset: str | Path | None = None) -> Inspection:
    """Return what a data set holds; ``problems`` lists what is wrong with it.

    Args:
        data: a data set or its folder.
        preset: settings to judge the range of the features for, a preset or a TOML file; default: the default settings.

    Raises:
        DatasetError: if the folder is not a data set, or cannot be read.
        SettingsError: if there is no such preset.
    """
    from selfmm.data.inspect import inspect_dataset
    from selfmm.data.store import as_dataset

    return inspect_dataset(as_dataset(data), preset=preset)


def extract(
    src: str | Path,
    dst: str | Path,
    *,
    parts: str | None = None,
    recogniser: str | None = None,
    language: str | None = None,
    overrides: Sequence[str] = (),
    recipe: Recipe | None = None,
    label_column: str | None = None,
    media_root: str | Path | None = None,
    label_range: str | tuple[float, float] | None = None,
    name: str | None = None,
    seed: int = 0,
    jobs: int | None = None,
    backend: Backend = "local",
    cache: str | Path | None = None,
    force: bool = False,
    listener: Listener | None = None,
) -> Extracted:
    """Extract words, voice and face from recordings into a data-set folder.

    Args:
        parts: modalities, for example ``"text,audio"``.
        recogniser: speech recognition, the setting ``speech.recogniser``.
        language: language of the speech, the setting ``speech.language``.
        overrides: further settings of the recipe, like ``face.rate=5``.
        recipe: the complete recipe, instead of the four arguments above.
        label_range: lowest and highest rating, two numbers or ``"-3,3"``.
        src, dst, label_column, media_root, name, seed, jobs, backend, cache, force, listener: see
            :func:`selfmm.features.extract.extract`.

    Raises:
        SettingsError: if the recipe is not valid, or is given in both ways.
        SourceError: if the list of clips cannot be used, or no clip could be extracted.
        OutputError: if ``dst`` exists, or something cannot be written.
        MissingPackageError, WeightsError: if the recipe needs something that is not installed.
    """
    from selfmm.config.recipe import load_recipe
    from selfmm.config.settings import each, with_values
    from selfmm.features.extract import extract

    named = {"parts": parts, "speech.recogniser": recogniser, "speech.language": language}
    changed = [*with_values((), named), *each(overrides)]
    if recipe is not None and changed:
        raise ArgumentsError(["give `recipe=...` or single settings of it, not both"])
    return extract(
        src,
        dst,
        recipe=recipe or load_recipe(changed),
        label_column=label_column,
        media_root=media_root,
        label_range=as_range(label_range),
        name=name,
        seed=seed,
        jobs=jobs,
        backend=backend,
        cache=cache,
        force=force,
        listener=listener,
    )


def planted(dst: str | Path, *, clips: int = 600, conflict: float = 0.2, seed: int = 0, force: bool = False) -> Dataset:
    """Make a data set with a known true label of each modality.

    Args:
        dst: the folder to make.
        clips: number of clips.
        conflict: share of the clips in which one modality contradicts the others, 0 to 1.
        seed: other seeds give other clips of the same kind.
        force: replace a data set at ``dst``.
    """
    from selfmm.data.planted import PlantedSettings, write_planted

    return write_planted(Path(dst), PlantedSettings(clips=clips, conflict=conflict, seed=seed), force=force)


def demo(
    dst: str | Path, *, count: int = 24, seed: int = 0, synthesizer: Synthesizer = "auto", force: bool = False
) -> Path:
    """Make small videos of drawn people who talk, and return the path of the table with their true labels.

    Args:
        dst: the folder to make.
        count: number of clips, at least 3.
        seed: other seeds give other clips.
        synthesizer: ``espeak-ng``, ``tones`` (without words), or ``auto`` for the first that is installed.
        force: replace the folder.
    """
    from selfmm.demo.clips import make_clips

    return make_clips(Path(dst), count=count, seed=seed, synthesizer=synthesizer, force=force)
