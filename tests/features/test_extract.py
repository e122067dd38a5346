"""From clips to a data set: nothing is lost, nothing is done twice, no clip stops the others."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import safetensors

from conftest import heeds_ctrl_c
from features.recordings import grey, tone, write_recording
from features.tone_clips import STAND_IN, VOICE, content, write_clips
from selfmm.config.recipe import load_recipe
from selfmm.core import weights
from selfmm.core.errors import MissingPackageError, OutputError, SettingsError, SourceError, WeightsError
from selfmm.core.jobs.worker import Event, Message, Worker
from selfmm.core.listener import Listener
from selfmm.data.inspect import inspect_dataset
from selfmm.data.ratings import CORRECTIONS
from selfmm.data.store import open_dataset
from selfmm.features import extract as extraction
from selfmm.features import kept, workers
from selfmm.features.analysis import Features
from selfmm.features.clips.clip import Clip
from selfmm.features.clips.listing import read_clips
from selfmm.features.extract import Extracted, extract
from selfmm.features.extraction import ClipFeatures, extract_clip
from selfmm.features.streams import Track, Transcript, Word
from selfmm.features.words.subtitles import to_srt
from waiting import PATIENCE, wait_until

COUNT = 12


class Ledger(Listener):
    """Records the calls."""

    def __init__(self) -> None:
        self.clips = 0
        self.kept: list[str] = []
        self.done: list[str] = []
        self.failed: dict[str, str] = {}

    def clips_planned(self, clips: int) -> None:
        self.clips = clips

    def clip(self, clip: Clip, kept: bool, problem: str | None) -> None:
        if problem is not None:
            self.failed[clip.id] = problem
        else:
            (self.kept if kept else self.done).append(clip.id)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of twelve clips; not to be changed."""
    return write_clips(tmp_path_factory.mktemp("clips"), COUNT)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was extracted of them, once it is asked for; may be added to."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def made(table: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Extracted:
    """The data set of the twelve clips; not to be changed."""
    return extract(table, tmp_path_factory.mktemp("made") / "data", recipe=VOICE, cache=cache, jobs=2)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_COMMAND", STAND_IN)


def rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.mark.slow
def test_rows_are_what_each_clip_gives_alone(made: Extracted, table: Path) -> None:
    dataset = made.dataset
    assert dataset.samples["id"].tolist() == [f"c{place:02d}" for place in range(COUNT)]
    for place, sample in dataset.samples.iterrows():
        track = extract_clip(Clip(table.parent / f"file{place:02d}.wav"), VOICE).features.tracks["audio"]
        frames = np.load(dataset.path / "audio.npy")[sample.audio_offset :][: sample.audio_length]
        np.testing.assert_array_equal(frames, track.values)
        assert dataset.modalities["audio"].columns == track.columns
    assert made.failures == ()
    assert not (dataset.path / "failures.csv").exists()
    assert inspect_dataset(dataset).modalities["audio"].gaps == 0


@pytest.mark.slow
def test_the_split_is_by_video_and_the_recipe_travels(made: Extracted) -> None:
    samples = made.dataset.samples
    assert (samples.groupby("video")["split"].nunique() == 1).all()
    assert set(samples["split"]) == {"train", "valid", "test"}
    manifest = made.dataset.manifest
    assert manifest.recipe == VOICE
    assert manifest.label_range == (-3.0, 3.0)
    assert manifest.provenance["failures"] == 0
    assert manifest.provenance["versions"]["av"]
    assert open_dataset(made.dataset.path).manifest.recipe == VOICE
    assert any("70/10/20 by video" in note for note in made.notes)
    assert any("[-3.0, 3.0]" in note for note in made.notes)


@pytest.mark.slow
def test_bytes_do_not_depend_on_jobs(made: Extracted, table: Path, tmp_path: Path) -> None:
    ledger = Ledger()
    again = extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", jobs=1, listener=ledger)
    assert content(again.dataset.path) == content(made.dataset.path)
    assert sorted(ledger.done) == again.dataset.samples["id"].tolist()
    assert (ledger.clips, ledger.kept, again.kept) == (COUNT, [], 0)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ray", "dask"])
