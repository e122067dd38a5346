"""A trained model as an ONNX graph, with metadata that describe its use."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from selfmm.core.errors import ExportError
from selfmm.core.files import to_json
from selfmm.core.version import __version__
from selfmm.data.manifest import Modality
from selfmm.data.writer import sha256
from selfmm.exporting.network import ScoreNetwork
from selfmm.models.base import Model
from selfmm.models.context import Pair
from selfmm.models.encoder_check import most_tokens
from selfmm.models.ensemble import Ensemble
from selfmm.models.text import TransformerEncoder, tokenise
from selfmm.runs.trained_model import TrainedModel

if TYPE_CHECKING:
    import onnx

_LARGEST = 2**31 - 2**24
"""Largest size of the weights in bytes: a protobuf message is limited to 2 GiB, and the graph needs some of it."""


def input_names(modalities: Sequence[str]) -> list[str]:
    """Return ``text``, ``text_lengths``, ``audio``, ... in the order of ``ScoreNetwork``'s inputs."""
    return [name for modality in modalities for name in (modality, f"{modality}_lengths")]


def output_names(modalities: Sequence[str], *, deviation: bool = False) -> list[str]:
    """Return ``score``, ``score_text``, ... and ``deviation`` in the order of ``ScoreNetwork``'s outputs."""
    return ["score", *(f"score_{modality}" for modality in modalities), *(["deviation"] if deviation else [])]


