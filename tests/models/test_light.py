"""BERT and its tokenizer without transformers: the same numbers, and what a cold start no longer imports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.four_bit_file import PIECES, write
from selfmm.core import weights
from selfmm.models.four_bit import read_four_bit
from selfmm.models.light import LightBert, LightTokenizer
from selfmm.models.text import Pretrained, TransformerEncoder, load_architecture, load_pretrained
from selfmm.recordings.model import SentimentModel

TEXTS = [
    "the plot was great",
    "The acting, was awful! [SEP] x \u00e9\u4e2d",
    "",
    "dull " * 100,
    "<s> query: the plot</s>",
]


def check_equal(light: Pretrained, whole: Pretrained) -> None:
    """Both read all texts as the same tokens with the same states, to the last bit."""
    assert isinstance(light.model, LightBert)
    assert isinstance(light.tokenizer, LightTokenizer)
    assert "transformers" not in type(light.tokenizer).__module__
    for limit in (8, 60):
        for ids, expected in zip(light.tokenise(TEXTS, limit), whole.tokenise(TEXTS, limit), strict=True):
            assert ids.tolist() == expected.tolist()
    assert light.tokenizer("a plot")["input_ids"] == whole.tokenizer("a plot")["input_ids"]
    batch, lengths = torch.randint(0, 20, (3, 9)), torch.tensor([9, 1, 4])
    for tokens in (False, True):
        mine, theirs = (
            TransformerEncoder(each.model, finetune=False, tokens=tokens, weighted=tokens).eval().states(batch, lengths)
            for each in (light, whole)
        )
        assert torch.equal(mine, theirs)
    mask = torch.ones_like(batch)
    embedded = light.model.get_input_embeddings()(batch)
    mine, theirs = (
        each.model(inputs_embeds=embedded, attention_mask=mask).last_hidden_state for each in (light, whole)
    )
    assert torch.equal(mine, theirs), "what it cannot do, transformers does"


@torch.no_grad()
def test_the_encoder_of_a_run_is_read_without_transformers(tiny_encoder: str, tmp_path: Path) -> None:
    pretrained = load_pretrained(tiny_encoder)
    whole = replace(pretrained, model=pretrained.model.eval())
    whole.save(tmp_path)
    light = load_architecture(tmp_path, whole.model.state_dict())
    check_equal(light, whole)
    assert light.words_of_tokens(TEXTS[:1], 60)[0].tolist() == whole.words_of_tokens(TEXTS[:1], 60)[0].tolist()
    assert light.tokenizer.all_special_ids == whole.tokenizer.all_special_ids


@torch.no_grad()
def test_weights_in_four_bits_are_read_without_transformers(tmp_path: Path) -> None:
    write(tmp_path / "tiny.bin")
    light, whole = (
        Pretrained(*read_four_bit(tmp_path / "tiny.bin", "query: ", compact=compact)) for compact in (True, False)
    )
    check_equal(light, whole)
    assert light.tokenizer._backend.to_str() == light.tokenizer.backend_tokenizer.to_str()
    assert light.tokenizer._backend.token_to_id("<mask>") == PIECES.index("<mask>")


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"is_decoder": True}),
        ("tokenizer_config.json", {"truncation_side": "left"}),
        ("tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"}),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_transformers(
    file: str, change: dict[str, object], tiny_encoder: str, tmp_path: Path
) -> None:
    from selfmm.models.light import read_light

    whole = load_pretrained(tiny_encoder)
    whole.save(tmp_path)
    content = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    state = whole.model.state_dict()
    assert read_light(tmp_path, state, lambda: (None, None)) is not None
    (tmp_path / file).write_text(json.dumps({**content, **change}), encoding="utf-8")
    assert read_light(tmp_path, state, lambda: (None, None)) is None
    (tmp_path / file).write_text(json.dumps(content), encoding="utf-8")
    assert read_light(tmp_path, {**state, "more": state["embeddings.LayerNorm.bias"]}, lambda: (None, None)) is None


# Each takes a tenth of a second or more, and none is needed to score a sentence.
SLOW = ("transformers", "accelerate", "sklearn", "scipy", "torch._dynamo", "torch._inductor", "sympy", "jinja2", "av")
COLD = """
import sys
from selfmm.cli import main
sys.argv = ["selfmm", "predict", *sys.argv[1:], "--text", "the plot was great"]
try:
    main()
finally:
    print("loaded:", *[name for name in ({slow}) if name in sys.modules])
"""


@pytest.mark.parametrize("which", ["run", "starter"])
def test_a_cold_start_imports_only_what_scores(which: str, trained: SentimentModel) -> None:
    """``selfmm predict --text``: importing transformers took longer than everything else together."""
    if which == "starter" and weights.find("e5") is None:
        pytest.skip("the weights e5 are not on this machine: selfmm weights get e5")
    run = [str(trained.folder.path)] if which == "run" else []
    code = COLD.format(slow=", ".join(map(repr, SLOW)))
    done = subprocess.run([sys.executable, "-c", code, *run], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