def test_bytes_do_not_depend_on_the_backend(made: Extracted, table: Path, tmp_path: Path, backend: Any) -> None:
    pytest.importorskip("ray" if backend == "ray" else "distributed")
    again = extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", jobs=2, backend=backend)
    assert content(again.dataset.path) == content(made.dataset.path)
    assert not [child for child in clip_processes() if child.is_running()]


def test_what_was_extracted_is_not_extracted_again(
    made: Extracted, table: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_COMMAND", ("false",))
    ledger = Ledger()
    again = extract(table, tmp_path / "data", recipe=VOICE, cache=cache, listener=ledger)
    assert content(again.dataset.path) == content(made.dataset.path)
    assert (again.kept, len(ledger.kept), ledger.done) == (COUNT, COUNT, [])


@pytest.mark.parametrize("align", ["none", "words"])
def test_a_kept_clip_is_checked_once_and_each_track_read_once_more(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, align: str
) -> None:
    recipe = load_recipe([f"align={align}"])
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    tracks = {"audio": Track(("a", "b"), values, 20.0), "vision": Track(("a", "b"), values[:3], 10.0)}
    words = Transcript("hello", (Word("hello", 0.0, 0.2),), "en", "subtitles")
    clip = ClipFeatures(Features(0.0, 0.3, words, tracks, None, None, None))
    for listed in read_clips(table).clips:
        kept.store(tmp_path / "cache" / kept.name_of(listed, recipe), clip)
    counts = Counter[str]()
    opened: Any = safetensors.safe_open
    hashed = kept._checksum

    class Counted:
        def __init__(self, path: Path, **options: Any) -> None:
            counts[f"opened {path.name}"] += 1
            self.path, self.file = path, opened(path, **options)

        def __enter__(self) -> Counted:
            self.handle = self.file.__enter__()
            return self

        def __exit__(self, *error: object) -> None:
            self.file.__exit__(*error)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.handle, name)

        def get_tensor(self, name: str) -> Any:
            counts[f"{name} of {self.path.name}"] += 1
            return self.handle.get_tensor(name)

    def checksum(*content: Any) -> str:
        counts["hashed"] += 1
        return hashed(*content)

    monkeypatch.setattr(safetensors, "safe_open", Counted)
    monkeypatch.setattr(kept, "_checksum", checksum)
    assert extract(table, tmp_path / "data", recipe=recipe, cache=tmp_path / "cache").kept == COUNT
    assert counts.pop("hashed") == COUNT
    files = [file.name for file in (tmp_path / "cache").rglob("*.safetensors")]
    expected = {f"{what} {file}": times for file in files for what, times in READS.items()}
    assert counts == expected


READS = {"opened": 3, "none of": 1, "audio of": 2, "vision of": 2}  # the check, then one read for each stream


@pytest.mark.slow
def test_a_damaged_file_of_the_cache_is_made_again(made: Extracted, table: Path, cache: Path, tmp_path: Path) -> None:
    copied = tmp_path / "cache"
    shutil.copytree(cache, copied)
    files = sorted(copied.rglob("*.safetensors"))
    files[0].write_bytes(files[0].read_bytes()[:100])
    files[1].write_bytes(b"\x80\x04cposix\nsystem\n")
    flipped = bytearray(files[2].read_bytes())
    flipped[-50] ^= 1
    files[2].write_bytes(flipped)
    files[3].write_bytes(files[4].read_bytes()[:-1])
    again = extract(table, tmp_path / "data", recipe=VOICE, cache=copied)
    assert again.kept == COUNT - 4
    assert content(again.dataset.path) == content(made.dataset.path)


