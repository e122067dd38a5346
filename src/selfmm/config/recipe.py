"""How features are extracted: typed settings that a data set passes on to its runs, so that predictions extract
features in the same way as training did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from selfmm.config.settings import Group, Names, load_group

PARTS = ("text", "audio", "vision")


class SpeechSettings(Group):
    """How speech becomes words, if a clip has no transcript."""

    recogniser: str = Field(
        "tiny.en",
        description="speech recognition: tiny.en or base (offline weights), a local folder or hub name of "
        "faster-whisper weights; none: use only transcripts that come with the clips",
    )
    language: str = Field("", max_length=3, description="language of the speech, like en; empty: detect it")


class VoiceSettings(Group):
    """How the voice becomes features."""

    features: str = Field(
        "voice",
        description="voice (spectrum, pitch, energy, voicing), whisper (states of the speech recogniser's encoder), "
        "both (voice and whisper), egemaps (openSMILE: research only), or a local folder or hub name of a wav2vec2, "
        "HuBERT or WavLM encoder",
    )
    rate: float = Field(20.0, ge=1, le=100, description="rows per second")

    @property
    def reads_phrases(self) -> bool:
        """Whether the features come from the speech recogniser, which reads only the stretches with speech."""
        return self.features in ("whisper", "both")


class FaceSettings(Group):
    """How the face becomes features."""

    features: str = Field(
        "face", description="face (blendshapes, pose, mouth), or a local folder or hub name of an image encoder"
    )
    rate: float = Field(10.0, ge=1, le=60, description="frames analysed per second")
    choose: Literal["speaking", "largest"] = Field(
        "speaking",
        description="which of several faces to use: the one whose mouth moves with the voice, or the largest",
    )
    faces: int = Field(3, ge=1, le=8, description="number of faces followed at once")


class Recipe(Group):
    """Every setting of extraction that changes the features.

    >>> Recipe(parts="text,audio").parts
    ('text', 'audio')
    """

    example: ClassVar[str] = "face.rate=5"

    version: Literal[1] = Field(1, description="version of the feature computation")
    parts: Names = Field(PARTS, description="modalities to extract: text, audio, vision")
    speech: SpeechSettings = SpeechSettings()
    voice: VoiceSettings = VoiceSettings()
    face: FaceSettings = FaceSettings()
    align: Literal["none", "words"] = Field(
        "none", description="none: each modality at its own rate; words: average voice and face over each word"
    )

    @property
    def encodes_speech(self) -> bool:
        """Whether extraction keeps the states of the speech recogniser's encoder."""
        return "audio" in self.parts and self.voice.reads_phrases

    @property
    def may_recognise(self) -> bool:
        """Whether extraction may load the speech recogniser: for words, or for the states of its encoder."""
        return "text" in self.parts or self.encodes_speech

    @field_validator("parts")
    @classmethod
    def _parts_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value) or not set(value) <= set(PARTS):
            raise ValueError(f"give one or more of {', '.join(PARTS)}, each once")
        return tuple(part for part in PARTS if part in value)

    @field_validator("voice")
    @classmethod
    def _the_voice_has_a_recogniser(cls, value: VoiceSettings, info: ValidationInfo) -> VoiceSettings:
        speech = info.data.get("speech")
        if value.reads_phrases and "audio" in info.data.get("parts", PARTS) and speech and speech.recogniser == "none":
            raise ValueError(
                f"{value.features!r} needs the encoder of the speech recogniser, but speech.recogniser is none; set it "
                "to tiny.en or base (words that come with the clips are still used), or use voice.features = voice"
            )
        return value

    @field_validator("align")
    @classmethod
    def _words_are_extracted(cls, value: str, info: ValidationInfo) -> str:
        if value == "words" and "text" not in info.data.get("parts", PARTS):
            raise ValueError("words need text among the parts")
        return value


def load_recipe(overrides: Sequence[str] = ()) -> Recipe:
    """Return the default recipe with ``key=value`` overrides, for example ``face.rate=5``.

    Raises:
        SettingsError: if there are problems. It lists all, with the nearest name for each unknown key.

    >>> load_recipe(["parts=text,audio", "voice.rate=50"]).voice.rate
    50.0
    """
    return load_group(Recipe, overrides)
