"""LMF: at full rank the linear map of the whole tensor, its products one by one, and the network's size as logged."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from models.worlds import MOSI, core_size, make_batch, make_model
from oracles.tensors import outer
from selfmm.config.settings import load_settings
from selfmm.models.lmf import LMF, LowRankFusion
from selfmm.models.tfn import outer_product


@pytest.mark.parametrize("sizes", [(2, 3), (2, 1, 4), (1, 2, 1, 3)])
def test_at_full_rank_it_is_the_linear_map_of_the_tensor(sizes: tuple[int, ...]) -> None:
    """Any tensor T is the sum over all places of its first M - 1 sizes of e_i x e_j x ... x T[i, j, ..., :]."""
    tensor = torch.randn(*(size + 1 for size in sizes), generator=torch.Generator().manual_seed(0))
    places = list(product(*(range(size + 1) for size in sizes[:-1])))
    dims = {f"m{number}": size for number, size in enumerate(sizes)}
    fusion = LowRankFusion(dims, len(places))
    rows = [[torch.eye(size + 1)[place[m]] for place in places] for m, size in enumerate(sizes[:-1])]
    rows.append([tensor[place] for place in places])
    with torch.no_grad():
        for factor, row in zip(fusion.factors.values(), rows, strict=True):
            assert isinstance(factor, torch.nn.Linear)
            factor.weight.copy_(torch.stack(row)[:, :-1])
            factor.bias.copy_(torch.stack(row)[:, -1])
        fusion.score.weight.fill_(1)
        fusion.score.bias.fill_(0)
    z = torch.randn(5, sum(sizes), generator=torch.Generator().manual_seed(1))
    feature, score = fusion(dict(zip(dims, z.split_with_sizes(sizes, dim=1), strict=True)))
    assert feature.shape == (5, len(places))
    torch.testing.assert_close(score, outer_product(z.split_with_sizes(sizes, dim=1)) @ tensor.flatten())


def test_any_rank_is_a_sum_of_products() -> None:
    """Of the tensor that its weights stand for, number by number, and of the products that it takes instead."""
    torch.manual_seed(0)
    fusion, sizes = LowRankFusion({"a": 2, "b": 3, "c": 1}, 2), [2, 3, 1]
    w, bias = fusion.score.weight[0].tolist(), fusion.score.bias.item()
    columns = []
    for factor in fusion.factors.values():
        assert isinstance(factor, torch.nn.Linear)
        columns.append(torch.cat([factor.weight, factor.bias[:, None]], dim=1).tolist())
    z = torch.randn(4, 6)
    feature, score = fusion(dict(zip("abc", z.split_with_sizes(sizes, dim=1), strict=True)))
    for clip in range(4):
        parts = [part.tolist() for part in z[clip].split_with_sizes(sizes)]
        products = [1.0, 1.0]
        for column, part in zip(columns, parts, strict=True):
            for i in range(2):
                products[i] *= sum(u * v for u, v in zip(column[i], [*part, 1.0], strict=True))
        torch.testing.assert_close(feature[clip], torch.tensor(products), atol=1e-5, rtol=1e-5)
        tensor = [
            sum(w[i] * columns[0][i][j] * columns[1][i][k] * columns[2][i][m] for i in range(2))
            for j, k, m in product(range(3), range(4), range(2))
        ]
        whole = bias + sum(u * v for u, v in zip(tensor, outer(parts), strict=True))
        assert score[clip].item() == pytest.approx(whole, abs=1e-5)


def test_equations() -> None:
    """Fed with the vectors that the encoders give, the transformer's as it is."""
    model = make_model("lmf", "options.rank=3")
    batch = make_batch({"text": [4, 3], "audio": [2, 0], "vision": [1, 6]}, aligned=False)
    output = model(batch)
    feature = torch.ones(2, 3)
    fusion = model.fusion
    assert isinstance(fusion, LowRankFusion)
    assert list(fusion.factors) == ["text", "audio", "vision"]
    for name, factor in fusion.factors.items():
        feature = feature * factor(output.encoded[name])
    torch.testing.assert_close(output.fusion_feature, feature)
    torch.testing.assert_close(output.fusion, fusion.score(feature))


def test_as_many_parameters_as_logged() -> None:
    """226,519 on MOSI with BERT's 768, as a toolkit's log of these sizes counts them, less 50 of two batch norms."""
    sizes = {"text.hidden": 64, "text.out": 32, "audio.hidden": 16, "audio.out": 16, "vision.hidden": 64}
    settings = [f"stream.{key}={size}" for key, size in {**sizes, "vision.out": 64}.items()]
    model = LMF(MOSI, load_settings(None, ["model=lmf", "options.rank=5", *settings]), None)
    norms = 2 * (5 + 20)
    own = [each.numel() for name, each in model.named_parameters() if not name.startswith("missing.")]
    assert sum(own) == 226_519 - norms


def test_it_grows_with_the_sum_of_the_sizes() -> None:
    few, many = (core_size(make_model("lmf", f"options.rank={rank}")) for rank in (1, 10))
    assert many - few == 9 * (16 + 6 + 6 + 3 + 1), "a number of each vector, its 1, and the product's own weight"
