"""Clips that are damaged: streams are missing, frames and words are lost, or noise is added.

Draws depend on their number, the kind of damage, the modality and the clip's id alone: every model meets the same
damage, and damage to all modalities together is that to each of them at once. They are nested: what is lost at one
level is lost at every higher one, and noise only grows.
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
from selfmm.data.store import TEXT, Dataset
from selfmm.explain.words import special_ids

Kind = Literal["clips", "frames", "noise"]
Lost = npt.NDArray[np.bool_]
Frames = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Damage:
    """What is done to the clips.

    Attributes:
        kind: ``clips``: a share of the clips lack a modality altogether. ``frames``: each frame of a modality is lost
            with some probability, and then nothing is measured in it; a lost token is the tokenizer's unknown word.
            ``noise``: independent Gaussian noise is added to every number.
        modalities: to which ones, each for itself.
        level: the share, the probability, or the noise in standard deviations of each feature over the training
            split's frames.
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
    """(n,) which clips lack the modality: the nearest whole number to ``share`` of them."""
    luck = [_random(draw, "clips", modality, clip).random() for clip in ids]
    lost = np.zeros(len(ids), dtype=np.bool_)
    lost[np.argsort(luck, kind="stable")[: int(share * len(ids) + 0.5)]] = True
    return lost


def lost_frames(ids: Sequence[str], lengths: Positions, modality: str, share: float, draw: int) -> Lost:
    """(sum of ``lengths``,) which frames are lost, a clip's after the other's; each with probability ``share``.

    Not that share of each clip's: of a stream of one frame it would be all or nothing in every clip at once.
    """
    luck = [
        _random(draw, "frames", modality, clip).random(length)
        for clip, length in zip(ids, lengths.tolist(), strict=True)
    ]
    return np.concatenate([*luck, np.zeros(0)]) < share


def noise(ids: Sequence[str], lengths: Positions, dim: int, modality: str, draw: int) -> Frames:
    """(sum of ``lengths``, ``dim``) standard normal numbers, a clip's after the other's."""
    parts = [
        _random(draw, "noise", modality, clip).standard_normal((length, dim), dtype=np.float32)
        for clip, length in zip(ids, lengths.tolist(), strict=True)
    ]
    return np.concatenate([*parts, np.zeros((0, dim), dtype=np.float32)])


@dataclass(frozen=True)
class Bench:
    """The clips of one split, and what is done to them.

    Attributes:
        clips: undamaged.
        draws: number of the draws; with another one other clips and frames are lost.
        deviations: per modality that may get noise (d,), of each feature over the frames of the training split.
    """

    clips: Dataset
    draws: int
    deviations: Mapping[str, Frames]

    @property
    def ids(self) -> list[str]:
        return self.clips.samples["id"].astype(str).tolist()

    def damaged(self, damage: Damage) -> Dataset:
        """The clips with damaged streams; words that are lost are no matter of the data set, see ``without_words``."""
        found = self.clips
        for name in damage.modalities:
            if damage.kind == "clips":
                found = _without_streams(found, name, lost_clips(self.ids, name, damage.level, self.draws))
            elif self.clips.modalities[name].kind == "frames":
                found = _with_frames(found, name, self._frames(name, damage))
        return found

    def _frames(self, name: str, damage: Damage) -> Frames:
        """(total frames, d) of all clips, one clip's after the other's."""
        lengths, dim = self.clips.lengths(name), self.clips.modalities[name].dim or 0
        parts = [self.clips.frames(name, row) for row in range(len(self.clips))]
        frames = np.concatenate([*parts, np.zeros((0, dim))]).astype(np.float32)
        if damage.kind == "noise":
            return frames + damage.level * self.deviations[name] * noise(self.ids, lengths, dim, name, self.draws)
        frames[lost_frames(self.ids, lengths, name, damage.level, self.draws)] = np.nan
        return frames

    def without_words(self, tokens: Ragged, tokenizer: Any, share: float) -> Ragged:
        """The clips' token ids, some of them the unknown word; those that mark a text's beginning and end stay.

        Raises:
            RunError: the tokenizer has no token that says nothing.
        """
        kept = tokens.to(torch.device("cpu"))  # a copy
        lost = lost_frames(self.ids, kept.lengths.numpy(), TEXT, share, self.draws)
        lost &= ~np.isin(kept.rows.numpy(), list(special_ids(tokenizer)))
        kept.rows[torch.from_numpy(lost)] = _unknown(tokenizer)
        return kept

    def without_texts(self, encoded: Ragged, share: float) -> Ragged:
        """What stands in for the clips' texts, without those of the clips that ``damaged`` leaves without text."""
        lost = torch.from_numpy(lost_clips(self.ids, TEXT, share, self.draws))
        return replace(encoded, lengths=encoded.lengths.masked_fill(lost, 0))


def deviations(dataset: Dataset, modalities: Sequence[str]) -> dict[str, Frames]:
    """Per modality of frames (d,), the standard deviation of each feature over the training split's frames.

    Raises:
        DatasetError: the training split has no such frames.
    """
    rows, found = dataset.rows("train"), {}
    for name in modalities:
        if not dataset.lengths(name)[rows].any():
            raise DatasetError(
                f"noise is measured in standard deviations over the training split, and that of {dataset.name!r} has "
                f"no {name}. Give the data set that was trained on, or leave out the noise."
            )
        found[name] = frame_statistics(dataset, rows, name)[1].numpy()
    return found


def _without_streams(dataset: Dataset, name: str, lost: Lost) -> Dataset:
    if dataset.modalities[name].kind == "text":
        return replace(dataset, samples=dataset.samples.assign(**{name: dataset.samples[name].mask(lost)}))
    lengths = np.where(lost, 0, dataset.lengths(name))
    return replace(dataset, samples=dataset.samples.assign(**{f"{name}_length": lengths}))


def _with_frames(dataset: Dataset, name: str, frames: Frames) -> Dataset:
    """With these (total frames, d) instead of the stored ones; a row of NaN is one in which nothing is measured."""
    lengths = dataset.lengths(name)
    gaps = dataset.modalities[name].model_copy(update={"gaps": True})
    manifest = dataset.manifest.model_copy(update={"modalities": {**dataset.modalities, name: gaps}})
    samples = dataset.samples.assign(**{f"{name}_offset": np.cumsum(lengths) - lengths})
    matrices = {each: dataset.matrix(each) for each, one in dataset.modalities.items() if one.kind != "text"}
    return replace(dataset, manifest=manifest, samples=samples, matrices={**matrices, name: frames})


def _unknown(tokenizer: Any) -> int:
    for number in (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.pad_token_id):
        if number is not None:
            return int(number)
    raise RunError(
        "the run's tokenizer has no token for an unknown word, a masked one or none at all, so nothing can stand for a "
        "lost word. Leave out the frames, or take a run with another text encoder."
    )
