"""Search spaces, declared by a model or given by the user."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfmm.config.settings import Settings, flatten, load_group, parse_value, put_value
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.data.manifest import Modality
from selfmm.models import find_model
from selfmm.models.assembly import reads_words
from selfmm.models.base import Range, Space, search_spaces

_EXAMPLE = "for example text.lr=1e-5..1e-3 log, or options.heads=2,4,8"
_NO_SEARCH = {
    "seed": "the seed with the best validation figure is only the luckiest; fix it with `overrides=['seed=...']`",
    "model": "each model has its own search spaces; tune the models one by one",
}


@dataclass(frozen=True)
class Search:
    """The settings to search and their spaces.

    Attributes:
        base: the settings that the search starts from; settings without a space keep their value.
        spaces: search space by key of the setting.
        start: the value of each searched setting in ``base``, which may lie outside its space.
    """

    base: Settings
    spaces: Mapping[str, Space]
    start: Mapping[str, Any]

    def holds_start(self, key: str) -> bool:
        """Return whether the start value of this setting lies in its space."""
        space, value = self.spaces[key], self.start[key]
        return space.low <= value <= space.high if isinstance(space, Range) else value in space


def make_search(
    base: Settings, modalities: Mapping[str, Modality], given: Sequence[str] = (), fixed: Collection[str] = ()
) -> Search:
    """Combine the spaces that the model declares with those of the user, which take precedence.

    Args:
        base: settings to start from.
        modalities: the modalities that the model reads; ``*`` in a key stands for each one that consists of frames.
        given: spaces like ``"text.lr=1e-5..1e-3 log"`` or ``"options.heads=2,4,8"``.
        fixed: keys that the user has set; the model's own spaces for them are ignored.

    Raises:
        SettingsError: if a space is not valid, or a value of it with the other settings; lists every problem.
    """
    frames = [name for name, modality in modalities.items() if modality.kind == "frames"]
    model = find_model(base.model)
    if model.closed_form:
        raise SettingsError(
            [f"model = {base.model_name!r}: it is fitted at once and needs no search. `selfmm train` fits it"]
        )
    declared = _each(search_spaces(model, base) if reads_words(modalities) else model.search, frames)
    spaces = {key: space for key, space in declared.items() if key not in fixed}
    problems: list[str] = []
    for text in given:
        try:
            key, space = parse_space(text)
            if "*" in key and not frames:
                raise SettingsError([f"{key}: * stands for each modality with frames, and the model reads none"])
            spaces |= _each({key: space}, frames)
        except SettingsError as error:
            problems += error.problems
    start = _values(base, frames)
    for key, space in spaces.items():
        problems += _problems(base, key, space, start)
    if not spaces and not problems:
        fixes = f"`overrides=...` fixes every space of {base.model_name}"
        problems.append(f"nothing is left to search: {fixes}. Add one with `spaces=...`")
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return Search(base, spaces, {key: start[key] for key in spaces})


def with_values(base: Settings, values: Mapping[str, Any]) -> Settings:
    """Return ``base`` with some settings changed.

    Raises:
        SettingsError: if a value is not valid; lists every problem.
    """
    tree = base.model_dump()
    for key, value in values.items():
        put_value(tree, key.split("."), value)
    settings = load_group(Settings, tree=tree)
    load_group(find_model(settings.model).Options, tree=dict(settings.options), under="options")
    return settings


def parse_space(text: str) -> tuple[str, Space]:
    """Parse a search space as given with ``--space``.

    Returns:
        The key of the setting, and its space.

    Raises:
        SettingsError: if the text is not a search space.

    >>> parse_space("text.lr=1e-5..1e-3 log")
    ('text.lr', Range(low=1e-05, high=0.001, log=True))
    >>> parse_space("options.heads=2,4,8")
    ('options.heads', (2, 4, 8))
    """
    key, _, content = (part.strip() for part in text.partition("="))
    if not key or not content:
        raise SettingsError([f"{text!r} is not a search space; {_EXAMPLE}"])
    if "," in content or ".." not in content:
        return key, tuple(parse_value(value.strip()) for value in content.split(","))
    words = content.replace("..", " ").split()
    low, high, log = map(parse_value, [*words, "", "", ""][:3])
    if not (_is_number(low) and _is_number(high)) or words[2:] not in ([], ["log"]):
        raise SettingsError([f"{key}: {content!r} is not a range; {_EXAMPLE}"])
    return key, Range(low, high, log=log == "log")


def describe_space(space: Space) -> str:
    """Return a space in the notation of ``--space``.

    >>> describe_space(Range(1e-4, 1e-2, log=True)), describe_space((True, "authors", 3))
    ('0.0001..0.01 log', 'true,authors,3')
    """
    if isinstance(space, Range):
        return f"{space.low}..{space.high}{' log' if space.log else ''}"
    return ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in space)


def _each(spaces: Mapping[str, Space], frames: Sequence[str]) -> dict[str, Space]:
    """Return the spaces with ``*`` replaced by each modality with frames."""
    pairs = [(key, name, space) for key, space in spaces.items() for name in (frames if "*" in key else [""])]
    return {key.replace("*", name): space for key, name, space in pairs}


def _values(base: Settings, frames: Sequence[str]) -> dict[str, Any]:
    """Return every setting with a single value, by key, defaults included."""
    options = load_group(find_model(base.model).Options, tree=dict(base.options), under="options")
    streams = {name: base.stream_for(name) for name in frames}
    whole = flatten(base.model_copy(update={"stream": streams, "options": options.model_dump()}))
    return {key: value for key, value in whole.items() if isinstance(value, bool | int | float | str)}


def _problems(base: Settings, key: str, space: Space, start: Mapping[str, Any]) -> list[str]:
    if key in _NO_SEARCH:
        return [f"{key}: {_NO_SEARCH[key]}"]
    if key not in start:
        return [f"{key} is not a setting of {base.model_name} that can be searched{did_you_mean(key, list(start))}"]
    problem = _range_problem(space, start[key]) if isinstance(space, Range) else _choice_problem(space)
    if problem:
        return [f"{key}={describe_space(space)}: {problem}"]
    problems: list[str] = []
    for value in (space.low, space.high) if isinstance(space, Range) else space:
        try:
            with_values(base, {key: value})
        except SettingsError as error:
            problems += error.problems
    return problems


def _range_problem(space: Range, start: object) -> str:
    low, high = space.low, space.high
    if not _is_number(start):
        return f"the setting is {start!r}, which has no range; give values separated by commas"
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return "the first number must be below the second"
    if space.log and low <= 0:
        return "a logarithmic range must lie above 0"
    if isinstance(start, int) and not (float(low).is_integer() and float(high).is_integer()):
        return "the setting is a whole number, so both ends must be whole numbers"
    return ""


def _choice_problem(space: tuple[Any, ...]) -> str:
    wrong = [value for value in space if not isinstance(value, bool | int | float | str) or value == ""]
    if wrong or any(isinstance(value, float) and not math.isfinite(value) for value in space):
        return "values must be finite numbers, words, true or false"
    if len(set(space)) < max(2, len(space)):
        return "give at least two different values; fix a single value with `overrides=...`"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
