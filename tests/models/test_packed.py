"""An encoder without padding is that encoder: the same tokens and gradients as transformers' own padded forward."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import transformers

from models.worlds import as_on_an_accelerator, bytes_kept
from selfmm.core.errors import SettingsError
from selfmm.models import packed
from selfmm.models.packed import all_layers, can_pack, embeddings, first_tokens, layers_of_embedded
from selfmm.models.text import TransformerEncoder

SMALL = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}


def small(kind: str) -> Any:
    torch.manual_seed(0)
    more: dict[str, Any] = {"Electra": {"embedding_size": 12}, "DebertaV2": {"relative_attention": True}}
    config = getattr(transformers, f"{kind}Config")(**SMALL, **more.get(kind, {}))
    model = getattr(transformers, f"{kind}Model")(config)
    model.pooler = None
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    lengths = torch.tensor([5, 1, 11, 3])
    ids = torch.randint(2, 50, (4, 11)).where(torch.arange(11) < lengths[:, None], 1)
    return ids, lengths


def padded(model: Any, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    first: torch.Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    return first


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "XLMRoberta", "Camembert", "Electra", "MPNet"])
def test_equals_the_padded_forward_and_its_gradients(kind: str, recompute: bool) -> None:
    ids, lengths = batch()
    gradients = []
    for forward in (padded, first_tokens):
        model = small(kind).eval()
        extra = {"recompute": recompute} if forward is first_tokens else {}
        out: torch.Tensor = forward(model, ids, lengths, **extra)
        (out * torch.arange(24)).sum().backward()  # type: ignore[no-untyped-call]
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
        gradients.append((out.detach(), found))
    (expected, theirs), (said, ours) = gradients
    torch.testing.assert_close(said, expected, atol=1e-5, rtol=1e-5)
    assert theirs.keys() == ours.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, atol=1e-4, rtol=1e-4, msg=name)


@pytest.mark.parametrize("kind", ["Bert", "MPNet"])
@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("tokens", [False, True])
def test_both_layouts_say_what_theirs_does(
    kind: str, layout: str, tokens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, lengths = batch()
    if layout == "padded":
        as_on_an_accelerator(monkeypatch)
    real = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    theirs = small(kind).eval()(input_ids=ids, attention_mask=real).last_hidden_state * real[:, :, None]
    said = TransformerEncoder(small(kind), finetune=True, tokens=tokens).eval()(ids, lengths)
    torch.testing.assert_close(said, theirs if tokens else theirs[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["Bert", "MPNet"])
def test_rows_nobody_reads_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 the list of words is filled up; here in fp32, to see that it is exact, gradients too."""
    ids, lengths = batch()
    assert int(lengths.sum()) % 32, "there is something to fill"
    found = []
    for multiple in (1, 32):
        layout = packed.Layout
        monkeypatch.setattr(packed, "Layout", lambda a, b, _, m=multiple, layout=layout: layout(a, b, m))
        model = small(kind).eval()
        out = first_tokens(model, ids, lengths)
        (out * torch.arange(24)).sum().backward()  # type: ignore[no-untyped-call]
        found.append([out.detach(), *(p.grad for p in model.parameters())])
        monkeypatch.undo()
    for plain, filled in zip(*found, strict=True):
        torch.testing.assert_close(filled, plain, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        model = small(kind).eval()
        rough = first_tokens(model, ids, lengths)
        (rough * torch.arange(24)).sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    torch.testing.assert_close(rough.float(), found[0][0], atol=0.1, rtol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["Bert", "MPNet"])
def test_dropout_is_applied_in_training_as_often_as_in_theirs(kind: str) -> None:
    """The mean over many masks is that of the padded forward; one mask is not."""
    model = small(kind).train()
    ids, lengths = batch()
    with torch.no_grad():
        ours = torch.stack([first_tokens(model, ids, lengths) for _ in range(400)])
        theirs = torch.stack([padded(model, ids, lengths) for _ in range(400)])
    assert ours.std(0).mean() == pytest.approx(float(theirs.std(0).mean()), rel=0.05)
    assert (ours.mean(0) - theirs.mean(0)).abs().max() < 6 * theirs.std(0).max() / 400**0.5


def test_other_families_go_their_own_way() -> None:
    other = small("DebertaV2").eval()
    assert not can_pack(other)
    ids, lengths = batch()
    encoder = TransformerEncoder(other, finetune=True).eval()
    torch.testing.assert_close(encoder(ids, lengths), padded(other, ids, lengths), atol=1e-6, rtol=1e-5)
    decoder = small("Bert")
    decoder.config.is_decoder = True
    assert not can_pack(decoder)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("layout", ["packed", "padded"])
@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra", "MPNet"])
def test_what_the_first_layer_reads_may_be_changed(
    kind: str, layout: str, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As theirs with a hook where the layers begin: scores, and the gradient of the change, frozen or not."""
    ids, lengths = batch()
    if layout == "padded":
        as_on_an_accelerator(monkeypatch)
    change = torch.randn(4, 11, 24, generator=torch.Generator().manual_seed(2))
    theirs = small(kind).eval()
    expected_change = change.clone().requires_grad_()
    entrance = theirs.embeddings_project if kind == "Electra" else theirs.embeddings
    entrance.register_forward_hook(lambda module, given, values: values + expected_change)
    expected = padded(theirs, ids, lengths)
    (expected * torch.arange(24)).sum().backward()  # type: ignore[no-untyped-call]
    for finetune in (True, False):
        model = small(kind)
        encoder = TransformerEncoder(model, finetune=finetune, recompute=recompute, inside=True).train()
        model.eval()  # no dropout
        own_change = change.clone().requires_grad_()
        said = encoder.read(encoder.embed(ids) + own_change, lengths)
        torch.testing.assert_close(said, expected, atol=1e-5, rtol=1e-5)
        (said * torch.arange(24)).sum().backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(own_change.grad, expected_change.grad, atol=1e-4, rtol=1e-4)
        assert any(p.grad is not None for p in model.parameters()) == finetune
        weights = dict(theirs.named_parameters())
        for name, parameter in model.named_parameters():
            if finetune and parameter.grad is not None:
                torch.testing.assert_close(parameter.grad.to_dense(), weights[name].grad, atol=1e-4, rtol=1e-4)


def test_an_unknown_inside_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"one of bert, roberta, .* and this one is deberta-v2; choose minilm"):
        TransformerEncoder(small("DebertaV2"), finetune=True, inside=True)


@pytest.mark.parametrize("inside", [False, True])
def test_a_frozen_encoder_keeps_something_only_where_a_gradient_passes_through(inside: bool) -> None:
    encoder = TransformerEncoder(small("Bert"), finetune=False, inside=inside)
    learnt = TransformerEncoder(small("Bert"), finetune=True)
    assert encoder.kept_bytes(11) == (learnt.kept_bytes(11) if inside else 0)


@pytest.mark.parametrize("kind", ["Bert", "Electra", "MPNet"])
def test_a_pass_keeps_about_as_many_bytes_as_is_said(kind: str) -> None:
    """The estimate decides how many clips go through at once, so it may not be far off."""
    ids, _ = batch()
    for recompute in (False, True):
        model = small(kind).train()
        encoder = TransformerEncoder(model, finetune=True, recompute=recompute).train()
        kept = bytes_kept(model, partial(encoder, ids, torch.full((4,), 11)))
        assert 0.4 < 4 * encoder.kept_bytes(11) / kept < 2.5


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("kind", ["Bert", "Electra", "MPNet"])
def test_all_layers_equal_those_of_the_padded_forward(kind: str, recompute: bool) -> None:
    ids, lengths = batch()
    model = small(kind).eval()
    real = torch.arange(ids.shape[1]) < lengths[:, None]
    expected = torch.cat(
        model(input_ids=ids, attention_mask=real.long(), output_hidden_states=True).hidden_states, dim=-1
    )
    layers = all_layers(model, ids, lengths, recompute=recompute)
    assert layers.shape == (4, 11, 4 * 24)
    torch.testing.assert_close(layers, expected * real[:, :, None], atol=1e-5, rtol=1e-5)
    embedded = layers_of_embedded(model, embeddings(model, ids), lengths, recompute=recompute)
    torch.testing.assert_close(embedded, layers)
