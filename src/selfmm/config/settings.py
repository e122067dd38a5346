"""Settings: typed objects whose fields have the same names on the command line, in TOML files and in the docs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import tomli_w
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from selfmm.config.model_name import absolute, absolute_run, is_code, short_name
from selfmm.core.encodings import read_text
from selfmm.core.errors import SettingsError, SourceError
from selfmm.core.messages import did_you_mean, plain

_Settings = TypeVar("_Settings", bound="Group")


class Group(BaseModel):
    """Settings that belong together; unknown names are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    example: ClassVar[str] = "key=value"


def _split_at_commas(value: object) -> object:
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split_at_commas)]
"""Names in a list, or in a string with commas between them."""


class _Branch(Group):
    """Settings of every modality: a projection into the space in which labels are generated, and a learning rate."""

    projection: int = Field(32, ge=1, le=65536, description="size of F_s*, the space of the class centres")
    projection_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(1e-3, gt=0, description="learning rate of this encoder")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of this encoder")


class StreamSettings(_Branch):
    """A modality of frames of features, read by an LSTM."""

    hidden: int = Field(32, ge=1, le=65536, description="LSTM units, per direction")
    out: int = Field(32, ge=1, le=65536, description="size of F_s, the encoder's output")
    layers: int = Field(1, ge=1, le=64, description="LSTM layers")
    bidirectional: bool = Field(False, description="read the frames in both directions")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout between LSTM layers and on the final state")
    standardise: bool = Field(True, description="standardise features by the training split's mean and deviation")
    centre: Literal["none", "video"] = Field(
        "none",
        description="video: subtract the mean of each video (speaker) from its features, if it has 3 clips or more",
    )


class TextSettings(_Branch):
    """Words, read by a pretrained transformer."""

    encoder: str = Field(
        "minilm", description="hub name, local folder, or offline weights: minilm, mpnet (English), e5 (100 languages)"
    )
    pooling: Literal["auto", "first", "mean", "last"] = Field(
        "auto",
        description="one vector from the tokens, for models that read one: the first token, their mean, the last "
        "token, or auto: mean for e5 and T5, last for GPT-2 and Llama, otherwise first",
    )
    layer: Literal["last", "weighted"] | Annotated[int, Field(ge=1)] = Field(
        "last",
        description="layer whose output is read: last, or a number counted from 1, and later layers are removed; or "
        "weighted: a sum of all layers with learned weights",
    )
    capitals: Literal["lower", "keep"] = Field(
        "lower", description="text that is mostly capitals, if the encoder is cased: lower-case it, or keep it"
    )
    finetune: bool = Field(True, description="train the text encoder too")
    recompute: bool = Field(False, description="recompute layers for the gradient: less memory, more time")
    max_tokens: int = Field(128, ge=3, description="number of tokens to which longer texts are cut")
    context: int = Field(
        0,
        ge=0,
        le=1000,
        description="number of earlier clips of the same recording whose words are read before those of the clip, cut "
        "to the last max_tokens tokens; training takes longer, with the number of tokens",
    )
    projection_dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(5e-5, gt=0, description="learning rate of this encoder")
    weight_decay: float = Field(0.001, ge=0, description="weight decay, except for biases and LayerNorms")


class FusionSettings(Group):
    """The fused task and all heads."""

    projection: int = Field(128, ge=1, le=65536, description="size of F_m*")
    projection_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(1e-3, gt=0, description="learning rate of everything but the encoders")
    weight_decay: float = Field(0.001, ge=0, description="weight decay of everything but the encoders")
    extra_layer: bool = Field(
        True, description="add a ReLU(Linear(d, d)) to each head, as in the authors' code but not in the paper"
    )


