"""What an explanation says. Everything is on the scale of the labels, and everything adds up to the score."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Contribution:
    """What one stream does to the fused score.

    Attributes:
        modality: its name.
        value: its fair share of ``score - base`` (Shapley value): the mean of how far it moves the score, over all
            orders in which the streams can be added one after the other.
        added: what it adds to all the others: the score less the score when this stream is dropped. Where two streams
            say the same, both can be small here; where they need each other, both are large. These do not add up.
        alone: the modality's own score; None where the model has none.
        content: the part of ``value`` that its words or frames account for, together. The rest is what an empty text,
            or frames of the training mean, would have done by being there.
        gap: sum of the single words' or frames' values less ``content``. Exact integrals would leave 0.
    """

    modality: str
    value: float
    added: float
    alone: float | None
    content: float
    gap: float


@dataclass(frozen=True)
class WordShare:
    """What one word does to the fused score.

    Attributes:
        word: as it stands in the text.
        start, end: its characters, ``text[start:end]``.
        value: its part of the text's ``content``.
    """

    word: str
    start: int
    end: int
    value: float


@dataclass(frozen=True)
class FrameShares:
    """What the frames of one stream do to the fused score.

    Attributes:
        modality: its name.
        rate: frames per second; None where it is not known.
        columns: name and value of every feature, summed over the clip; the largest in size first.
        curve: per frame, summed over the features. 0 where nothing was measured.
        peak: number of the frame that moves the score most, either way.
        peak_column: name of the feature that does most in it.
    """

    modality: str
    rate: float | None
    columns: tuple[tuple[str, float], ...]
    curve: tuple[float, ...]
    peak: int
    peak_column: str

    @property
    def peak_place(self) -> str:
        """Where the peak is, in words.

        >>> FrameShares("vision", 10.0, (("brow", 0.5),), (0.0, 0.5), 1, "brow").peak_place
        '0.1 s'
        >>> FrameShares("vision", None, (("brow", 0.5),), (0.0, 0.5), 1, "brow").peak_place
        'frame 1'
        """
        return f"frame {self.peak}" if self.rate is None else f"{self.peak / self.rate:.1f} s"


@dataclass(frozen=True)
class Explanation:
    """Why one clip's fused score is what it is.

    ``score = base + sum of contributions``, and a contribution's ``content`` is the sum of its words or frames up to
    its ``gap``.

    Attributes:
        id: of the clip.
        score: the fused score.
        base: the score of a clip with no stream at all.
        label_range: of the labels that the model was trained on.
        contributions: of the streams that the clip has, in the model's order.
        lacking: modalities that the model reads and the clip does not have.
        text: what is said; empty where the clip has no words. Stored token ids whose text is not at hand are put
            together from their pieces.
        words: those that the model read, in order; a text is cut to the run's ``text.max_tokens``.
        frames: of the streams that are frames.
        steps: along each integral.
    """

    id: str
    score: float
    base: float
    label_range: tuple[float, float]
    contributions: tuple[Contribution, ...]
    lacking: tuple[str, ...]
    text: str
    words: tuple[WordShare, ...]
    frames: tuple[FrameShares, ...]
    steps: int

    def strongest_words(self, count: int) -> list[WordShare]:
        """The words that move the score most, either way."""
        return sorted(self.words, key=lambda word: -abs(word.value))[:count]

    def to_json(self) -> dict[str, Any]:
        """Every figure unrounded, as plain values."""
        content = asdict(self)
        content["label_range"] = list(self.label_range)
        content["lacking"] = list(self.lacking)
        content["contributions"] = list(content["contributions"])
        content["words"] = list(content["words"])
        content["frames"] = [
            {**asdict(stream), "columns": dict(stream.columns), "curve": list(stream.curve)} for stream in self.frames
        ]
        return content
