"""Warn about clips whose scores should not be trusted, based on figures that were collected during extraction."""

from __future__ import annotations

from collections.abc import Collection

from selfmm.config.recipe import PARTS
from selfmm.core.languages import language_name
from selfmm.features.analysis import SILENCE, Features

_LEAST_FACES = 0.6  # share of the pictures with a face
_MISSING = 0.2  # share of the time without a picture
_NO_SOUND = 0.5  # share of the time; pauses in edited sound can be silent too
_OTHERS = 0.1  # share of the pictures with more than one face
_SMALL_FACE = 0.08  # of the picture's width and height
_LEAST_SPEECH = 0.1  # share of the time
_CLIPPED = 0.001  # share of the samples
_OFFSET = 0.02  # of full scale
_QUIET = -45.0  # dBFS
_UNSURE = 0.5  # mean probability of the words
_SHORT = 0.5  # seconds


def warnings(
    features: Features,
    trained_language: str | None = None,
    parts: Collection[str] = PARTS,
    *,
    multilingual: bool = False,
) -> tuple[str, ...]:
    """Return the warnings about a clip, one phrase each.

    Args:
        features: features of a clip or a window.
        trained_language: the language that the model was trained on, two letters.
        parts: the modalities to warn about.
        multilingual: whether the model is meant for other languages too, but was not measured on them.
    """
    seconds = features.end - features.start
    reasons = [f"only {seconds:.2f} s long"] if seconds < _SHORT else []
    if "text" in parts:
        reasons += _of_words(features, trained_language, multilingual)
    if "text" in parts or "audio" in parts:
        reasons += _of_sound(features)
    if "vision" in parts:
        reasons += _of_face(features)
    return tuple(reasons)


def _of_words(features: Features, trained: str | None, multilingual: bool) -> list[str]:
    transcript = features.transcript
    reasons = [*transcript.warnings]
    if transcript.text and transcript.language and trained and transcript.language != trained:
        how = "the errors of the model were measured for" if multilingual else "the model was trained on"
        reasons.append(f"the language is {language_name(transcript.language)}, {how} {language_name(trained)}")
    if transcript.source == "recognised" and transcript.words:
        mean = sum(word.probability for word in transcript.words) / len(transcript.words)
        if mean < _UNSURE:
            reasons.append(f"the words are uncertain: recognised with a mean probability of {mean:.2f}")
    return reasons


def _of_sound(features: Features) -> list[str]:
    sound = features.sound
    if sound is None:
        return ["no sound"]
    if sound.heard < SILENCE:
        return ["the sound is silent"]
    reasons = [f"clipped sound: {sound.clipped:.1%} of it is at full scale"] if sound.clipped > _CLIPPED else []
    reasons += [f"no sound for {sound.silent:.0%} of the time"] if sound.silent > _NO_SOUND else []
    reasons += [f"quiet sound: {sound.heard:.0f} dBFS"] if sound.heard < _QUIET else []
    if abs(sound.offset) > _OFFSET:
        reasons.append(
            f"the sound has a constant offset of {abs(sound.offset):.0%} of full scale: loudness is too high"
        )
    if features.speech is not None and features.speech < _LEAST_SPEECH:
        reasons.append("nobody speaks" if not features.speech else f"speech in only {features.speech:.0%} of the time")
    return reasons


def _of_face(features: Features) -> list[str]:
    face = features.face
    if face is None or not face.pictures:
        return ["no pictures"]
    reasons = [f"no pictures for {face.missing:.0%} of the time"] if face.missing > _MISSING else []
    if not face.any_face:
        return [*reasons, "no face in any picture"]
    if face.any_face < _LEAST_FACES:
        reasons.append(f"no face in {1 - face.any_face:.0%} of the pictures")
    if face.several > _OTHERS:
        reasons.append(
            f"several faces in {face.several:.0%} of the pictures; the chosen one is in {face.chosen:.0%} of them"
        )
    if face.size < _SMALL_FACE:
        reasons.append(f"the face is small: {face.size:.0%} of the picture's width and height")
    return reasons