class LabelSettings(Group):
    """Labels per modality: where they come from, and the unimodal label generator (ULGM)."""

    source: Literal["auto", "generated", "human", "none"] = Field(
        "auto", description="where labels per modality come from; auto: as in the model's publication"
    )
    tasks: Names = Field((), description="modalities with a task of their own; empty: all")
    rule: Literal["paper", "authors", "centre-gap", "sugrm", "posterior"] = Field(
        "posterior",
        description="rule for u-labels: posterior estimates them before training; 'paper' and 'authors' are published",
    )
    weighting: Literal["encoder", "published"] = Field(
        "encoder",
        description="what W_s weights (tanh|y_s - y_m|; 1 if labels are estimated before training): what an encoder "
        "learns from its u-labels, while its head learns each with weight 1 (encoder); or both, as published",
    )
    zero_labels: Literal["neither", "positive"] = Field(
        "neither", description="class of a clip with label 0: neither (the paper) or positive (one published code)"
    )
    features: Literal["eval", "train"] = Field(
        "eval", description="features for the class centres: without dropout (eval), or with it as in the authors' code"
    )


class TrainingSettings(Group):
    """The training loop."""

    batch_size: int = Field(16, ge=1, description="clips that get new labels at once")
    accumulation: int = Field(4, ge=1, description="batches per optimizer step")
    pass_clips: int = Field(
        0, ge=0, description="clips per forward pass, which only affects speed and memory; 0: chosen automatically"
    )
    gradient: Literal["mean", "sum"] = Field(
        "mean", description="mean: over the clips of a step; sum: of the means of its batches, as in the authors' code"
    )
    leftover: Literal["step", "drop"] = Field(
        "step", description="last batches of an epoch that do not fill a step: step, or drop as in the authors' code"
    )
    optimizer: Literal["adamw", "adam"] = Field(
        "adamw",
        description="adamw: decay apart from the gradient; adam: as L2 in the gradient, as published. Neither acts on "
        "weights that got no gradient",
    )
    schedule: Literal["constant", "linear"] = Field(
        "constant",
        description="learning rates: constant; or linear, which rise over the first tenth of max_epochs and then "
        "fall to 0",
    )
    average: float = Field(
        0.0,
        ge=0,
        le=100,
        description="length in epochs of a moving average of the weights, which is scored and kept in their place; "
        "0: none",
    )
    clip_norm: float = Field(1.0, ge=0, description="clip the gradient's norm to this; 0 turns it off")
    share: float = Field(1.0, gt=0, le=1, description="fraction of the training clips, sampled with the seed")
    max_epochs: int = Field(50, ge=1, description="maximum number of epochs")
    patience: int = Field(8, ge=1, description="stop after this number of epochs without a better validation MAE")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="device to compute on")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="precision of the text encoder in training; auto: bf16 if the processor computes in it"
    )
    checkpoint_seconds: float = Field(
        30.0, ge=0, description="seconds between checkpoints, which are written after an epoch; 0: after every epoch"
    )
    log: Literal["jsonl", "tensorboard", "wandb", "mlflow"] = Field(
        "jsonl",
        description="where the figures of each epoch go: history.jsonl alone, or also TensorBoard, Weights & Biases or "
        "MLflow, each an extra of the same name",
    )


class Settings(Group):
    """All settings of a run, except for the data."""

    example: ClassVar[str] = "training.max_epochs=20"

    seed: int = Field(1111, ge=0, lt=2**32, description="seed of all random numbers")
    model: Annotated[str, AfterValidator(absolute)] = Field(
        "self_mm", description="name of a model, see `selfmm models`; or your own class: file.py:Class or module:Class"
    )
    start: Annotated[str, AfterValidator(absolute_run)] = Field(
        "", description="run from whose text encoder, encoders and heads training begins: its folder, or starter"
    )
    modalities: Names = Field((), description="modalities to use; empty: all of the data set")
    align: Literal["auto", "stored", "pool"] = Field(
        "auto",
        description="for models of aligned modalities: frames as stored, or pooled to the tokens of the text; auto: "
        "pooled if those that are stored do not fit",
    )
    options: dict[str, int | float | str] = Field({}, description="settings of the model itself")
    text: TextSettings = TextSettings()
    stream: dict[str, StreamSettings] = Field({}, description="by name of modality; others use the defaults")
    fusion: FusionSettings = FusionSettings()
    labels: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()

    @property
    def model_name(self) -> str:
        """The model's name for messages, tables and folders."""
        return short_name(self.model)

    @property
    def own_code(self) -> bool:
        """Whether the model is the user's own class."""
        return is_code(self.model)

    def stream_for(self, modality: str) -> StreamSettings:
        return self.stream.get(modality, StreamSettings())

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))


