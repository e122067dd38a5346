"""Settings: typed objects that are the same fields on the command line, in TOML files and in the docs."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from selfmm.config.model_name import absolute, is_code, short_name
from selfmm.core.errors import SettingsError
from selfmm.core.messages import did_you_mean

_Settings = TypeVar("_Settings", bound="Group")


class Group(BaseModel):
    """Settings that belong together; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    example: ClassVar[str] = "key=value"


def _commas_separate(value: object) -> object:
    return tuple(filter(None, value.split(","))) if isinstance(value, str) else value


class _Branch(Group):
    """What every modality has: a projection into the space its labels are made in, and a learning rate."""

    projection: int = Field(32, ge=1, le=65536, description="size of F_s*, the space of the class centres")
    projection_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(1e-3, gt=0, description="learning rate of this encoder")
    weight_decay: float = Field(0.0, ge=0, description="weight decay (L2) of this encoder")


class StreamSettings(_Branch):
    """A modality that comes as frames of features, read by an LSTM."""

    hidden: int = Field(32, ge=1, le=65536, description="LSTM units, per direction")
    out: int = Field(32, ge=1, le=65536, description="size of F_s, the encoder's output")
    layers: int = Field(1, ge=1, le=64, description="LSTM layers")
    bidirectional: bool = Field(False, description="read the frames in both directions")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout between LSTM layers and on its end state")
    standardise: bool = Field(True, description="scale each feature by the training split's mean and deviation")


class TextSettings(_Branch):
    """Words, read by a pretrained transformer."""

    encoder: str = Field("minilm", description="hub name, local folder, or 'minilm' (the offline weights)")
    finetune: bool = Field(True, description="train the encoder too")
    recompute: bool = Field(False, description="less memory, more time: layers are computed again for the gradient")
    max_tokens: int = Field(128, ge=3, description="longer texts are cut to this many tokens")
    projection_dropout: float = Field(0.1, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(5e-5, gt=0, description="learning rate of this encoder")
    weight_decay: float = Field(0.001, ge=0, description="weight decay (L2), not on biases and LayerNorms")


class FusionSettings(Group):
    """The fused task and all heads."""

    projection: int = Field(128, ge=1, le=65536, description="size of F_m*")
    projection_dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the projection")
    lr: float = Field(1e-3, gt=0, description="learning rate of everything that is no encoder")
    weight_decay: float = Field(0.001, ge=0, description="weight decay (L2) of everything that is no encoder")
    extra_layer: bool = Field(
        True, description="one more ReLU(Linear(d, d)) in each head, as in the authors' code; the paper has none"
    )


class LabelSettings(Group):
    """Labels per modality: where they come from, and the unimodal label generator (ULGM)."""

    source: Literal["auto", "generated", "human", "none"] = Field(
        "auto", description="of the labels per modality; auto: as the model was published"
    )
    tasks: tuple[str, ...] = Field((), description="only these modalities have a task of their own; empty for all")
    rule: Literal["paper", "authors", "centre-gap", "sugrm", "posterior"] = Field(
        "posterior", description="how a u-label is made; 'paper' and 'authors' are the published ones"
    )
    zero_labels: Literal["neither", "positive"] = Field(
        "neither", description="class of a clip labelled 0: neither (the paper) or positive (one published code)"
    )
    features: Literal["eval", "train"] = Field(
        "eval", description="features for the class centres: without dropout, or as in the authors' code with it"
    )
    bank: Literal["float32", "float16", "bfloat16", "float64"] = Field(
        "float32", description="number type in which each clip's last features are kept"
    )
    bank_folder: str = Field("", description="keep these features in unnamed files in this folder; empty: in memory")

    @field_validator("tasks", mode="before")
    @classmethod
    def _commas(cls, value: object) -> object:
        return _commas_separate(value)


class TrainingSettings(Group):
    """The loop."""

    batch_size: int = Field(16, ge=1, description="clips that get new labels at once")
    accumulation: int = Field(4, ge=1, description="such batches per optimizer step")
    pass_clips: int = Field(
        0, ge=0, description="clips per forward pass, which changes speed and memory alone; 0: chosen by both"
    )
    gradient: Literal["mean", "sum"] = Field(
        "mean", description="mean over a step's clips, or the sum of the batches' means as in the authors' code"
    )
    leftover: Literal["step", "drop"] = Field(
        "step", description="last batches of an epoch that fill no whole step: step, or drop as the authors' code"
    )
    clip_norm: float = Field(1.0, ge=0, description="clip the gradient's norm to this; 0 turns it off")
    share: float = Field(1.0, gt=0, le=1, description="of the training clips, only this part, drawn by the seed")
    max_epochs: int = Field(50, ge=1, description="cap on epochs")
    patience: int = Field(8, ge=1, description="stop after so many epochs without a better validation MAE")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="of the text encoder in training; auto: bf16 where the processor computes in it"
    )
    checkpoint_seconds: float = Field(
        30.0, ge=0, description="store the state after an epoch if so long has passed since the last; 0: after each"
    )


