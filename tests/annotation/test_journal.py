"""No rating is lost: several raters at once, a kill in the middle of a line, a full disk, acts that are sent twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.journals import rate, rated, standing
from selfmm.annotation.acts import Act
from selfmm.annotation.journal import RatingJournal, journal_path
from selfmm.core.errors import ArgumentsError, OutputError, SourceError
from selfmm.data.agreement import agreement

acts = st.builds(
    Act,
    id=st.sampled_from(["a", "\u2028 b\r", "真"]),
    target=st.sampled_from(["clip", "audio"]),
    rater=st.sampled_from(["Ann", "Bo"]),
    act=st.sampled_from(["rate", "rate", "skip", "undo"]),
    label=st.integers(-3, 3).map(float),
    key=st.sampled_from(["", "", "k1", "k2", "k3"]),
)
torn = st.sampled_from([b"", b"", b"", b'{"id": "a", "tar', b"\xe7\x9c", b"\0\0\0", b"[1]", b"3", b'{"id": 3}'])


def plain(act: Act) -> Act:
    return replace(act, label=act.label if act.act == "rate" else None, time="")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(acts, max_size=3), st.integers(0, 2), torn), max_size=12))
def test_the_acts_that_count_are_those_of_a_slow_reading(
    steps: list[tuple[list[Act], int, bytes]],
) -> None:
    """Three objects append in turn to one file, and crashes tear lines in between."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips-ratings.jsonl"
        journals = [RatingJournal(path) for _ in range(3)]
        sent: list[Act] = []
        for some, which, rest in steps:
            journals[which].add(*some)
            for act in some:
                if not act.key or act.key not in {earlier.key for earlier in sent}:
                    sent.append(act)
            if rest and path.exists():
                with path.open("ab") as file:
                    file.write(rest)
        expected = {place: plain(act) for place, act in standing(sent).items()}
        for journal in (*journals, RatingJournal(path)):
            assert {act.place: plain(act) for act in journal.acts()} == expected


def test_ratings_are_a_table_for_agreement(tmp_path: Path) -> None:
    path = tmp_path / "clips-ratings.jsonl"
    journal = rated(
        path,
        rate("a", 1),
        rate("a", 2, "Bo", proposal=1.5, accepted=True, seconds=2.345),
        rate("b", -1),
        rate("b", -1, "Bo", "audio", mode="filtered sound"),
        Act("c", "clip", "Ann", "skip"),
        rate("b", 3),
        Act("b", "clip", "Ann", "undo"),
    )
    table = journal.ratings()
    assert table[["id", "modality", "rater", "label"]].values.tolist() == [
        ["a", "clip", "Ann", 1.0],
        ["a", "clip", "Bo", 2.0],
        ["b", "clip", "Ann", -1.0],
        ["b", "audio", "Bo", -1.0],
    ]
    assert int(table["proposal"].isna().to_numpy().sum()) == 3
    assert int(table["proposal"].isna().sum()) == 3
    assert agreement(table)[["raters", "clips", "shared"]].to_dict("index")["clip"] == {
        "raters": 2,
        "clips": 2,
        "shared": 1,
    }
    assert [act.act for act in journal.acts()] == ["rate", "rate", "rate", "rate", "skip"]
    assert RatingJournal(tmp_path / "none-ratings.jsonl").ratings().empty
    assert list(RatingJournal(tmp_path / "none-ratings.jsonl").ratings()) == list(table)
    assert not (tmp_path / "none-ratings.jsonl").exists()


def test_an_undo_brings_back_the_rating_before(tmp_path: Path) -> None:
    undo = Act("a", "clip", "Ann", "undo")
    journal = rated(tmp_path / "j-ratings.jsonl", rate("a", 1), rate("a", 2), Act("a", "clip", "Ann", "skip"))
    seen = []
    for _ in range(4):
        seen.append([act.label for act in journal.acts()])
        journal.add(undo)
    assert seen == [[None], [2.0], [1.0], []]


def test_the_scale_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clips-ratings.jsonl"
    first, second = RatingJournal(path, (1, 5)), RatingJournal(path, (-3, 3))
    first.add(rate("a", 5))
    with pytest.raises(ArgumentsError, match="label -1 is not a number from 1 to 5"):
        second.add(rate("a", -1))
    assert second.label_range == (1, 5) == RatingJournal(path).label_range
    assert json.loads(path.read_text().splitlines()[0]) == {"selfmm_ratings": 1, "label_range": [1.0, 5.0]}


@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (rate("", 1), "the id of a clip is a text of 1 to 1000 characters, not ''"),
        (rate("\ud800", 1), "the id of a clip is a text"),
        (rate("a", 1, " \n"), "needs the name of its rater"),
        (rate("a", float("nan")), "the label nan is not a number from -3 to 3"),
        (rate("a", True), "the label True is not a number"),
        (rate("a", 1, target="smell"), "the target 'smell' is unknown; expected one of clip, text, audio, vision"),
        (rate("a", 1, mode="x"), "the mode 'x' is unknown"),
        (Act("a", "clip", "Ann", "redo"), "the act 'redo' is unknown"),
    ],
)
def test_a_wrong_act_is_refused_and_nothing_is_recorded(tmp_path: Path, act: Act, problem: str) -> None:
    journal = RatingJournal(tmp_path / "j-ratings.jsonl")
    with pytest.raises(ArgumentsError, match=problem):
        journal.add(rate("fine", 1), act)
    assert not journal.path.exists()


