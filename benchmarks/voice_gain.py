"""What the voice adds to the words: ``python benchmarks/voice_gain.py [--voices whisper] [--models adapt]``.

The recordings are sound of `selfmm demo`: eight invented speakers, spoken by espeak-ng, whose label follows words,
voice and face; in a fifth of the clips one of them contradicts the others. So the voice has something to say that the
words do not. The voices are synthetic: their mood is pitch, pace and loudness, far clearer than people's.

Each model is trained on words and voice and on words alone. Two speakers at a time are the test, another one is the
validation split; so every clip is scored by a model that has not heard its speaker. The table has MAE and Corr of all
clips, and how much lower the MAE with the voice is, with its 90 % interval by a bootstrap over speakers.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from command import run_benchmark

import selfmm
from selfmm.config.recipe import load_recipe
from selfmm.demo.clips import record
from selfmm.demo.scripts import Script, write_scripts
from selfmm.evaluation.metrics import evaluate
from selfmm.evaluation.worth import skill_interval
from selfmm.features.streams import SOUND_RATE, Floats

SECONDS = (2.0, 4.0)
FOLDS = 4
OVERRIDES = {"adapt": (), "self_mm": ("text.finetune=false", "training.max_epochs=20")}
"""Settings of each model beside its defaults: frozen words, so that folds take minutes."""


def write_clips(folder: Path, scripts: Sequence[Script]) -> None:
    """Write the sound of each clip, and a table of the clips for each fold."""
    for script in scripts:
        write_sound(folder / f"{script.id}.wav", record(script, SECONDS, "espeak-ng"))
    speakers = list(dict.fromkeys(script.speaker.name for script in scripts))
    for fold in range(FOLDS):
        splits = dict.fromkeys(speakers, "train") | {speakers[fold - 1]: "valid"}
        splits |= dict.fromkeys(speakers[fold::FOLDS], "test")
        with (folder / f"{fold}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(("id", "path", "label", "text", "video", "split"))
            for script in scripts:
                speaker = script.speaker.name
                row = (script.id, f"{script.id}.wav", f"{script.label:.1f}", script.text, speaker, splits[speaker])
                table.writerow(row)


def write_sound(path: Path, sound: Floats) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SOUND_RATE)
        file.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())


def scores(folder: Path, data: Path, model: str, modalities: str) -> pd.DataFrame:
    """Score and label of every clip, each by a model that has not heard its speaker."""
    tables = []
    for fold in range(FOLDS):
        out = folder / f"{data.name}-{model}-{modalities}-{fold}"
        overrides = [f"modalities={modalities}", *OVERRIDES[model]]
        trained = selfmm.train(data / f"{fold}", model=model, overrides=overrides, out=out)
        tables.append(trained.score(data / f"{fold}", split="test"))
    return pd.concat(tables, ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=256, help="number of clips")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other clips")
    parser.add_argument("--voices", default="voice,whisper,both", help="values of voice.features")
    parser.add_argument("--models", default="adapt,self_mm")
    arguments = parser.parse_args()
    scripts = write_scripts(arguments.count, arguments.seed, SECONDS)
    with tempfile.TemporaryDirectory(prefix="selfmm-voice-") as name:
        folder = Path(name)
        write_clips(folder, scripts)
        words: dict[str, pd.DataFrame] = {}
        print("| model | reads | MAE | Corr | MAE lower by |\n|---|---|---|---|---|")
        for voice in arguments.voices.split(","):
            recipe = load_recipe(["parts=text,audio", f"voice.features={voice}"])
            for fold in range(FOLDS):
                selfmm.extract(folder / f"{fold}.csv", folder / voice / f"{fold}", recipe=recipe, cache=folder / "kept")
            for model in arguments.models.split(","):
                if model not in words:
                    words[model] = scores(folder, folder / voice, model, "text")
                    print(f"| `{model}` | words | {figures(words[model])} | |", flush=True)
                both = scores(folder, folder / voice, model, "text,audio")
                print(f"| `{model}` | words, `{voice}` | {figures(both)} | {gain(both, words[model])} |", flush=True)


def figures(table: pd.DataFrame) -> str:
    values = evaluate(table["score"].to_numpy(), table["label"].to_numpy()).values
    return f"{values['mae']:.3f} | {values['corr']:.3f}"


def gain(both: pd.DataFrame, words: pd.DataFrame) -> str:
    """How much lower the MAE of ``both`` is, with its interval."""
    joined = both.merge(words, on="id", suffixes=("_both", "_words"), validate="one_to_one")
    scored = ((joined[f"score_{which}"], joined[f"label_{which}"]) for which in ("both", "words"))
    errors = [(score - label).abs().to_numpy() for score, label in scored]
    speakers = pd.factorize(joined["id"].str.rpartition("_")[0])[0].astype(np.intp)
    low, high = skill_interval(errors[0], errors[1], speakers)
    return f"{1 - errors[0].mean() / errors[1].mean():.0%} ({low:.0%} to {high:.0%})"


if __name__ == "__main__":
    run_benchmark(main)
