"""Make small clips of invented people who talk about films, with known true labels of every modality.

The labels are those of the planted data set (`selfmm.data.planted`): words, voice and face agree in most clips, and one
contradicts the others in the rest. Here they become spoken words, a voice and a drawn face in mp4 files, to try
extraction, training and scoring on raw recordings without real data.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from selfmm.core.errors import SettingsError
from selfmm.core.files import atomic_file
from selfmm.core.folders import atomic_folder
from selfmm.data.planted import LIMIT
from selfmm.demo.acting import perform
from selfmm.demo.canvas import Pose
from selfmm.demo.drawn_face import backdrop, draw
from selfmm.demo.film import DRAWING, repeat_film, write_film
from selfmm.demo.scripts import Purpose, Script, Seconds, generator, write_scripts
from selfmm.demo.spoken import Synthesizer, chosen, speak
from selfmm.features.streams import SOUND_RATE, Floats

TABLE = "clips.csv"
COLUMNS = ("id", "path", "label", "text", "video", "label_text", "label_audio", "label_vision")
SIZE = (320, 240)

_RIM = (0.2, 0.15)  # seconds of silence before and after the words
_LOOPED = (3.84, 3.84)  # seconds; a whole number of drawings, and of AAC packets of 1024 samples
_ROOM = 3e-4  # amplitude of background noise: no recording is completely silent


def make_clips(
    folder: Path,
    *,
    count: int = 24,
    seed: int = 0,
    seconds: Seconds = (2.0, 4.0),
    synthesizer: Synthesizer = "auto",
    force: bool = False,
) -> Path:
    """Make clips and a table of them.

    Args:
        folder: the folder to create.
        count: number of clips, at least 3, divided evenly among 4 to 8 speakers.
        seed: determines everything; with the synthesizer ``tones``, every run gives the same bytes.
        seconds: lengths of the shortest and the longest clip.
        synthesizer: ``espeak-ng`` speaks real words; ``tones`` needs no other program but has no words; ``auto`` is
            espeak-ng if it is installed, else tones.
        force: replace an existing folder of such clips.

    Returns:
        The table, ``clips.csv``: ``id``, ``path`` (next to the table), ``label``, ``text`` (what is said), ``video``
        (the speaker), and the true labels ``label_text``, ``label_audio``, ``label_vision``; all labels in [-3, 3].

    Raises:
        SettingsError: if ``count``, ``seconds`` or ``synthesizer`` is wrong.
        MissingPackageError: if PyAV, or a requested espeak-ng, is not installed.
        OutputError: if the folder exists, or cannot be written.
    """
    synthesizer = chosen(synthesizer)
    scripts = write_scripts(count, seed, seconds)
    with atomic_folder(
        folder, marker=TABLE, ours=lambda name: name == TABLE or name.endswith(".mp4"), force=force
    ) as temporary:
        for script in scripts:
            sound = record(script, seconds, synthesizer)
            write_film(temporary / f"{script.id}.mp4", film(script, sound), sound, SIZE)
        with (temporary / TABLE).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for script in scripts:
                truth = [f"{value:.3f}" for value in script.truth]
                row = [script.id, f"{script.id}.mp4", f"{script.label:.1f}", script.text, script.speaker.name, *truth]
                table.writerow(row)
    return folder / TABLE


def make_long_recording(path: Path, *, minutes: float, seed: int = 0, synthesizer: Synthesizer = "auto") -> Path:
    """Make a recording that repeats three clips; an hour of it takes seconds to make.

    Args:
        path: the file to write.
        minutes: its length, rounded to packets of sound (.064 s).
        seed, synthesizer: see `make_clips`.

    Raises:
        SettingsError, MissingPackageError, OutputError: see `make_clips`.
    """
    if not 0 < minutes <= 24 * 60:
        raise SettingsError([f"minutes is {minutes}; it must be above 0 and at most {24 * 60}, a day"])
    synthesizer = chosen(synthesizer)
    scripts = write_scripts(3, seed, _LOOPED)
    sounds = [record(script, _LOOPED, synthesizer) for script in scripts]
    with atomic_file(path) as temporary, tempfile.TemporaryDirectory(prefix="selfmm-demo-") as folder:
        once = Path(folder) / "once.mp4"
        drawings = (drawing for script, sound in zip(scripts, sounds, strict=True) for drawing in film(script, sound))
        write_film(once, drawings, np.concatenate(sounds), SIZE)
        loop = sum(len(sound) for sound in sounds) / SOUND_RATE
        repeat_film(once, temporary, loop, 60 * minutes)
    return path


def record(script: Script, seconds: Seconds, synthesizer: Synthesizer) -> Floats:
    """Return the sound of a clip, (n,), which lasts a whole number of drawings."""
    rng = generator(script.seed, script.number, Purpose.VOICE)
    mood, room = script.truth[1] / LIMIT, seconds[1] - sum(_RIM)
    speech = speak(script.text, script.speaker.voice, mood, room, rng, chosen(synthesizer))
    length = np.clip(len(speech) / SOUND_RATE + sum(_RIM), *seconds)
    sound = rng.normal(0, _ROOM, round(round(length / DRAWING) * DRAWING * SOUND_RATE)).astype(np.float32)
    first = int(_RIM[0] * SOUND_RATE)
    speech = speech[: len(sound) - first]
    sound[first : first + len(speech)] += speech
    clipped: Floats = np.clip(sound, -1, 1)
    return clipped


def film(script: Script, sound: Floats) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the drawings of a clip, (240, 320, 3) uint8 RGB, one every ``DRAWING`` seconds."""
    rng = generator(script.seed, script.number, Purpose.FACE)
    width, height = SIZE
    times = np.arange(round(len(sound) / SOUND_RATE / DRAWING), dtype=np.float64) * DRAWING
    scale = height / rng.uniform(9.8, 11.2)
    home, eyes = width / 2 + rng.uniform(-0.06, 0.06) * width, height * rng.uniform(0.44, 0.49)
    look = script.speaker.look
    for time, expression in zip(times, perform(script.truth[2] / LIMIT, sound, times, rng), strict=True):
        x = home + _gone(float(time), times[-1] + DRAWING, script.away) * (width / 2 + 6.5 * scale)
        body = Pose(x, eyes, scale)
        head = Pose(x + 0.25 * scale * expression.turn, eyes + 0.2 * scale * expression.nod, scale)
        yield draw(backdrop(look, body, width, height), head, look, expression)


def _gone(time: float, length: float, away: tuple[float, float] | None) -> float:
    """Return how far the speaker has left the picture, 0 to 1. Leaving takes .3 s."""
    if away is None:
        return 0.0
    start, end = away[0] * length, away[1] * length
    return float(np.clip(min(time - start, end - time) / 0.3 + 1, 0, 1))
