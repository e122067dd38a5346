"""Fit the starter and write it as a run folder.

Words: ridge regression of the labels on the mean of the frozen text encoder's last states. Its strength is the best of
a tenfold cross-validation over documents. Its error is that on texts of other kinds: each collection is predicted by
the regression of the three others. So it is not flattered by texts of the same kind, which a user's clips are not.

The result is the same, byte for byte, on one machine with the same versions. Other processors round other sums; the
weights are therefore rounded to ``_STEP``, and differ by a step at most.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from selfmm.config.recipe import Recipe
from selfmm.config.settings import Settings, load_settings
from selfmm.core.errors import SettingsError
from selfmm.core.files import write_json, write_text
from selfmm.core.tensors import save_tensors
from selfmm.core.version import __version__
from selfmm.data.manifest import SPLITS, TEXT, Modality
from selfmm.evaluation.metrics import evaluate
from selfmm.evaluation.worth import FUSION, RunWorth, conformal_band, measure
from selfmm.features.face.landmarks import COLUMNS
from selfmm.features.one_thread import one_thread
from selfmm.models.frozen_inputs import frozen_inputs
from selfmm.models.text import Pretrained, text_encoder
from selfmm.runs.folder import STARTERS, RunFolder, RunInfo
from selfmm.runs.trained_model import texts_dataset
from selfmm.starter import face
from selfmm.starter.texts import COLLECTIONS, LABEL_RANGE, RatedTexts
from selfmm.training.adapt.stacking import precision_weights

MOSI = {"e5": "Corr .79, MAE .78", "minilm": "Corr .70, MAE .96"}
"""Measured with ``benchmarks/starter.py`` on 1,447 utterances, of which no label was used, for each text encoder."""
LIMITS = {"minilm": " It knows English only; a better one, for more languages, comes with: selfmm weights get e5"}
"""What to say of a starter with this text encoder besides."""

LANGUAGES = {
    "e5": "Measured for English only; signs checked on ten plain spoken sentences each in German, French, Spanish and "
    "Chinese.",
    "minilm": "Measured for English only.",
}
"""Checked with ``benchmarks/spoken_languages.py``."""

_READING = {"minilm": ("text.pooling=mean", "text.layer=4")}  # the layer with the smallest MAE on held-out texts
_STRENGTHS = 10.0 ** np.arange(-6, 1)  # relative to the mean eigenvalue of the states' scatter
_FOLDS = 10
_STEP = 1e-3
_AT_ONCE = 2000  # texts

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Words:
    """The head of the words.

    Attributes:
        weights, bias: (d,) and a number; score = weights . state + bias.
        held_out: (N,) the score of each text by the regression of the other collections.
        strength: the chosen one of ``_STRENGTHS``.
    """

    weights: Array
    bias: float
    held_out: Array
    strength: float


def make(texts: RatedTexts, out: Path, encoder: str) -> RunInfo:
    """Fit the starter for a text encoder, the mean of its tokens; write its run folder and return its ``run.json``.

    Raises:
        SettingsError: if no starter comes with this text encoder.
    """
    if encoder not in STARTERS:
        known = " or ".join(STARTERS)
        raise SettingsError(
            [f"`encoder={encoder!r}`: the regression is for {known}; train any other encoder with `finetune=True`"]
        )
    settings = load_settings(
        None,
        [
            f"text.encoder={encoder}",
            *_READING.get(encoder, ()),
            "text.finetune=false",
            "labels.source=none",
            "training.device=cpu",
        ],
        model="adapt",
    )
    with one_thread():
        states = states_of(texts, settings, text_encoder(settings.text))
    return write(fit_words(states, texts), texts, settings, out)


def states_of(texts: RatedTexts, settings: Settings, pretrained: Pretrained) -> Array:
    """Return (N, d) the mean state of each text; those of each piece are cached, so that this can be interrupted."""
    pieces = []
    for start in range(0, len(texts.texts), _AT_ONCE):
        dataset = texts_dataset(texts.texts[start : start + _AT_ONCE])
        [states] = frozen_inputs(dataset, dataset.modalities, settings, pretrained)[TEXT]
        pieces.append(states.astype(np.float64))
    return np.concatenate(pieces)


def fit_words(states: Array, texts: RatedTexts) -> Words:
    """Fit the head to all texts, with the strength that is best for documents that were left out."""
    documents, number = np.unique(texts.documents.astype(str), return_inverse=True)
    fold = (np.random.default_rng(0).permutation(len(documents)) % _FOLDS)[number]
    errors = np.square(_left_out(states, texts.labels, fold) - texts.labels).mean(axis=1)
    best = int(errors.argmin())
    kind = np.unique(texts.collections.astype(str), return_inverse=True)[1]
    weights, biases = _ridge(states, texts.labels)
    held_out = _left_out(states, texts.labels, kind)[best]
    return Words(weights[best], float(biases[best]), held_out, float(_STRENGTHS[best]))


def _left_out(states: Array, labels: Array, part: npt.NDArray[np.intp]) -> Array:
    """Return (k, N) the score of each text, for each strength, by the regression of the texts in other parts."""
    scores = np.zeros((len(_STRENGTHS), len(labels)))
    for own in (part == number for number in np.unique(part)):
        weights, biases = _ridge(states[~own], labels[~own])
        scores[:, own] = weights @ states[own].T + biases[:, None]
    return scores


def _ridge(states: Array, labels: Array) -> tuple[Array, Array]:
    """Return weights (k, d) and biases (k,) of a ridge regression for each of ``_STRENGTHS``."""
    centre, mean = states.mean(axis=0), labels.mean()
    values, axes = np.linalg.eigh((states - centre).T @ (states - centre))
    along = axes.T @ ((states - centre).T @ (labels - mean))
    weights = (along / (values + values.mean() * _STRENGTHS[:, None])) @ axes.T
    return weights, mean - weights @ centre


def write(words: Words, texts: RatedTexts, settings: Settings, out: Path) -> RunInfo:
    """Write the run folder."""
    out.mkdir(parents=True, exist_ok=True)
    error = float(np.square(words.held_out - texts.labels).mean())
    spread = face.LABELS**2
    facial, dim = face.weights(), len(words.weights)
    errors = np.array([error, face.ERROR])
    together = precision_weights(errors, spread)
    tensors = {
        "heads.text.score.weight": _rounded(words.weights)[None],
        "heads.text.score.bias": _rounded([words.bias]),
        "heads.vision.score.weight": _rounded(facial)[None],
        "heads.vision.score.bias": torch.zeros(1),
        "missing.text": torch.zeros(dim),
        "missing.vision": torch.zeros(len(facial)),
        "encoders.vision.mean": torch.zeros(len(COLUMNS)),
        "encoders.vision.scale": torch.ones(len(COLUMNS)),
        "encoders.vision.centre": torch.zeros(len(facial) - 1),
        "encoders.vision.spread": torch.ones(len(facial) - 1),
        "fusion.weights": _rounded(np.array([[0, 0], [1, 0], [0, 1], together])),  # without, words, face, both
        "fusion.bias": torch.zeros(4),
        "fusion.errors": _rounded(errors),
        "fusion.spread": _rounded(spread),
    }
    metrics = metrics_of(words, texts)
    info = RunInfo(
        selfmm=__version__,
        status="finished",
        dataset="starter",
        dataset_path="",
        fingerprint="",
        language="en",
        label_range=LABEL_RANGE,
        modalities={
            TEXT: Modality(kind="text"),
            "vision": Modality(kind="frames", dim=len(COLUMNS), columns=COLUMNS, frame_rate=10.0, gaps=True),
        },
        model="adapt",
        labels="none",
        parameters=dim + 1 + len(facial) + 1,
        trained_parameters=dim + 1,
        recipe=Recipe(parts=(TEXT, "vision")),
        about=about(texts, metrics["worth"]["scores"][TEXT]["mae"], settings.text.encoder),
        encoder_weights=settings.text.encoder,
        unscored={"audio": "no score: no free ratings of voices"},
    )
    folder = RunFolder(out)
    save_tensors(folder.weights, tensors)
    write_text(out / "settings.toml", settings.to_toml())
    write_json(out / "metrics.json", metrics)
    write_json(out / "run.json", info.model_dump(mode="json"))
    return info


def about(texts: RatedTexts, mae: float, encoder: str) -> str:
    """Return in one sentence what the starter was fitted on, and how far off it is."""
    mosi, (*most, last) = MOSI[encoder], COLLECTIONS.values()
    return (
        f"starter, fitted on {len(texts.texts):,} English texts rated by people ({', '.join(most)} and {last}); MAE "
        f"{mae:.2f} on texts of a kind that it was not fitted on; on 1,447 MOSI utterances {mosi}. "
        f"{LANGUAGES[encoder]} A face counts little, by a rule; a voice has no score.{LIMITS.get(encoder, '')}"
    )


def metrics_of(words: Words, texts: RatedTexts) -> dict[str, Any]:
    """Return ``metrics.json``: figures of the held-out scores. No face was rated, so the fused score is the words'."""
    labels, scores = texts.labels, words.held_out
    worth = measure(scores, labels, texts.documents, "test", "label")
    band = conformal_band(np.abs(scores - labels), LABEL_RANGE[1] - LABEL_RANGE[0])
    worth = replace(worth, band=band, band_clips=len(labels))
    run = RunWorth(LABEL_RANGE, len(labels), len(labels), {FUSION: worth, TEXT: worth}, (TEXT,))
    empty = asdict(evaluate([], []))
    splits = {split: {FUSION: empty, TEXT: empty} for split in SPLITS}
    splits["test"] = dict.fromkeys((FUSION, TEXT), asdict(evaluate(scores, labels)))
    content = {"best_epoch": 0, "scale": "mosi", "splits": splits, "worth": asdict(run), "notes": []}
    rounded: dict[str, Any] = _four_digits(content)
    return rounded


def _four_digits(value: Any) -> Any:
    """Round every number, because the last digits depend on the processor."""
    if isinstance(value, dict):
        return {key: _four_digits(entry) for key, entry in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _rounded(values: npt.ArrayLike) -> torch.Tensor:
    return torch.from_numpy(np.array(np.round(np.asarray(values, dtype=np.float64) / _STEP) * _STEP, dtype=np.float32))
