"""Results that a process of its own computes from a run. They stay in the private folder until the run changes.

The audit of generated labels and the pictures of a report need torch and matplotlib, which the server never imports.
``python -m selfmm.app.analysis RUN FILE`` audits the labels; commands of selfmm do the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from selfmm import api
from selfmm.api import parts
from selfmm.app.run_scores import shortened
from selfmm.app.state import private_folder
from selfmm.app.workspace import changed_at

_TIMEOUT = 900  # seconds
_FILES = ("run.json", "metrics.json", "labels.parquet")


class Analyses:
    """Results by run, computed at the first request.

    Args:
        folder: the private folder for them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[Path, threading.Lock] = {}
        self._changing = threading.Lock()
        self._one = threading.Semaphore(1)  # one process at a time: each needs a processor core and memory

    def labels(self, run: Path, *, words: bool) -> Path:
        """Return a JSON file about the generated labels of a run, see :func:`read_labels`.

        Args:
            words: whether it has the words and known labels of the clips.

        Raises:
            RunError: if the run generated no labels, or is damaged.
        """
        name = "labels.json" if words else "labels-alone.json"
        return self._made(
            run, name, lambda file: _process("-m", "selfmm.app.analysis", str(run), str(file), *["words"] * words)
        )

    def table(self, run: Path, suffix: str, *, long: bool = False) -> Path:
        """Return the labels as a table, in a file with this ending; its data card has the ending ``.md``.

        Raises:
            RunError: see :meth:`labels`.
        """
        name = f"{parts.safe_name(run.name)}-labels{'-long' if long else ''}{suffix}"
        options = ("--force", *(["--long"] if long else []))
        return self._made(
            run,
            name,
            lambda file: _process("-m", "selfmm", "labels", str(run), "--out", str(file), *options),
        )

    def report(self, run: Path) -> Path:
        """Return the folder with ``report.html`` and ``pictures`` of a run.

        Raises:
            RunError, OutputError: if the run is not finished or damaged, or matplotlib is not installed.
        """
        page = self._made(
            run,
            "report.html",
            lambda file: _process(
                *("-m", "selfmm", "report", str(run), "--out", str(file), "--force"),
                *("--pictures", str(file.with_name("pictures"))),
            ),
        )
        return page.parent

    def _made(self, run: Path, name: str, make: Callable[[Path], None]) -> Path:
        stamp = ":".join(str(changed_at(run / file)) for file in _FILES)
        known = hashlib.sha256(str(run).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        folder = self._folder / f"{known}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
        with self._changing:
            lock = self._locks.setdefault(folder / name, threading.Lock())
        with lock:
            if not (folder / name).is_file():
                private_folder(folder)
                for old in self._folder.glob(f"{known}-*"):
                    if old != folder:
                        shutil.rmtree(old, ignore_errors=True)
                with self._one:
                    make(folder / name)
        return folder / name


def _process(*arguments: str) -> None:
    """Run Python with arguments.

    Raises:
        RunError: if it fails, with the message that it printed after ``error: ``.
    """
    try:
        result = subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "PYTHONSAFEPATH": "1", "COLUMNS": "2000"},
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise api.RunError(f"it was stopped, because it took longer than {_TIMEOUT // 60} minutes.") from error
    if result.returncode:
        _, marker, message = f"\n{result.stderr}".rpartition("\nerror: ")
        if not marker:  # it crashed: its traceback is for the terminal, not for a page
            print(result.stderr, file=sys.stderr)
            message = f"the process ended with code {result.returncode}. The terminal in which selfmm runs shows why."
        raise api.RunError(" ".join(message.split())[:2000])


def read_labels(run: Path, *, words: bool) -> dict[str, Any]:
    """Return what the page about generated labels shows.

    Args:
        run: the folder of the run.
        words: whether to return the words and known labels of the clips, which are in the data set of the run.

    Returns:
        ``epoch``, ``estimated``, ``modalities``, ``range``, ``neutral``, ``title``, ``notes``; ``verdicts`` (pairs);
        ``audit`` and ``recovery`` (rows of name, meaning and cells); ``epochs`` (per modality, figures per epoch);
        ``history`` (per modality, the counts of labels per epoch in ``bins``); and ``clips``, a mapping of columns.

    Raises:
        RunError: if the run generated no labels, or is damaged.
    """
    audit = api.audit(run)
    folder = parts.RunFolder(run)
    info, table = folder.info(), api.labels(run, epoch="all", long=True)
    scale = parts.LabelScale.of(info.label_range)
    modalities = [str(name) for name in audit.figures.index]
    return {
        "epoch": audit.epoch,
        "estimated": audit.epoch == 0,
        "finished": info.status == "finished",
        "modalities": modalities,
        "range": list(info.label_range),
        "neutral": scale.neutral,
        "title": parts.labels_of(audit),
        "rule": folder.settings().labels.rule,
        "notes": [note.replace(info.dataset_path, info.dataset) for note in (*audit.notes, *parts.audit_gaps(audit))],
        "verdicts": [list(pair) for pair in parts.verdict_lines(audit)],
        "audit": [_row(row) for row in parts.audit_rows(audit)],
        "recovery": [] if audit.recovery is None else [_row(row) for row in parts.recovery_rows(audit.recovery)],
        "recovered": [] if audit.recovery is None else [str(name) for name in audit.recovery.index],
        "outcomes": {}
        if audit.outcomes is None
        else {str(name): row.round(4).to_dict() for name, row in audit.outcomes.iterrows()},
        "epochs": _epochs(audit),
        "history": _history(table, modalities, info.label_range),
        "clips": _clips(audit, modalities, _samples(folder) if words else None),
    }


