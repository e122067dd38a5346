"""Sentences about films whose polarity and intensity follow a given sentiment: the words of the planted data set.

Intensifiers, hedges, aspects, openers and fillers are the same on both sides of 0, so that only the judgement itself
shows which side a sentence is on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OPENERS = (
    "so", "well", "okay so", "honestly", "to be fair", "all right", "i have to say", "you know", "look",
    "in my view", "if you ask me", "for what it is worth", "let me put it this way", "here is my take",
)  # fmt: skip
ASPECTS = (
    "acting", "plot", "sound", "pacing", "ending", "script", "camera work", "music", "lead actor", "dialogue",
    "opening scene", "second half", "cast", "editing", "story", "costumes", "villain", "soundtrack",
)  # fmt: skip
FILLERS = (
    "i saw it on a tuesday", "it runs for two hours", "my brother came along", "it is the third one in the series",
    "we sat near the back", "it is based on a novel", "they shot it in the north", "i watched it at home",
    "it came out last year", "there is a scene after the credits", "it is set in the seventies",
    "the director made two films before", "i had read about it", "we talked about it on the way back",
)  # fmt: skip
LINKS = ("and", "and also", "and then", "plus", "on top of that")

_INTENSITY: dict[int, tuple[str, ...]] = {
    1: ("a bit", "kind of", "somewhat", "fairly", "rather", "a little"),
    2: ("very", "really", "so", "truly", "quite clearly", "seriously"),
    3: ("absolutely", "utterly", "completely", "just", "beyond", "totally"),
}
_ADJECTIVES: dict[int, tuple[str, ...]] = {
    3: ("brilliant", "stunning", "magnificent", "superb", "breathtaking", "flawless", "wonderful", "perfect"),
    2: ("good", "enjoyable", "impressive", "engaging", "funny", "lovely", "strong", "beautiful"),
    1: ("nice", "decent", "pleasant", "likeable", "charming", "sweet", "watchable", "amusing"),
    -1: ("weak", "dull", "flat", "slow", "forgettable", "tired", "clumsy", "thin"),
    -2: ("bad", "poor", "boring", "annoying", "disappointing", "lazy", "stupid", "ugly"),
    -3: ("terrible", "horrible", "unbearable", "disastrous", "awful", "disgusting", "atrocious", "revolting"),
}
_NEUTRAL = (
    "about what you would expect", "neither here nor there", "just ordinary", "hard to judge", "the usual thing",
    "somewhere in the middle", "standard for this sort of film", "average", "as usual", "what it is",
)  # fmt: skip
_IDIOMS: dict[int, tuple[str, ...]] = {
    3: ("a masterpiece", "the best i have seen in years", "pure magic", "a triumph"),
    2: ("a real pleasure", "very well done", "great", "a delight"),
    1: ("good enough", "not bad", "better than i feared", "okay in a good way"),
    0: _NEUTRAL,
    -1: ("not great", "less than i hoped for", "nothing special", "not quite there"),
    -2: ("a real letdown", "badly done", "a failure", "a waste of time"),
    -3: ("a complete disaster", "the worst i have seen in years", "total garbage", "an insult"),
}
_VERBS: dict[int, tuple[str, ...]] = {
    3: ("adored", "fell in love with", "was blown away by"),
    2: ("loved", "really enjoyed", "was impressed by"),
    1: ("liked", "quite enjoyed", "was pleased with"),
    0: ("can take or leave", "have no opinion on", "barely noticed"),
    -1: ("did not much like", "grew tired of", "was not sold on"),
    -2: ("disliked", "was annoyed by", "was bored by"),
    -3: ("hated", "could not stand", "was disgusted by"),
}


def sentence(sentiment: float, rng: np.random.Generator) -> str:
    """Return a spoken sentence of one to three judgements.

    Args:
        sentiment: in [-3, 3]. Every judgement has a whole grade; the expectation of their mean is ``sentiment``.
        rng: makes the choices.
    """
    aspects = rng.permutation(len(ASPECTS))[: rng.integers(1, 4)]
    clauses = [_clause(ASPECTS[aspect], _grade(sentiment, rng), rng) for aspect in aspects]
    judgements = f" {_pick(LINKS, rng)} ".join(clauses)
    opener = _pick(OPENERS, rng)
    if rng.random() < 0.5:
        return f"{opener} {judgements}"
    filler = _pick(FILLERS, rng)
    return f"{opener} {filler} and {judgements}" if rng.random() < 0.5 else f"{opener} {judgements} and {filler}"


def _grade(sentiment: float, rng: np.random.Generator) -> int:
    """Round up or down at random, so that the mean over many draws is ``sentiment``."""
    return int(np.clip(np.floor(sentiment + rng.random()), -3, 3))


def _clause(aspect: str, grade: int, rng: np.random.Generator) -> str:
    form = rng.random()
    if form < 0.2:
        return f"i {_pick(_VERBS[grade], rng)} the {aspect}"
    if form < 0.35 or grade == 0:
        return f"the {aspect} was {_pick(_IDIOMS[grade], rng)}"
    return f"the {aspect} was {_pick(_INTENSITY[abs(grade)], rng)} {_pick(_ADJECTIVES[grade], rng)}"


def _pick(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]