@pytest.mark.slow
def test_clips_that_equal_each_other_are_extracted_once(
    tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "one.wav", sound=tone(0.5))
    shutil.copy(tmp_path / "one.wav", tmp_path / "other.wav")
    monkeypatch.setenv("TEST_LOG", str(tmp_path / "log"))
    found = extract(tmp_path, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", jobs=2)
    assert len(found.dataset) == 2
    assert len((tmp_path / "log").read_text().split()) == 1


def clip_processes(of: psutil.Process | None = None) -> list[psutil.Process]:
    return [
        child
        for child in (of or psutil.Process()).children(recursive=True)
        if child.is_running() and any("clip_worker" in word for word in child.cmdline())
    ]


PARENT = """
import signal, sys
from pathlib import Path
from features.tone_clips import STAND_IN, VOICE
from selfmm.features import workers
from selfmm.features.extract import extract
from selfmm.cli import main
workers._COMMAND = STAND_IN
sys.argv = ["selfmm", "extract", *sys.argv[1:]]
main()
"""


def started(source: Path, out: Path, **environment: str) -> subprocess.Popen[str]:
    """``selfmm extract`` with the stand-in for processes."""
    command = [sys.executable, "-c", PARENT, str(source), str(out / "data"), "--cache", str(out / "cache")]
    return subprocess.Popen(
        [*command, "--parts", "audio", "--jobs", "2"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
            "TEST_LOG": str(out / "log"),
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        preexec_fn=heeds_ctrl_c,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def waited(process: subprocess.Popen[str], files: int, out: Path) -> list[psutil.Process]:
    """Return the two processes at work, once a number of clips are kept and each has begun another clip."""
    log = out / "log"
    wait_until(
        lambda: (
            len(list((out / "cache").rglob("*.safetensors"))) >= files
            and len(log.read_text().splitlines()) >= files + 2
        ),
        poll=process.poll,
    )
    children = clip_processes(psutil.Process(process.pid))
    assert children
    return children


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_where_it_was(made: Extracted, table: Path, tmp_path: Path) -> None:
    process = started(table, tmp_path, TEST_SLOW="c04 c05")
    children = waited(process, 4, tmp_path)
    process.kill()
    process.communicate()
    gone, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert gone
    assert not list(tmp_path.rglob("*.partial"))
    assert not (tmp_path / "data").exists()
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("*.safetensors")}
    assert len(before) == 4
    (tmp_path / "log").unlink()

    out, errors = started(table, tmp_path).communicate(timeout=PATIENCE)
    assert f"{len(before)} had been extracted before" in out, errors
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len((tmp_path / "log").read_text().split()) == COUNT - len(before)
    assert content(tmp_path / "data") == content(made.dataset.path)


@pytest.mark.slow
def test_ctrl_c_ends_all_and_keeps_what_was_done(tmp_path: Path) -> None:
    source = write_clips(tmp_path / "clips", 6, names=["a", "b", "slow one", "slow two"])
    process = started(source, tmp_path)
    children = waited(process, 2, tmp_path)
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=PATIENCE)  # the slow clips would take an hour
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted; extracted clips are kept, and the same command continues from there" in errors
    assert "Traceback" not in errors
    assert "Warning" not in errors
    assert not [child for child in children if child.is_running()]
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) >= 2
    assert not list(tmp_path.rglob("*.partial"))
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_clip_that_kills_its_process_costs_itself_alone(tmp_path: Path, stand_in: None) -> None:
    source = write_clips(tmp_path / "clips", 8, names=["a", "deadly one", "b", "deadly two"])
    found = extract(source, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", jobs=2)
    assert len(found.dataset) == 6
    assert [failure.id for failure in found.failures] == ["deadly one", "deadly two"]
    assert all("died (signal 11)" in failure.reason for failure in found.failures)
    failures = rows(tmp_path / "data" / "failures.csv")
    assert failures[0] == ["id", "path", "reason"]
    assert [row[0] for row in failures[1:]] == ["deadly one", "deadly two"]
    assert found.dataset.manifest.provenance["failures"] == 2


@pytest.mark.slow
def test_a_clip_that_hangs_is_given_up(tmp_path: Path, stand_in: None, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(Worker):
        """With the clip that hangs only: on a busy machine others are slow."""

        def send(self, message: Message) -> None:
            self.hangs = message["clip"]["id"] == "hanging"
            super().send(message)

        def receive(self, timeout: float | None = None) -> Event | None:
            return super().receive(timeout if timeout is None or self.hangs else PATIENCE)

    monkeypatch.setattr(workers, "Worker", Impatient)
    monkeypatch.setattr(workers, "_PATIENCE", 3.0)
    source = write_clips(tmp_path / "clips", 3, names=["hanging", "a"])
    found = extract(source, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", jobs=1)
    assert [failure.id for failure in found.failures] == ["hanging"]
    assert "no sign of life for 3 s" in found.failures[0].reason
    assert len(found.dataset) == 2


STRANGE = ["with blank.wav", "日本語.wav", "quote\"'.wav", "new\nline.wav", "-dash.wav", "$(x).wav"]


@pytest.mark.slow
def test_a_folder_of_all_that_can_be_wrong(tmp_path: Path) -> None:
    """Each bad file costs itself alone, and says why."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for place, name in enumerate(STRANGE):
        write_recording(folder / "x.wav", sound=tone(0.5, hertz=200 + 50 * place)).rename(folder / name)
    write_recording(folder / "whole.mp4", seconds=2, sound=tone(2), pictures=grey, options={"movflags": "faststart"})
    size = (folder / "whole.mp4").stat().st_size
    (folder / "cut.mp4").write_bytes((folder / "whole.mp4").read_bytes()[: size // 2])
    write_recording(folder / "turned.mp4", seconds=1, sound=tone(1), pictures=grey, rotation=90)
    write_recording(folder / "one frame.mp4", times=[0.0], sound=tone(0.5), pictures=grey)
    (folder / "text.mp4").write_text("This is no film.\n")
    (folder / "empty.mp4").write_bytes(b"")
    write_recording(folder / "no sound.mp4", seconds=1, pictures=grey)
    write_recording(folder / "silence.wav", sound=0 * tone(1))
    (Path(os.fsdecode(os.fsencode(folder) + b"/bytes\xff.wav"))).write_bytes((folder / STRANGE[0]).read_bytes())
    if os.geteuid():
        write_recording(folder / "locked.wav", sound=tone(0.5)).chmod(0)

    found = extract(folder, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    good = {Path(name).stem for name in STRANGE} | {"whole", "cut", "turned", "one frame"}
    assert set(found.dataset.samples["id"]) == good
    reasons = {failure.id: failure.reason for failure in found.failures}
    expected = {
        "text": "text.mp4",
        "empty": "empty",
        "no sound": "but no sound",
        "silence": "no voice could be found",
        "bytes\\udcff": "not valid Unicode",
    } | ({} if not os.geteuid() else {"locked": "ermission"})
    assert set(reasons) == set(expected)
    for name, says in expected.items():
        assert says in reasons[name], reasons
    written = rows(found.dataset.path / "failures.csv")
    assert {row[0]: row[2] for row in written[1:]} == reasons
    warnings = found.dataset.samples.set_index("id")["warnings"]
    assert "cut off" in warnings["cut"]
    assert "cut off" not in warnings["whole"]
    assert "no pictures" in warnings["with blank"]
    assert np.isfinite(np.load(found.dataset.path / "audio.npy")).all()


def write_table(path: Path, columns: str, *cells: Sequence[object]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns.split(), *cells])
    return path


@pytest.mark.slow
def test_spans_of_one_recording(tmp_path: Path) -> None:
    sound = np.concatenate([tone(1, hertz=150), tone(1, hertz=300)])
    path = write_recording(tmp_path / "long.wav", sound=sound)
    cells = [("low", 0, 1, 1), ("high", 1, 2, 2), ("all", "", "", 0), ("both", 0.5, 1.5, 0), ("bad", 2, 1, 0)]
    cells += [("before", -1, 1, 0), ("behind", 5, 6, 0)]
    source = write_table(
        tmp_path / "t.csv", "id path start end label split", *[(i, path.name, a, b, y, "train") for i, a, b, y in cells]
    )
    found = extract(source, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    assert found.dataset.samples["id"].tolist() == ["low", "high", "all", "both"]
    assert found.dataset.samples["audio_length"].tolist() == [20, 20, 40, 20]
    assert found.dataset.samples["start"].tolist()[:2] == [0.0, 1.0]
    reasons = {failure.id: failure.reason for failure in found.failures}
    assert "must be later" in reasons["bad"]
    assert "0 or more" in reasons["before"]
    assert "before the clip starts" in reasons["behind"]
    assert any("overlap in time" in note for note in found.notes)


@pytest.mark.slow
def test_texts_words_languages_and_labels_of_modalities(tmp_path: Path) -> None:
    for place, name in enumerate("abc"):
        write_recording(tmp_path / f"{name}.wav", sound=tone(1, hertz=200 + 30 * place))
    (tmp_path / "c.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nquite good\n", encoding="utf-8")
    columns = "path label text label_text label_audio split"
    cells = [("a.wav", 0.5, "这部电影很好", 1, "", "train"), ("b.wav", -1, "schön,\nja", -0.5, 0.2, "valid")]
    source = write_table(tmp_path / "t.csv", columns, *cells, ("c.wav", 1, "", "", "", "test"))
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none", "speech.language=de"])
    found = extract(source, tmp_path / "data", recipe=recipe, cache=tmp_path / "cache")
    samples = found.dataset.samples
    assert samples["text"].tolist() == ["这部电影很好", "schön,\nja", "quite good"]
    assert samples["split"].tolist() == ["train", "valid", "test"]
    np.testing.assert_array_equal(samples["label_text"], [1, -0.5, np.nan])
    np.testing.assert_array_equal(samples["label_audio"], [np.nan, 0.2, np.nan])
    assert found.dataset.manifest.language == "de"
    assert found.dataset.manifest.label_range == (-3.0, 3.0), "too few labels to tell"
    words = pd.read_parquet(found.dataset.path / "words.parquet")
    assert words.columns.tolist() == ["id", "word", "start", "end", "probability"]
    assert words[words["id"] == "b"]["word"].tolist() == ["schön,", "ja"]
    assert words[words["id"] == "c"][["start", "end"]].to_numpy().ravel()[[0, -1]].tolist() == [0.1, 0.9]
    for _, of_clip in words.groupby("id"):
        assert (of_clip["start"].to_numpy()[1:] >= of_clip["end"].to_numpy()[:-1]).all()
        assert of_clip["end"].max() <= 1.0


@pytest.mark.slow
def test_aligned_to_words_a_row_is_a_word(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(1))
    (tmp_path / "a.txt").write_text("one two three")
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none", "align=words"])
    found = extract(tmp_path, tmp_path / "data", recipe=recipe, cache=tmp_path / "cache")
    track = extract_clip(Clip(tmp_path / "a.wav"), VOICE).features.tracks["audio"]
    words = pd.read_parquet(found.dataset.path / "words.parquet")
    expected = track.pooled(list(zip(words["start"], words["end"], strict=True)))
    np.testing.assert_array_equal(np.load(found.dataset.path / "audio.npy"), expected)
    assert found.dataset.modalities["audio"].frame_rate is None
    assert found.dataset.modalities["audio"].gaps


@pytest.mark.slow
def test_a_clip_without_words_fails_alone_where_frames_are_averaged_over_words(tmp_path: Path) -> None:
    for name in "ab":
        write_recording(tmp_path / f"{name}.wav", sound=tone(1, hertz=200 if name == "a" else 300))
    (tmp_path / "a.txt").write_text("one two three")
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none", "align=words"])
    found = extract(tmp_path, tmp_path / "data", recipe=recipe, cache=tmp_path / "cache")
    assert found.dataset.samples["id"].tolist() == ["a"]
    assert "no words were found" in found.failures[0].reason


@pytest.mark.slow
def test_without_ratings_it_can_only_be_scored(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(0.5))
    found = extract(tmp_path, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    assert found.dataset.samples["split"].tolist() == ["test"]
    assert np.isnan(found.dataset.samples["label"]).all()
    assert any(note.startswith("1 clip has no rating:") for note in found.notes)


def test_a_modality_that_no_clip_has_is_named(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(0.5))
    both = load_recipe(["parts=audio,vision"])
    found = extract(tmp_path, tmp_path / "data", recipe=both, cache=tmp_path / "cache")
    assert list(found.dataset.modalities) == ["audio"]
    assert "no face was found in any clip, so the data set is without vision." in found.notes


def test_a_clip_without_a_rating_among_rated_ones_stays(table: Path, cache: Path, tmp_path: Path) -> None:
    lines = (table).read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:2], "", "v2"])
    source = tmp_path / "t.csv"
    source.write_text("\n".join(lines).replace("file", f"{table.parent}/file"))
    found = extract(source, tmp_path / "data", recipe=VOICE, cache=cache)
    assert not found.failures
    samples = found.dataset.samples.set_index("id")
    assert np.flatnonzero(samples["label"].isna()).tolist() == [2]
    assert samples.loc["c02", "split"] == "test", "where nothing needs a label"
    assert any(note.startswith("1 clip has no rating:") for note in found.notes)


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be extracted."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("extraction began")

    monkeypatch.setattr(extraction, "in_workers", never)
    monkeypatch.setattr(extraction, "name_of", never)


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(
    ("columns", "cells", "options", "says"),
    [
        ("id path label", [("a", "a.wav", 5)], {}, r"outside \[-3, 3\].*`label_range="),
        ("id path label", [("a", "a.wav", 2)], {"label_range": (-1.0, 1.0)}, r"outside \[-1, 1\]"),
        ("id path label", [("a", "a.wav", 2)], {"label_range": (1.0, -1.0)}, "smaller one first"),
        ("id path label", [("a", "a.wav", 1), ("a", "a.wav", 2)], {}, "more than once: 'a'"),
        ("id path lable", [("a", "a.wav", 1)], {"label_column": "label"}, "did you mean 'lable'"),
        ("id path label", [("a", "gone.wav", 1)], {}, r"none of the clips can be extracted:[\s\S]*does not exist"),
        ("id path label split", [("a", "a.wav", 1, "train"), ("b", "a.wav", 1, "")], {}, "1 clip has no split"),
        ("id path label label_text", [("a", "a.wav", 1, 4)], {}, "label_text outside"),
        ("name label", [("a", 1)], {}, "no column path"),
    ],
)
def test_what_is_wrong_is_reported_before_anything_is_extracted(
    tmp_path: Path, columns: str, cells: list[Any], options: dict[str, Any], says: str
) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(0.2))
    source = write_table(tmp_path / "t.csv", columns, *cells)
    with pytest.raises(SourceError, match=says):
        extract(source, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", **options)
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("idle")
def test_a_place_that_cannot_be_written_is_said_before_anything_is_extracted(table: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match=r"holds other files \(mine.txt\)"):
        extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    with pytest.raises(OutputError, match=r"holds other files \(mine.txt\)"):
        extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache", force=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        extract(table, tmp_path / "other", recipe=VOICE, cache=tmp_path / "file" / "cache")
    with pytest.raises(SettingsError, match="jobs = 0"):
        extract(table, tmp_path / "other", recipe=VOICE, cache=tmp_path / "cache", jobs=0)


def test_force_replaces_a_data_set_but_no_corrections(
    made: Extracted, table: Path, cache: Path, tmp_path: Path
) -> None:
    shutil.copytree(made.dataset.path, tmp_path / "data")
    (tmp_path / "data" / "audio.npy").write_bytes(b"")
    extract(table, tmp_path / "data", recipe=VOICE, cache=cache, force=True)
    assert content(tmp_path / "data") == content(made.dataset.path)
    (tmp_path / "data" / CORRECTIONS).write_bytes(b"precious")
    with pytest.raises(OutputError, match="corrections"):
        extract(table, tmp_path / "data", recipe=VOICE, cache=cache, force=True)
    assert (tmp_path / "data" / CORRECTIONS).read_bytes() == b"precious"


@pytest.mark.slow
def test_given_words_need_no_recogniser_but_later_recordings_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(0.5))
    source = write_table(tmp_path / "t.csv", "path text", ("a.wav", "gut"))
    monkeypatch.setattr(weights, "find", lambda name: None)
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=base"])
    worded = extract(source, tmp_path / "data", recipe=recipe, cache=tmp_path / "cache")
    assert any("selfmm weights get base" in note for note in worded.notes)


@pytest.mark.slow
def test_the_range_follows_from_all_ratings_and_stored_reasons_name_no_option(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.wav", sound=tone(0.5))
    cells = [("a.wav", 1), ("b.wav", 2), ("c.wav", -1), ("d.wav", -2)]
    source = write_table(tmp_path / "t.csv", "path label", *cells)
    partial = extract(source, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    assert partial.dataset.manifest.label_range == (-3.0, 3.0)
    assert any("also of clips that failed" in note for note in partial.notes)
    stored = (tmp_path / "data" / "failures.csv").read_text(encoding="utf-8")
    assert "media root" in stored
    assert "`" not in stored


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "kind", "says"),
    [
        (["parts=audio", "voice.features=./nowhere"], WeightsError, "nowhere"),
        (["parts=text", "speech.recogniser=/nowhere"], WeightsError, "nowhere"),
        (["parts=audio", "speech.recogniser=nope"], WeightsError, "nope.*Choose from"),
    ],
)
def test_what_is_missing_stops_all_with_one_message(
    table: Path, tmp_path: Path, settings: list[str], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        extract(table, tmp_path / "data", recipe=load_recipe(settings), cache=tmp_path / "cache", jobs=2)
    assert not (tmp_path / "data").exists()
    assert not clip_processes()


def test_a_missing_package_and_a_wrong_language_keep_their_kind(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer, kind in (
        ({"stop": ["MissingPackageError", "pip install 'selfmm[video]'"]}, MissingPackageError),
        ({"stop": ["SettingsError", ["speech.language = 'xx': no"]]}, SettingsError),
    ):
        monkeypatch.setattr(extraction, "in_workers", lambda *_, said=answer, **__: (one for one in [(0, said)]))
        with pytest.raises(kind) as error:
            extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
        assert str(error.value).splitlines()[-1].strip(" -") in (
            "pip install 'selfmm[video]'",
            "speech.language = 'xx': no",
        )


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from selfmm.cli import main
sys.argv[0] = "selfmm"
main()
"""


@pytest.mark.slow
def test_a_full_disk_stops_all_and_it_goes_on_afterwards(made: Extracted, table: Path, tmp_path: Path) -> None:
    """The limit on a file's size makes the kernel refuse the write, as a full disk does."""
    words = ["extract", str(table), str(tmp_path / "data"), "--parts", "audio", "--cache", str(tmp_path / "cache")]
    result = subprocess.run(
        [sys.executable, "-c", FULL, "600", *words], capture_output=True, text=True, timeout=PATIENCE
    )
    assert result.returncode == 1
    assert result.stderr.count("error:") == 1
    assert "cannot write" in result.stderr
    assert "Traceback" not in result.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]
    again = extract(table, tmp_path / "data", recipe=VOICE, cache=tmp_path / "cache")
    assert content(again.dataset.path) == content(made.dataset.path)


@pytest.mark.slow
def test_a_full_disk_when_the_data_set_is_written(made: Extracted, table: Path, cache: Path, tmp_path: Path) -> None:
    words = ["extract", str(table), str(tmp_path / "data"), "--parts", "audio", "--cache", str(cache)]
    largest = max(file.stat().st_size for file in cache.rglob("*.safetensors"))
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(largest), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert result.returncode == 1
    assert "cannot write" in result.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_cluster_package_the_message_names_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "distributed", None)
    for backend in ("ray", "dask"):
        with pytest.raises(MissingPackageError, match=rf"pip install 'selfmm\[{backend}\]'"):
            extract(table, tmp_path / "d", recipe=VOICE, cache=tmp_path / "c", backend=backend)


def test_subtitles_after_the_end_of_the_recording_are_left_out(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.wav", sound=tone(1.0))
    (tmp_path / "a.srt").write_text(to_srt([(0.2, 3, "so good"), (600.5, 602, "too late")]))
    recipe = load_recipe(["parts=text,audio", "speech.recogniser=none"])
    transcript = extract_clip(Clip(path, subtitles=tmp_path / "a.srt"), recipe).features.transcript
    assert (transcript.text, transcript.words[-1].end) == ("so good", 1.0)
    assert transcript.warnings[0].startswith("1 subtitle of a.srt left out: the recording ends before, at 1.0 s.")