def each(overrides: Sequence[str]) -> Sequence[str]:
    """Return overrides as a sequence; a single one may be given as a string.

    Raises:
        SettingsError: if they are something else.

    >>> each("seed=3")
    ('seed=3',)
    """
    if isinstance(overrides, str):
        return (overrides,)
    if not isinstance(overrides, Sequence) or not all(isinstance(override, str) for override in overrides):
        raise SettingsError([f"settings are strings like 'seed=3', or a list of them, not {overrides!r:.80}"])
    return overrides


def with_values(overrides: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """Return ``overrides``, followed by a ``key=value`` for each value that is not None.

    >>> with_values(["seed=3"], {"model": "mult", "labels.source": None})
    ['seed=3', 'model=mult']
    """
    return [*each(overrides), *(f"{key}={value}" for key, value in values.items() if value is not None)]


_RETIRED: Mapping[str, object] = {"labels.bank": "float32", "labels.bank_folder": ""}
"""Removed settings, each with the value that has the same effect: settings.toml of older runs names them all."""

_ADDED: Mapping[str, object] = {"labels.weighting": "published", "training.optimizer": "adam"}
"""Settings with the value by which older versions acted, for a file of theirs, which does not name them."""
_WHOLE = frozenset({"seed", "text", "fusion", "labels", "training"})
"""A file with all of these names every setting that its version had: selfmm wrote it, not a person."""

PRESETS = ("mosi", "mosei", "sims", "simsv2", "quickstart", "best")


def load_settings(
    preset: str | Path | None = None, overrides: Sequence[str] = (), *, trust: bool = False, **values: Any
) -> Settings:
    """Return settings from a preset (or TOML file), then ``key=value`` overrides, then keyword arguments.

    Args:
        preset: one of ``PRESETS``, a path to a TOML file, or None for the defaults.
        overrides: like ``training.max_epochs=3`` or ``stream.audio.hidden=16``; values are TOML, but strings
            need no quotes.
        trust: accept a TOML file that has code (``file.py:Class``) as its ``model``. Otherwise an override or a value
            has to name the model, because a file from somebody else must not decide which code runs.
        values: top-level fields, for example ``seed=1112``; None leaves a field as it is.

    Raises:
        SettingsError: if there are problems. It lists all, with the nearest name for each unknown key.

    >>> load_settings("mosi", ["training.max_epochs=3"]).training.max_epochs
    3
    """
    tree: dict[str, Any] = {} if preset is None else _read_preset(preset)
    _add_former(tree)
    overrides = each(overrides)
    named = values.get("model") or names_model(overrides)
    if not (trust or named) and is_code(str(tree.get("model", ""))):
        model = f"`model={str(tree['model'])!r}`"
        raise SettingsError([f"{preset} names code as its model. selfmm runs it only if you name it yourself: {model}"])
    return load_group(Settings, overrides, tree, values)


def names_model(overrides: Sequence[str]) -> bool:
    """Return whether one of the settings ``key=value`` is the model."""
    return any(override.partition("=")[0].strip() == "model" for override in each(overrides))


def load_group(
    group: type[_Settings],
    overrides: Sequence[str] = (),
    tree: dict[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    under: str = "",
) -> _Settings:
    """Return settings of any kind from a tree, then ``key=value`` overrides, then values that are not None.

    Messages name ``under`` as the key of the tree.

    Raises:
        SettingsError: if there are problems. It lists all, with the nearest name for each unknown key.
    """
    tree = {} if tree is None else tree
    problems: list[str] = []
    for override in each(overrides):
        key, separator, value = override.partition("=")
        if not separator or not key.strip():
            problems.append(f"{override!r} is not a setting; write key=value, for example {group.example}")
            continue
        try:
            put_value(tree, key.strip().split("."), parse_value(value.strip()))
        except TypeError:
            problems.append(f"{key.strip()}: a part of this key is a value, not a group of settings")
    tree.update({key: value for key, value in (values or {}).items() if value is not None})
    if group is Settings:
        _drop_retired(tree)
    settings, prefix = None, f"{under}." if under else ""
    try:
        settings = group.model_validate(tree)
    except ValidationError as error:
        described = [
            _describe(group, list(e["loc"]), e["type"], plain(e["msg"]), e["input"], prefix) for e in error.errors()
        ]
        whys: dict[str, list[str]] = {}  # a setting of several types has an error for each of them
        for what, why in described:
            whys.setdefault(what, []).append(why)
        problems += [what + " or ".join(several) for what, several in whys.items()]
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def _drop_retired(tree: dict[str, Any]) -> None:
    """Remove retired settings that have no effect; validation refuses the others."""
    for key, value in _RETIRED.items():
        name, _, field = key.partition(".")
        branch = tree.get(name)
        if isinstance(branch, dict) and branch.get(field) == value:
            del branch[field]


def _add_former(tree: dict[str, Any]) -> None:
    """Add the settings that a file of an older version does not name, with the values by which that version acted."""
    for key, value in _ADDED.items() if tree.keys() >= _WHOLE else ():
        name, _, field = key.partition(".")
        if isinstance(tree[name], dict):
            tree[name].setdefault(field, value)


def _read_preset(preset: str | Path) -> dict[str, Any]:
    path = Path(preset)
    if str(preset) in PRESETS:
        text = (resources.files("selfmm.config") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
        return tomllib.loads(text)
    if path.suffix != ".toml":
        raise SettingsError([f"there is no preset {str(preset)!r}{did_you_mean(str(preset), PRESETS)}"])
    try:
        return tomllib.loads(read_text(path))  # also with the marks that editors of Windows write
    except SourceError as error:
        raise SettingsError([str(error).rstrip(".")]) from error
    except ValueError as error:
        raise SettingsError([f"{path} is not valid TOML: {error}"]) from error


def parse_value(value: str) -> Any:
    """Return a TOML value, or the text itself as a string if it is not TOML."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return value


def put_value(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    """Put ``value`` at its place in a tree of settings; raise ``TypeError`` if a part of its key is a value."""
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise TypeError
    tree[keys[-1]] = value


def _describe(
    whole: type[Group], location: list[Any], kind: str, message: str, value: object, prefix: str
) -> tuple[str, str]:
    """Return which setting is wrong, and why."""
    if kind != "extra_forbidden" and not re.fullmatch(r"\w+", str(location[-1])):
        location = location[:-1]  # one of the setting's types, as pydantic names it
    key = prefix + ".".join(map(str, location))
    if kind != "extra_forbidden":
        return f"{key} = {repr(value)[:80]}: ", f"{message[0].lower()}{message[1:]}"
    if whole is Settings and key in _RETIRED:
        removed = f"this setting was removed, and only {_RETIRED[key]!r} has the same effect; delete it"
        return f"{key} = {value!r}: ", removed
    name = str(location[-1])
    same = [other for other in _all_keys(whole, prefix) if other.rpartition(".")[2] == name]
    if len(same) == 1:
        return f"{key} is not a setting", f"; did you mean {same[0]!r}?"
    return f"{key} is not a setting", did_you_mean(name, _fields_at(whole, location[:-1]), key.removesuffix(name))


def _all_keys(group: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield the keys of all settings in a group and in the groups within it."""
    for name, field in group.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _all_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _fields_at(whole: type[Group], location: list[Any]) -> list[str]:
    group: type[BaseModel] = whole
    for key in location:
        if group is Settings and key == "stream":
            continue
        field = group.model_fields.get(str(key))
        kind = field.annotation if field else StreamSettings
        group = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else StreamSettings
    return list(group.model_fields)


def flatten(settings: Settings) -> dict[str, Any]:
    """Return settings as ``{"training.batch_size": 16, ...}``, for tables and comparisons."""

    def walk(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in tree.items():
            flat |= walk(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return flat

    return walk(settings.model_dump(mode="json"), "")
