"""From recordings to scores: clips, their features, a model, and what it says of one of them, in Python.

The clips are made up here, with tones instead of speech, so that nothing has to be downloaded. With your own, write a
table like `clips.csv`: path, label, and text if you have it. Run it with: python examples/own_clips.py

    pip install 'selfmm[video]'
"""

import tempfile
from pathlib import Path

import selfmm
from selfmm.config.recipe import load_recipe
from selfmm.demo.clips import make_clips


def tiny_encoder(folder: Path) -> str:
    """A text encoder that knows letters and has learnt nothing. Leave it away, and `minilm` reads the words."""
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
    # The table names each recording, what is said in it, and one label.
    table = make_clips(folder / "clips", count=12, seconds=(1.6, 2.2), synthesizer="tones")

    # `parts=text,audio,vision`, the default, looks at the face too; `speech.recogniser=tiny.en` hears words that
    # no table gives. Both need weights once: selfmm weights get face tiny.en
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none"])
    found = selfmm.extract(table, folder / "data", recipe=recipe, jobs=1, cache=folder / "cache")
    print(f"{len(found.dataset)} clips extracted, {len(found.failures)} left out")

    model = selfmm.train(
        found.dataset,
        text_encoder=tiny_encoder(folder / "encoder"),
        overrides=["training.max_epochs=2", "training.batch_size=4", "training.accumulation=1"],
        out=folder / "run",
    )

    # A path is enough. A Clip says more: a part of a file, or what is said in it.
    clip = sorted(table.parent.glob("*.mp4"))[0]
    for one in (clip, selfmm.Clip(clip, text="the plot was wonderful")):
        made = model.predict(one)
        print(f"\n{made.id}: {made.score:+.2f} of {made.label_range}, words: {made.transcript.text or 'none'}")
        for name, score in made.scores.items():
            rank = made.ranks[name]
            print(f"  {name}: missing" if rank is None else f"  {name}: {score:+.2f}, above {rank:.0%} of the training")
        for warning in made.warnings:
            print(f"  mind: {warning}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        main(Path(place))
