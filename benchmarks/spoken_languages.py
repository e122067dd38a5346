"""Ten plain sentences in each of five languages, spoken by espeak-ng and scored by the starter.

Per language, the first five of ten sentences are clearly positive, the others clearly negative. Words are recognised by
``base``, once with the language detected and once with it given. A sign is right if the score has the side of the
sentence. ``tiny.en`` shows how often the default recogniser notices that the speech is not in English.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import selfmm
from selfmm.core.languages import ENGLISH_ONLY
from selfmm.features.clips.clip import Failure
from selfmm.recordings.model import SentimentModel
from selfmm.recordings.prediction import Prediction

POSITIVE = 5
"""The sentences of each language that are positive come first."""

SENTENCES = {
    "en": (
        "I love this film, it is wonderful.",
        "The food was excellent and the people were very friendly.",
        "We had a beautiful day at the beach, I am so happy.",
        "Thank you, this is the best present of my life.",
        "The new phone is great, I really like it.",
        "I hate this film, it is terrible.",
        "The service was awful and the food was cold.",
        "This was the worst day of my life, I am very sad.",
        "The hotel was dirty and much too expensive.",
        "The phone is broken again, I am really disappointed.",
    ),
    "de": (
        "Ich liebe diesen Film, er ist wunderbar.",
        "Das Essen war ausgezeichnet und die Leute waren sehr freundlich.",
        "Wir hatten einen schönen Tag am Strand, ich bin so glücklich.",
        "Vielen Dank, das ist das beste Geschenk meines Lebens.",
        "Das neue Telefon ist toll, es gefällt mir wirklich sehr.",
        "Ich hasse diesen Film, er ist schrecklich.",
        "Der Service war furchtbar und das Essen war kalt.",
        "Das war der schlimmste Tag meines Lebens, ich bin sehr traurig.",
        "Das Hotel war schmutzig und viel zu teuer.",
        "Das Telefon ist schon wieder kaputt, ich bin wirklich enttäuscht.",
    ),
    "fr": (
        "J'adore ce film, il est magnifique.",
        "Le repas était excellent et les gens étaient très gentils.",
        "Nous avons passé une belle journée à la plage, je suis si heureux.",
        "Merci beaucoup, c'est le plus beau cadeau de ma vie.",
        "Le nouveau téléphone est super, je l'aime beaucoup.",
        "Je déteste ce film, il est horrible.",
        "Le service était affreux et le repas était froid.",
        "C'était le pire jour de ma vie, je suis très triste.",
        "L'hôtel était sale et beaucoup trop cher.",
        "Le téléphone est encore en panne, je suis vraiment déçu.",
    ),
    "es": (
        "Me encanta esta película, es maravillosa.",
        "La comida estaba excelente y la gente era muy amable.",
        "Pasamos un día precioso en la playa, estoy muy feliz.",
        "Muchas gracias, es el mejor regalo de mi vida.",
        "El teléfono nuevo es genial, me gusta mucho.",
        "Odio esta película, es terrible.",
        "El servicio fue horrible y la comida estaba fría.",
        "Fue el peor día de mi vida, estoy muy triste.",
        "El hotel estaba sucio y era demasiado caro.",
        "El teléfono está roto otra vez, estoy muy decepcionado.",
    ),
    "zh": (
        "我很喜欢这部电影,非常精彩。",
        "饭菜很好吃,服务员也很热情。",
        "今天我们在海边玩得很开心,我非常高兴。",
        "谢谢你,这是我收到的最好的礼物。",
        "新手机非常好用,我很满意。",
        "我讨厌这部电影,太糟糕了。",
        "服务很差,饭菜也是冷的。",
        "今天是我最难过的一天,我很伤心。",
        "这家酒店又脏又贵。",
        "手机又坏了,我非常失望。",
    ),
}
"""Ten sentences by language."""

VOICES = {"en": "en-us", "de": "de", "fr": "fr", "es": "es", "zh": "cmn-latn-pinyin"}
"""The voice of espeak-ng; its voice ``cmn`` spells tones as English letters and numbers."""

SPEED = 140
"""Words per minute."""


def speak(language: str, folder: Path, speed: int = SPEED, variant: str = "") -> list[Path]:
    """Write each sentence of a language as a .wav file, and return the files."""
    files = []
    for number, sentence in enumerate(SENTENCES[language]):
        file = folder / f"{language}_{number}.wav"
        command = ["espeak-ng", "-v", VOICES[language] + variant, "-s", str(speed), "-w", str(file), "--stdin"]
        subprocess.run(command, input=sentence.encode(), check=True)
        files.append(file)
    return files


def right_signs(scores: Sequence[float | None]) -> int:
    """Return how many of the scores of ten sentences have the right sign; one without words has none."""
    sides = [score is not None and (score > 0 if place < POSITIVE else score < 0) for place, score in enumerate(scores)]
    return sum(sides)


def words_of(model: SentimentModel, files: Sequence[Path], *speech: str | None) -> list[tuple[str, str, float | None]]:
    """Return the language, the words and their score for each file, with this recogniser and language."""
    rows = []
    for result in model.scorer(*speech).clips(files):
        if isinstance(result, Prediction):
            rows.append((result.transcript.language or "", result.transcript.text, result.scores["text"]))
        else:  # nothing was recognised
            rows.append(("", "", None))
    return rows


def noticed(model: SentimentModel, files: Sequence[Path]) -> tuple[int, int]:
    """Return in how many files ``tiny.en`` drops the words of another language, and in how many it only warns."""
    dropped = warned = 0
    for result in model.recordings.clips(files):
        failed = isinstance(result, Failure)
        text = result.reason if isinstance(result, Failure) else " ".join(result.warnings)
        dropped += failed and ENGLISH_ONLY in text
        warned += not failed and ENGLISH_ONLY in text
    return dropped, warned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default=",".join(SENTENCES))
    parser.add_argument("--speed", type=int, default=SPEED)
    parser.add_argument("--variant", default="", help="of the voice, for example +f2")
    parser.add_argument("--words", action="store_true", help="print what was recognised")
    chosen = parser.parse_args()
    model = selfmm.load("starter")
    print("language  signs: written  detected  given   language found   with words   tiny.en: dropped  warned")
    for language in chosen.languages.split(","):
        written = model.predict(text=SENTENCES[language])["score"].tolist()
        with tempfile.TemporaryDirectory() as folder:
            files = speak(language, Path(folder), chosen.speed, chosen.variant)
            detected, given = words_of(model, files, "base"), words_of(model, files, "base", language)
            default = noticed(model, files)
        signs = [right_signs(written), *(right_signs([score for *_, score in rows]) for rows in (detected, given))]
        found = sum(name == language for name, *_ in detected)
        spoken = sum(bool(text) for _, text, _ in given)
        print(language, *signs, found, spoken, *default, sep="\t", flush=True)
        if chosen.words:
            for sentence, one, other in zip(SENTENCES[language], detected, given, strict=True):
                print(f"  {sentence}\n    {one}\n    {other}")


if __name__ == "__main__":
    main()
