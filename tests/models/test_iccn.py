"""ICCN: canonical correlations compared with two other ways to compute them, finite values, and the network against
loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cross_decomposition import CCA
from torch import Tensor

from models.worlds import MODALITIES, bytes_kept, make_batch, make_model
from oracles.tensors import convolve, correlations, highest_of_four
from selfmm.data.manifest import Modality
from selfmm.data.types import Batch, Stream
from selfmm.models.iccn import ICCN, Interaction, InteractionFusion, Options, canonical_correlations


def two_views(count: int, d: int, e: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Of which some numbers of both go together, by more and by less."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, d, generator=generator) @ torch.randn(d, d, generator=generator)
    noise = torch.randn(count, e, generator=generator)
    return x, x[:, :1] + 0.5 * x @ torch.randn(d, e, generator=generator) + 2 * noise


@given(
    count=st.integers(2, 30),
    d=st.integers(1, 5),
    e=st.integers(1, 5),
    regularisation=st.sampled_from([1e-2, 0.3, 4.0]),
    seed=st.integers(0, 99),
)
def test_correlations_are_roots_of_eigenvalues(count: int, d: int, e: int, regularisation: float, seed: int) -> None:
    x, y = two_views(count, d, e, seed)
    found = canonical_correlations(x, y, torch.ones(count, dtype=torch.bool), regularisation)
    slow = correlations(x.double().numpy(), y.double().numpy(), regularisation)
    np.testing.assert_allclose(found.numpy(), slow, atol=2e-4)
    assert ((found >= 0) & (found < 1)).all()


def test_correlations_are_those_of_scikit_learn() -> None:
    """Whose pairs of scores are correlated by as much; it does not regularise."""
    x, y = two_views(200, 4, 3)
    pairs = CCA(n_components=3, max_iter=5000, tol=1e-9).fit_transform(x.numpy(), y.numpy())
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(pairs[0].T, pairs[1].T, strict=True)]
    found = canonical_correlations(x, y, torch.ones(200, dtype=torch.bool), 1e-6)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
    assert expected[0] > 0.5


def test_only_rows_that_count_have_a_part() -> None:
    x, y = two_views(12, 3, 3)
    there = torch.arange(12) % 3 != 1
    found = canonical_correlations(x, y, there, 1e-2)
    torch.testing.assert_close(found, canonical_correlations(x[there], y[there], torch.ones(8, dtype=torch.bool), 1e-2))
    x[~there] = 1e4
    torch.testing.assert_close(canonical_correlations(x, y, there, 1e-2), found)


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, y = (view.double().requires_grad_() for view in two_views(9, 3, 2))
    there = torch.tensor([True] * 7 + [False, True])
    assert torch.autograd.gradcheck(lambda x, y: canonical_correlations(x, y, there, 0.1).sum(), (x, y))


SAME = torch.randn(1, 4, generator=torch.Generator().manual_seed(5)).expand(6, 4)
FLAT = torch.zeros(6, 4)
FEW, _ = two_views(3, 4, 4)
TWICE = two_views(6, 2, 2)[0].repeat(1, 2)


@pytest.mark.parametrize(
    ("x", "y", "there"),
    [
        (FEW[:1], FEW[:1], [1]),
        (FEW, FEW.flip(0), [1, 1, 1]),
        (FEW, FEW, [0, 0, 0]),
        (FEW, FEW, [0, 1, 0]),
        (SAME, SAME, [1] * 6),
        (FLAT, SAME, [1] * 6),
        (SAME, TWICE, [1] * 6),
        (TWICE, TWICE, [1] * 6),
        (1e6 * TWICE, -1e-6 * TWICE, [1] * 6),
    ],
    ids=["one clip", "few", "none", "one there", "same", "zeros", "same and not", "equal correlations", "far scales"],
)
@pytest.mark.parametrize("regularisation", [1e-6, 1e-3, 1e6])
def test_finite_wherever(x: Tensor, y: Tensor, there: list[int], regularisation: float) -> None:
    x, y = x.clone().requires_grad_(), y.clone().requires_grad_()
    found = canonical_correlations(x, y, torch.tensor(there).bool(), regularisation)
    assert ((found >= 0) & (found <= 1)).all()
    if sum(there) < 2 or (x == x[0]).all() or (y == y[0]).all():
        assert not found.any(), "nothing goes together with what never changes"
    found.sum().backward()  # type: ignore[no-untyped-call]
    for gradient in (x.grad, y.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
        assert not gradient[~torch.tensor(there).bool()].any()
        assert found.any() or not gradient.any(), "no direction is better than another"


def test_what_varies_little_has_little_gradient() -> None:
    """So that the numbers of a network at its start, which hardly differ, do not outweigh the error."""
    x, y = two_views(16, 4, 4)
    for scale in (1e-2, 1e-4, 1e-8):
        small = (scale * x).requires_grad_()
        total = canonical_correlations(small, y, torch.ones(16, dtype=torch.bool), 1e-3).sum()
        total.backward()  # type: ignore[no-untyped-call]
        assert small.grad is not None
        assert small.grad.norm() < 4 / 1e-3**0.5


@pytest.mark.parametrize("sizes", [(5, 6), (1, 3), (8, 1)])
def test_convolutions_over_the_outer_product(sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    part = Interaction(*sizes, Options(embedding=3, channels=2))
    a, b = torch.randn(2, sizes[0]), torch.randn(2, sizes[1])
    found, weights = part(a, b), {name: each.detach() for name, each in part.named_parameters()}
    for clip in range(2):
        picture = torch.tensor([[[float(v) * float(w) for w in b[clip]] for v in a[clip]]])
        for layer in ("0", "3"):
            kernel = weights[f"convolutions.{layer}.weight"], weights[f"convolutions.{layer}.bias"]
            picture = highest_of_four(convolve(picture, *kernel).clamp(min=0))
        k = weights["linear.weight"] @ picture.flatten() + weights["linear.bias"]
        torch.testing.assert_close(found[clip], k, atol=1e-5, rtol=1e-5)


def full(count: int, seed: int = 0) -> Batch:
    return make_batch({name: [4] * count for name in MODALITIES}, aligned=True, seed=seed)


def test_equations() -> None:
    """The head reads F_t and all K; the term is less the sum of the correlations over clips that have all three."""
    model = make_model("iccn", "options.embedding=2", "options.correlation=0.5", "options.regularisation=0.1")
    assert isinstance(model, ICCN)
    lengths = {"text": [4, 0, 3, 2, 5, 1], "audio": [1, 2, 0, 4, 5, 3], "vision": [2] * 6}
    batch = make_batch(lengths, aligned=False)
    output = model(batch)
    f = output.encoded
    fusion = model.fusion
    assert isinstance(fusion, InteractionFusion)
    k = {name: fusion.interactions[name](f["text"], f[name]) for name in ("audio", "vision")}
    feature, score = fusion.head(torch.cat([f["text"], k["audio"], k["vision"]], dim=1))
    torch.testing.assert_close(output.fusion_feature, feature)
    torch.testing.assert_close(output.fusion, score)
    torch.testing.assert_close(fusion(f), (feature, score))
    there = [0, 3, 4, 5]
    views = [k[name].detach()[there].double().numpy() for name in ("audio", "vision")]
    expected = -0.5 * float(correlations(views[0], views[1], 0.1).sum())
    assert output.terms["correlation"].tolist() == pytest.approx([expected] * 6, abs=1e-5)


def test_each_two_of_many_are_correlated() -> None:
    many = {**MODALITIES, "heart": Modality(kind="frames", dim=2)}
    model = make_model("iccn", "options.embedding=2", modalities=many)
    assert isinstance(model, ICCN)
    batch = full(6)
    heart = Stream(torch.randn(6, 3, 2), torch.full((6,), 3), torch.ones(6, dtype=torch.bool))
    output = model(Batch(batch.index, batch.labels, {**batch.streams, "heart": heart}))
    f = output.encoded
    assert isinstance(model.fusion, InteractionFusion)
    k = {name: part(f["text"], f[name]) for name, part in model.fusion.interactions.items()}
    everyone, total = torch.ones(6, dtype=torch.bool), torch.zeros(())
    for a, b in (("audio", "vision"), ("audio", "heart"), ("vision", "heart")):
        total = total - 0.01 * canonical_correlations(k[a], k[b], everyone, 1e-3).sum()
    torch.testing.assert_close(output.terms["correlation"], total.expand(6))


def test_with_one_modality_beside_the_text_nothing_is_correlated() -> None:
    two = {name: MODALITIES[name] for name in ("text", "vision")}
    model = make_model("iccn", modalities=two)
    output = model(make_batch({"text": [4, 2], "vision": [3, 1]}, aligned=False))
    assert output.terms == {}
    assert output.fusion.isfinite().all()


def test_the_term_makes_them_go_together() -> None:
    model = make_model("iccn", "options.embedding=2", "options.correlation=1")
    model.encoders.requires_grad_(False)
    batch, steps = full(12), torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    course = []
    for _ in range(40):
        term = model(batch).terms["correlation"].mean()
        course.append(-term.item())
        steps.zero_grad()
        term.backward()
        steps.step()
    assert course[0] < 1.2 < 1.8 < course[-1] < 2


def test_a_pass_keeps_about_as_many_bytes_as_is_said() -> None:
    model = make_model("iccn", "text.finetune=false", "stream.audio.out=32", "stream.vision.out=32").train()
    kept = bytes_kept(model, lambda: model(full(16)))
    assert 0.4 < 16 * model.kept_bytes(dict.fromkeys(MODALITIES, 4)) / kept < 2.5
