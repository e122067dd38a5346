"""Build the model that data and settings ask for, and make the batches that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import torch

from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.messages import did_you_mean
from selfmm.core.tensors import Positions, Ragged
from selfmm.core.weights import cache_folder
from selfmm.data.alignment import on_one_axis
from selfmm.data.batches import BatchMaker, frame_statistics
from selfmm.data.centring import LEAST, centre_of, shifts, video_means
from selfmm.data.context import earlier_texts
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.models import find_model
from selfmm.models.base import Model, Score
from selfmm.models.context import Pair
from selfmm.models.encoder_check import vocabulary_size
from selfmm.models.encoders import Standardised
from selfmm.models.frozen import encode_once
from selfmm.models.hardware import choose_device
from selfmm.models.text import Pretrained, TransformerEncoder, text_encoder

POOLED = "Frames were pooled to one time axis, because this model reads all modalities step by step (align=pool)."
"""For tables and summaries of runs whose frames were pooled, as ``align = auto`` does if it must."""


@dataclass(frozen=True)
class Assembly:
    """A model with all that it needs to read clips of a data set.

    Attributes:
        modalities: those that the model reads, in its order.
        settings: of the run, with what ``align = auto`` means for the data.
        pretrained: the text encoder; None if no words are read.
    """

    modalities: Mapping[str, Modality]
    settings: Settings
    pretrained: Pretrained | None
    model: Model

    def maker(self, dataset: Dataset, rows: Positions, encoded: Ragged | None = None) -> BatchMaker:
        """Make the batches of some clips of ``dataset`` as this model reads them.

        Args:
            rows: (n,) row numbers of the clips.
            encoded: replaces the text of all clips of ``dataset``: output of ``encode_text``, or other token ids.

        Raises:
            DatasetError: if token ids do not fit the encoder's vocabulary, or modalities that must be aligned are not.
        """
        _check_fit(dataset, self.modalities)
        replaced = {} if encoded is None else {TEXT: encoded.part(rows)}
        moved = self._shifts(dataset, rows)
        clips = self._clips(dataset, rows, self.modalities, replaced, moved)
        if not self.model.needs.aligned:
            return clips
        return self._clips(dataset, rows, self.modalities, replaced | self._aligned(dataset, clips), moved)

    def _clips(
        self,
        dataset: Dataset,
        rows: Positions,
        modalities: Mapping[str, Modality],
        replaced: Mapping[str, Ragged],
        moved: Mapping[str, npt.NDArray[np.float32]] | None = None,
    ) -> BatchMaker:
        texts, tokens = self._texts(dataset, rows), None
        limit, count = self.settings.text.max_tokens, self.settings.text.context
        if texts is not None and self.pretrained is not None and TEXT not in replaced:
            tokens = self.pretrained.tokenise(texts, limit, earlier_texts(dataset, rows, count) if count else None)
        return BatchMaker(dataset, rows, modalities, tokens=tokens, max_tokens=limit, replaced=replaced, shifts=moved)

    @property
    def centred(self) -> dict[str, Standardised]:
        """The encoders of the modalities that are centred by video."""
        return {
            name: encoder
            for name, encoder in self.model.encoders.items()
            if isinstance(encoder, Standardised) and self.settings.stream_for(name).centre == "video"
        }

    def _shifts(self, dataset: Dataset, rows: Positions) -> dict[str, npt.NDArray[np.float32]]:
        """Return what centring subtracts from each clip: it moves the mean of a video to that of the encoder."""
        return {
            name: shifts(video_means(dataset, name, rows), encoder.mean.cpu().numpy())
            for name, encoder in self.centred.items()
            if name in dataset.modalities
        }

    def _texts(self, dataset: Dataset, rows: Positions) -> list[str] | None:
        """The clips' texts if the model reads words. Checks token ids if the data set stores those."""
        stored = dataset.modalities.get(TEXT)
        if self.pretrained is None or stored is None:
            return None
        if stored.kind == "text":
            return dataset.samples[TEXT].fillna("").iloc[rows].tolist()
        if self.settings.text.context:
            raise DatasetError(
                f"the model reads the words before each clip (text.context = {self.settings.text.context}), but the "
                f"text of {dataset.title} is token ids. Import the raw text."
            )
        check_vocabulary(dataset, rows, self.pretrained)
        return None

    def _aligned(self, dataset: Dataset, clips: BatchMaker) -> dict[str, Ragged]:
        how: Literal["stored", "pool"] = "pool" if self.settings.align == "pool" else "stored"
        texts, words = self._texts(dataset, clips.rows), None
        if texts is not None and self.pretrained is not None and how == "stored":
            words = self.pretrained.words_of_tokens(texts, self.settings.text.max_tokens)
        order = sorted(self.modalities, key=lambda name: name != TEXT)  # the others keep their order
        streams = {name: clips.ragged(name) for name in order}
        ids = dataset.samples["id"].iloc[clips.rows].tolist()
        limit = None if self.pretrained is None else self.settings.text.max_tokens
        return on_one_axis(streams, how=how, ids=ids, words=words, limit=limit)

    @property
    def pools(self) -> bool:
        """Whether frames are pooled to one time axis."""
        return self.model.needs.aligned and self.settings.align == "pool"

    def encode_text(self, dataset: Dataset) -> Ragged | None:
        """Return the frozen text encoder's output for every clip of ``dataset``.

        None if the encoder is trained, if the model works inside it, or if there is no text to encode.
        """
        changes = self.settings.text.finetune or self.model.needs.inside
        if self.pretrained is None or changes or TEXT not in dataset.modalities:
            return None
        clips = self._clips(dataset, np.arange(len(dataset)), {TEXT: self.modalities[TEXT]}, {})
        device = choose_device(self.settings.training.device)
        encoder = cast(TransformerEncoder, self.model.encoder(TEXT))
        return encode_once(encoder.to(device).eval(), clips, TEXT, cache_folder() / "encoded")