class Settings(Group):
    """Everything about a run but the data."""

    example: ClassVar[str] = "training.max_epochs=20"

    seed: int = Field(1111, ge=0, lt=2**32, description="seed of everything random")
    model: str = Field(
        "self_mm", description="which model, see `selfmm models`; or a class of your own, file.py:Class or module:Class"
    )
    modalities: tuple[str, ...] = Field((), description="use only these; empty for all the data set has")
    align: Literal["stored", "pool"] = Field(
        "stored", description="for models of aligned streams: as the data are, or pooled to the text's tokens"
    )
    options: dict[str, int | float | str] = Field({}, description="the model's own settings")
    text: TextSettings = TextSettings()
    stream: dict[str, StreamSettings] = Field({}, description="by name of modality; others take the defaults")
    fusion: FusionSettings = FusionSettings()
    labels: LabelSettings = LabelSettings()
    training: TrainingSettings = TrainingSettings()

    @field_validator("modalities", mode="before")
    @classmethod
    def _commas(cls, value: object) -> object:
        return _commas_separate(value)

    @field_validator("model")
    @classmethod
    def _from_anywhere(cls, value: str) -> str:
        return absolute(value)

    @property
    def model_name(self) -> str:
        """The model's name for messages, tables and folders."""
        return short_name(self.model)

    def stream_for(self, modality: str) -> StreamSettings:
        return self.stream.get(modality, StreamSettings())

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json"))


def with_values(overrides: Sequence[str], values: Mapping[str, object]) -> list[str]:
    """``overrides``, and after them a ``key=value`` of each value that is not None.

    >>> with_values(["seed=3"], {"model": "mult", "labels.source": None})
    ['seed=3', 'model=mult']
    """
    return [*overrides, *(f"{key}={value}" for key, value in values.items() if value is not None)]


PRESETS = ("mosi", "mosei", "sims", "simsv2", "quickstart")


def load_settings(
    preset: str | Path | None = None, overrides: Sequence[str] = (), *, trust: bool = False, **values: Any
) -> Settings:
    """Settings from a preset (or TOML file), then ``key=value`` overrides, then keyword arguments.

    Args:
        preset: one of ``PRESETS``, a path to a TOML file, or None for the defaults.
        overrides: like ``training.max_epochs=3`` or ``stream.audio.hidden=16``; values in TOML's notation,
            quotes may be left out.
        trust: accept a TOML file whose ``model`` is code (``file.py:Class``). Without it, an override or a value has
            to name the model: nobody should run code because a file that they were given says so.
        values: top-level fields, for example ``seed=1112``; None leaves a field as it is.

    Raises:
        SettingsError: with every problem found, and the nearest name for each unknown key.

    >>> load_settings("mosi", ["training.max_epochs=3"]).training.max_epochs
    3
    """
    tree: dict[str, Any] = {} if preset is None else _read_preset(preset)
    named = values.get("model") or any(override.partition("=")[0].strip() == "model" for override in overrides)
    if not (trust or named) and is_code(str(tree.get("model", ""))):
        raise SettingsError(
            [
                f"{preset} names code as its model. selfmm runs it only if you name it yourself: "
                f"--model {shlex.quote(str(tree['model']))}, in Python model=..."
            ]
        )
    return load_group(Settings, overrides, tree, values)


def load_group(
    group: type[_Settings],
    overrides: Sequence[str] = (),
    tree: dict[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    under: str = "",
) -> _Settings:
    """Settings of any kind from a tree of them, then ``key=value`` overrides, then values that are not None.

    ``under`` is the key that the tree stands under, for messages.

    Raises:
        SettingsError: with every problem found, and the nearest name for each unknown key.
    """
    tree = {} if tree is None else tree
    problems: list[str] = []
    for override in overrides:
        key, separator, value = override.partition("=")
        if not separator or not key.strip():
            problems.append(f"{override!r} is no setting; write key=value, for example {group.example}")
            continue
        try:
            put_value(tree, key.strip().split("."), parse_value(value.strip()))
        except TypeError:
            problems.append(f"{key.strip()}: a part of this key is a value, not a group of settings")
    tree.update({key: value for key, value in (values or {}).items() if value is not None})
    return _validate(group, tree, problems, under)


def _validate(group: type[_Settings], tree: Mapping[str, Any], problems: list[str], under: str) -> _Settings:
    settings, prefix = None, f"{under}." if under else ""
    try:
        settings = group.model_validate(tree)
    except ValidationError as error:
        problems += [prefix + _describe(group, list(e["loc"]), e["type"], e["msg"], e["input"]) for e in error.errors()]
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def _read_preset(preset: str | Path) -> dict[str, Any]:
    path = Path(preset)
    if str(preset) in PRESETS:
        text = (resources.files("selfmm.config") / "presets" / f"{preset}.toml").read_text(encoding="utf-8")
        return tomllib.loads(text)
    if path.suffix != ".toml":
        raise SettingsError([f"there is no preset {str(preset)!r}{did_you_mean(str(preset), PRESETS)}"])
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"cannot read {path}: {error.strerror}"]) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise SettingsError([f"{path} is not valid TOML: {error}"]) from error


def parse_value(value: str) -> Any:
    """A value in TOML's notation; what is none is a word."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return value


def put_value(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    """Puts ``value`` at its place in a tree of settings; ``TypeError`` where a part of its key is a value."""
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise TypeError
    tree[keys[-1]] = value


def _describe(whole: type[Group], location: list[Any], kind: str, message: str, value: object) -> str:
    key = ".".join(map(str, location))
    if kind != "extra_forbidden":
        return f"{key} = {repr(value)[:80]}: {message[0].lower()}{message[1:]}"
    names = _fields_at(whole, location[:-1])
    return f"{key} is no setting{did_you_mean(str(location[-1]), names)}"


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
    """Settings as ``{"training.batch_size": 16, ...}``, for tables and comparisons."""

    def walk(tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in tree.items():
            flat |= walk(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return flat

    return walk(settings.model_dump(mode="json"), "")
