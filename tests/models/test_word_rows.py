"""Training only the rows of the words that occur gives the weights that training the whole embedding gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from selfmm.models.word_rows import WordRows, complete_word_rows, train_word_rows


class Embeddings(nn.Module):
    def __init__(self, padding: int | None) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(12, 4, padding_idx=padding)


class Words(nn.Module):
    """The part of a transformer that holds its words."""

    def __init__(self, padding: int | None = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embeddings = Embeddings(padding)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.embeddings.word_embeddings(ids)
        return values


IDS = torch.tensor([[5, 3, 0], [3, 7, 9]])


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding", [None, 0])
def test_the_same_weights_as_with_the_whole_embedding(padding: int | None, sparse: bool) -> None:
    weights = []
    for rows_only in (False, True):
        model = Words(padding)
        if rows_only:
            train_word_rows(model, torch.unique(IDS))
        model.embeddings.word_embeddings.sparse = sparse
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for parameter in trained:
            parameter.grad = torch.zeros_like(parameter)
        optimizer = torch.optim.Adam(trained, lr=0.1)
        for _ in range(3):
            (model(IDS) ** 3).sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        complete_word_rows(model)
        weights.append(model.embeddings.word_embeddings.weight)
    assert torch.equal(*weights)
    assert weights[1].requires_grad
    assert not torch.equal(weights[1], Words(padding).embeddings.word_embeddings.weight)


def test_a_word_that_is_not_trained_reads_its_own_row() -> None:
    model, before = Words(), Words()
    train_word_rows(model, torch.tensor([3, 5]))
    assert torch.equal(model(torch.tensor([[0, 3, 11]])), before(torch.tensor([[0, 3, 11]])))
    rows = model.embeddings.word_embeddings
    assert isinstance(rows, WordRows)
    assert [name for name, parameter in model.named_parameters() if parameter.requires_grad] == [
        "embeddings.word_embeddings.rows"
    ]
    assert rows.rows.shape == (2, 4)


def test_a_frozen_transformer_and_one_without_words_stay_as_they_are() -> None:
    frozen = Words().requires_grad_(False)
    train_word_rows(frozen, torch.unique(IDS))
    none = Words()
    train_word_rows(none, IDS.new_empty(0))
    for model in (frozen, none):
        assert isinstance(model.embeddings.word_embeddings, nn.Embedding)
        complete_word_rows(model)
        assert isinstance(model.embeddings.word_embeddings, nn.Embedding)
