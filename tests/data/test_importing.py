"""Importing from end to end: checks, atomicity, memory."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.builders import SIZES, mmsa_data, save, savez
from selfmm.core.errors import OutputError, SourceError, UnsafePickleError
from selfmm.core.version import __version__
from selfmm.data.importing import import_dataset
from selfmm.data.store import Dataset
from waiting import PATIENCE

MOSI = Path(__file__).parents[3] / "shared" / "data" / "mosi"


def pickled(tmp_path: Path, damage: Any = None) -> Path:
    content = mmsa_data()
    if damage is not None:
        damage(content)
    return save(tmp_path / "set.pkl", content)


def imported(tmp_path: Path, damage: Any = None, **options: Any) -> tuple[Dataset, tuple[str, ...]]:
    return import_dataset(pickled(tmp_path, damage), tmp_path / "out", **options)


def test_a_pickle_becomes_a_data_set(tmp_path: Path) -> None:
    dataset, notes = imported(tmp_path)
    content = mmsa_data()
    assert notes == ()
    assert dataset.samples["split"].value_counts().to_dict() == SIZES
    assert {name: modality.kind for name, modality in dataset.modalities.items()} == {
        "text": "text",
        "audio": "frames",
        "vision": "frames",
    }
    assert np.array_equal(dataset.frames("audio", 2), content["train"]["audio"][2, :3])
    assert np.allclose(dataset.labels()[:4], content["train"]["regression_labels"])


def test_the_origin_is_recorded_without_paths(tmp_path: Path) -> None:
    dataset, _ = imported(tmp_path, name="mine", seed=4)
    record = dataset.manifest.provenance
    digest = hashlib.sha256((tmp_path / "set.pkl").read_bytes()).hexdigest()
    assert dataset.name == "mine"
    assert record["source"] == "set.pkl"
    assert record["sha256"] == {"set.pkl": digest}
    assert record["selfmm"] == __version__
    assert record["options"] == {"name": "mine", "non_finite": "error", "missing": "error", "seed": 4}
    assert str(tmp_path) not in (tmp_path / "out" / "dataset.json").read_text()


def test_a_table_becomes_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "clips.csv").write_text("id,label,text\na,1,x\nb,2,y\nc,-3,z\n")
    savez(tmp_path / "set" / "audio.npz", {name: np.ones((2, 3)) for name in "abc"})
    (tmp_path / "set" / "vision").mkdir()
    for name in "abc":
        np.save(tmp_path / "set" / "vision" / f"{name}.npy", np.ones(4))
    dataset, notes = import_dataset(tmp_path / "set", tmp_path / "set" / "out")
    assert list(dataset.modalities) == ["text", "audio", "vision"]
    assert set(dataset.manifest.provenance["sha256"]) == {"clips.csv", "audio.npz", "vision"}
    assert len(notes) == 2  # the split and the range of the labels
    again, _ = import_dataset(tmp_path / "set", tmp_path / "set" / "out", force=True)  # does not take out/ for features
    assert list(again.modalities) == ["text", "audio", "vision"]


def test_labels_of_single_modalities_are_reported(tmp_path: Path) -> None:
    """Whoever has them learns that they were recognised, and that a plain training does not use them."""
    (tmp_path / "clips.csv").write_text(
        "id,label,text,label_T,label_A,label_V,label_pulse\na,1,x,1,,,1\nb,2,y,2,-1,,1\nc,-3,z,,,,1\n"
    )
    savez(tmp_path / "audio.npz", {name: np.ones((2, 3)) for name in "abc"})
    _, notes = import_dataset(tmp_path / "clips.csv", tmp_path / "out")
    [note] = [note for note in notes if "single modalities" in note]
    assert "label_text (2 clips), label_audio (1 clip). Training does not use them unless" in note


def clip(split: str, key: str, row: int, value: Any) -> Any:
    return lambda content: content[split][key].__setitem__(row, value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (clip("train", "id", 0, "testvideo$_$0"), r"1 id occurs more than once: 'testvideo\$_\$0'"),
        (clip("train", "id", 0, " "), "1 clip has no id"),
        (
            clip("train", "regression_labels", 0, 5),
            r"1 clip has a label outside \[-3, 3\]: 'trainvideo\$_\$0 \(5\)'.*label_range=",
        ),
        (clip("train", "regression_labels", 0, np.inf), "outside"),
        (clip("train", "raw_text", 0, "\ud800"), "1 clip has a text that is not valid text"),
        (clip("train", "raw_text", 0, "  "), r"1 clip has no text .*pass `missing='allow'`"),
        (clip("train", "audio_lengths", 0, 0), r"1 clip has no audio \('trainvideo\$_\$0'\). If that is right, pass"),
        (lambda c: c["test"].pop("vision"), "3 clips have no vision .*leaves such clips out of the loss of vision"),
        (lambda c: [p["raw_text"].fill(" ") for p in c.values()], "the text of every clip is empty"),
        (lambda c: [p["vision_lengths"].fill(0) for p in c.values()], "no clip has any vision"),
    ],
)
def test_what_is_wrong_is_reported_and_nothing_is_left(tmp_path: Path, damage: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        imported(tmp_path, damage)
    assert [path.name for path in tmp_path.iterdir()] == ["set.pkl"]


def test_a_clip_without_a_label_is_noted(tmp_path: Path) -> None:
    _, notes = imported(tmp_path, clip("train", "regression_labels", 0, np.nan))
    noted = "1 clip has no label ('trainvideo$_$0'): it can be scored, but not trained on."
    assert any(note.startswith(noted) for note in notes)


def test_all_problems_are_listed_at_once(tmp_path: Path) -> None:
    def damage(content: Any) -> None:
        content["train"]["id"][0] = content["train"]["id"][1]
        content["train"]["regression_labels"][:2] = 9
        content["test"]["audio_lengths"][0] = 0

    with pytest.raises(SourceError) as caught:
        imported(tmp_path, damage)
    assert str(caught.value).count("\n  - ") == 3
    assert imported(tmp_path, clip("train", "regression_labels", 0, 9), label_range=(-9, 9))[0].labels()[0] == 9


def test_missing_streams_can_be_allowed_but_not_all_of_a_clip(tmp_path: Path) -> None:
    dataset, notes = imported(tmp_path, clip("train", "audio_lengths", 0, 0), missing="allow")
    assert dataset.frames("audio", 0).shape == (0, 3)
    assert notes == ("1 clip has no audio ('trainvideo$_$0'); the loss of audio leaves out such clips.",)

    def silence(content: Any) -> None:
        content["train"]["audio_lengths"][0] = content["train"]["vision_lengths"][0] = 0
        content["train"]["raw_text"][0] = ""

    with pytest.raises(SourceError, match="1 clip has no modality at all"):
        imported(tmp_path, silence, missing="allow", force=True)


def test_one_clip_is_enough(tmp_path: Path) -> None:
    path = save(tmp_path / "one.pkl", {"train": {"raw_text": ["a"], "id": ["v$_$1"], "regression_labels": [0.5]}})
    assert len(import_dataset(path, tmp_path / "out")[0]) == 1


def test_videos_in_several_splits_are_reported(tmp_path: Path) -> None:
    _, notes = imported(tmp_path, clip("train", "id", 0, "testvideo$_$9"))
    assert "videos have clips in more than one split ('testvideo')" in notes[0]


def test_a_wrong_range_and_wrong_kinds_of_source(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="the label range is 3,-3; give two finite numbers"):
        imported(tmp_path, label_range=(3, -3))
    with pytest.raises(SourceError, match="does not exist"):
        import_dataset(tmp_path / "none.pkl", tmp_path / "out")
    (tmp_path / "a.mat").touch()
    with pytest.raises(SourceError, match="not a kind of file that can be imported"):
        import_dataset(tmp_path / "a.mat", tmp_path / "out")


def test_an_attack_leaves_nothing(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'trace'}",)

    with pytest.raises(UnsafePickleError, match=r"posix\.system"):
        imported(tmp_path, clip("train", "raw_text", 0, Attack()))
    assert [path.name for path in tmp_path.iterdir()] == ["set.pkl"]


def test_an_existing_data_set_is_only_replaced_on_demand(tmp_path: Path) -> None:
    imported(tmp_path)
    with pytest.raises(OutputError, match=r"exists already.*`force=True`"):
        imported(tmp_path)
    assert imported(tmp_path, name="new", force=True)[0].name == "new"
    with pytest.raises(SourceError):
        imported(tmp_path, clip("train", "id", 0, " "), force=True)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["name"] == "new"


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


LIMITED = """
import resource, signal, sys
from selfmm.data.importing import import_dataset
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
import_dataset(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [100, 2000])  # a frame matrix does not fit; only the table does not
def test_a_write_that_fails_leaves_nothing(tmp_path: Path, limit: int) -> None:
    result = run(LIMITED, pickled(tmp_path), tmp_path / "out", limit)
    assert "OutputError: cannot write" in result.stderr
    assert "grows beyond the size you may write" in result.stderr
    assert [left.name for left in tmp_path.iterdir()] == ["set.pkl"]