def check_exportable(trained: TrainedModel) -> None:
    """Raise ``ExportError`` if the model cannot be written as an ONNX file."""
    model, modalities = trained.assembly.model, list(trained.info.modalities)
    names = [*input_names(modalities), *output_names(modalities, deviation=isinstance(model, Ensemble))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ExportError(
            f"the modalities {', '.join(trained.info.modalities)} would give the ONNX file two tensors named "
            f"{twice[0]!r}: a modality NAME has the inputs NAME and NAME_lengths and the output score_NAME, and "
            "there is an output score (of an ensemble, also deviation). Import the data with other names and train "
            "again."
        )
    sizes = {tensor.data_ptr(): tensor.nbytes for tensor in model.state_dict().values()}  # members share some
    if (size := sum(sizes.values())) > _LARGEST:
        fewer = "Average fewer runs, train" if isinstance(model, Ensemble) else "Train"
        raise ExportError(
            f"the weights are {size / 1e9:.1f} GB, but an ONNX file is limited to {_LARGEST / 1e9:.1f} GB. "
            f"{fewer} with a smaller text encoder, or use the run itself (selfmm predict)."
        )


def to_onnx(trained: TrainedModel) -> onnx.ModelProto:
    """Return the graph of ``ScoreNetwork`` with its weights; batch size and lengths are dynamic.

    Metadata: ``selfmm`` (version), ``modalities`` (JSON: ``kind`` and ``dim`` of each modality, in order),
    ``label_range`` (JSON), ``worth`` (JSON: what each score is worth, as in ``metrics.json``; null if the run did not
    measure it), ``weights_sha256`` and ``frozen_sha256`` (of the run's files of weights), ``precision``; if
    the model reads words, also ``max_tokens``, ``tokenizer`` (a tokenizer.json that truncates to ``max_tokens``), and
    ``capitals`` (``lower`` if the run reads text that is mostly capitals in lower case, otherwise ``keep``); if it
    also reads the words before a clip, ``context`` (JSON: of how many ``clips``, ``before`` and ``between`` of
    :class:`selfmm.models.context.Pair`, and ``limit``, the number of tokens that the encoder reads, or null).

    Raises:
        ExportError: if PyTorch's exporter does not support a part of the text encoder.
    """
    modalities = trained.info.modalities
    network = ScoreNetwork(trained.assembly.model.cpu())
    batch = torch.export.Dim("batch")
    shapes: list[dict[int, object]] = []
    for name in modalities:
        shapes += [{0: batch, 1: torch.export.Dim(f"{name}_longest")}, {0: batch}]
    try:
        with _quietly(), _plain_attention(trained.assembly.model), torch.no_grad():
            program = torch.onnx.export(
                network,
                _example(modalities),
                input_names=input_names(list(modalities)),
                output_names=output_names(network.model.tasks, deviation=isinstance(network.model, Ensemble)),
                dynamic_shapes=(tuple(shapes),),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # of the exporter, or of a text encoder of a family that it does not know
        reason = str(error.__cause__ or error).strip().splitlines()[0][:300]
        raise ExportError(f"PyTorch's exporter does not support this run's text encoder: {reason}") from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _rename_clashes(model)
    for node in model.graph.node:
        del node.metadata_props[:]  # paths of Python files, which would give the same run other bytes elsewhere
    for key, value in _metadata(trained).items():
        model.metadata_props.add(key=key, value=value)
    return model


def _example(modalities: Mapping[str, Modality]) -> tuple[Tensor, ...]:
    """Return two clips of more than one frame, because the exporter takes a size of 1 for a fixed size."""
    inputs: list[Tensor] = []
    for length, modality in enumerate(modalities.values(), start=3):
        ids = torch.zeros(2, length, dtype=torch.int64)
        inputs += [ids if modality.dim is None else torch.zeros(2, length, modality.dim), torch.tensor([length, 2])]
    return tuple(inputs)


def _rename_clashes(model: onnx.ModelProto) -> None:
    """Rename inner values that have the name of an input: the exporter names them ``view``, ``linear``, ..."""
    taken = {value.name for value in model.graph.input}
    renamed = {name: f"{name}.inner" for node in model.graph.node for name in node.output if name in taken}
    later: set[str] = set()
    for node in model.graph.node:
        node.input[:] = [renamed[name] if name in later else name for name in node.input]
        later.update(name for name in node.output if name in renamed)
        node.output[:] = [renamed.get(name, name) for name in node.output]


def _metadata(trained: TrainedModel) -> dict[str, str]:
    info, pretrained = trained.info, trained.assembly.pretrained
    modalities = {name: {"kind": m.kind, "dim": m.dim} for name, m in info.modalities.items()}
    metadata = {
        "selfmm": __version__,
        "modalities": json.dumps(modalities),
        "label_range": json.dumps(info.label_range),
        "worth": to_json(None if trained.worth is None else asdict(trained.worth)),
        "weights_sha256": sha256(trained.folder.weights),
        "precision": "fp32",
    }
    if trained.folder.frozen_weights.exists():
        metadata["frozen_sha256"] = sha256(trained.folder.frozen_weights)
    if pretrained is not None:
        max_tokens = trained.assembly.settings.text.max_tokens
        metadata["max_tokens"] = str(max_tokens)
        metadata["capitals"] = pretrained.rules.capitals
        metadata["tokenizer"] = portable_tokenizer(pretrained.tokenizer, max_tokens)
    if pretrained is not None and trained.context:
        pair, limit = Pair.of(pretrained.tokenizer), most_tokens(pretrained.model)
        context = {"clips": trained.context, "before": pair.before, "between": pair.between, "limit": limit}
        metadata["context"] = json.dumps(context)
    return metadata


@contextmanager
def _plain_attention(model: Model) -> Iterator[None]:
    """Use attention as matrix products and a softmax, which give the smallest graph; restore it afterwards."""
    encoders: list[Any] = [part.model for part in model.modules() if isinstance(part, TransformerEncoder)]
    before = [encoder.config._attn_implementation for encoder in encoders]
    for encoder in encoders:
        encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        for encoder, implementation in reversed([*zip(encoders, before, strict=True)]):
            encoder.set_attn_implementation(implementation)


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence the exporter's messages about its internals, which users can do nothing about."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


_SAMPLES = (
    "I really loved the ending!",
    "NOT bad... 3.5 out of 10, isn't it?",
    "Ça alors, naïve café \u2014 \U0001f600",
    "这部电影 很好看",
    "  two\tspaces \n and a line  ",
    "word " * 600,
)


def portable_tokenizer(tokenizer: Any, max_tokens: int) -> str:
    """Return the content of a ``tokenizer.json`` that gives the same ids as the run, truncated to ``max_tokens``.

    Raises:
        ExportError: if the tokenizer is written in Python, or gives other ids without its Python part.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ExportError(
            f"the text encoder's tokenizer ({type(tokenizer).__name__}) is written in Python and has no "
            "tokenizer.json, so it cannot be exported. Train with an encoder that has a fast tokenizer."
        )
    alone = Tokenizer.from_str(backend.to_str())
    alone.no_padding()
    alone.enable_truncation(max_tokens)
    for sample, ids in zip(_SAMPLES, tokenise(tokenizer, _SAMPLES, max_tokens), strict=True):
        if alone.encode(sample).ids != ids.tolist():
            raise ExportError(
                f"the text encoder's tokenizer ({type(tokenizer).__name__}) reads {sample[:30]!r} differently "
                "without transformers, so it cannot be exported. Train with another text encoder."
            )
    content: str = alone.to_str()
    return content