def _row(row: parts.Row) -> dict[str, Any]:
    return {"name": row.name, "meaning": row.meaning, "cells": list(row.cells)}


def _samples(folder: parts.RunFolder) -> Any:
    """Return the table of the run's data set; None if it is gone or has changed."""
    with suppress(api.SelfmmError, OSError):
        return parts.run_samples(folder.info())[0]
    return None


def _epochs(audit: api.Audit) -> dict[str, dict[str, list[Any]]]:
    rows = audit.by_epoch
    if rows.empty:
        return {}
    shown = [key for key in ("drift", "distance_m", "flipped", "separation") if key in rows]
    return {
        str(name): {"epoch": group["epoch"].tolist(), **{key: _rounded(group[key]) for key in shown}}
        for name, group in rows.groupby("modality", sort=False)
    }


def _history(table: Any, modalities: Sequence[str], label_range: tuple[float, float]) -> dict[str, Any]:
    """Return how the labels are distributed in each epoch; empty if no epoch changes them."""
    import numpy as np

    edges = np.linspace(*label_range, 32)
    counts: dict[str, list[list[int]]] = {}
    epochs = sorted(int(epoch) for epoch in table["epoch"].unique())
    for name in modalities:
        own = table[table["modality"] == name]
        values = [own.loc[own["epoch"] == epoch, "u_label"].to_numpy(dtype=float) for epoch in epochs]
        counts[name] = [np.histogram(np.clip(v[np.isfinite(v)], *label_range), edges)[0].tolist() for v in values]
    first = table[(table["epoch"] == epochs[0]) & (table["modality"] == modalities[0])] if epochs else table
    m_labels = first["m_label"].to_numpy(dtype=float)
    whole = np.histogram(np.clip(m_labels[np.isfinite(m_labels)], *label_range), edges)[0].tolist()
    return {"epochs": epochs, "edges": _rounded(edges), "counts": counts, "m": whole}


def _clips(audit: api.Audit, modalities: Sequence[str], samples: Any) -> dict[str, Any]:
    """Return one entry per clip in each column; null where something is not known."""
    import pandas as pd

    wide = audit.labels.pivot_table(index="id", columns="modality", values="u_label", sort=False, observed=True)
    first = audit.labels.drop_duplicates("id").set_index("id").reindex(wide.index)
    labels = wide.assign(m=first["m_label"])
    columns: dict[str, Any] = {"id": [str(name) for name in wide.index], "m": _rounded(first["m_label"])}
    columns["split"] = first["split"].tolist() if "split" in first else ["train"] * len(wide)
    for name in modalities:
        own = audit.labels[audit.labels["modality"] == name].set_index("id").reindex(wide.index)
        columns[f"u_{name}"] = _rounded(own["u_label"])
        for key in ("trust", "expected_error"):
            if key in own and own[key].notna().any():
                columns[f"{key}_{name}"] = _rounded(own[key])
    columns["disagreement"] = _rounded(labels.max(axis=1) - labels.min(axis=1))
    if samples is not None:
        known = samples.drop_duplicates("id").set_index("id").reindex(wide.index)
        texts = known["text"] if "text" in known else pd.Series("", index=wide.index)
        columns["text"] = [shortened(value) for value in texts]
        for name in modalities:
            if f"label_{name}" in known:
                columns[f"known_{name}"] = _rounded(known[f"label_{name}"])
    return columns


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 3) for value in values]


def main(run: Path, file: Path, *, words: bool) -> None:
    """Write :func:`read_labels` to a file; print an error as the commands of selfmm do."""
    try:
        content: Mapping[str, Any] = read_labels(run, words=words)
    except api.SelfmmError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    parts.write_text(file, json.dumps(parts.without_nan(content), ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), words="words" in sys.argv[3:])