def chosen_modalities(dataset: Dataset, settings: Settings) -> dict[str, Modality]:
    """Return the modalities that a run reads, in the data set's order.

    Raises:
        SettingsError: if a setting names a modality that the data set does not have.
    """
    known = list(dataset.modalities)
    named = [("modalities", name) for name in settings.modalities]
    named += [("stream", name) for name in settings.stream if name not in _PRESET_STREAMS]
    problems = [
        f"{where}: {dataset.title} has no modality {name!r}{did_you_mean(name, known)}"
        for where, name in named
        if name not in known
    ]
    if problems:
        raise SettingsError(problems)
    return {name: dataset.modalities[name] for name in known if name in (settings.modalities or known)}


def reads_words(modalities: Mapping[str, Modality]) -> bool:
    """Return whether one of the modalities is words or token ids, so that a text encoder is needed."""
    return any(modality.kind != "frames" for modality in modalities.values())


# A preset has settings for both of them; a data set may still lack one.
_PRESET_STREAMS = frozenset({"audio", "vision"})


def assemble(dataset: Dataset, settings: Settings, pretrained: Pretrained | None = None) -> Assembly:
    """Load the text encoder if one is needed, and build the model with the statistics of the training split.

    Uses torch's random state for the weights; the caller seeds it.

    Args:
        pretrained: the text encoder to use; None: the one that the settings name.

    Raises:
        SettingsError: if the data do not have what the model or the settings need, or the encoder cannot be used.
        DatasetError: if the words before a clip are read, and the order of the clips of a recording is not known.
    """
    modalities = chosen_modalities(dataset, settings)
    kind = find_model(settings.model)
    check_needs(kind, modalities, settings)
    if settings.text.context and TEXT in modalities:
        _check_context(dataset, settings.text.context)
    if not reads_words(modalities):
        pretrained = None
    elif pretrained is None:
        pretrained = text_encoder(settings.text)
    model = build_model(kind, modalities, settings, pretrained, LabelScale.of(dataset.manifest.label_range))
    train = training_rows(dataset, settings)
    for name, encoder in model.encoders.items():
        if not isinstance(encoder, Standardised):
            continue
        if settings.stream_for(name).centre == "video":
            _centre(encoder, dataset, train, name, settings)
        elif settings.stream_for(name).standardise:
            encoder.standardise(*frame_statistics(dataset, train, name))
    assembly = Assembly(modalities, settings, pretrained, model)
    if settings.align == "auto" and kind.needs.aligned:
        return replace(assembly, settings=settings.model_copy(update={"align": _alignment(assembly, dataset)}))
    return assembly


