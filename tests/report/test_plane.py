"""The picture of the class centres, against geometry that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from selfmm.core.files import write_text
from selfmm.core.tensors import save_tensors
from selfmm.report import plane as module
from selfmm.report.plane import Plane, read_planes


def store(folder: Path, bank: np.ndarray, labels: np.ndarray, seen: np.ndarray | None = None) -> Path:
    """The state of a run whose generator has one modality, "x", and the same features for the fusion."""
    seen = np.ones(len(labels), dtype=bool) if seen is None else seen
    sums = np.stack([bank[(labels > 0) & seen].sum(0), bank[(labels < 0) & seen].sum(0)])
    members = np.array([((labels > 0) & seen).sum(), ((labels < 0) & seen).sum()])
    parts = {"bank": bank.astype("float32"), "labels": labels, "seen": seen, "sums": sums, "members": members}
    tensors: dict[str, torch.Tensor] = {}
    for key in ("fusion", "streams.of_x"):
        tensors |= {
            f"objective/generator.{key}.{name}": torch.from_numpy(value.copy()) for name, value in parts.items()
        }
    save_tensors(folder / "epoch-00003.safetensors", tensors)
    write_text(folder / "latest.json", '{"epoch": 3, "best_epoch": 1, "history": []}')
    return folder


def cloud(clips: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features in 6 dimensions: classes 4 apart along a random direction, most spread along a second one across it."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    labels = rng.choice([-1.0, 1.0], clips)
    inner = rng.normal(size=(clips, 6)) * [0.3, 3.0, 0.5, 0.1, 0.1, 0.1]
    inner[:, 0] += 2 * labels
    return inner @ axes.T + rng.normal(size=6), labels


def of_x(folder: Path) -> Plane:
    planes, notes = read_planes(folder, ["x"])
    assert notes == []
    return planes["x"]


def test_planted_axes_are_found(tmp_path: Path) -> None:
    bank, labels = cloud(1500)
    found = of_x(store(tmp_path, bank, labels))
    assert found.half_gap == pytest.approx(2, rel=0.1)
    for side in (-1, 1):
        np.testing.assert_allclose(found.points[found.sides == side].mean(0), [side * found.half_gap, 0], atol=0.25)
    assert found.points[:, 1].std() == pytest.approx(3, rel=0.1)
    total = np.cov(bank.T, ddof=0).trace()
    assert found.shown == pytest.approx(found.points.var(0).sum() / total, rel=1e-4)
    assert found.shown > 0.95


def test_it_is_the_projection_by_a_plain_computation(tmp_path: Path) -> None:
    bank, labels = cloud(200, seed=1)
    labels[:20] = 0
    seen = np.arange(200) % 7 != 0
    found = of_x(store(tmp_path, bank, labels, seen))
    stored, kept = bank.astype("float32")[seen].astype(float), labels[seen]
    positive, negative = bank[seen][kept > 0].mean(0), bank[seen][kept < 0].mean(0)
    first = (positive - negative) / np.linalg.norm(positive - negative)
    rest = stored - stored.mean(0)
    rest = rest - np.outer(rest @ first, first)
    second = np.linalg.svd(rest)[2][0]
    second *= np.sign(second[np.abs(second).argmax()])
    expected = (stored - (positive + negative) / 2) @ np.stack([first, second], 1)
    np.testing.assert_allclose(found.points, expected, atol=1e-4)
    np.testing.assert_array_equal(found.sides, np.sign(kept))
    assert found.clips == seen.sum()


def test_many_clips_are_sampled_alike_however_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store(tmp_path, *cloud(5000))
    whole = of_x(folder)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 700)
    parts = of_x(folder)
    assert len(whole.points) == len(parts.points) == len(parts.sides) == 2000
    np.testing.assert_allclose(whole.points, parts.points, atol=1e-9)
    assert whole.clips == 5000


@pytest.mark.filterwarnings("error")
def test_where_there_is_nothing_to_draw_it_says_why(tmp_path: Path) -> None:
    bank, labels = cloud(10)
    assert read_planes(tmp_path, ["x"])[1] == [
        "the run's state was deleted, so there is no picture of the class centres."
    ]
    _, notes = read_planes(store(tmp_path, bank, np.abs(labels)), ["x"])
    assert notes[1] == "no picture of the class centres of x: one class has no clip."
    _, notes = read_planes(store(tmp_path, np.zeros((10, 3)), labels), ["x"])
    assert notes[1] == "no picture of the class centres of x: the two centres coincide."
    planes, _ = read_planes(store(tmp_path, labels[:, None], labels), ["x"])
    np.testing.assert_allclose(planes["x"].points, np.stack([labels, 0 * labels], 1), atol=1e-6)
    assert planes["x"].shown == 1.0
    (tmp_path / "epoch-00003.safetensors").write_bytes(b"damaged")
    planes, notes = read_planes(tmp_path, ["x"])
    assert planes == {}
    assert "cannot be read" in notes[0]
