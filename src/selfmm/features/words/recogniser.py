"""Recognise speech phrase by phrase with models of the Whisper family (https://arxiv.org/abs/2212.04356)."""

from __future__ import annotations

import copy
import functools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from selfmm.core import weights
from selfmm.core.errors import MissingPackageError, SettingsError, WeightsError
from selfmm.core.messages import did_you_mean
from selfmm.core.pretrained import load_named
from selfmm.features.streams import SOUND_RATE, STATE, Floats

OFFLINE = ("tiny.en", "base")
"""Recognisers among the offline weights."""

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_HOLDS = "Whisper weights in the format of faster-whisper (CTranslate2)"
_REPEATS = 2.4  # Whisper's own limit: text with a higher compression ratio repeats itself
_UNSURE = -1.0  # Whisper's own limit for the mean log probability of a token
_BEAM = 5  # Whisper's own width of the search; narrower, words of languages other than English are often others
_FASTEST = 6.0  # words per second; nobody speaks faster
_HOP = SOUND_RATE // 100  # samples from column to column of a spectrogram
_MARGIN = 1000  # columns of a spectrogram (10 s); with less silence, languages other than English are recognised worse


@dataclass(frozen=True)
class Recognised:
    """The words of one phrase.

    Attributes:
        words: the text (with a leading blank if one separates it from the previous word), start, end (seconds since the
            beginning of the phrase) and probability of each word.
        language: two or three letters.
        language_probability: 0 to 1; 1 if the language was given.
        states: the encoder's states on which the words are based; see `Recogniser.encode`.
    """

    words: tuple[tuple[str, float, float, float], ...]
    language: str
    language_probability: float
    states: Floats | None = field(default=None, compare=False)