def _check_context(dataset: Dataset, count: int) -> None:
    """Raise ``SettingsError`` if no clip has an earlier one; ``DatasetError`` if the order of clips is not known."""
    if not any(earlier_texts(dataset, np.arange(len(dataset)), count)):
        raise SettingsError(
            [
                f"text.context = {count}: no clip of {dataset.title} has an earlier clip of the same recording; name "
                "the recording of each clip in the column video, or use text.context=0"
            ]
        )


def _alignment(assembly: Assembly, dataset: Dataset) -> Literal["stored", "pool"]:
    """Return what ``align = auto`` means for this data set: pool frames only if the stored ones are on no common axis.

    It is decided for all clips together, so that every split is read in the same way.
    """
    try:
        assembly.maker(dataset, np.arange(len(dataset)))
    except (DatasetError, SettingsError):  # if it has another reason, pooling fails for the same one
        return "pool"
    return "stored"


def _centre(encoder: Standardised, dataset: Dataset, train: Positions, name: str, settings: Settings) -> None:
    """Give an encoder the mean of the training videos and the deviation within them.

    Batches move the mean of each video to this mean, which the encoder then subtracts from all clips. So it also reads
    a clip of an unknown video on the same scale.

    Raises:
        SettingsError: if no video has enough clips.
    """
    means = video_means(dataset, name, train)
    centre = centre_of(means)
    if centre is None:
        raise SettingsError(
            [
                f"stream.{name}.centre = 'video': no video of the training clips has {LEAST} clips with {name}; name "
                f"the speaker of each clip in the column video, or use stream.{name}.centre=none"
            ]
        )
    _, deviation = frame_statistics(dataset, train, name, shifts(means, centre))
    scaled = settings.stream_for(name).standardise
    encoder.standardise(torch.from_numpy(centre).float(), deviation if scaled else torch.ones_like(deviation))


def build_model(
    kind: type[Model],
    modalities: Mapping[str, Modality],
    settings: Settings,
    pretrained: Pretrained | None,
    labels: LabelScale,
) -> Model:
    """Build the network alone, with scores on the scale of the labels.

    Raises:
        SettingsError: if the model refuses its options, or torch itself uses the name of a modality.
    """
    reserved = [name for name in modalities if hasattr(torch.nn.ModuleDict(), name)]
    if reserved:
        raise SettingsError(
            [f"modality {name!r}: torch uses this name itself; import it under another one" for name in reserved]
        )
    if pretrained is not None:
        text = settings.text.model_copy(update={"pooling": pretrained.rules.pooling})
        settings = settings.model_copy(update={"text": text})
    model = kind(modalities, settings, pretrained.model if pretrained else None)
    for part in model.modules():
        if isinstance(part, Score):
            part.neutral, part.unit = labels.neutral, labels.unit
        if isinstance(part, TransformerEncoder) and pretrained is not None and settings.text.context:
            part.pair = Pair.of(pretrained.tokenizer)
    return model