SLOW = """
import signal, sys, time
# Started in the background, a process ignores SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
from selfmm.data import importing
from selfmm.data.mmsa import padded
slow = padded.without_non_finite
def wait(*arguments):
    print("writing", flush=True)
    time.sleep(3600)
    return slow(*arguments)
padded.without_non_finite = wait
importing.import_dataset(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_import_leaves_no_half_data_set(tmp_path: Path, kind: signal.Signals) -> None:
    path, out = pickled(tmp_path), tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", SLOW, path, out], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"writing\n"
    process.send_signal(kind)
    process.communicate(timeout=PATIENCE)
    assert not out.exists()
    left = [path for path in tmp_path.iterdir() if path.name != "set.pkl"]
    assert all(path.name.startswith(".out.") for path in left)
    assert bool(left) == (kind != signal.SIGINT)
    import_dataset(path, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set.pkl"]  # the next import tidies up


PEAK = """
import sys
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
from selfmm.data.importing import import_dataset
import_dataset(sys.argv[3], sys.argv[4])  # so that everything is loaded and has run once
before = peak()
import_dataset(sys.argv[1], sys.argv[2])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("protocol", [4, 5])
def test_memory_does_not_grow_with_the_arrays(tmp_path: Path, lengths: bool, protocol: int) -> None:
    n, longest, dim = 900, 500, 70  # 126 MB of audio
    part: dict[str, Any] = {"id": [f"v$_${i}" for i in range(n)], "labels": [0.0] * n, "raw_text": ["a"] * n}
    part["audio"] = np.ones((n, longest, dim), dtype="f4")
    if lengths:
        part["audio_lengths"] = [longest] * n
    path = save(tmp_path / "large.pkl", {"train": part}, protocol)
    del part
    warm = save(tmp_path / "small.pkl", mmsa_data())
    result = run(PEAK, path, tmp_path / "out", warm, tmp_path / "warm")
    assert result.returncode == 0, result.stderr
    grown = int(result.stdout) / 1024
    assert grown < 60, f"{grown:.0f} MB more at the peak, for 120 MB of features"


@pytest.mark.slow
@pytest.mark.skipif(not (MOSI / "mosi_mmsa.pkl").exists(), reason=f"no real data at {MOSI}")
def test_the_real_mosi(tmp_path: Path) -> None:
    dataset, notes = import_dataset(MOSI / "mosi_mmsa.pkl", tmp_path / "mosi")
    assert dataset.samples["split"].value_counts().to_dict() == {"train": 1046, "valid": 148, "test": 253}
    assert {name: modality.dim for name, modality in dataset.modalities.items()} == {
        "text": None,
        "audio": 73,
        "vision": 100,
    }
    assert dataset.samples.groupby("video")["split"].nunique().max() == 1
    assert notes == ()


@pytest.mark.skipif(not (MOSI / "utterances.csv").exists(), reason=f"no real data at {MOSI}")
def test_the_real_table(tmp_path: Path) -> None:
    dataset, _ = import_dataset(MOSI / "utterances.csv", tmp_path / "mosi")
    assert len(dataset) == 1447
    assert {"start", "end"} <= set(dataset.samples)
