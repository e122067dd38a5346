"""Data set and settings put together: what is read, the model for it, and its objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from selfmm.config import Settings, did_you_mean
from selfmm.data.batches import BatchMaker, Positions, frame_statistics
from selfmm.data.scales import LabelScale
from selfmm.data.store import TEXT, Dataset, Modality
from selfmm.errors import DatasetError, SettingsError, TrainingError
from selfmm.labels import UnimodalLabelGenerator
from selfmm.labels.shared import SharedLabelGenerator
from selfmm.models.encoders import SequenceEncoder
from selfmm.models.late_fusion import Head
from selfmm.models.self_mm import SelfMM
from selfmm.models.text import Pretrained, check_max_tokens, load_pretrained, tokenise
from selfmm.objectives.self_mm import SelfMMObjective
from selfmm.processes import Processes
from selfmm.training.corrections import fixed_labels
from selfmm.training.frozen import Encoded, encode_once
from selfmm.training.hardware import choose_device
from selfmm.weights import cache_folder


@dataclass(frozen=True)
class Assembly:
    """A model ready to be trained on (or to score) clips of a data set.

    Attributes:
        modalities: those the model reads, in its order.
        settings: of the run.
        pretrained: the text encoder; None where no words are read.
        model: the network.
    """

    modalities: Mapping[str, Modality]
    settings: Settings
    pretrained: Pretrained | None
    model: SelfMM

    def maker(self, dataset: Dataset, rows: Positions, encoded: Encoded | None = None) -> BatchMaker:
        """Batches of some clips of ``dataset`` as this model reads them.

        Args:
            rows: (n,) row numbers of the clips.
            encoded: what ``ask_frozen`` returned for this data set.

        Raises:
            DatasetError: token ids do not fit the encoder's vocabulary.
        """
        _check_fit(dataset, self.modalities)
        tokens, stored = None, dataset.modalities.get(TEXT)
        if self.pretrained is not None and stored is not None and stored.kind == "text":
            texts = dataset.samples[TEXT].fillna("").iloc[rows].tolist()
            tokens = tokenise(self.pretrained.tokenizer, texts, self.settings.text.max_tokens)
        elif self.pretrained is not None and stored is not None:
            _check_vocabulary(dataset, int(self.pretrained.model.config.vocab_size))
        limit = self.settings.text.max_tokens
        known = {} if encoded is None else {TEXT: encoded[rows]}
        return BatchMaker(dataset, rows, self.modalities, tokens=tokens, max_tokens=limit, encoded=known)

    def ask_frozen(self, dataset: Dataset) -> Encoded | None:
        """What the text encoder says of every clip of ``dataset``, (N, dim), if it stays as it is; else None."""
        if self.pretrained is None or self.settings.text.finetune or TEXT not in dataset.modalities:
            return None
        everything = self.maker(dataset, np.arange(len(dataset)))
        device = choose_device(self.settings.training.device)
        return encode_once(self.model.encoders[TEXT].to(device).eval(), everything, TEXT, cache_folder() / "encoded")


def chosen_modalities(dataset: Dataset, settings: Settings) -> dict[str, Modality]:
    """The modalities a run reads, in the data set's order.

    Raises:
        SettingsError: a setting names a modality that the data set does not have.
    """
    known = list(dataset.modalities)
    named = [("modalities", name) for name in settings.modalities]
    named += [("stream", name) for name in settings.stream if name not in _PRESET_STREAMS]
    problems = [
        f"{where}: the data set {dataset.name!r} has no modality {name!r}{did_you_mean(name, known)}"
        for where, name in named
        if name not in known
    ]
    if problems:
        raise SettingsError(problems)
    return {name: dataset.modalities[name] for name in known if name in (settings.modalities or known)}


# A preset describes the streams of its field; a data set that lacks one of them is no mistake.
_PRESET_STREAMS = frozenset({"audio", "vision"})


def assemble(dataset: Dataset, settings: Settings) -> Assembly:
    """Loads the text encoder where one is needed and builds the model, with the training split's statistics.

    Uses torch's random state for the weights; the caller seeds it.
    """
    modalities = chosen_modalities(dataset, settings)
    pretrained = None
    if any(modality.kind != "frames" for modality in modalities.values()):
        pretrained = load_pretrained(settings.text.encoder)
        check_max_tokens(pretrained.model, settings.text.max_tokens)
    model = build_model(modalities, settings, pretrained, LabelScale.of(dataset.manifest.label_range))
    train = dataset.rows("train")
    for name, encoder in model.encoders.items():
        if isinstance(encoder, SequenceEncoder) and settings.stream_for(name).standardise:
            encoder.standardise(*frame_statistics(dataset, train, name))
    return Assembly(modalities, settings, pretrained, model)


def build_model(
    modalities: Mapping[str, Modality], settings: Settings, pretrained: Pretrained | None, labels: LabelScale
) -> SelfMM:
    """The network alone, with scores on the scale of the labels.

    Raises:
        SettingsError: a modality has a name that torch has taken.
    """
    taken = [name for name in modalities if hasattr(torch.nn.ModuleDict(), name)]
    if taken:
        raise SettingsError(
            [f"modality {name!r}: torch uses this name itself; import it under another" for name in taken]
        )
    model = SelfMM(modalities, settings, pretrained.model if pretrained else None)
    for head in (model.fusion, *model.heads.values()):
        cast(Head, head).neutral, cast(Head, head).unit = labels.neutral, labels.unit
    return model


def make_objective(dataset: Dataset, assembly: Assembly) -> SelfMMObjective:
    """Self-MM's objective for the training split, whose banks the processes of the run share out among them."""
    settings, scale = assembly.settings, LabelScale.of(dataset.manifest.label_range)
    processes = Processes.join(settings.training.device)
    labels = torch.from_numpy(dataset.labels()[dataset.rows("train")]).float()
    arguments: dict[str, Any] = {
        "dims": assembly.model.feature_dims,
        "fusion_dim": settings.fusion.projection,
        "bound": scale.reach,
        "rule": settings.labels.rule,
        "zero_labels": settings.labels.zero_labels,
        "bank_dtype": getattr(torch, settings.labels.bank),
        "bank_folder": Path(settings.labels.bank_folder) if settings.labels.bank_folder else None,
        "neutral": scale.neutral,
        "unit": scale.unit,
        "fixed": fixed_labels(dataset, list(assembly.modalities)),
    }
    generator: UnimodalLabelGenerator | SharedLabelGenerator
    if processes.group is None:
        generator = UnimodalLabelGenerator(labels, **arguments)
    else:
        most = -(-settings.training.batch_size // processes.count)
        generator = SharedLabelGenerator(labels, group=processes.group, most=most, **arguments)
    return SelfMMObjective(generator, clean_features=settings.labels.features == "eval")


def check_device(device: str) -> None:
    """Raises ``SettingsError`` where this machine lacks the device."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device, True):
        raise SettingsError([f"training.device = {device!r}: this machine or its torch has none; use auto or cpu"])


def check_trainable(dataset: Dataset) -> None:
    """Raises ``TrainingError`` where the data set cannot be trained on, with the mend."""
    labels = dataset.labels()
    for split in ("train", "valid"):
        rows = dataset.rows(split)
        if not len(rows):
            raise TrainingError(
                f"the data set {dataset.name!r} has no clip in its {split} split ({len(dataset)} in all). "
                "Training needs train and valid; import it without a split column to have it split."
            )
        unknown = ~np.isfinite(labels[rows])
        if unknown.any():
            first = dataset.samples["id"].iloc[rows[unknown][:3]].tolist()
            raise TrainingError(
                f"{int(unknown.sum())} of {len(rows)} clips in the {split} split have no label, for example {first}. "
                "Give them one or leave them out."
            )
    _check_both_sides(dataset, labels[dataset.rows("train")])


def _check_both_sides(dataset: Dataset, labels: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    neutral = LabelScale.of(dataset.manifest.label_range).neutral
    positive, negative = int((labels > neutral).sum()), int((labels < neutral).sum())
    if positive and negative:
        return
    low, high = dataset.manifest.label_range
    counts = f"{positive} above {neutral:g}, {negative} below, {len(labels) - positive - negative} equal to it"
    raise TrainingError(
        f"the {len(labels)} training labels of {dataset.name!r} are one-sided ({counts}; they span "
        f"{labels.min():g} to {labels.max():g}). Self-MM makes unimodal labels from the distance to a positive and a "
        f"negative class centre, so it needs clips on both sides of {neutral:g}, the neutral point of the label range "
        f"{low:g} to {high:g}. If your scale is another, import again with its true --label-range."
    )


def _check_fit(dataset: Dataset, modalities: Mapping[str, Modality]) -> None:
    """Raises ``DatasetError`` where the data set's streams are not of the shape the model reads."""
    shared = [name for name in modalities if name in dataset.modalities]
    if not shared:
        raise DatasetError(
            f"the model reads {', '.join(modalities)}, but {dataset.name!r} has only {', '.join(dataset.modalities)}."
        )
    for name in shared:
        wanted, found = modalities[name], dataset.modalities[name]
        if wanted.dim != found.dim:
            raise DatasetError(
                f"{name} in {dataset.name!r} is {_shape(found)}, but the model reads {_shape(wanted)}. "
                "Extract the features as they were for training, or leave this modality out."
            )
        if wanted.columns and found.columns and wanted.columns != found.columns:
            differing = next(pair for pair in zip(wanted.columns, found.columns, strict=True) if pair[0] != pair[1])
            raise DatasetError(
                f"the features of {name} in {dataset.name!r} have other names than those the model was trained on, the "
                f"first is {differing[1]!r} in the place of {differing[0]!r}. Extract them as for training."
            )


def _shape(modality: Modality) -> str:
    return "words" if modality.dim is None else f"frames of {modality.dim} features"


def _check_vocabulary(dataset: Dataset, size: int) -> None:
    highest = int(dataset.matrix(TEXT).max(initial=0))
    if highest >= size:
        raise DatasetError(
            f"the token ids of {dataset.name!r} go up to {highest}, but the text encoder knows {size} words. They "
            f"come from {dataset.modalities[TEXT].tokenizer or 'an unnamed tokenizer'}: choose an encoder with that "
            "vocabulary, or import the raw text."
        )
