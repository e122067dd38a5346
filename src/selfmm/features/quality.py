"""What in a clip a score should not be trusted for: one sentence each, from figures that extraction has collected."""

from __future__ import annotations

from collections.abc import Collection

from selfmm.config.recipe import PARTS
from selfmm.features.analysis import SILENCE, Features

_LEAST_FACES = 0.6  # share of the pictures
_OTHERS = 0.1  # share of the pictures with more than one face
_SMALL_FACE = 0.08
_LEAST_SPEECH = 0.1
_CLIPPED = 0.001
_QUIET = -45.0
_UNSURE = 0.5
_SHORT = 0.5


def warnings(
    features: Features, trained_language: str | None = None, parts: Collection[str] = PARTS
) -> tuple[str, ...]:
    """Sentences for a person; empty where nothing is remarkable.

    Args:
        features: of a clip or a window.
        trained_language: two letters, of the words that the model was trained on.
        parts: what was asked for; of all else nothing is said.
    """
    found = _of_length(features)
    if "text" in parts:
        found += _of_words(features, trained_language)
    if "text" in parts or "audio" in parts:
        found += _of_sound(features)
    if "vision" in parts:
        found += _of_face(features)
    return tuple(found)


def _of_length(features: Features) -> list[str]:
    seconds = features.end - features.start
    return [f"only {seconds:.2f} s long"] if seconds < _SHORT else []


def _of_words(features: Features, trained: str | None) -> list[str]:
    found = []
    transcript = features.transcript
    if transcript.language and trained and transcript.language != trained:
        found.append(f"the language is {transcript.language}, the model was trained on {trained}")
    if transcript.source == "recognised" and transcript.words:
        sure = sum(word.probability for word in transcript.words) / len(transcript.words)
        if sure < _UNSURE:
            found.append(f"the words are uncertain: recognised with a mean probability of {sure:.2f}")
    return found


def _of_sound(features: Features) -> list[str]:
    sound = features.sound
    if sound is None:
        return ["no sound"]
    if sound.level < SILENCE:
        return ["the sound is silent"]
    found = [f"clipped sound: {sound.clipped:.1%} of it is at full scale"] if sound.clipped > _CLIPPED else []
    found += [f"quiet sound: {sound.level:.0f} dBFS"] if sound.level < _QUIET else []
    if features.speech is not None and features.speech < _LEAST_SPEECH:
        found.append("nobody speaks" if not features.speech else f"speech in {features.speech:.0%} of the time only")
    return found


def _of_face(features: Features) -> list[str]:
    face = features.face
    if face is None:
        return ["no pictures"]
    if not face.any_face:
        return ["no face in any picture"]
    found = []
    if face.any_face < _LEAST_FACES:
        found.append(f"no face in {1 - face.any_face:.0%} of the pictures")
    if face.several > _OTHERS:
        found.append(
            f"several faces in {face.several:.0%} of the pictures; the one chosen is in {face.chosen:.0%} of them"
        )
    if face.size < _SMALL_FACE:
        found.append(f"the face is small: {face.size:.0%} of the picture's width and height")
    return found
