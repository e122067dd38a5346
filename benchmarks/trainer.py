"""Compare fine-tuning a text encoder with transformers' own Trainer: clips a second, as ratios.

    python benchmarks/trainer.py                                            # mpnet and e5, fp32 and bf16
    python benchmarks/trainer.py --encoder minilm --precision fp32 --steps 10

Both train the same encoder and a score of its first token, on the same sentences of MOSI's lengths, with the same
batch, loss (mean absolute error), optimizer (AdamW, one step per batch), clipping and arithmetic. They take turns in
one process. The Trainer pads a batch to its longest sentence. Loading and the first steps do not count.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from command import run_benchmark
from ratios import PEER, markdown
from synthetic import TOKENS, lengths
from torch import Tensor, nn

import selfmm
from selfmm.core.listener import Listener
from selfmm.core.tensors import Positions
from selfmm.data.importing import import_dataset
from selfmm.models.text import load_pretrained

OURS = "ours"
_FIRST = 2  # steps that do not count
_RATE = 2e-5


class _DoneError(Exception):
    pass


@dataclass
class Ends(Listener):
    """When each step ended; the training ends with the last one that is wanted."""

    wanted: int
    times: list[tuple[float, float]] = field(default_factory=list)

    def step(self) -> None:
        self.times.append((time.perf_counter(), time.process_time()))
        if len(self.times) == self.wanted:
            raise _DoneError

    def figures(self, batch: int) -> dict[str, float]:
        """Figures by the names in ``ratios.METRICS``."""
        (begun, worked), (ended, done) = self.times[_FIRST - 1], self.times[-1]
        clips = batch * (len(self.times) - _FIRST)
        return {"step_clips_per_second": clips / (ended - begun), "clips_per_processor_second": clips / (done - worked)}


class Scorer(nn.Module):
    """A transformer and a score of its first token, as the Trainer wants it: its output holds the loss."""

    def __init__(self, encoder: nn.Module, dim: int) -> None:
        super().__init__()
        self.encoder, self.score = encoder, nn.Linear(dim, 1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> dict[str, Tensor]:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return {"loss": (self.score(hidden[:, 0])[:, 0] - labels).abs().mean()}


def sentences(count: int) -> pd.DataFrame:
    """Random English words with MOSI's lengths, and random labels; a row per clip."""
    rng = np.random.default_rng(0)
    tokenizer = load_pretrained("minilm").tokenizer
    words = [word for word in sorted(tokenizer.get_vocab()) if word.isascii() and word.isalpha() and len(word) > 1]
    sizes: Positions = lengths(count, None, rng)[0]
    other = ("valid", "test")
    return pd.DataFrame(
        {
            "id": [f"clip{number}" for number in range(count)],
            "video": [f"video{number // 10}" for number in range(count)],
            "text": [" ".join(rng.choice(words, size - 2)) for size in sizes],
            "label": np.clip(rng.normal(0, 1.6, count), -3, 3).round(1),
            "split": ["train" if number < count - 40 else other[number // 10 % 2] for number in range(count)],
        }
    )


def ours(encoder: str, precision: str, data: Path, batch: int, ends: Ends) -> None:
    """Train with ``selfmm.train`` until the last step."""
    limits = {"batch_size": batch, "accumulation": 1, "precision": precision, "device": "cpu", "max_epochs": 10**6}
    settings = [f"training.{key}={value}" for key, value in limits.items()]
    settings += ["modalities=text", f"text.lr={_RATE}", f"text.max_tokens={TOKENS}", "text.pooling=first"]
    with tempfile.TemporaryDirectory() as folder, suppress(_DoneError):
        selfmm.train(
            data,
            model="lf_dnn",
            labels="none",
            text_encoder=encoder,
            overrides=settings,
            out=Path(folder) / "run",
            listener=ends,
        )


def theirs(encoder: str, precision: str, table: pd.DataFrame, batch: int, ends: Ends) -> None:
    """Train with transformers' Trainer until the last step."""
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    class Callback(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            ends.step()

    pretrained = load_pretrained(encoder)
    part = table[table["split"] == "train"]
    ids = pretrained.tokenise(part["text"].tolist(), TOKENS)
    rows = [
        {"input_ids": row.tolist(), "attention_mask": [1] * len(row), "labels": label}
        for row, label in zip(ids, part["label"], strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder, suppress(_DoneError):
        Trainer(
            Scorer(pretrained.model, pretrained.dim),
            TrainingArguments(
                output_dir=folder,
                max_steps=ends.wanted + 1,
                per_device_train_batch_size=batch,
                learning_rate=_RATE,
                bf16=precision == "bf16",
                use_cpu=True,
                dataloader_pin_memory=False,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            data_collator=DataCollatorWithPadding(pretrained.tokenizer),
            train_dataset=rows,
            callbacks=[Callback()],
        ).train()


def compare(encoder: str, precision: str, steps: int, batch: int, pairs: int) -> list[dict[str, dict[str, float]]]:
    """Return per pair the figures of both programs."""
    table = sentences(max(320, batch + 40))
    measured: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as name:
        file, folder = Path(name) / "clips.csv", Path(name) / "data"
        table.to_csv(file, index=False)
        import_dataset(file, folder)
        for _ in range(pairs):
            measured.append({})
            for program in (PEER, OURS):
                ends = Ends(steps + _FIRST)
                if program == PEER:
                    theirs(encoder, precision, table, batch, ends)
                else:
                    ours(encoder, precision, folder, batch, ends)
                measured[-1][program] = ends.figures(batch)
                gc.collect()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", action="append", help="as of `--text-encoder`; several times for several")
    parser.add_argument("--precision", choices=["fp32", "bf16"], action="append")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16, help="clips per step")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for encoder in options.encoder or ["mpnet", "e5"]:
        for precision in options.precision or ["fp32", "bf16"]:
            pairs = compare(encoder, precision, options.steps, options.batch, options.pairs)
            about = f"batch {options.batch}, steps: {options.steps}, threads {options.threads}"
            load = " / ".join(f"{value:.1f}" for value in os.getloadavg())
            print(f"## {encoder}, {precision}\n\n{about}; load {load}\n\n{markdown(pairs)}\n", flush=True)


if __name__ == "__main__":
    run_benchmark(main)
