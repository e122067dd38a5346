"""From recordings to scores in Python: clips, their features, a model, and its score of one of them.

The clips are generated, with tones instead of speech, so that nothing has to be downloaded. For your own clips, write a
table like `clips.csv`: path, label, and text if you have it. Run it with: python examples/own_clips.py

    pip install 'selfmm[video]'
"""

import tempfile
from pathlib import Path

import selfmm
from selfmm.config.recipe import load_recipe
from selfmm.demo.clips import make_clips


def tiny_encoder(folder: Path) -> str:
    """Make a text encoder that knows only letters and is not trained. Without it, `minilm` reads the words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **size)).save_pretrained(folder)
    return str(folder)


def main(folder: Path) -> None:
    # The table has a row per recording: its path, its text and one label.
    table = make_clips(folder / "clips", count=12, seconds=(1.6, 2.2), synthesizer="tones")

    # `parts=text,audio,vision`, the default, also uses the face; `speech.recogniser=tiny.en` recognises the words if
    # the table has none. Both need weights, once: selfmm weights get face tiny.en
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none"])
    extraction = selfmm.extract(table, folder / "data", recipe=recipe, jobs=1, cache=folder / "cache")
    print(f"{len(extraction.dataset)} clips extracted, {len(extraction.failures)} left out")

    model = selfmm.train(
        extraction.dataset,
        text_encoder=tiny_encoder(folder / "encoder"),
        overrides=["training.max_epochs=2", "training.batch_size=4", "training.accumulation=1"],
        out=folder / "run",
    )

    # A path is enough. A Clip can also be part of a file, or bring its own text.
    path = sorted(table.parent.glob("*.mp4"))[0]
    for clip in (path, selfmm.Clip(path, text="the plot was wonderful")):
        prediction = model.predict(clip)
        low, high = prediction.label_range
        words = prediction.transcript.text or "none"
        print(f"\n{prediction.id}: {prediction.score:+.2f} on a scale of {low:g} to {high:g}, words: {words}")
        print(f"  {prediction.sentence}")
        for name, score in prediction.scores.items():
            if score is None:
                print(f"  {name}: missing")
            elif prediction.informs(name):
                print(f"  {name}: {score:+.2f}, four of five within {prediction.interval_text(name)}")
            else:
                print(f"  {name}: no information")
        for warning in prediction.warnings:
            print(f"  warning: {warning}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