class Recogniser:
    """Recognises each phrase independently with a loaded ``faster_whisper.WhisperModel``."""

    def __init__(self, model: Any) -> None:
        self._whole, self._short = model, _short(model)
        self.languages: tuple[str, ...] = tuple(model.supported_languages)

    def check(self, language: str) -> None:
        """Check that the model knows a language.

        Raises:
            SettingsError: if it does not, with an alternative.
        """
        if language in self.languages:
            return
        if self.languages == ("en",):
            problem = "the recogniser knows English only; choose base, or another multilingual one"
        else:
            problem = f"the recogniser does not know this language{did_you_mean(language, self.languages)}"
        raise SettingsError([f"speech.language = {language!r}: {problem}"])

    def recognise(self, sound: Floats, language: str | None) -> Recognised:
        """Recognise the words of one phrase.

        Args:
            sound: (n,) mono at ``SOUND_RATE``, at most 30 s.
            language: one of ``languages``; None: detected from this phrase.
        """
        outputs: dict[int, Any] = {}
        beam = 1 if self.languages == ("en",) else _BEAM
        segment, info = self._decode(_short(self._whole, outputs), sound, language, beam=beam)
        if segment is not None and (segment.compression_ratio > _REPEATS or segment.avg_logprob < _UNSURE):
            # Whisper itself would sample (a higher temperature); a wider search gives the same words every time.
            segment, _ = self._decode(self._whole, sound, info.language, beam=_BEAM)
        words: tuple[tuple[str, float, float, float], ...] = ()
        if segment:  # the library returns NumPy numbers, which JSON does not support
            words = tuple((at.word, float(at.start), float(at.end), float(at.probability)) for at in segment.words)
        if segment and segment.compression_ratio > _REPEATS and len(words) > _FASTEST * len(sound) / SOUND_RATE:
            words = ()  # the model repeated itself
        states = outputs.get(len(sound) // _HOP)
        known = None if states is None else _frames(states, sound)
        return Recognised(words, info.language, float(info.language_probability), known)

    @functools.cached_property
    def width(self) -> int:
        """Number of features of a state: 384 for ``tiny.en``, 512 for ``base``."""
        return int(self._encode(np.zeros(2 * _HOP, dtype=np.float32)).shape[-1])

    def encode(self, sound: Floats) -> Floats:
        """Return the states of the encoder's last layer for one phrase, without recognising its words.

        They are the same, byte for byte, as the ``states`` of :meth:`recognise`.

        Args:
            sound: (n,) mono at ``SOUND_RATE``, at most 30 s.

        Returns:
            (ceil(n / ``STATE``), ``width``); state i is centred at sample i * ``STATE``.
        """
        return _frames(self._encode(sound), sound)

    def _encode(self, sound: Floats) -> Any:
        extractor = self._whole.feature_extractor
        spectrogram = extractor(sound)[:, : len(sound) // _HOP]  # as the library cuts and fills it to recognise words
        missing = max(extractor.nb_max_frames - spectrogram.shape[1], 0)
        return self._whole.encode(_without_filling(np.pad(spectrogram, ((0, 0), (0, missing)))))

    def detect(self, sound: Floats) -> dict[str, float]:
        """Return the probability of each language that the model knows, for one phrase of at most 30 s."""
        *_, probabilities = self._short.detect_language(audio=sound)
        return {language: float(probability) for language, probability in probabilities}

    def _decode(self, model: Any, sound: Floats, language: str | None, beam: int) -> tuple[Any, Any]:
        segments, info = model.transcribe(
            sound,
            language=language,
            beam_size=beam,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
            vad_filter=False,
        )
        # The phrase is one segment. For a second one, the model would read the sound after the last word again and
        # invent words.
        return next(iter(segments), None), info


class _Bands:
    """The mel bands (mels, bins) of a spectrogram. The sums of their product do not depend on the number of threads.

    Those of a matrix product do, in their last bits, and the encoder's 8-bit numbers make a tenth of it.
    """

    def __init__(self, weights: Floats) -> None:
        self._weights = weights

    def __matmul__(self, power: Floats) -> Floats:
        return np.einsum("mf,ft->mt", self._weights, power)  # type: ignore[no-any-return]


def _frames(states: Any, sound: Floats) -> Floats:
    """Return the states of a phrase without those of the margin after it."""
    return np.asarray(states, dtype=np.float32)[0, : -(-len(sound) // STATE)].copy()


def _short(model: Any, outputs: dict[int, Any] | None = None) -> Any:
    """Return the model with an encoder that reads a phrase and a margin, instead of always 30 s.

    Whisper was trained on 30 s, filled up with silence, and reading it takes most of the time. With less silence, it
    recognises words about as well (figures in benchmarks/README.md). Both models share the weights.

    ``outputs`` receives the encoder's output by the number of columns with sound: detecting the language reads one
    column more than recognising the words.
    """

    def encode(spectrogram: npt.NDArray[np.float32]) -> Any:
        output = model.encode(_without_filling(spectrogram))
        if outputs is not None:
            outputs[_filled(spectrogram)] = output
        return output

    short = copy.copy(model)
    short.encode = encode
    return short


def _filled(spectrogram: npt.NDArray[np.float32]) -> int:
    # The library fills a spectrogram (mels, 3000) up with zeros, and sound is never zero in all bands.
    filled = np.flatnonzero(spectrogram.any(axis=0))
    return int(filled[-1]) + 1 if filled.size else 0


def _without_filling(spectrogram: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = _filled(spectrogram)
    return spectrogram[:, : length + length % 2 + _MARGIN]


def knows_english_only(name: str) -> bool:
    """Return whether a recogniser knows English only, by its name: that of a folder or on the hub does not tell."""
    return name.endswith(".en")


def check_recogniser(name: str, language: str = "") -> list[str]:
    """Check the name of a recogniser without loading it: given words need none, but later recordings may.

    Args:
        name: as in the recipe, but not ``none``.
        language: of the speech; empty: it will be detected.

    Returns:
        What prevents the recognition of speech on this machine, and what to do, one sentence each.

    Raises:
        WeightsError: if the name is neither that of a known model, nor a folder of one, nor like a name on the hub.
    """
    notes = []
    if name in OFFLINE and weights.find(name) is None:
        notes.append(
            f"the weights of the speech recogniser {name} are not on this machine. Predictions for recordings without "
            f"words need them: selfmm weights get {name}"
        )
    if knows_english_only(name) and language not in ("", "en"):
        notes.append(
            f"the speech recogniser {name} knows English only, so recordings in {language!r} can only be scored with "
            "their words. To have these recognised, extract with `recogniser='base'`, or another multilingual one."
        )
    if name in OFFLINE or _is_folder(name) or _HUB_NAME.fullmatch(name):
        return notes
    known = _known()
    if name not in known:
        choices = f"Choose from: none, {', '.join(known)}; or give a local folder or a hub name like owner/model."
        near = did_you_mean(name, known)
        raise WeightsError(f"there is no speech recogniser {name!r}{near if near.endswith('?') else '.'} {choices}")
    return notes


def _known() -> tuple[str, ...]:
    """Return the names of recognisers; without faster-whisper, only those of the offline weights."""
    try:
        from faster_whisper import available_models
    except ImportError:
        return OFFLINE
    return tuple(dict.fromkeys((*OFFLINE, *available_models())))


@functools.lru_cache(maxsize=2)
def load_recogniser(name: str, threads: int = 1) -> Recogniser:
    """Load a recogniser, once per process.

    Args:
        name: ``tiny.en`` or ``base`` (offline weights), a local folder of faster-whisper (CTranslate2) weights, or the
            name of such a model on the hub. Only a hub name may use the network.
        threads: number of CPU threads.

    Raises:
        MissingPackageError: if faster-whisper is not installed.
        WeightsError: if the weights are missing, altered, or cannot be loaded.
    """
    if name in OFFLINE:
        return Recogniser(_load(str(weights.locate(name)), threads))
    _is_folder(name)
    return Recogniser(_load(name, threads))


def _is_folder(name: str) -> bool:
    """Return whether a recogniser is a local folder; raise ``WeightsError`` if the folder lacks a file."""
    folder = Path(name).expanduser()
    missing = [file for file in ("model.bin", "config.json", "tokenizer.json") if not (folder / file).is_file()]
    if folder.is_dir() and missing:  # the library would download a tokenizer from the hub
        raise WeightsError(
            f"the folder {name} of the speech recogniser holds no {' and no '.join(missing)}. It must contain {_HOLDS}."
        )
    return folder.is_dir()


def _load(name: str, threads: int) -> Any:
    try:
        from faster_whisper import WhisperModel
    except ImportError as error:
        raise MissingPackageError(
            f"Recognising speech needs faster-whisper ({error}). Install it with: pip install 'selfmm[video]'"
        ) from error

    def load(place: str, local: bool) -> Any:
        with _torch_keeps_its_threads():
            model = WhisperModel(place, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=local)
        model.feature_extractor.mel_filters = _Bands(model.feature_extractor.mel_filters)
        return model

    instead = "use tiny.en, base or a local folder"
    return load_named(name, "speech recogniser", holds=_HOLDS, instead=instead, load=load, repository=_repository(name))


def _repository(name: str) -> str:
    """Return the name on the hub of a recogniser that has a shorter one: ``small`` is Systran/faster-whisper-small."""
    try:
        from faster_whisper.utils import _MODELS
    except ImportError:  # it is not part of the library's public names
        return ""
    return str(_MODELS.get(name, ""))


@contextmanager
def _torch_keeps_its_threads() -> Iterator[None]:
    """Restore torch's number of threads, because CTranslate2 sets that of OpenMP, which torch also uses.

    Otherwise scores would be computed with the recogniser's threads until the process ends: slower, or with different
    last digits.
    """
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else None
    try:
        yield
    finally:
        if torch is not None:
            torch.set_num_threads(threads)
