"""The explanation of a score. All values are on the scale of the labels, and they add up to the score."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_NOTHING = 0.005
ADDS_NOTHING = "adds nothing: no frame and no feature changes the score by 0.01"


def signed(value: float, places: int = 2) -> str:
    """Return a change of the score with its sign, which a zero does not have.

    >>> signed(0.5), signed(-0.25), signed(-0.001), signed(0.0123, 4)
    ('+0.50', '-0.25', '0.00', '+0.0123')
    """
    shown = f"{value:+.{places}f}"
    return shown if float(shown) else shown[1:]


@dataclass(frozen=True)
class Contribution:
    """The contribution of one modality to the fused score.

    Attributes:
        modality: its name.
        value: its fair share of ``score - base`` (Shapley value): the mean change of the score when it is added, over
            all orders in which the modalities can be added.
        added: what it adds to all the others: the score minus the score without this modality. It can be small for two
            modalities that carry the same information, and large for two that need each other. These values do not
            add up.
        alone: the modality's own score; None if the model has none.
        content: the part of ``value`` that comes from its words or frames. An empty text, or frames that equal the
            training mean, would give the rest too.
        gap: sum of the values of its words or frames minus ``content``. It would be 0 if the integrals were exact.
    """

    modality: str
    value: float
    added: float
    alone: float | None
    content: float
    gap: float


@dataclass(frozen=True)
class WordShare:
    """The contribution of one word to the fused score.

    Attributes:
        word: as written in the text.
        start, end: its characters, ``text[start:end]``.
        value: its part of the text's ``content``.
    """

    word: str
    start: int
    end: int
    value: float


@dataclass(frozen=True)
class FrameShares:
    """The contribution of the frames of one modality to the fused score.

    Attributes:
        modality: its name.
        rate: frames per second; None if unknown.
        columns: name and value of every feature, summed over the clip, in order of falling absolute value.
        curve: the value of each frame, summed over the features. 0 where nothing was measured.
        peak: number of the frame that changes the score most, up or down.
        peak_column: name of the feature that changes it most in this frame.
    """

    modality: str
    rate: float | None
    columns: tuple[tuple[str, float], ...]
    curve: tuple[float, ...]
    peak: int
    peak_column: str

    @property
    def peak_place(self) -> str:
        """The position of the peak, in words.

        >>> FrameShares("vision", 10.0, (("brow", 0.5),), (0.0, 0.5), 1, "brow").peak_place
        '0.1 s'
        >>> FrameShares("vision", None, (("brow", 0.5),), (0.0, 0.5), 1, "brow").peak_place
        'frame 1'
        """
        return f"frame {self.peak}" if self.rate is None else f"{self.peak / self.rate:.1f} s"

    @property
    def adds_nothing(self) -> bool:
        """Whether all frames together, each frame and each feature change the score by less than 0.005."""
        return all(
            abs(value) < _NOTHING for value in (sum(self.curve), *self.curve, *(value for _, value in self.columns))
        )


@dataclass(frozen=True)
class Explanation:
    """The explanation of one clip's fused score.

    ``score = base + sum of contributions``, and the ``content`` of a contribution is the sum of its words or frames, up
    to its ``gap``.

    Attributes:
        id: id of the clip.
        score: the fused score.
        base: the score of a clip with no modality.
        label_range: range of the labels that the model was trained on.
        contributions: contributions of the modalities that the clip has, in the model's order.
        lacking: modalities that the model reads but the clip does not have.
        text: the transcript; empty if the clip has no words. If only token ids are stored, it is joined from their
            pieces.
        words: the words that the model read, in order; a text is cut to the run's ``text.max_tokens``.
        frames: contributions of the frames of each modality that has frames.
        steps: points along each integral.
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
        """Return the words that change the score most, up or down."""
        return sorted(self.words, key=lambda word: -abs(word.value))[:count]

    def to_json(self) -> dict[str, Any]:
        """Return every value unrounded, for ``json.dumps``."""
        content = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        content["frames"] = [
            {**asdict(stream), "columns": dict(stream.columns), "curve": list(stream.curve)} for stream in self.frames
        ]
        return content
