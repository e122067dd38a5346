"""Damaged clips: a modality is missing, frames and words are lost, or noise is added.

Random draws depend only on their number, the kind of damage, the modality and the id of the clip. Every model gets the
same damage, and a modality is damaged in the same way alone and together with others. Draws are nested: what is lost at
one level is lost at every higher level, and noise only grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from selfmm.core.errors import DatasetError, RunError
from selfmm.core.tensors import Positions, Ragged
from selfmm.data.batches import frame_statistics
from selfmm.data.manifest import TEXT
from selfmm.data.store import Dataset
from selfmm.explain.words import special_places

Kind = Literal["clips", "frames", "noise"]
Lost = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Damage:
    """A kind of damage to the clips, with its level.

    Attributes:
        kind: ``clips``: a fraction of the clips lacks the modality. ``frames``: each frame of the modality is lost
            with some probability and becomes a gap; a lost token becomes the tokenizer's unknown word.
            ``noise``: independent Gaussian noise is added to every number.
        modalities: the damaged modalities, each independently.
        level: the fraction, the probability, or the noise in standard deviations of each feature over the frames of
            the training split.
    """

    kind: Kind
    modalities: tuple[str, ...]
    level: float

    @property
    def where(self) -> str:
        """The modalities, joined by +."""
        return "+".join(self.modalities)


def _random(draw: int, kind: Kind, modality: str, clip: str) -> np.random.Generator:
    digest = hashlib.sha256("\0".join([str(draw), kind, modality, clip]).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype="<u4"))


def lost_clips(ids: Sequence[str], modality: str, share: float, draw: int) -> Lost:
    """Return (n,) True for the clips that lose the modality: ``share`` of them, rounded to a whole number."""
    luck = [_random(draw, "clips", modality, clip).random() for clip in ids]
    lost = np.zeros(len(ids), dtype=np.bool_)
    lost[np.argsort(luck, kind="stable")[: int(share * len(ids) + 0.5)]] = True
    return lost


def lost_frames(ids: Sequence[str], lengths: Positions, modality: str, share: float, draw: int) -> Lost:
    """Return (sum of ``lengths``,) True for lost frames, clip after clip; each is lost with probability ``share``.

    A fixed share of each clip would be all or nothing for clips of one frame.
    """
    pairs = zip(ids, lengths.tolist(), strict=True)
    luck = [_random(draw, "frames", modality, clip).random(length) for clip, length in pairs]
    return np.concatenate([*luck, np.zeros(0)]) < share


def noise(ids: Sequence[str], lengths: Positions, dim: int, modality: str, draw: int) -> Frames:
    """Return (sum of ``lengths``, ``dim``) standard normal numbers, clip after clip."""
    parts = [
        _random(draw, "noise", modality, clip).standard_normal((length, dim), dtype=np.float32)
        for clip, length in zip(ids, lengths.tolist(), strict=True)
    ]
    return np.concatenate([*parts, np.zeros((0, dim), dtype=np.float32)])


@dataclass(frozen=True)
class ClipDamager:
    """The clips of one split, and ways to damage them.

    Attributes:
        clips: the undamaged clips.
        draws: number of the random draw; with another number, other clips and frames are lost.
        deviations: (d,) standard deviation of each feature over the frames of the training split, per modality.
    """

    clips: Dataset
    draws: int
    deviations: Mapping[str, Frames]

    @property
    def ids(self) -> list[str]:
        return self.clips.samples["id"].astype(str).tolist()

    def damaged(self, damage: Damage) -> Dataset:
        """Return the clips with damaged modalities; for lost words see ``without_words``."""
        clips = self.clips
        for name in damage.modalities:
            if damage.kind == "clips":
                clips = _without_modality(clips, name, lost_clips(self.ids, name, damage.level, self.draws))
            elif self.clips.modalities[name].kind == "frames":
                clips = _with_frames(clips, name, self._frames(name, damage))
        return clips

    def _frames(self, name: str, damage: Damage) -> Frames:
        """Return (total frames, d) of all clips, clip after clip."""
        lengths, dim = self.clips.lengths(name), self.clips.modalities[name].dim or 0
        parts = [self.clips.frames(name, row) for row in range(len(self.clips))]
        frames = np.concatenate([*parts, np.zeros((0, dim))]).astype(np.float32)
        if damage.kind == "noise":
            return frames + damage.level * self.deviations[name] * noise(self.ids, lengths, dim, name, self.draws)
        frames[lost_frames(self.ids, lengths, name, damage.level, self.draws)] = np.nan
        return frames

    def without_words(self, tokens: Ragged, tokenizer: Any, share: float) -> Ragged:
        """Return the token ids of the clips, with lost words replaced by the unknown word; special tokens stay.

        Raises:
            RunError: if the tokenizer has no token for an unknown word.
        """
        unknown, damaged = _unknown(tokenizer), tokens.to(torch.device("cpu"))  # a copy
        lost = lost_frames(self.ids, damaged.lengths.numpy(), TEXT, share, self.draws)
        clips = np.split(damaged.rows.numpy(), damaged.lengths.cumsum(0).numpy()[:-1])
        lost &= ~np.concatenate([np.array(special_places(tokenizer, clip.tolist()), dtype=np.bool_) for clip in clips])
        damaged.rows[torch.from_numpy(lost)] = unknown
        return damaged

    def without_texts(self, encoded: Ragged, share: float) -> Ragged:
        """Return the encoded texts without those of the clips that ``damaged`` leaves without text."""
        lost = torch.from_numpy(lost_clips(self.ids, TEXT, share, self.draws))
        return replace(encoded, lengths=encoded.lengths.masked_fill(lost, 0))


def deviations(dataset: Dataset, modalities: Sequence[str]) -> dict[str, Frames]:
    """Return (d,) the standard deviation of each feature over the frames of the training split, per modality.

    Raises:
        DatasetError: if the training split has no frames of a modality.
    """
    rows, by_modality = dataset.rows("train"), {}
    for name in modalities:
        if not dataset.lengths(name)[rows].any():
            raise DatasetError(
                f"noise is scaled by standard deviations over the training split, but that of {dataset.title} has no "
                f"{name}. Give the data set that was trained on, or leave out the noise."
            )
        by_modality[name] = frame_statistics(dataset, rows, name)[1].numpy()
    return by_modality


def _without_modality(dataset: Dataset, name: str, lost: Lost) -> Dataset:
    if dataset.modalities[name].kind == "text":
        return replace(dataset, samples=dataset.samples.assign(**{name: dataset.samples[name].mask(lost)}))
    lengths = np.where(lost, 0, dataset.lengths(name))
    return replace(dataset, samples=dataset.samples.assign(**{f"{name}_length": lengths}))


def _with_frames(dataset: Dataset, name: str, frames: Frames) -> Dataset:
    """Return the data set with these frames (total frames, d) instead of the stored ones; a row of NaN is a gap."""
    lengths = dataset.lengths(name)
    gaps = dataset.modalities[name].model_copy(update={"gaps": True})
    manifest = dataset.manifest.model_copy(update={"modalities": {**dataset.modalities, name: gaps}})
    samples = dataset.samples.assign(**{f"{name}_offset": np.cumsum(lengths) - lengths})
    kinds = {other: modality.kind for other, modality in dataset.modalities.items()}
    matrices = {other: dataset.matrix(other) for other, kind in kinds.items() if kind != "text"}
    return replace(dataset, manifest=manifest, samples=samples, matrices={**matrices, name: frames})


def _unknown(tokenizer: Any) -> int:
    for number in (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id):
        if number is not None:
            return int(number)
    raise RunError(
        "the tokenizer of the run has no token for an unknown word, nor a mask or padding token to replace it with. "
        "Leave out the kind frames, or use a run with another text encoder."
    )
