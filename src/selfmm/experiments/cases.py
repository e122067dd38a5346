"""The cases of an experiment: the models of a comparison, or the variations of an ablation."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from selfmm.config.model_name import absolute, is_code, is_file, short_name, split_code
from selfmm.config.settings import Settings, each, load_settings, put_value
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.experiments.grid import Case
from selfmm.models import MODELS, find_model
from selfmm.models.base import label_source

ALL = "all"


def model_cases(models: Sequence[str], preset: str | Path | None, overrides: Sequence[str]) -> list[Case]:
    """Return one case per model.

    Args:
        models: names of models, your own ``path/to/file.py:Class``, or TOML presets (as ``selfmm tune`` writes them),
            each optionally followed by its own settings after a +, for example ``lf_dnn+labels.source=generated``.
            ``all`` stands for every model of selfmm.
        preset, overrides: settings of all cases; a TOML preset replaces ``preset``.

    Raises:
        SettingsError: if a model or a setting is not valid; lists every problem.
    """
    entries = [entry for model in models for entry in (MODELS if model == ALL else [model])]
    names = case_names(entries)
    named = {absolute(_parts(entry)[0]) for entry in entries}
    cases: list[Case] = []
    problems: list[str] = []
    for entry, name in zip(entries, names, strict=True):
        try:
            cases.append(Case(name, _model_settings(entry, preset, overrides, named)))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return cases


def case_names(entries: Sequence[str]) -> list[str]:
    """Return the names of the cases of ``--models``: code by its class, with its file if two share a class name.

    >>> case_names(["tfn+labels.source=none", "tune/best.toml", "a/net.py:Net", "b/other.py:Net"])
    ['tfn+labels.source=none', 'best', 'net.Net', 'other.Net']
    """
    short = [_case_name(entry, lambda place, name: name) for entry in entries]
    long = [_case_name(entry, lambda place, name: f"{_stem(place)}.{name}") for entry in entries]
    return [name if short.count(name) == 1 else other for name, other in zip(short, long, strict=True)]


def _case_name(entry: str, of_code: Callable[[str, str], str]) -> str:
    name, *own = _parts(entry)
    if name.endswith(".toml"):
        own = [f"model={short_name(part)}" if part.startswith("model=") and is_code(part) else part for part in own]
        return "+".join([Path(name).stem, *own])
    return "+".join([of_code(*split_code(name)) if is_code(name) else name, *own])


def _stem(place: str) -> str:
    return Path(place).stem if is_file(place) else place.rpartition(".")[2]


def _parts(entry: str) -> list[str]:
    """Return the model and its own settings. A + belongs to the model's path unless ``key=`` follows."""
    return re.split(r"\+(?=[\w.*-]+=)", entry)


def _model_settings(
    entry: str, preset: str | Path | None, overrides: Sequence[str], named: Collection[str]
) -> Settings:
    """Return the settings of a case; the code in a TOML preset must be among the models that the user has ``named``."""
    name, *own = _parts(entry)
    if name.endswith(".toml"):
        settings = load_settings(name, [*each(overrides), *own], trust=True)
        return settings if settings.model in named else load_settings(name, [*each(overrides), *own])
    find_model(name)
    return load_settings(preset, [*each(overrides), f"model={name}", *own])


FULL = "full"
"""The unchanged model, which the other cases are compared with."""


def _tasks(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Return the paper's subsets of tasks: the fused task alone (M), then with the tasks of some modalities."""
    source = label_source(find_model(settings.model), settings)
    cases = [] if source == "none" else [_case("tasks=m", settings, {"labels.source": "none"})]
    for count in range(1, len(modalities) + 1):
        for chosen in combinations(modalities, count):
            if source != "none" and set(chosen) == set(settings.labels.tasks or modalities):
                continue  # that is the full case
            changed = {"labels.source": "generated" if source == "none" else source, "labels.tasks": ",".join(chosen)}
            cases.append(_case("tasks=m," + ",".join(chosen), settings, changed))
    return cases


def _rules(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Return the sources of labels per modality: each rule of the generator, human labels, and none."""
    source = label_source(find_model(settings.model), settings)
    rules = ["paper", "authors", "centre-gap", "sugrm", "posterior"]
    rules = [rule for rule in rules if (source, rule) != ("generated", settings.labels.rule)]
    others = [other for other in ("human", "none") if other != source]
    return [
        *(_case(f"rule={rule}", settings, {"labels.source": "generated", "labels.rule": rule}) for rule in rules),
        *(_case(f"labels={other}", settings, {"labels.source": other}) for other in others),
    ]


def _modalities(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Return every smaller subset of the modalities."""
    return [
        _case(f"modalities={','.join(chosen)}", settings, {"modalities": ",".join(chosen)})
        for count in range(len(modalities) - 1, 0, -1)
        for chosen in combinations(modalities, count)
    ]


def _amount(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Return fractions of the training clips."""
    return [_case(f"share={share:g}", settings, {"training.share": share}) for share in (0.5, 0.25, 0.1)]


def _case(name: str, settings: Settings, changed: Mapping[str, object]) -> Case:
    tree = settings.model_dump(mode="json")
    for key, value in changed.items():
        put_value(tree, key.split("."), value)
    return Case(name, Settings.model_validate(tree))


ABLATIONS: dict[str, Callable[[Settings, Sequence[str]], list[Case]]] = {
    "tasks": _tasks,
    "rules": _rules,
    "modalities": _modalities,
    "amount": _amount,
}
"""The ablations by name."""


def ablation_cases(what: str, settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Return the cases of one ablation, ``FULL`` first.

    Args:
        what: a key of ``ABLATIONS``.
        settings: the settings to vary.
        modalities: the modalities that the model reads.

    Raises:
        SettingsError: if there is no such ablation.
    """
    if what not in ABLATIONS:
        raise SettingsError([f"{what!r} is not an ablation{did_you_mean(what, list(ABLATIONS))}"])
    return [Case(FULL, settings), *ABLATIONS[what](settings, modalities)]
