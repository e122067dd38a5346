"""Whether a text encoder reads words. A folder or a hub name may hold anything, so this is tried when it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from selfmm.core.errors import SettingsError, WeightsError
from selfmm.core.messages import first_line
from selfmm.models.reading import Pooling, pool

States = Callable[[Tensor, Tensor], Tensor]
"""Maps token ids (B, L) and lengths (B,) to the states of all tokens, (B, L, d)."""

_TRIED = 300  # words of the vocabulary
_KNOWN = 0.8  # least share of them that it must read
_LONGEST = 512  # tokens that are read for the check alone
_SAME = 1e-5  # largest difference between states that count as the same, as a part of their size
_PADDED = 1e-3  # the same where only the order of sums may differ


@dataclass(frozen=True)
class EncoderCheck:
    """A text encoder on trial.

    Attributes:
        name: as the user gave it, for messages.
        model, tokenizer: of transformers.
        states: how selfmm reads the states of its tokens.
    """

    name: str
    model: Any
    tokenizer: Any
    states: States

    def natural_pooling(self, usual: Pooling) -> Pooling:
        """Return of which tokens the encoder's architecture makes one vector of a text.

        That is the last one, if each token is read knowing only those before it (GPT, Llama), or if the tokenizer puts
        its token for whole texts there (XLNet). Otherwise it is ``usual``.

        Raises:
            WeightsError: if the encoder cannot read words.
        """
        self._check_vocabulary()
        base, _, other_end = self._sentences()
        first, other = (self._read(ids)[0] for ids in (base, other_end))
        ids: list[int] = self.tokenizer("")["input_ids"]
        whole = getattr(self.tokenizer, "cls_token_id", None)
        if _alike(first, other) or (len(ids) > 1 and whole == ids[-1] != ids[0]):
            return "last"
        return usual

    def check(self, pooling: Pooling, max_tokens: int) -> None:
        """Check that the vector of a text depends on each of its words and not on padding.

        Raises:
            WeightsError: if it does not, or if the encoder cannot read words at all.
            SettingsError: if it depends on the first words only because of ``pooling``, or if the encoder reads fewer
                tokens than ``max_tokens``.
        """
        sentences = self._sentences()
        states = [self._read(ids) for ids in sentences]
        vectors = [pool(each[None], torch.tensor([len(each)]), pooling)[0] for each in states]
        if not torch.stack(vectors).isfinite().all():
            raise self._problem("gives states that are not finite. Its weights are damaged, or overflow in float32")
        causal = _alike(states[0][0], states[2][0])
        if causal and pooling == "first":
            raise SettingsError(
                [
                    f"text.pooling = 'first': the text encoder {self.name} reads each token knowing only those before "
                    "it, so its first token says nothing about the text; use auto, last or mean"
                ]
            )
        if _alike(vectors[0], vectors[1]) or _alike(vectors[0], vectors[2]):
            raise self._problem("gives different sentences the same states, so words do not count")
        self._check_padding(sentences[0], states[0])
        self._check_length(min(max_tokens, _LONGEST), sentences[0])

    def _check_vocabulary(self) -> None:
        """Raise ``WeightsError`` if the tokenizer gives ids that the encoder has no row for."""
        rows, vocabulary = vocabulary_size(self.model), self.tokenizer.get_vocab()
        highest = max(vocabulary.values(), default=-1)
        if rows is not None and highest >= rows:
            word = next(text for text, number in vocabulary.items() if number == highest)
            raise WeightsError(
                f"the tokenizer of the text encoder {self.name!r} does not belong to its weights: its ids go up to "
                f"{highest} ({word!r}), and the weights have rows for {rows} words. Use the tokenizer with which the "
                "encoder was trained, or another text encoder."
            )

    def _sentences(self) -> tuple[list[int], list[int], list[int]]:
        """Return the ids of a sentence, of one that begins with another word, and of one that ends with another."""
        one, other = self._two_words()
        texts = [" ".join(words) for words in ((one, one, one), (other, one, one), (one, one, other))]
        ids: list[list[int]] = self.tokenizer(texts)["input_ids"]
        if len({tuple(sentence) for sentence in ids}) < len(ids):
            raise self._problem("reads different sentences as the same tokens. Its tokenizer is incomplete")
        return ids[0], ids[1], ids[2]

    def _two_words(self) -> tuple[str, str]:
        words, known, tried = self._known_words()
        if len(words) < 2 or known < _KNOWN * tried:
            entries = len(self.tokenizer.get_vocab())
            few = f"reads only {known} of {tried} words of its own vocabulary"
            nothing = f"knows no words: it has {entries} entries, and reads every word as unknown"
            raise WeightsError(
                f"the tokenizer of the text encoder {self.name!r} {few if len(words) > 1 else nothing}. Its folder "
                "must hold the tokenizer with which the encoder was trained, for example tokenizer.json or vocab.txt, "
                "besides config.json and model.safetensors."
            )
        return words[0], words[1]

    def _known_words(self) -> tuple[list[str], int, int]:
        """Return words of the vocabulary with different tokens, how many words the tokenizer knows, and of how many."""
        special, unknown = set(self.tokenizer.all_special_tokens), self.tokenizer.unk_token_id
        nothing = tuple(self.tokenizer("")["input_ids"])
        words: dict[tuple[int, ...], str] = {}
        known = tried = 0
        for token, _ in sorted(self.tokenizer.get_vocab().items(), key=lambda entry: entry[1]):
            word = "" if token in special else self.tokenizer.convert_tokens_to_string([token]).strip()
            if not word.isalpha():
                continue
            ids = tuple(self.tokenizer(word)["input_ids"])
            if ids != nothing and unknown not in ids:
                words.setdefault(ids, word)
                known += 1
            tried += 1
            if tried == _TRIED:
                break
        return list(words.values()), known, tried

    def _read(self, *sentences: Sequence[int]) -> Tensor:
        """Return the states of one sentence, (L, d), or of the first of several that are padded to one length."""
        lengths = torch.tensor([len(ids) for ids in sentences])
        ids = nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in sentences], batch_first=True)
        try:
            with torch.inference_mode():
                states = self.states(ids, lengths)[0, : lengths[0]].float()
        except Exception as error:  # a model of another kind fails in its own way
            raise self._problem(f"cannot read token ids: {first_line(error)}") from error
        wide = getattr(self.model.config, "hidden_size", None)
        if states.shape != (lengths[0], wide):
            raise self._problem(f"gives states of the shape {tuple(states.shape)}, not {(int(lengths[0]), wide)}")
        return states

    def _check_padding(self, sentence: list[int], alone: Tensor) -> None:
        if not _alike(alone, self._read(sentence, sentence * 3), _PADDED):
            raise self._problem(
                "reads the padding of a batch as words, so a text would have another score next to a longer one"
            )

    def _check_length(self, tokens: int, sentence: list[int]) -> None:
        if self._reads(tokens, sentence):
            return
        low, high = 1, tokens
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._reads(middle, sentence) else (low, middle)
        raise SettingsError([f"text.max_tokens = {tokens}: the text encoder {self.name} reads {low} tokens at most"])

    def _reads(self, tokens: int, sentence: list[int]) -> bool:
        try:
            self._read((sentence * tokens)[:tokens])
        except WeightsError:
            return False
        return True

    def _problem(self, what: str) -> WeightsError:
        kind = getattr(self.model.config, "model_type", type(self.model).__name__)
        return WeightsError(
            f"{self.name!r} (a {kind} model) cannot be used as a text encoder: it {what}. Choose another one: minilm, "
            "mpnet, e5, or a model of a family like BERT, RoBERTa, DeBERTa, ModernBERT, T5 or GPT-2."
        )


def vocabulary_size(model: Any) -> int | None:
    """Return the number of token ids that a transformer knows; None if it has no table of them."""
    if getattr(model.config, "vocab_size", None) is None:
        return None
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        return int(model.config.vocab_size)
    return int(getattr(table, "num_embeddings", model.config.vocab_size))


def most_tokens(model: Any) -> int | None:
    """Return the length of the longest text that a transformer has positions for; None if any length has."""
    limit = getattr(model.config, "max_position_embeddings", None)
    limits = [limit] if isinstance(limit, int) and limit > 0 else []  # XLNet's is -1: it has no limit
    for name, table in model.named_modules():
        # RoBERTa and its relatives count from the position after that of padding.
        if name.endswith("position_embeddings") and isinstance(table, nn.Embedding) and table.padding_idx is not None:
            limits.append(table.num_embeddings - table.padding_idx - 1)
    return min(limits, default=None)


def _alike(one: Tensor, other: Tensor, part: float = _SAME) -> bool:
    """Return whether states differ by no more than ``part`` of their size."""
    return bool((one - other).abs().max() <= part * one.abs().max())
