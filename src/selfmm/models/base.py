"""What every model is: streams read by encoders, put together by the method's own ``combine``.

A new model is a class with a ``combine`` in a file of its own and a line in ``selfmm.models.MODELS``; CONTRIBUTING.md
walks through it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from selfmm.config.settings import Group, Settings, StreamSettings, TextSettings, load_group
from selfmm.core.errors import SettingsError
from selfmm.data.store import TEXT, Modality
from selfmm.data.types import Batch, Output
from selfmm.models.encoders import Encoder, FrameReader, SequenceEncoder
from selfmm.models.text import TransformerEncoder

Labels = Literal["generated", "human", "none"]


@dataclass(frozen=True)
class Needs:
    """What a model cannot do without; :func:`selfmm.models.needs.check_needs` says how to get it.

    Attributes:
        modalities: at least so many.
        text: one of them is text.
        aligned: all streams of a clip have one time axis, that of the text's tokens where there is text.
        inside: text is read by a transformer that the model reaches into, so it takes words or token ids.
    """

    modalities: int = 1
    text: bool = False
    aligned: bool = False
    inside: bool = False


@dataclass(frozen=True)
class Range:
    """Where ``selfmm tune`` looks for a number: from ``low`` to ``high``, evenly or in its logarithm."""

    low: float
    high: float
    log: bool = False


Space = Range | tuple[Any, ...]
"""Of one setting: a range, or the values to choose from."""

COMMON_SEARCH: Mapping[str, Space] = {
    "fusion.lr": Range(1e-4, 1e-2, log=True),
    "fusion.weight_decay": Range(1e-5, 1e-1, log=True),
    "stream.*.lr": Range(1e-4, 1e-2, log=True),
    "training.batch_size": (16, 32, 64),
}
"""What is worth a search for every model; ``*`` stands for each modality of frames."""


class Model(nn.Module):
    """A network from a Batch to an Output.

    Args:
        modalities: what each modality is, in the order they are joined.
        settings: of the run; ``settings.options`` are the model's own, checked against ``Options``.
        transformer: the pretrained text encoder; None where no modality is words or token ids.

    Attributes:
        encoders: per modality, (values, lengths) -> what ``combine`` takes; each has a learning rate of its own.
        missing: per modality the learned vector that stands in where a clip lacks it; it starts at zero.
        heads: per modality that has a task of its own, from its representation to a score.
        fusion_dim: size of ``Output.fusion_feature``.

    Raises:
        SettingsError: an option is unknown or out of range, or labels are wanted for what has no representation.
    """

    paper: ClassVar[str]
    """Who published it where, in a few words."""
    Options: ClassVar[type[Group]] = Group
    """The model's own settings."""
    needs: ClassVar[Needs] = Needs()
    labels: ClassVar[Labels] = "none"
    """Where labels per modality come from unless the user says otherwise."""
    reads_tokens: ClassVar[bool] = False
    """Whether streams are read as sequences (B, L, d), or as one vector (B, d) each."""
    joins_clips: ClassVar[bool] = False
    """Whether a term of the loss joins the clips of a batch; passes are then whole batches on every machine."""
    search: ClassVar[Mapping[str, Space]] = COMMON_SEARCH

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

    def _encoder(self, name: str, modality: Modality, transformer: nn.Module | None) -> Encoder:
        branch = branch_settings(modality, name, self.settings)
        if isinstance(branch, TextSettings):
            if transformer is None:
                raise ValueError("text as words or token ids needs a transformer")
            return TransformerEncoder(
                transformer,
                finetune=branch.finetune,
                recompute=branch.recompute,
                tokens=self.reads_tokens,
                inside=self.needs.inside,
            )
        if modality.dim is None:
            raise ValueError("a modality of frames needs a dim")
        return FrameReader(modality.dim) if self.reads_tokens else self.frame_encoder(name, modality.dim, branch)

    def frame_encoder(self, name: str, dim: int, branch: StreamSettings) -> Encoder:
        """Make the encoder that turns a modality's frames of ``dim`` features into one vector."""
        return lstm_encoder(dim, branch)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.encoders)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Modalities with a score of their own."""
        return tuple(self.heads)

    @property
    def feature_dims(self) -> dict[str, int]:
        """Size of F_s* per modality that has one."""
        heads: Mapping[str, Any] = dict(self.heads.items())
        return {name: head.dim for name, head in heads.items()}

    def kept_bytes(self, lengths: Mapping[str, int]) -> int:
        """About what one clip of such lengths leaves in memory for the gradient."""
        return sum(self.encoder(name).kept_bytes(length) for name, length in lengths.items())

    def encoder(self, name: str) -> Encoder:
        """The encoder of one modality."""
        return cast(Encoder, self.encoders[name])

    def make_heads(self, representations: Mapping[str, int]) -> nn.ModuleDict:
        """A head per modality that is to have a task of its own.

        Args:
            representations: size of each modality's own representation; modalities without one are not in it.

        Raises:
            SettingsError: ``labels`` asks for tasks where there is no representation.
        """
        settings = self.settings
        if label_source(type(self), settings) == "none":
            return nn.ModuleDict()
        if not representations:
            raise SettingsError(
                [
                    f"labels.source = {settings.labels.source!r}: {settings.model_name} has no representation of a "
                    "single modality that could learn them; choose none, or a model that has one (see `selfmm models`)"
                ]
            )
        names = settings.labels.tasks or tuple(representations)
        wrong = [name for name in names if name not in representations]
        if wrong:
            raise SettingsError(
                [f"labels.tasks names {wrong[0]!r}; {settings.model_name} has one of {', '.join(representations)}"]
            )
        return nn.ModuleDict({name: self._head(name, dim) for name, dim in representations.items() if name in names})

    def _head(self, name: str, dim: int) -> Head:
        encoder = self.encoders[name]
        text = isinstance(encoder, TransformerEncoder)
        branch = self.settings.text if text else self.settings.stream_for(name)
        extra = self.settings.fusion.extra_layer
        return Head(dim, branch.projection, dropout=branch.projection_dropout, extra_layer=extra)

    def fusion_head(self, dim: int) -> Head:
        """The fused task's head with the sizes of ``settings.fusion``."""
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
        """The Output, with the scores of ``heads``.

        Args:
            fused: F_m* (B, ``fusion_dim``) and y^_m (B,).
            representations: per modality (B, d), what its head reads; those without a head are not looked at.
            encoded: per modality (B, d'), what ``missing`` stands in for.
            terms: further losses, (B,) each; see ``Output.terms``.
        """
        scored = {name: head(representations[name]) for name, head in self.heads.items()}
        return Output(
            fusion=fused[1],
            unimodal={name: score for name, (_, score) in scored.items()},
            fusion_feature=fused[0],
            features={name: feature for name, (feature, _) in scored.items()},
            encoded=encoded,
            present={name: batch.streams[name].present for name in self.modalities},
            terms=terms or {},
        )


def branch_settings(modality: Modality, name: str, settings: Settings) -> TextSettings | StreamSettings:
    """Settings of one modality, by what it is."""
    return settings.stream_for(name) if modality.kind == "frames" else settings.text


def lstm_encoder(dim: int, branch: StreamSettings) -> SequenceEncoder:
    """An LSTM over frames of ``dim`` features, of the sizes of ``branch``."""
    return SequenceEncoder(
        dim,
        branch.hidden,
        branch.out,
        layers=branch.layers,
        bidirectional=branch.bidirectional,
        dropout=branch.dropout,
    )


def label_source(model: type[Model], settings: Settings) -> Labels:
    """Where the labels per modality come from."""
    return model.labels if settings.labels.source == "auto" else settings.labels.source


class Score(nn.Linear):
    """A Linear to one number on the scale of the labels.

    That is ``neutral`` + ``unit`` times what the Linear gives, so that a scale of 0 to 100 is learnt as one of -3 to 3
    is. They are attributes, 0 and 1 unless set.

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
    """The other modalities, for models in which text leads."""
    return tuple(name for name in names if name != TEXT)
