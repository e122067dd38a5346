"""Explain the score of one clip by the contributions of its modalities, words and frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor

from selfmm.core.errors import DatasetError, SettingsError
from selfmm.core.messages import clips
from selfmm.data.manifest import TEXT, Modality
from selfmm.data.scales import LabelScale
from selfmm.data.store import Dataset
from selfmm.data.types import Batch, Output
from selfmm.explain.contributions import Sharing
from selfmm.explain.explanation import Contribution, Explanation, FrameShares, WordShare
from selfmm.explain.gradients import Inputs
from selfmm.explain.words import Reading, read
from selfmm.models.late_fusion import LateFusion, as_late_fusion
from selfmm.models.scoring import at_rest
from selfmm.models.text import TransformerEncoder
from selfmm.runs.trained_model import TrainedModel

_TOLERANCE = 1e-3  # of the reach of the labels


def explain(model: TrainedModel, dataset: Dataset, row: int, *, steps: int = 32) -> Explanation:
    """Explain the fused score of one clip.

    Args:
        model: a finished run; it is not changed.
        dataset: the data set with the clip.
        row: the clip's row number.
        steps: points along the integrals over words and frames, at least 1; see ``Contribution.gap``.

    Raises:
        DatasetError: if the row does not exist, the data do not fit the model, or the clip's score is not finite.
        SettingsError: if ``steps`` is less than 1.
    """
    if not 0 <= row < len(dataset):
        raise DatasetError(f"{dataset.title} has {clips(len(dataset))}, so there is no row {row}.")
    if steps < 1:
        raise SettingsError([f"steps = {steps}: an integral needs at least one point"])
    network, dataset = model.assembly.model, model.readable(dataset)
    networks = as_late_fusion(network, "an explanation")
    clip = str(dataset.samples["id"].iloc[row])
    batch = model.assembly.maker(dataset, np.array([row])).make(np.array([0])).to(model.device)
    with at_rest(network):
        output: Output = network(batch)
        if not bool(output.fusion.isfinite()):
            raise DatasetError(f"clip {clip!r} has no finite score: its features are far outside the training data's.")
        present = [name for name in network.modalities if bool(output.present[name])]
        tolerance = _TOLERANCE * LabelScale.of(model.info.label_range).reach
        # All values are linear in the score: those of a mean are the means of the members' values.
        outputs = [output] if len(networks) == 1 else [part(batch) for part in networks]
        parts = [
            _part(part, out.encoded, model, batch, present, steps, tolerance)
            for part, out in zip(networks, outputs, strict=True)
        ]
    shares = {name: torch.stack([part.shares[name] for part in parts]).mean(dim=0) for name in present}
    contributions = tuple(
        Contribution(
            name, alone=float(output.unimodal[name]) if name in output.unimodal else None, **_mean(parts, name)
        )
        for name in present
    )
    base = sum(part.base for part in parts) / len(parts)
    reading = _reading(model, dataset, row, batch)
    return Explanation(
        id=clip,
        score=float(output.fusion),
        base=base,
        label_range=model.info.label_range,
        contributions=contributions,
        lacking=tuple(name for name in network.modalities if name not in present),
        text=reading.text if reading else "",
        words=_words(reading, shares.get(TEXT)),
        frames=tuple(
            _frames(name, shares[name], dataset.modalities[name])
            for name in present
            if dataset.modalities[name].kind == "frames"
        ),
        steps=steps,
    )


@dataclass(frozen=True)
class _Part:
    """The explanation of the score of one network.

    Attributes:
        base: the score of a clip with no modality.
        shares: per modality (L, d), how much each number of its input changes the score.
        values: per modality, the numbers of its ``Contribution`` but for ``alone``.
    """

    base: float
    shares: Mapping[str, Tensor]
    values: Mapping[str, Mapping[str, float]]


def _part(
    network: LateFusion,
    encoded: Mapping[str, Tensor],
    model: TrainedModel,
    batch: Batch,
    present: Sequence[str],
    steps: int,
    tolerance: float,
) -> _Part:
    sharing = Sharing(network, {name: encoded[name][0] for name in present})
    shares, values = {}, {}
    for name in present:
        score = partial(sharing.fair, name)
        inputs = Inputs.of(batch.streams[name].values[0], network.encoders[name], model.assembly.pretrained)
        shares[name] = inputs.shares(score, steps=steps, tolerance=tolerance)
        content = inputs.total(score)
        values[name] = {
            "value": sharing.value(name),
            "added": sharing.added(name),
            "content": content,
            "gap": float(shares[name].sum()) - content,
        }
    return _Part(sharing.base(), shares, values)


def _mean(parts: Sequence[_Part], name: str) -> dict[str, float]:
    return {key: sum(part.values[name][key] for part in parts) / len(parts) for key in parts[0].values[name]}


def _reading(model: TrainedModel, dataset: Dataset, row: int, batch: Batch) -> Reading | None:
    """Return the clip's words; None if it has none, or if its text is stored as features.

    Tokens of the words before the clip belong to none of its words.
    """
    stream, pretrained = batch.streams.get(TEXT), model.assembly.pretrained
    if stream is None or pretrained is None or not bool(stream.present[0]):
        return None
    text = dataset.samples[TEXT].iloc[row] if TEXT in dataset.samples else None
    text = text if isinstance(text, str) else ""
    prepared = pretrained.rules.prepared(text)
    own = cast(TransformerEncoder, model.assembly.model.encoder(TEXT)).own(stream.values, stream.lengths)
    ids = stream.values[0] if own is None else stream.values[0][own[0]]
    reading = read(pretrained.tokenizer, ids.tolist(), prepared)
    if own is not None:
        words = iter(reading.word_of)
        reading = replace(reading, word_of=tuple(next(words) if is_own else None for is_own in own[0].tolist()))
    return replace(reading, text=text) if reading.text == prepared else reading  # words are in the same places


def _words(reading: Reading | None, shares: Tensor | None) -> tuple[WordShare, ...]:
    if reading is None or shares is None:
        return ()
    values = [0.0] * len(reading.spans)
    for word, share in zip(reading.word_of, shares.sum(dim=1).tolist(), strict=True):
        if word is not None:
            values[word] += share
    return tuple(
        WordShare(reading.text[start:end], start, end, value)
        for (start, end), value in zip(reading.spans, values, strict=True)
    )


def _frames(name: str, shares: Tensor, stored: Modality) -> FrameShares:
    names = stored.columns or tuple(f"{name}[{number}]" for number in range(shares.shape[1]))
    columns = zip(names, shares.sum(dim=0).tolist(), strict=True)
    curve = shares.sum(dim=1)
    peak = int(curve.abs().argmax())
    return FrameShares(
        modality=name,
        rate=stored.frame_rate,
        columns=tuple(sorted(columns, key=lambda column: -abs(column[1]))),
        curve=tuple(curve.tolist()),
        peak=peak,
        peak_column=names[int(shares[peak].abs().argmax())],
    )
