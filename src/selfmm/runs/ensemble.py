"""The mean of several runs as a run of its own, which every command for runs can use.

Nothing is trained. The weights of all runs are stored in one folder, equal ones once, see
:func:`selfmm.runs.weights.store_members`. The scores of the training data set are the means of those in the folders of
the runs; they give the metrics and the error bands, which are wider for clips on which the runs disagree, see
:mod:`selfmm.evaluation.worth`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from selfmm.config.model_name import is_code
from selfmm.config.settings import Settings
from selfmm.core.errors import DatasetError, RunError
from selfmm.core.files import write_json, write_table
from selfmm.core.folders import atomic_folder
from selfmm.core.memory import peak_memory
from selfmm.core.messages import some
from selfmm.core.version import __version__
from selfmm.data.manifest import SPLITS
from selfmm.data.scales import LabelScale
from selfmm.data.splits import training_rows
from selfmm.data.store import Dataset
from selfmm.data.writer import fingerprint, sha256
from selfmm.evaluation.metrics import scale_for
from selfmm.evaluation.worth import Scored, run_worth
from selfmm.models.assembly import reads_words
from selfmm.models.ensemble import NAME
from selfmm.runs.code import model_class
from selfmm.runs.folder import PROCEDURE, Member, RunFolder, RunInfo, environment
from selfmm.runs.seeds import SeedsFolder, mean_scores, open_folder
from selfmm.runs.weights import store_members

_READING = ("max_tokens", "capitals", "context")
"""Settings of ``text`` that say how a clip becomes token ids."""


@dataclass(frozen=True)
class _Run:
    folder: RunFolder
    info: RunInfo
    settings: Settings
    aligned: bool

    @classmethod
    def open(cls, folder: RunFolder, model: str | None, trust: bool) -> _Run:
        info = folder.require_finished()
        if info.closed_form:
            raise RunError(
                f"{info.dataset if info.about else folder.path} is fitted at once, to all rated clips. So every seed "
                "gives the same run, and no validation clip is left to measure a mean. Average runs of a model that is "
                "trained, for example: selfmm train DATA --model self_mm --seeds 1-5"
            )
        if info.members:
            raise RunError(
                f"{folder.path} is an ensemble already. Name its runs instead: "
                f"{', '.join(member.run for member in info.members)}."
            )
        kind = model_class(folder, info, model if is_code(info.model) else None, trust)
        return cls(folder, info, folder.settings(), kind.needs.aligned)

    def reading(self) -> dict[str, object]:
        """Return what decides how a clip is read, by its name in messages."""
        info, settings = self.info, self.settings
        frames = [name for name, modality in info.modalities.items() if modality.kind == "frames"]
        facts: dict[str, object] = {
            "the range of the labels": info.label_range,
            "modalities": ", ".join(info.modalities),
            "features": {name: modality.size for name, modality in info.modalities.items()},
            "names of features": {name: modality.columns for name, modality in info.modalities.items()},
            "language": info.language,
            "align": settings.align if self.aligned else "not aligned",
            **{f"stream.{name}.centre": settings.stream_for(name).centre for name in frames},
        }
        if reads_words(info.modalities):
            facts["text encoder"] = info.encoder_weights or settings.text.encoder
            facts |= {f"text.{key}": getattr(settings.text, key, None) for key in _READING}
        return facts

    def hidden(self) -> dict[str, object]:
        """Return more of the same, of which a message can only say that it differs."""
        recipe = None if self.info.recipe is None else self.info.recipe.model_dump()
        return {
            "the recipe of extraction": recipe,
            "the files of the text encoder, or the rules by which it reads words": self.info.text_encoder,
        }


def make_ensemble(runs: Sequence[RunFolder], out: Path, *, model: str | None = None, trust: bool = False) -> RunFolder:
    """Write the mean of several runs as a run.

    Args:
        runs: two or more run folders, or folders of seeds, which stand for their finished seeds.
        out: the new run folder.
        model, trust: allow the user's own code, see :func:`selfmm.api.load`; only the class is read.

    Raises:
        RunError: if a run is missing, damaged, not finished or given twice, if there is only one, if they do not read
            clips in the same way, or if the data set that they share is gone.
        OutputError: if ``out`` exists or cannot be written.
    """
    folders, left_out = _expanded(runs)
    members = [_Run.open(folder, model, trust) for folder in folders]
    if model is not None and not any(is_code(member.info.model) for member in members):
        raise RunError("none of these runs has code of its own. Leave out `model=...`.")
    check_members(members)
    dataset = _shared_data(members)
    with atomic_folder(out, marker="run.json") as path:
        folder = RunFolder(path)
        common = store_members(folder, [member.folder for member in members])
        _check_centres(members, common)
        if (encoder := members[0].folder.text_encoder).is_dir() and members[0].info.text_encoder:
            shutil.copytree(encoder, folder.text_encoder)
        settings = members[0].settings.model_copy(update={"model": NAME, "options": {}})
        (path / "settings.toml").write_text(settings.to_toml(), encoding="utf-8")
        predictions = mean_predictions([member.folder for member in members])
        write_table(path / "predictions.parquet", predictions)
        write_json(path / "metrics.json", _metrics(dataset, members, predictions, left_out))
        machine = environment("cpu", torch.get_num_threads()) | {"peak_memory": peak_memory()}
        write_json(path / "environment.json", machine)
        write_json(path / "run.json", _info(members).model_dump(mode="json"))
    return RunFolder(out)


def _expanded(runs: Sequence[RunFolder]) -> tuple[list[RunFolder], list[str]]:
    """Return the run folders, with the finished seeds in place of a folder of seeds; and sentences on the others."""
    folders: list[RunFolder] = []
    left_out: list[str] = []
    for run in runs:
        seeds = run if isinstance(run, SeedsFolder) else open_folder(run.path)
        if isinstance(seeds, SeedsFolder):
            folders += seeds.finished.values()
            left_out += seeds.left_out
        else:
            folders.append(run)
    for number, folder in enumerate(folders):
        if any(folder.path.resolve() == other.path.resolve() for other in folders[:number]):
            raise RunError(f"{folder.path} is given twice. Name each run once.")
    if len(folders) < 2:
        named = f"there is only {folders[0].path}" if folders else "none is given"
        raise RunError(
            f"an ensemble is the mean of two or more runs, and {named}. Name further runs, or the folder of several "
            "seeds: selfmm train DATA --model self_mm --seeds 1-5 --out SEEDS"
        )
    return folders, left_out


def check_members(members: Sequence[_Run]) -> None:
    """Raise ``RunError`` if the runs were not trained on the same data, or do not read clips in the same way."""
    first, *others = members
    for other in others:
        pair = f"{first.folder.path} and {other.folder.path}"
        if other.info.fingerprint != first.info.fingerprint:
            places = (
                f" ({first.info.dataset_path} and {other.info.dataset_path})"
                if first.info.dataset_path != other.info.dataset_path
                else f" ({first.info.dataset_path}, which was changed in between)"
            )
            raise RunError(
                f"{pair} were trained on different data{places}. The mean of runs is measured on the validation clips "
                "that all of them share. Train them again on the same data set, or leave one out."
            )
        ours, theirs = first.reading(), other.reading()
        differing = [f"{key} ({ours.get(key)} and {theirs.get(key)})" for key in ours if ours[key] != theirs.get(key)]
        hidden = other.hidden()
        differing += [key for key, value in first.hidden().items() if value != hidden[key] and not differing]
        if differing:
            raise RunError(
                f"{pair} do not read clips in the same way; they differ in {some(differing, quoted=False)}. The runs "
                "of an ensemble score the same input. Leave one out, or train it again with the settings of the other."
            )
    for number, member in enumerate(members):
        for other in members[:number]:
            if sha256(member.folder.weights) == sha256(other.folder.weights):
                raise RunError(
                    f"{other.folder.path} and {member.folder.path} have the same weights, so their mean is no better "
                    "than one of them. Give runs with different seeds or settings."
                )


def _check_centres(members: Sequence[_Run], common: set[str]) -> None:
    """Raise ``RunError`` if features are centred by video, and not for all members to the same mean."""
    for name in members[0].info.modalities:
        centred = members[0].settings.stream_for(name).centre == "video"
        if centred and members[0].info.modalities[name].kind == "frames" and f"encoders.{name}.mean" not in common:
            raise RunError(
                f"the runs centre {name} by video (stream.{name}.centre=video), each to the mean of other training "
                "clips. Give runs with the same training clips: training.share=1, or the same seed."
            )


def _shared_data(members: Sequence[_Run]) -> Dataset:
    """Open the data set of all members; raise ``RunError`` if it is gone or was changed."""
    for member in members:  # one of several copies may be left
        with suppress(RunError, DatasetError):
            dataset = member.folder.training_data()
            if fingerprint(dataset) == member.info.fingerprint:
                return dataset
    raise RunError(
        f"the data set of these runs was moved, deleted or changed (it was at {members[0].info.dataset_path}), so it "
        "cannot be measured what their mean is worth. Restore the data set, or train the runs again."
    )


def mean_predictions(folders: Sequence[RunFolder]) -> pd.DataFrame:
    """Return the means of the scores that the runs have for their data set, with ``deviation``.

    A modality has a score if it has one in every run.
    """
    tables = [folder.predictions() for folder in folders]
    shared = [name for name in tables[0] if all(name in table for table in tables)]
    return mean_scores([table[shared] for table in tables])


def _metrics(
    dataset: Dataset, members: Sequence[_Run], predictions: pd.DataFrame, left_out: Sequence[str]
) -> dict[str, Any]:
    """Return the content of ``metrics.json``; training clips are those that a member was trained on."""
    low, high = dataset.manifest.label_range
    trained = np.unique(np.concatenate([training_rows(dataset, member.settings) for member in members]))
    rows: Mapping[str, Any] = {split: dataset.rows(split) for split in SPLITS} | {"train": trained}
    known = Scored.of(predictions, dataset.samples)
    scale = scale_for((low, high))
    return {
        "best_epoch": 0,
        "scale": scale,
        "splits": known.metrics(rows, scale, LabelScale.of((low, high)).neutral),
        "worth": asdict(run_worth(known, (low, high), len(trained))),
        "notes": _notes(members),
        "fit": [
            f"The mean of {len(members)} runs: {', '.join(str(member.folder.path) for member in members)}.",
            *left_out,
        ],
    }


def _notes(members: Sequence[_Run]) -> list[str]:
    """Return the notes of the members; one that all of them have, once."""
    by_member = [member.folder.notes() for member in members]
    shared = [note for note in by_member[0] if all(note in notes for notes in by_member)]
    own = [
        f"{member.folder.path.name}: {note}"
        for member, notes in zip(members, by_member, strict=True)
        for note in notes
        if note not in shared
    ]
    return [*shared, *own]


def _info(members: Sequence[_Run]) -> RunInfo:
    first = members[0].info
    trained = sum(member.info.trained_parameters for member in members)
    constant = [member.info.parameters - member.info.trained_parameters for member in members]
    return RunInfo(
        selfmm=__version__,
        status="finished",
        dataset=first.dataset,
        dataset_path=first.dataset_path,
        fingerprint=first.fingerprint,
        language=first.language,
        label_range=first.label_range,
        recipe=first.recipe,
        modalities=first.modalities,
        model=NAME,
        labels="none",
        parameters=trained + (constant[0] if len(set(constant)) == 1 else sum(constant)),
        trained_parameters=trained,
        text_encoder=first.text_encoder,
        encoder_weights=first.encoder_weights,
        procedure=PROCEDURE,
        members=tuple(
            Member(
                run=str(member.folder.path.resolve()),
                weights_sha256=sha256(member.folder.weights),
                code_sha256=member.info.code_sha256,
                settings=member.settings,
            )
            for member in members
        ),
    )