def test_the_same_act_sent_twice_counts_once(tmp_path: Path) -> None:
    """A browser that got no answer sends an act again; a second undo would take back too much."""
    journal = rated(tmp_path / "j-ratings.jsonl", rate("a", 1, key="k1"), rate("a", 2, key="k2"))
    undo = Act("a", "clip", "Ann", "undo", key="k3")
    journal.add(undo)
    RatingJournal(journal.path).add(undo, rate("a", 2, key="k2"))
    assert [act.label for act in journal.acts()] == [1.0]


def test_a_torn_line_is_left_out_and_the_next_rating_is_not_lost(tmp_path: Path) -> None:
    journal = rated(tmp_path / "j-ratings.jsonl", rate("a", 1), rate("真", 2))
    whole = journal.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[-1])):
        journal.path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut])
        reader = RatingJournal(journal.path)
        assert [act.id for act in reader.acts()] == ["a"]
        reader.add(rate("c", 3))
        whole_line = cut == len(lines[-1]) - 1  # only its end is missing
        assert [act.id for act in RatingJournal(journal.path).acts()] == ["a", *["真"] * whole_line, "c"]
        assert RatingJournal(journal.path).damaged == (0 < cut < len(lines[-1]) - 1)


def test_a_torn_head_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "j-ratings.jsonl"
    path.write_bytes(b'{"selfmm_ratings": 1, "lab')
    rated(path, rate("a", 4), label_range=(1, 5))
    assert RatingJournal(path).label_range == (1, 5)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j-ratings.jsonl"
    path.write_text('{"selfmm_ratings": 2, "label_range": [0, 1]}\n')
    with pytest.raises(SourceError, match="has format 2; this selfmm reads format 1"):
        RatingJournal(path)


def test_a_file_that_is_replaced_or_deleted_is_read_again(tmp_path: Path) -> None:
    journal = rated(tmp_path / "j-ratings.jsonl", rate("a", 1), rate("b", 1))
    other = rated(tmp_path / "other-ratings.jsonl", rate("c", 1), rate("d", 1), rate("e", 1))
    other.path.replace(journal.path)
    assert [act.id for act in journal.acts()] == ["c", "d", "e"]
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text("".join([lines[0], *reversed(lines[1:]), *lines[1:]]))  # in place, and longer
    assert [act.id for act in journal.acts()] == ["c", "d", "e"]
    assert len(journal._standing._stacks["Ann", "c", "clip"]) == 2
    journal.path.unlink()
    assert journal.acts() == []
    journal.add(rate("f", 1))
    assert [act.id for act in RatingJournal(journal.path).acts()] == ["f"]


_APPEND = """
import sys
from pathlib import Path
from selfmm.annotation.acts import Act
from selfmm.annotation.journal import RatingJournal
path, rater, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
journal = RatingJournal(path)
for number in range(count):
    journal.add(Act(f"clip {number}", "clip", rater, label=1.0, key=f"{rater} {number}"))
    print(number, flush=True)
"""


def appending(path: Path, rater: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _APPEND, str(path), rater, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_and_threads_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "j-ratings.jsonl"
    journal = RatingJournal(path)
    processes = [appending(path, name, 25) for name in ("Ann", "Bo")]

    def append(rater: str) -> None:
        for number in range(25):
            journal.add(rate(str(number), 1, rater))

    threads = [threading.Thread(target=append, args=(name,)) for name in ("Cy", "Di")]
    for thread in threads:
        thread.start()
    for process in processes:
        assert process.communicate(timeout=120)
        assert process.returncode == 0
    for thread in threads:
        thread.join()
    assert journal.ratings().groupby("rater").size().to_dict() == {"Ann": 25, "Bo": 25, "Cy": 25, "Di": 25}
    assert journal.damaged == 0
    assert len(path.read_text().splitlines()) == 101


def test_a_kill_in_the_middle_loses_nothing_that_was_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "j-ratings.jsonl"
    confirmed = 0
    for turn in range(4):
        process = appending(path, f"rater {turn}", 100_000)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(turn).uniform(0.01, 0.15))
        process.send_signal(signal.SIGKILL)
        confirmed += 1 + len(process.stdout.read().splitlines())
        process.wait()
    journal = RatingJournal(path)
    assert confirmed <= len(journal.acts()) <= confirmed + 4
    assert journal.damaged <= 4
    journal.add(rate("after", 1))
    assert journal.acts()[-1].id == "after"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "j-ratings.jsonl"
    journal = rated(path, rate("a", 1))
    before = path.read_bytes()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 20}, {len(before) + 20}))\n"
        "from selfmm.annotation.acts import Act; from selfmm.annotation.journal import RatingJournal\n"
        "try: RatingJournal(sys.argv[1]).add(Act('b', 'clip', 'Ann', label=1.0))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "OutputError cannot write" in done.stdout
    assert path.read_bytes() == before
    journal.add(rate("b", 1))
    assert len(journal.acts()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="you may not write to this folder"):
        RatingJournal(tmp_path / "j-ratings.jsonl").add(rate("a", 1))


def test_where_the_file_is(tmp_path: Path) -> None:
    assert journal_path(tmp_path / "clips") == tmp_path.resolve() / "clips-ratings.jsonl"
    assert journal_path(tmp_path / "clips" / ".", tmp_path).name == "clips-ratings.jsonl"
    assert journal_path(tmp_path, tmp_path) == tmp_path.resolve() / f"{tmp_path.resolve().name}-ratings.jsonl"
    assert journal_path(tmp_path / "clips.csv").name == "clips.csv-ratings.jsonl"
