"""Which trainings an experiment is made of: the models of a comparison, the variations of an ablation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.experiments.grid import Case
from selfmm.models import MODELS, find_model
from selfmm.models.base import label_source

ALL = "all"


def model_cases(models: Sequence[str], preset: str | Path | None, overrides: Sequence[str]) -> list[Case]:
    """A case per model.

    Args:
        models: each the name of a model, or a TOML preset (as ``selfmm tune`` writes it), then settings of its own
            behind +, for example ``lf_dnn+labels.source=generated``; ``all`` stands for every model by name.
        preset, overrides: of all of them; a TOML preset takes the place of ``preset``.

    Raises:
        SettingsError: with every problem found.
    """
    found: list[Case] = []
    problems: list[str] = []
    for entry in [name for each in models for name in (MODELS if each == ALL else [each])]:
        try:
            found.append(_model_case(entry, preset, overrides))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return found


def _model_case(entry: str, preset: str | Path | None, overrides: Sequence[str]) -> Case:
    name, *own = entry.split("+")
    if name.endswith(".toml"):
        settings = load_settings(name, [*overrides, *own])
    else:
        find_model(name)
        settings = load_settings(preset, [*overrides, f"model={name}", *own])
    return Case("+".join([Path(name).stem if name.endswith(".toml") else name, *own]), settings)


FULL = "full"
"""The case in which nothing is varied: what the others are held against."""


def _tasks(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """The paper's table over subsets of tasks: the fused one alone (M), with one modality's, with two, with all."""
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
    """Where labels per modality come from: each rule of the generator, people where there are such labels, nobody."""
    source = label_source(find_model(settings.model), settings)
    rules = ("paper", "authors", "centre-gap", "sugrm", "posterior")
    made = [
        _case(f"rule={rule}", settings, {"labels.source": "generated", "labels.rule": rule})
        for rule in rules
        if (source, rule) != ("generated", settings.labels.rule)
    ]
    others = [other for other in ("human", "none") if other != source]
    return [*made, *(_case(f"labels={other}", settings, {"labels.source": other}) for other in others)]


def _modalities(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Every smaller subset of the modalities."""
    return [
        _case(f"modalities={','.join(chosen)}", settings, {"modalities": ",".join(chosen)})
        for count in range(len(modalities) - 1, 0, -1)
        for chosen in combinations(modalities, count)
    ]


def _amount(settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """Shares of the training clips."""
    return [_case(f"share={share:g}", settings, {"training.share": share}) for share in (0.5, 0.25, 0.1)]


def _case(name: str, settings: Settings, changed: Mapping[str, object]) -> Case:
    tree = settings.model_dump(mode="json")
    for key, value in changed.items():
        *path, last = key.split(".")
        place = tree
        for part in path:
            place = place[part]
        place[last] = value
    return Case(name, Settings.model_validate(tree))


ABLATIONS: dict[str, Callable[[Settings, Sequence[str]], list[Case]]] = {
    "tasks": _tasks,
    "rules": _rules,
    "modalities": _modalities,
    "amount": _amount,
}
"""What can be varied, and how."""


def ablation_cases(what: str, settings: Settings, modalities: Sequence[str]) -> list[Case]:
    """The cases of one ablation, ``FULL`` first.

    Args:
        what: a key of ``ABLATIONS``.
        settings: what is varied.
        modalities: that the model reads.

    Raises:
        SettingsError: there is no such ablation.
    """
    if what not in ABLATIONS:
        raise SettingsError([f"{what!r} is no ablation{did_you_mean(what, list(ABLATIONS))}"])
    return [Case(FULL, settings), *ABLATIONS[what](settings, modalities)]