def check_needs(model: type[Model], modalities: Mapping[str, Modality], settings: Settings) -> None:
    """Raise ``SettingsError`` with every need of ``model`` that these modalities do not meet."""
    needs, name = model.needs, settings.model_name
    problems = []
    if len(modalities) < needs.modalities:
        problems.append(
            f"{name} needs at least {needs.modalities} modalities, and these data have {', '.join(modalities)}; use "
            "more of them with `overrides=['modalities=...']`, import further modalities, or choose another model"
        )
    if needs.text and TEXT not in modalities:
        problems.append(
            f"{name} needs text, and these data have {', '.join(modalities)}; import a text column, let "
            "`selfmm extract` recognise speech, or choose another model"
        )
    if needs.inside and TEXT in modalities and modalities[TEXT].kind == "frames":
        problems.append(
            f"{name} works inside the text encoder, so it needs words or token ids, but the text of these data is "
            "already features; import the raw text, or choose another model"
        )
    if settings.text.context and TEXT in modalities:
        problems += _why_no_context(model, modalities[TEXT], settings)
    if problems:
        raise SettingsError(problems)


def _why_no_context(model: type[Model], text: Modality, settings: Settings) -> list[str]:
    """Return why ``model`` cannot read the words before a clip; empty if it can."""
    asked = f"text.context = {settings.text.context}"
    if text.kind != "text":
        return [
            f"{asked}: the text of these data is {'token ids' if text.kind == 'tokens' else 'features'}, and words are "
            "needed to read those before a clip; import the raw text, or use text.context=0"
        ]
    if model.reads_tokens or model.needs.aligned or model.needs.inside:
        return [
            f"{asked}: {settings.model_name} reads the text token by token, so it would take the words before a clip "
            "for the clip's own; use a model that makes one vector of a text, such as self_mm, or text.context=0"
        ]
    return []


def _check_fit(dataset: Dataset, modalities: Mapping[str, Modality]) -> None:
    """Raise ``DatasetError`` if the data set's modalities do not have the shape that the model reads."""
    shared = [name for name in modalities if name in dataset.modalities]
    if not shared:
        raise DatasetError(
            f"the model reads {', '.join(modalities)}, but {dataset.title} has "
            f"{'only ' if dataset.modalities else 'none of these'}{', '.join(dataset.modalities)}."
        )
    for name in shared:
        read, stored = modalities[name], dataset.modalities[name]
        if read.dim != stored.dim:
            raise DatasetError(
                f"{name} in {dataset.title} is {_shape(stored)}, but the model reads {_shape(read)}. "
                "Extract the features as for training, or leave this modality out."
            )
        if read.columns and stored.columns and read.columns != stored.columns:
            differing = next(pair for pair in zip(read.columns, stored.columns, strict=True) if pair[0] != pair[1])
            raise DatasetError(
                f"the features of {name} in {dataset.title} have other names than those the model was trained on; the "
                f"first one is {differing[1]!r} instead of {differing[0]!r}. Extract them as for training."
            )


def _shape(modality: Modality) -> str:
    return "words" if modality.dim is None else f"frames of {modality.dim} features"


def check_vocabulary(dataset: Dataset, rows: Positions, pretrained: Pretrained) -> None:
    """Raise ``DatasetError`` if token ids of these clips do not fit the text encoder's vocabulary."""
    size = vocabulary_size(pretrained.model) or 0
    starts = dataset.samples[f"{TEXT}_offset"].to_numpy(dtype=np.int64)[rows]
    clips = Ragged.of(dataset.matrix(TEXT), starts, dataset.lengths(TEXT)[rows])
    ids = clips.to(torch.device("cpu")).rows
    highest = int(ids.max()) if len(ids) else 0
    if highest >= size:
        raise DatasetError(
            f"the token ids of {dataset.title} go up to {highest}, but the text encoder knows {size} words. They "
            f"come from {dataset.modalities[TEXT].tokenizer or 'an unnamed tokenizer'}: choose an encoder with its "
            "vocabulary, or import the raw text."
        )
