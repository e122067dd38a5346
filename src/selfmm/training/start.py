"""Begin a training from another run: its text encoder, and the parts of its network that fit.

A part is an encoder, a head, or any other module of a model. It is taken as a whole: all its tensors must have the same
names and shapes in the other run. An encoder of frames must also read the same features, and comes with the statistics
that standardise them; a head needs the encoder that it reads, and what fuses the modalities needs all of them.

The score of a run that reads words alone, and the linear one of the starter, are put into the heads that read the text
encoder's output; see :mod:`selfmm.models.linear_start`. Scores carry over to another range of labels by
:class:`LabelScale`: neutral to neutral, and the largest distance from it to the largest.

Only tensors are read from the other run, never its code. The training stores its first weights, so it can be resumed
when the other run is gone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from selfmm.config.model_name import STARTER, is_code
from selfmm.config.settings import Settings
from selfmm.core.errors import RunError, SettingsError
from selfmm.core.messages import first_line
from selfmm.core.tensors import load_tensors, save_tensors
from selfmm.core.weights import KNOWN
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.data.writer import sha256
from selfmm.models import find_model
from selfmm.models.assembly import Assembly, assemble, chosen_modalities, reads_words
from selfmm.models.base import Model, Score
from selfmm.models.linear_start import Layers, begin_with, fits, fuses_plainly, heads_of_text, linear_layers
from selfmm.models.reading import ReadingRules
from selfmm.models.text import check_max_tokens
from selfmm.runs.folder import STARTERS, RunFolder, RunInfo, StartInfo, start_folder
from selfmm.runs.trained_model import ENCODER, stored_encoder

# Settings of a modality that do not change how its features are read; the shapes of weights depend on the sizes.
_SIZES_AND_RATES = {
    *("projection", "projection_dropout", "lr", "weight_decay"),
    *("hidden", "out", "layers", "bidirectional", "dropout"),
}
_LAYER = r"fusion\.(project|score)\.\d+\.weight"
_PER_MODALITY = ("encoders", "heads", "missing")


def started(settings: Settings, dataset: Dataset, own: RunFolder | None = None) -> Settings:
    """Return the settings that a training runs with: its model's, reading words as the run ``settings.start`` does.

    A model that is fitted in closed form starts from the starter, unless the settings name another run or a way of
    reading words that no starter has.

    Args:
        own: the folder of the training; if it was begun from the same run, that run is not read again. What
            ``align = auto`` meant when it was begun still holds.

    Raises:
        RunError: if the other run cannot be used.
        SettingsError: if a preset or an override names another text encoder, or another way of reading.
    """
    if settings.align == "auto" and own is not None and own.is_run:
        settings = settings.model_copy(update={"align": own.settings().align})
    return find_model(settings.model).prepared(_reading_as_start(settings, dataset, own))


def _reading_as_start(settings: Settings, dataset: Dataset, own: RunFolder | None) -> Settings:
    modalities = chosen_modalities(dataset, settings)
    by_default = not settings.start and find_model(settings.model).closed_form
    if by_default and not reads_words(modalities):
        return settings.model_copy(update={"start": STARTER})
    if by_default:
        encoder = _named_encoder(settings) or ("minilm" if modalities[TEXT].kind == "tokens" else "")
        if encoder and encoder not in STARTERS:
            return settings
        settings = settings.model_copy(update={"start": STARTER})
        if encoder:
            text = settings.text.model_copy(update={"encoder": encoder})
            settings = settings.model_copy(update={"text": text})
    if not settings.start or not reads_words(modalities):
        return settings
    values = _reading_begun(own, settings.start) or _reading(settings.start, _named_encoder(settings))
    problems = [
        f"text.{key} = {getattr(settings.text, key)!r}: training starts from {settings.start}, which reads words with "
        f"text.{key} = {same[0]!r}; set text.{key}={same[0]}, or start from another run"
        for key, same in values.items()
        if key in settings.text.model_fields_set and getattr(settings.text, key) not in same
    ]
    if problems and by_default:
        return settings.model_copy(update={"start": ""})
    if problems:
        raise SettingsError(problems)
    text = settings.text.model_copy(update={key: same[0] for key, same in values.items()})
    return settings.model_copy(update={"text": text})


def assemble_started(dataset: Dataset, settings: Settings) -> tuple[Assembly, StartInfo | None]:
    """Assemble a model with the weights from which training begins; None if ``settings.start`` names no run.

    Args:
        settings: as :func:`started` returns them.

    Raises:
        RunError: if the other run is not finished, damaged, or nothing in it fits.
    """
    if not settings.start:
        return assemble(dataset, settings), None
    start = _Other.open(settings.start, settings.text.encoder)
    pretrained = None
    if start.own_encoder and reads_words(chosen_modalities(dataset, settings)):
        pretrained = stored_encoder(start.folder, start.info)
        check_max_tokens(pretrained, settings.text.max_tokens)
    assembly = assemble(dataset, settings, pretrained)
    return assembly, start.give(assembly, LabelScale.of(dataset.manifest.label_range))


def assemble_begun(dataset: Dataset, settings: Settings, folder: RunFolder) -> tuple[Assembly, StartInfo | None]:
    """Assemble the model of a training that was begun in ``folder``, as it was before the first epoch."""
    if not settings.start:
        return assemble(dataset, settings), None
    info, state = folder.info(), load_tensors(_stored(folder.state))
    pretrained = stored_encoder(folder, info) if any(name.startswith(ENCODER) for name in state) else None
    assembly = assemble(dataset, settings, pretrained)
    try:
        assembly.model.load_state_dict({**assembly.model.state_dict(), **state})
    except RuntimeError as error:
        raise RunError(f"{_stored(folder.state)} is damaged: {first_line(error)}. Train into a new folder.") from error
    return assembly, info.start


def store_start(state: Path, model: Model, start: StartInfo | None) -> None:
    """Write the weights from which training begins to the folder ``state``, for :func:`assemble_begun`."""
    if start is None:
        return
    named = start.encoder_weights
    tensors = {name: value for name, value in model.state_dict().items() if not (named and name.startswith(ENCODER))}
    _stored(state).parent.mkdir(parents=True, exist_ok=True)
    save_tensors(_stored(state), tensors)


def forget_start(state: Path) -> None:
    """Remove what :func:`store_start` wrote."""
    with suppress(OSError):
        shutil.rmtree(_stored(state).parent)


def start_note(start: StartInfo, *, fitted: bool = False) -> str:
    """Return in words what was taken from the other run; empty if nothing was.

    Args:
        start: what was taken.
        fitted: whether the rest was fitted in closed form, so that it did not begin with any weights.

    >>> start_note(StartInfo(run="a", model="self_mm", weights_sha256="", taken=("encoders.text", "heads.text")))
    'Started from a: text encoder, head of text.'
    """
    if not start.taken:
        return ""
    copied = [part for part in start.taken if part not in start.linear]
    note = f"Started from {start.run}: {_named(copied)}."
    if start.linear:
        note += f" Its score of the words was put into: {_named(start.linear)}."
    if start.afresh and not fitted:
        note += f" Began with new weights: {_named(start.afresh)}."
    return note


def _named(parts: Collection[str]) -> str:
    encoders = [f"{part.split('.')[1]} encoder" for part in parts if part.startswith("encoders.")]
    heads = [part.split(".")[1] for part in parts if part.startswith("heads.")]
    of_heads = [f"head{'s' * (len(heads) > 1)} of {' and '.join(heads)}"] if heads else []
    others = [part for part in parts if part.split(".")[0] not in _PER_MODALITY]
    return ", ".join([*encoders, *of_heads, *others])


def _stored(state: Path) -> Path:
    return state / "start" / "model.safetensors"  # in a folder of its own, which checkpoints leave alone


def _named_encoder(settings: Settings) -> str:
    """The text encoder that the user named; empty if it is the default."""
    return settings.text.encoder if "encoder" in settings.text.model_fields_set else ""


def _reading(name: str, encoder: str) -> dict[str, tuple[object, ...]]:
    """How another run reads words: by setting of ``text``, the value to use first, then others with the same effect."""
    folder, info = _finished(name, encoder)
    if not reads_words(info.modalities):
        return {}
    text = folder.settings().text
    values: dict[str, tuple[object, ...]] = {"encoder": (text.encoder,), "layer": (text.layer,)}
    if info.encoder_weights:
        pooling = KNOWN[info.encoder_weights].pooling if text.pooling == "auto" else text.pooling
        return values | {"pooling": (pooling, text.pooling), "capitals": (text.capitals,)}
    rules = ReadingRules.load(folder.text_encoder)
    return values | {"pooling": (rules.pooling, text.pooling), "capitals": (rules.capitals, text.capitals)}


def _reading_begun(own: RunFolder | None, start: str) -> dict[str, tuple[object, ...]]:
    """The same, from the folder of a training that was begun from ``start``; empty if there is none."""
    if own is None or not own.is_run or (settings := own.settings()).start != start:
        return {}
    text = settings.text
    return {key: (getattr(text, key),) for key in ("encoder", "layer", "pooling", "capitals")}


def _finished(name: str, encoder: str) -> tuple[RunFolder, RunInfo]:
    folder = start_folder(name, encoder)
    try:
        info = folder.require_finished()
    except RunError as error:
        raise RunError(f"cannot start from another run: {error}") from error
    if info.members:
        raise RunError(
            f"cannot start from an ensemble: {folder.path} has the weights of {len(info.members)} runs. Start from one "
            f"of them, for example {info.members[0].run}."
        )
    return folder, info


@dataclass(frozen=True)
class _Other:
    """The run from which a training begins."""

    name: str
    folder: RunFolder
    info: RunInfo
    settings: Settings
    tensors: Mapping[str, Tensor]

    @classmethod
    def open(cls, name: str, encoder: str) -> _Other:
        folder, info = _finished(name, encoder)
        tensors = load_tensors(folder.weights)
        if folder.frozen_weights.exists():
            tensors = load_tensors(folder.frozen_weights) | tensors
        start = cls(name, folder, info, folder.settings(), tensors)
        if start.own_encoder and not any(name.startswith(ENCODER) for name in tensors):
            raise RunError(f"{folder.frozen_weights} is missing. Copy the whole run folder, or train the run again.")
        return start

    @property
    def own_encoder(self) -> bool:
        """Whether the weights of its text encoder are in its folder."""
        return reads_words(self.info.modalities) and not self.info.encoder_weights

    def give(self, assembly: Assembly, labels: LabelScale) -> StartInfo:
        """Copy all parts that fit to the model of ``assembly``, whose labels have the scale ``labels``."""
        model, parts = assembly.model, _parts(assembly.model)
        taken: list[str] = []
        for part in sorted(parts, key=lambda name: not name.startswith("encoders.")):  # the others depend on them
            if self._fits(part, parts[part], assembly, taken):
                taken.append(part)
        if self.own_encoder and reads_words(assembly.modalities) and f"encoders.{TEXT}" not in taken:
            raise RunError(
                f"the weights in {self.folder.path} do not fit its text encoder: it is damaged. Train it again."
            )
        ours = model.state_dict()
        with torch.no_grad():
            for name in (name for part in taken for name in parts[part] if name in self.tensors):
                ours[name].copy_(self.tensors[name])
        theirs = LabelScale.of(self.info.label_range)
        factor = (labels.reach / labels.unit) / (theirs.reach / theirs.unit)
        for name, module in model.named_modules():
            if isinstance(module, Score) and _part(name) in taken:
                module.weight.data *= factor
                module.bias.data *= factor
        linear = self._give_linear(model, taken, factor)
        taken += linear
        if not taken and not (model.closed_form and self.name == STARTER):
            raise RunError(self._nothing_fits(assembly))
        return StartInfo(
            run=self.name,
            model=self.info.model,
            weights_sha256=sha256(self.folder.weights),
            encoder_weights=self.info.encoder_weights if reads_words(assembly.modalities) else "",
            taken=[part for part in parts if part in taken],
            afresh=[part for part in parts if part not in taken],
            linear=linear,
        )

    def _fits(self, part: str, names: list[str], assembly: Assembly, taken: Collection[str]) -> bool:
        ours = assembly.model.state_dict()
        for name in names:
            loaded = name.startswith(ENCODER) and bool(self.info.encoder_weights)  # by the name of the weights
            stored = self.tensors.get(name)
            if not loaded and (stored is None or stored.shape != ours[name].shape):
                return False
        group, _, modality = part.partition(".")
        if group == "encoders":
            return self._same_features(modality, assembly)
        if group in _PER_MODALITY:
            return f"encoders.{modality}" in taken
        all_taken = all(f"encoders.{name}" in taken for name in assembly.modalities)
        return all_taken and [*self.info.modalities] == [*assembly.modalities]

    def _same_features(self, name: str, assembly: Assembly) -> bool:
        read, settings = assembly.modalities[name], assembly.settings
        stored: Modality | None = self.info.modalities.get(name)
        if stored is None or (stored.kind == "frames") != (read.kind == "frames"):
            return False
        if read.kind != "frames":
            return True
        if not list(assembly.model.encoder(name).parameters()) and self.info.model != settings.model:
            return False  # nothing in it was learned, and these data have statistics of their own
        mine, other = (run.stream_for(name).model_dump(exclude=_SIZES_AND_RATES) for run in (settings, self.settings))
        same_names = not (read.columns and stored.columns) or read.columns == stored.columns
        return read.dim == stored.dim and same_names and mine == other

    def _give_linear(self, model: Model, taken: Collection[str], factor: float) -> list[str]:
        """Put the score of words into the heads that read the text encoder's output; return their names."""
        layers = self._score_of_words()
        if layers is None or f"encoders.{TEXT}" not in taken or layers[0][0].shape[1] != model.dims[TEXT]:
            return []
        *before, (weights, bias) = layers
        layers = [*before, (factor * weights, factor * bias)]
        heads = {
            name: head for name, head in heads_of_text(model).items() if name not in taken and fits(head[0], layers)
        }
        for head, first in heads.values():
            begin_with(head, layers, first)
        return list(heads)

    def _score_of_words(self) -> Layers | None:
        """The score of a run that reads words alone, or the linear one of a run that was fitted in closed form."""
        if self.info.closed_form:
            weights, bias = (self.tensors.get(f"heads.{TEXT}.score.{name}") for name in ("weight", "bias"))
            return None if weights is None or bias is None else linear_layers(weights[0], bias)
        if (
            [*self.info.modalities] != [TEXT]
            or is_code(self.info.model)
            or not fuses_plainly(find_model(self.info.model))
        ):
            return None
        names = [name.removesuffix(".weight") for name in self.tensors if re.fullmatch(_LAYER, name)]
        return [(self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]) for name in sorted(names)]

    def _nothing_fits(self, assembly: Assembly) -> str:
        return (
            f"cannot start from {self.name}: nothing in it fits. Its model {self.info.model_name} reads "
            f"{_described(self.info.modalities)}; the model to train, {assembly.settings.model_name}, reads "
            f"{_described(assembly.modalities)}. Start from a run on the same kind of features, or without one."
        )


def _described(modalities: Mapping[str, Modality]) -> str:
    kinds = {name: "words" if m.dim is None else f"{m.dim} features" for name, m in modalities.items()}
    return ", ".join(f"{name} ({kind})" for name, kind in kinds.items())


def _parts(model: Model) -> dict[str, list[str]]:
    """The names of a model's weights, by part."""
    parts: dict[str, list[str]] = {}
    for name in model.state_dict():
        parts.setdefault(_part(name), []).append(name)
    return parts


def _part(name: str) -> str:
    group, *rest = name.split(".")
    return f"{group}.{rest[0]}" if group in _PER_MODALITY and rest else group
