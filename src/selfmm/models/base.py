"""The base of all models: encoders read the modalities, and the method's own ``combine`` fuses them.

A new model is a class with a ``combine`` in a file of its own, and a line in ``selfmm.models.MODELS``: see
CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings, StreamSettings, load_group
from selfmm.core.errors import SettingsError
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.encoders import Encoder, FrameReader, lstm_encoder
from selfmm.models.text import TransformerEncoder

Labels = Literal["generated", "human", "none"]


@dataclass(frozen=True)
class Needs:
    """What a model requires of the data; :func:`selfmm.models.assembly.check_needs` checks it.

    Attributes:
        modalities: the minimum number of modalities.
        text: one of them must be text.
        aligned: all modalities of a clip share one time axis, that of the text's tokens if there is text.
        inside: a transformer reads the text and the model works inside it, so the text must be words or token ids.
    """

    modalities: int = 1
    text: bool = False
    aligned: bool = False
    inside: bool = False


@dataclass(frozen=True)
class Range:
    """Where ``selfmm tune`` searches for a number: from ``low`` to ``high``, uniformly or on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


Space = Range | tuple[Any, ...]
"""The values that a setting may take in a search: a range, or a tuple of them."""

COMMON_SEARCH: Mapping[str, Space] = {
    "fusion.lr": Range(1e-4, 1e-2, log=True),
    "fusion.weight_decay": Range(1e-5, 1e-1, log=True),
    "stream.*.lr": Range(1e-4, 1e-2, log=True),
    "training.batch_size": (16, 32, 64),
}
"""The search space that all models share; ``*`` stands for each modality of frames."""

_TRAINED_TEXT_SEARCH: Mapping[str, Space] = {
    "text.lr": Range(1e-5, 1e-4, log=True),
    "training.accumulation": (1, 2, 4),
}


class Model(nn.Module):
    """A network from a Batch to an Output.

    Args:
        modalities: the kind of each modality, in the order of fusion.
        settings: of the run; ``settings.options`` are checked against ``Options``.
        transformer: the pretrained text encoder; None if no modality is words or token ids.

    Attributes:
        encoders: per modality, (values, lengths) -> the input of ``combine``; each has its own learning rate.
        dims: size of each encoder's output.
        missing: per modality, the learned vector that replaces it where a clip lacks it; it starts at zero.
        heads: per modality that has a task of its own, from its representation to a score.
        fusion_dim: size of ``Output.fusion_feature``.

    Raises:
        SettingsError: if an option is unknown or out of range, or if ``labels`` asks for a task of a modality that has
            no representation of its own.
    """

    paper: ClassVar[str] = ""
    """Authors, place and year of publication, for tables."""
    Options: ClassVar[type[Group]] = Group
    """The model's own settings."""
    needs: ClassVar[Needs] = Needs()
    labels: ClassVar[Labels] = "none"
    """The default source of the labels per modality."""
    reads_tokens: ClassVar[bool] = False
    """Whether each modality is read as a sequence (B, L, d) rather than as one vector (B, d)."""
    joins_clips: ClassVar[bool] = False
    """Whether a term of the loss compares the clips of a batch; every forward pass is then one whole batch."""
    search: ClassVar[Mapping[str, Space]] = COMMON_SEARCH
    closed_form: ClassVar[bool] = False
    """Whether it is fitted by :mod:`selfmm.training.adapt` instead of by gradients."""

    heads: nn.ModuleDict
    fusion_dim: int

    def __init__(self, modalities: Mapping[str, Modality], settings: Settings, transformer: nn.Module | None) -> None:
        super().__init__()
        self.settings = settings
        self.options: Any = load_group(self.Options, tree=dict(settings.options), under="options")
        encoders = {name: self._encoder(name, modality, transformer) for name, modality in modalities.items()}
        self.encoders = nn.ModuleDict(encoders)
        self.dims = {name: encoder.dim for name, encoder in encoders.items()}
        self.missing = nn.ParameterDict({name: torch.zeros(dim) for name, dim in self.dims.items()})

    @classmethod
    def prepared(cls, settings: Settings) -> Settings:
        """Return the settings that a run of this model has, given those that the user asked for."""
        return settings

    def _encoder(self, name: str, modality: Modality, transformer: nn.Module | None) -> Encoder:
        if modality.kind != "frames":
            if transformer is None:
                raise ValueError("text as words or token ids needs a transformer")
            text = self.settings.text
            return TransformerEncoder(
                transformer,
                finetune=text.finetune,
                recompute=text.recompute,
                tokens=self.reads_tokens,
                inside=self.needs.inside,
                pooling="first" if text.pooling == "auto" else text.pooling,
                weighted=text.layer == "weighted",
            )
        if modality.dim is None:
            raise ValueError("a modality of frames needs a dim")
        if self.reads_tokens:
            return FrameReader(modality.dim)
        return self.frame_encoder(name, modality.dim, self.settings.stream_for(name))

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> Encoder:
        """Make the encoder that turns a modality's frames of ``dim`` features into one vector."""
        return lstm_encoder(dim, branch)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The modalities with a task of their own."""
        return tuple(self.heads)

    @property
    def feature_dims(self) -> dict[str, int]:
        """Size of F_s* for each modality with a task of its own."""
        return {name: cast(Head, head).dim for name, head in self.heads.items()}

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        """Estimate how many bytes one clip of these lengths keeps for the gradient."""
        return sum(self.encoder(name).kept_bytes(length) for name, length in lengths.items())

    def encoder(self, name: str) -> Encoder:
        """Return the encoder of one modality."""
        return cast(Encoder, self.encoders[name])

    def make_heads(self, representations: Mapping[str, int]) -> nn.ModuleDict:
        """Make a head for each modality that gets a task of its own.

        Args:
            representations: size of each modality's own representation; modalities without one are left out.

        Raises:
            SettingsError: if ``labels`` asks for a task of a modality that has no representation.
        """
        settings = self.settings
        if label_source(type(self), settings) == "none":
            return nn.ModuleDict()
        if not representations:
            raise SettingsError(
                [
                    f"labels.source = {settings.labels.source!r}: {settings.model_name} has no representation of a "
                    "single modality that could learn them; choose none, or another model (see `selfmm models`)"
                ]
            )
        names = settings.labels.tasks or tuple(representations)
        unknown = [name for name in names if name not in representations]
        if unknown:
            known = f"{settings.model_name} has representations of {', '.join(representations)} only"
            raise SettingsError([f"labels.tasks names {unknown[0]!r}, but {known}"])
        return nn.ModuleDict({name: self._head(name, dim) for name, dim in representations.items() if name in names})

    def _head(self, name: str, dim: int) -> Head:
        encoder = self.encoders[name]
        text = isinstance(encoder, TransformerEncoder)
        branch = self.settings.text if text else self.settings.stream_for(name)
        extra = self.settings.fusion.extra_layer
        return Head(dim, branch.projection, dropout=branch.projection_dropout, extra_layer=extra)

    def fusion_head(self, dim: int) -> Head:
        """Make the fused task's head with the sizes of ``settings.fusion``."""
        fusion = self.settings.fusion
        return Head(dim, fusion.projection, dropout=fusion.projection_dropout, extra_layer=fusion.extra_layer)

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def output(
        self,
        batch: Batch,
        fused: tuple[Tensor, Tensor],
        representations: Mapping[str, Tensor],
        encoded: Mapping[str, Tensor],
        terms: Mapping[str, Tensor] | None = None,
    ) -> Output:
        """Return the Output, with the scores of ``heads``.

        Args:
            fused: F_m* (B, ``fusion_dim``) and y^_m (B,).
            representations: per modality (B, d), the input of its head; modalities without a head are ignored.
            encoded: per modality (B, d'), what ``missing`` replaces.
            terms: further losses, (B,) each; see ``Output.terms``.
        """
        # Views, so that the objective can change the gradient that the encoder gets from a head and from nothing else.
        inputs = {name: representations[name].view_as(representations[name]) for name in self.heads}
        outputs = {name: head(inputs[name]) for name, head in self.heads.items()}
        return Output(
            fusion=fused[1],
            unimodal={name: score for name, (_, score) in outputs.items()},
            fusion_feature=fused[0],
            features={name: feature for name, (feature, _) in outputs.items()},
            encoded=encoded,
            present={name: batch.streams[name].present for name in self.modalities},
            terms=terms or {},
            head_inputs=inputs,
        )


