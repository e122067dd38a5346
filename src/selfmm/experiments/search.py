"""What a search may change: the spaces declared beside a model, and those that the user gives."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfmm.config.settings import Settings, flatten, load_group, parse_value, put_value
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.data.store import Modality
from selfmm.models import find_model
from selfmm.models.base import Range, Space

_EXAMPLE = "write for example text.lr=1e-5..1e-3 log, or options.heads=2,4,8"
_NO_SEARCH = {
    "seed": "the seed with the best validation figure is luck; give it with --set seed=...",
    "model": "each model has spaces of its own; tune one after the other",
}


@dataclass(frozen=True)
class Search:
    """Which settings may become what.

    Attributes:
        base: the settings that the search starts from; what it does not change stays as it is there.
        spaces: by key of a setting.
        start: what each of these is in ``base``, which may lie outside its space.
    """

    base: Settings
    spaces: Mapping[str, Space]
    start: Mapping[str, Any]

    def holds_start(self, key: str) -> bool:
        """Whether the start of this setting is one of its space's values."""
        space, value = self.spaces[key], self.start[key]
        return space.low <= value <= space.high if isinstance(space, Range) else value in space


def make_search(
    base: Settings, modalities: Mapping[str, Modality], given: Sequence[str] = (), fixed: Collection[str] = ()
) -> Search:
    """The model's own spaces with those of the user added or put in their place.

    Args:
        base: settings to start from.
        modalities: those the model reads; ``*`` in a key stands for each that comes as frames.
        given: like ``"text.lr=1e-5..1e-3 log"`` or ``"options.heads=2,4,8"``.
        fixed: keys that the user gave a value; the model's own spaces for these do not count.

    Raises:
        SettingsError: with every problem found; each value of a space must be valid beside the settings as they are.
    """
    frames = [name for name, modality in modalities.items() if modality.kind == "frames"]
    declared = _each(find_model(base.model).search, frames)
    spaces = {key: space for key, space in declared.items() if key not in fixed}
    problems: list[str] = []
    for text in given:
        try:
            key, space = parse_space(text)
            if "*" in key and not frames:
                raise SettingsError([f"{key}: * stands for each modality of frames, and the model reads none"])
            spaces |= _each({key: space}, frames)
        except SettingsError as error:
            problems += error.problems
    start = _values(base, frames)
    for key, space in spaces.items():
        problems += _problems(base, key, space, start)
    if not spaces and not problems:
        name = base.model_name
        problems.append(f"nothing is left to search: --set fixes every space of {name}. Give one with --space")
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return Search(base, spaces, {key: start[key] for key in spaces})


def with_values(base: Settings, values: Mapping[str, Any]) -> Settings:
    """``base`` with some settings changed, by key.

    Raises:
        SettingsError: with every problem found.
    """
    tree = base.model_dump()
    for key, value in values.items():
        put_value(tree, key.split("."), value)
    settings = load_group(Settings, tree=tree)
    load_group(find_model(settings.model).Options, tree=dict(settings.options), under="options")
    return settings


def parse_space(text: str) -> tuple[str, Space]:
    """Key and space of ``--space``.

    Raises:
        SettingsError: it is none.

    >>> parse_space("text.lr=1e-5..1e-3 log")
    ('text.lr', Range(low=1e-05, high=0.001, log=True))
    >>> parse_space("options.heads=2,4,8")
    ('options.heads', (2, 4, 8))
    """
    key, _, content = (part.strip() for part in text.partition("="))
    if not key or not content:
        raise SettingsError([f"{text!r} is no space; {_EXAMPLE}"])
    if "," in content or ".." not in content:
        return key, tuple(parse_value(value.strip()) for value in content.split(","))
    words = content.replace("..", " ").split()
    low, high, log = map(parse_value, [*words, "", "", ""][:3])
    if not (_is_number(low) and _is_number(high)) or words[2:] not in ([], ["log"]):
        raise SettingsError([f"{key}: {content!r} is no range; {_EXAMPLE}"])
    return key, Range(low, high, log=log == "log")


def describe_space(space: Space) -> str:
    """As ``--space`` takes it.

    >>> describe_space(Range(1e-4, 1e-2, log=True)), describe_space((True, "authors", 3))
    ('0.0001..0.01 log', 'true,authors,3')
    """
    if isinstance(space, Range):
        return f"{space.low}..{space.high}{' log' if space.log else ''}"
    return ",".join(str(value).lower() if isinstance(value, bool) else str(value) for value in space)


def _each(spaces: Mapping[str, Space], frames: Sequence[str]) -> dict[str, Space]:
    """With ``*`` replaced by each modality of frames."""
    names = {key: frames if "*" in key else [""] for key in spaces}
    return {key.replace("*", name): space for key, space in spaces.items() for name in names[key]}


def _values(base: Settings, frames: Sequence[str]) -> dict[str, Any]:
    """Every setting that has one value, by key; also those that are not written out."""
    options = load_group(find_model(base.model).Options, tree=dict(base.options), under="options")
    streams = {name: base.stream_for(name) for name in frames}
    whole = flatten(base.model_copy(update={"stream": streams, "options": options.model_dump()}))
    return {key: value for key, value in whole.items() if isinstance(value, bool | int | float | str)}


def _problems(base: Settings, key: str, space: Space, start: Mapping[str, Any]) -> list[str]:
    if key in _NO_SEARCH:
        return [f"{key}: {_NO_SEARCH[key]}"]
    if key not in start:
        return [f"{key} is no setting of {base.model_name} that can be searched{did_you_mean(key, list(start))}"]
    problem = _range_problem(space, start[key]) if isinstance(space, Range) else _choice_problem(space)
    if problem:
        return [f"{key}={describe_space(space)}: {problem}"]
    found: list[str] = []
    for value in (space.low, space.high) if isinstance(space, Range) else space:
        try:
            with_values(base, {key: value})
        except SettingsError as error:
            found += error.problems
    return found


def _range_problem(space: Range, start: object) -> str:
    low, high = space.low, space.high
    if not _is_number(start):
        return f"the setting is {start!r}, of which there is no range; name values, separated by commas"
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return "the first number must be below the second"
    if space.log and low <= 0:
        return "a logarithm needs a range above 0"
    if isinstance(start, int) and not (float(low).is_integer() and float(high).is_integer()):
        return "the setting is a whole number, so both ends must be"
    return ""


def _choice_problem(space: tuple[Any, ...]) -> str:
    wrong = [value for value in space if not isinstance(value, bool | int | float | str) or value == ""]
    if wrong or any(isinstance(value, float) and not math.isfinite(value) for value in space):
        return "only finite numbers, words, true and false are values"
    if len(set(space)) < max(2, len(space)):
        return "give two different values or more; one alone is given with --set"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
