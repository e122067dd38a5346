"""What extraction costs: clips that are cut, processes that are watched, tables that are shown."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import extraction_many
import pytest
from environments import BenchmarkError
from extraction import TITLES, Speed, child, clip_table, lengths, parsed, stage_table
from extraction_long import peak_bytes
from extraction_many import cuts, differences, kill_and_resume, write_table
from extraction_stages import STAGES, Cost, least, measure

from selfmm.demo.clips import make_clips
from selfmm.features.clips.listing import read_clips


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("made") / "clips"
    make_clips(folder, count=3, synthesizer="tones")
    return sorted(folder.glob("*.mp4"))


def test_cuts_lie_in_their_files_and_no_two_are_alike() -> None:
    files = {Path("a.mp4"): 7.5, Path("b.mp4"): 2.4, Path("c.mp4"): 100.0}
    made = cuts(files, 200)
    assert len({(one.path, one.start, one.end) for one in made}) == 200
    for one in made:
        assert 0 <= one.start < one.end <= files[one.path] + 1e-3
        assert min(2.0, files[one.path] / 2) / 2 <= one.end - one.start + 1e-3 <= 2.0 + 2e-3
    assert [sum(one.path == path for one in made) for path in files] == [67, 67, 66]


@pytest.mark.slow
def test_the_table_of_cuts_is_one_that_extraction_reads(clips: list[Path], tmp_path: Path) -> None:
    made = cuts(dict(zip(clips, lengths(clips), strict=True)), 7)
    write_table(tmp_path / "clips.csv", made)
    listed = read_clips(tmp_path / "clips.csv")
    assert not listed.failures
    assert [(one.path.name, one.start, one.end) for one in listed.clips] == [
        (one.path.name, one.start, one.end) for one in made
    ]
    assert all(one.text for one in listed.clips)  # so no words are recognised


def test_folders_differ_by_a_byte_or_a_file(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "same").write_bytes(b"same")
        (tmp_path / name / "byte").write_bytes(b"abc")
    one, other = tmp_path / "one", tmp_path / "other"
    assert differences(one, other) == []
    (other / "byte").write_bytes(b"abd")
    (one / "deep" / "more").touch()
    assert differences(one, other) == ["byte", "deep/more"] == differences(other, one)


_FAKE = """
import sys, time
from pathlib import Path
folder, count, redo = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "redo"
kept = folder / "kept"
kept.mkdir(exist_ok=True)
stuck = folder / "stuck"
for number in range(count):
    path = kept / f"{number}.safetensors"
    if number == 15 and not stuck.exists():  # the first run stays here until it is killed
        stuck.touch()
        time.sleep(3600)
    if redo or not path.exists():
        path.write_text(str(time.time_ns()))
"""


@pytest.mark.parametrize("how", ["resume", "redo"])
def test_what_is_done_twice_after_a_kill_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    command = [sys.executable, "-c", _FAKE, str(tmp_path), "20", how]
    monkeypatch.setattr(extraction_many, "command", lambda *_: command)
    found = kill_and_resume(tmp_path / "none.csv", tmp_path, 1, 20)
    assert 10 <= found.before <= 15
    assert found.after == 20
    assert found.again == (found.before if how == "redo" else 0)
    assert found.took.wall > 0


def test_an_extraction_that_ends_before_it_is_killed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction_many, "command", lambda *_: [sys.executable, "-c", "pass"])
    with pytest.raises(BenchmarkError, match="before half of 20 clips"):
        kill_and_resume(tmp_path / "none.csv", tmp_path, 1, 20)


_BUSY = "import time\nwhile time.process_time() < 0.5: pass"
_PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BUSY!r}], check=True)"


@pytest.mark.slow
def test_a_run_is_timed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction_many, "command", lambda *_: [sys.executable, "-c", _PARENT])
    took = extraction_many.run(tmp_path / "none.csv", tmp_path / "0", 1)
    assert 0.5 <= took.processors < 2
    assert took.wall >= 0.5


def test_a_stage_is_measured_cold_and_warm(clips: list[Path]) -> None:
    found = child("extraction_stages.py", 1, "sound", 1, 2, *clips)
    assert len(found["warm"]) == 3
    assert found["cold"]["processor"] > found["warm"][0]["processor"] > 0  # the first imports PyAV


@pytest.mark.parametrize("stage", ["pictures", "activity", "voice"])
def test_light_stages_run(stage: str, clips: list[Path]) -> None:
    [warm] = measure(stage, clips[:1], 1, 1)["warm"]
    assert warm["processor"] > 0


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(BenchmarkError, match=r"no_such\.mp4 does not exist"):
        child("extraction_stages.py", 1, "sound", 1, 1, "no_such.mp4")


def test_the_least_of_each_clock() -> None:
    assert least([Cost(3.0, 1.0), Cost(2.0, 1.5)]) == Cost(2.0, 1.0)
    assert Cost(1.0, 2.0) + Cost(0.5, 0.25) == Cost(1.5, 2.25)


def test_the_peak_is_this_processs_own() -> None:
    """Not what its parent held, and not what it holds now."""
    code = (
        "import extraction_long as e; a = e.peak_bytes(); b = bytearray(200_000_000); del b; print(a, e.peak_bytes())"
    )
    ballast = bytearray(300_000_000)
    folder = Path(extraction_many.__file__).parent
    made = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    before, after = map(int, made.stdout.split())
    assert before < 100e6
    assert 200e6 <= after - before + 1e6 < 220e6
    assert peak_bytes() > len(ballast)


def test_tables_show_seconds_for_a_second() -> None:
    speed = {
        1: Speed(Cost(4.0, 3.0), (Cost(2.0, 1.0), Cost(4.0, 3.0))),
        2: Speed(Cost(9.0, 9.0), (Cost(1.0, 1.2), Cost(2.0, 3.2))),
    }
    measured = dict.fromkeys(STAGES, speed)
    by_stage = stage_table(measured, seconds=20.0).splitlines()
    assert len(by_stage) == 2 + len(STAGES)
    assert by_stage[-1] == "| **everything** | 0.200 | 0.300 | 0.220 | 0.110 | 0.150 | 3.00 | 4.00 |"
    by_clip = clip_table(measured, ["a.mp4", "b.mp4"], [5.0, 15.0]).splitlines()
    assert by_clip[0] == "| processor, 1 thread | a.mp4, 5.0 s | b.mp4, 15.0 s |"
    assert by_clip[2] == "| decoding sound | 0.200 | 0.200 |"
    for one, other in pairwise([*by_stage, *by_clip[:0]]):
        assert one.count("|") == other.count("|")


def test_every_stage_has_a_title() -> None:
    assert set(TITLES) == set(STAGES)


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--only", "sped"], "--only has sped"), (["--count", "1"], "--count is 1")]
)
def test_wrong_options_are_told(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(arguments)
    assert message in capsys.readouterr().err


def test_sections_are_chosen() -> None:
    assert parsed([]).only == ["speed", "memory", "many", "size"]
    assert parsed(["a.mp4", "--only", "speed,size"]).only == ["speed", "size"]