def label_source(model: type[Model], settings: Settings) -> Labels:
    """Return where the labels per modality come from."""
    return model.labels if settings.labels.source == "auto" else settings.labels.source


def search_spaces(model: type[Model], settings: Settings) -> Mapping[str, Space]:
    """Return the search space of a model, with what there is to search if it trains a text encoder.

    Args:
        settings: of the start. The model reads words; otherwise its space is ``model.search``.
    """
    if model.closed_form or not settings.text.finetune:
        return model.search
    dropout = {} if label_source(model, settings) == "none" else {"text.projection_dropout": (0.0, 0.1, 0.3)}
    return {**_TRAINED_TEXT_SEARCH, **dropout, **model.search}


class Score(nn.Linear):
    """A linear layer to one number on the scale of the labels.

    The score is ``neutral`` + ``unit`` times the output of the layer, so a scale of 0 to 100 is learnt like one of -3
    to 3. Both are attributes, 0 and 1 by default.

    Input: (B, ``dim``). Output: (B,).
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, 1)
        self.neutral, self.unit = 0.0, 1.0

    def forward(self, feature: Tensor) -> Tensor:
        return self.neutral + self.unit * super().forward(feature).squeeze(-1)


class Head(nn.Module):
    """F* = ReLU(Linear(dropout(F))) and a score Linear(F*) (Self-MM, equations 1-2 and 4-5).

    Input: (B, ``input_dim``). Output: the projected feature (B, ``dim``) and the score (B,), on the labels' scale.

    Args:
        extra_layer: put ReLU(Linear(dim, dim)) between F* and the score, as the authors' code does.
    """

    def __init__(self, input_dim: int, dim: int, *, dropout: float, extra_layer: bool) -> None:
        super().__init__()
        self.dim = dim
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(input_dim, dim), nn.ReLU())
        between: list[nn.Module] = [nn.Linear(dim, dim), nn.ReLU()] if extra_layer else []
        self.score = nn.Sequential(*between, Score(dim))

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.project(encoded)
        return feature, self.score(feature)


def besides_text(names: Iterable[str]) -> tuple[str, ...]:
    """Return the modalities other than text, for models in which text leads."""
    return tuple(name for name in names if name != TEXT)
