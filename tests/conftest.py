"""What several tests need: a tiny text encoder, planted data, and one finished run on it."""

from __future__ import annotations

import multiprocessing.util
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings

from selfmm.api import ensemble, train
from selfmm.data.planted import PlantedSettings, planted_source, write_planted
from selfmm.data.store import Dataset
from selfmm.recordings.model import SentimentModel

# Tests are many small tensors: threads only get into each other's way. So it is in the processes that tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says something of the machine, not of the code.
settings.register_profile("selfmm", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("selfmm")

QUICK = (
    *("training.max_epochs=4", "training.batch_size=16", "training.accumulation=1", "text.max_tokens=40"),
    "training.checkpoint_seconds=0",
    "labels.rule=authors",  # moves every label, and from the second epoch on
    *("text.lr=2e-3", "stream.audio.lr=5e-3", "stream.vision.lr=5e-3"),  # the tiny encoder starts from nothing
)
"""Settings of a run of a few seconds."""

PLANTED = PlantedSettings(clips=150, seed=3)


def heeds_ctrl_c() -> None:
    """For ``Popen(preexec_fn=...)``: where the tests were started in the background, children would ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def threads_stay() -> Iterator[None]:
    """With another number the last digits of a score are others, in every later test of the process."""
    yield
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert threads == 1, f"the test left torch with {threads} threads"


@pytest.fixture(scope="session", autouse=True)
def temporary_folder() -> Iterator[None]:
    """Nothing is left behind: torch's compiler, Ray, Dask, torchrun and killed processes each leave folders."""
    multiprocessing.util.get_temp_dir()  # it cleans up after this one is gone, so it keeps its own place
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="selfmm-", ignore_cleanup_errors=True) as folder,
    ):
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a BERT of one layer and 32 dimensions with random weights and a vocabulary of planted words."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_encoder")
    texts = planted_source(PlantedSettings(clips=400)).table["text"].dropna()
    words = sorted({word for text in texts for word in _words(text)})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() else f" {c} " for c in text.lower()).split()


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """150 planted clips; not to be changed."""
    return write_planted(tmp_path_factory.mktemp("planted") / "data", PLANTED)


@pytest.fixture(scope="session")
def trained(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """A finished run on ``planted``; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    return train(planted, text_encoder=tiny_encoder, overrides=QUICK, out=out)


@pytest.fixture(scope="session")
def members(planted: Dataset, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Runs on ``planted`` with a frozen text encoder: two seeds of Self-MM, and one of LMF; not to be changed."""
    folder = tmp_path_factory.mktemp("members")
    overrides = [*QUICK, "text.finetune=false", "training.max_epochs=2"]
    runs = {"a": ("self_mm", 1), "b": ("self_mm", 2), "lmf": ("lmf", 1)}
    for name, (model, seed) in runs.items():
        train(planted, model=model, seed=seed, text_encoder=tiny_encoder, overrides=overrides, out=folder / name)
    return [folder / name for name in runs]


@pytest.fixture(scope="session")
def averaged(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """The mean of the two seeds of ``members``; not to be changed."""
    return ensemble(members[:2], out=tmp_path_factory.mktemp("averaged") / "run")


@pytest.fixture(scope="session")
def mosi_pickle() -> Path:
    """The real MOSI utterances, where they are at hand beside the checkout."""
    path = Path(__file__).parents[2] / "shared" / "data" / "mosi" / "mosi_mmsa.pkl"
    if not path.is_file():
        pytest.skip("the MOSI pickle is not beside this checkout (it is not ours to ship)")
    return path


@pytest.fixture(scope="session")
def demo_clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of twelve recordings of two seconds, in which tones stand for speech; not to be changed."""
    pytest.importorskip("av", reason="recordings are written by PyAV")
    from selfmm.demo.clips import make_clips

    return make_clips(tmp_path_factory.mktemp("clips") / "demo", count=12, seconds=(1.6, 2.2), synthesizer="tones")


@pytest.fixture(scope="session")
def clip_run(demo_clips: Path, tiny_encoder: str, tmp_path_factory: pytest.TempPathFactory) -> SentimentModel:
    """A finished run on the written words and the voices of ``demo_clips``; not to be changed."""
    pytest.importorskip("faster_whisper", reason="it brings the model that finds speech")
    from selfmm.config.recipe import load_recipe
    from selfmm.features.extract import extract

    folder = tmp_path_factory.mktemp("clip_run")
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none"])
    found = extract(demo_clips, folder / "data", recipe=recipe, jobs=1, cache=folder / "cache")
    return train(found.dataset, text_encoder=tiny_encoder, overrides=QUICK, out=folder / "run")


@pytest.fixture
def run_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """``"run.json"`` for each time a run's information is read, ``"recipe"`` for each recipe that is made of it."""
    from selfmm.recordings.recipe import recipe_of
    from selfmm.runs.folder import RunFolder

    calls: list[str] = []

    def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(name)
            return function(*arguments)

        return call

    monkeypatch.setattr(RunFolder, "info", noted("run.json", RunFolder.info))
    monkeypatch.setattr("selfmm.recordings.scorer.recipe_of", noted("recipe", recipe_of))
    return calls
