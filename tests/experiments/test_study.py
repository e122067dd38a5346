"""The memory of a search: what it asks for, what it stops, and what it still knows after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.studies import search, study
from selfmm.core.errors import OutputError, RunError
from selfmm.experiments.study import JOURNAL, Asked, Ended, Study, quiet
from selfmm.experiments.trial import Outcome
from selfmm.models.base import Range


def mae(asked: Asked | Ended) -> float:
    """A figure that follows from the values."""
    return float(sum(hash(value) % 1009 for value in asked.values.values()) % 1009) / 1000


def go_on(study: Study, trials: int, figure: Callable[[Asked], float] = mae) -> list[Asked]:
    """Asks for trials of one epoch, all of them complete."""
    asked = []
    with quiet():
        for _ in range(trials):
            asked.append(study.ask())
            study.tell(asked[-1].number, Outcome("complete", figure(asked[-1]), 1, 1.0))
    return asked


def test_the_start_comes_first_then_values_of_the_spaces(tmp_path: Path) -> None:
    found = study(tmp_path)
    asked = go_on(found, 12)
    assert asked[0].values == {"fusion.lr": 0.001, "text.projection": 32}
    for each in asked[1:]:
        assert 1e-4 <= each.values["fusion.lr"] <= 1e-2
        assert 8 <= each.values["text.projection"] <= 64
        assert isinstance(each.values["text.projection"], int)
    assert len({tuple(each.values.values()) for each in asked}) == 12
    ended = found.ended()
    assert [(trial.number, dict(trial.values), trial.outcome.mae) for trial in ended] == [
        (each.number, dict(each.values), mae(each)) for each in asked
    ]
    assert [trial.start for trial in ended] == [True, *[False] * 11]
    assert found.counts() == {"complete": 12}


def test_a_start_outside_its_space_is_told_as_it_is(tmp_path: Path) -> None:
    spaces = ("fusion.lr=1e-2..1e-1 log", "text.projection=8,16", "text.max_tokens=8..16", "text.finetune=true,false")
    found = study(tmp_path, *spaces)
    asked = go_on(found, 14)  # so many that TPE works, of which the first has but one of the values
    assert asked[0].values == {"text.finetune": True}
    expected = {"fusion.lr": 0.001, "text.projection": 32, "text.max_tokens": 128, "text.finetune": True}
    assert found.ended()[0].values == expected
    for each in asked[1:]:
        assert 1e-2 <= each.values["fusion.lr"] <= 1e-1
        assert each.values["text.projection"] in (8, 16)
    assert found.importance().keys() == expected.keys()


def test_it_learns_from_what_it_is_told(tmp_path: Path) -> None:
    """Of a range with one good end, TPE asks for that end more than chance does."""
    found = study(tmp_path, "text.projection_dropout=0..0.9")
    asked = go_on(found, 30, lambda each: each.values["text.projection_dropout"])
    late = [each.values["text.projection_dropout"] for each in asked[15:]]
    assert sum(late) / len(late) < 0.3


@pytest.mark.parametrize("kill_at", [0, 4, 12])
def test_a_trial_does_not_depend_on_kills(tmp_path: Path, kill_at: int) -> None:
    whole = go_on(study(tmp_path / make(tmp_path, "whole")), 14)
    folder = tmp_path / make(tmp_path, "cut")
    found = study(folder)
    first = go_on(found, kill_at)
    with quiet():
        lost = found.ask()
        found.record_epoch(lost.number, 1, 0.5)
    again = study(folder)
    second = go_on(again, 14 - kill_at)
    assert [each.values for each in [*first, *second]] == [each.values for each in whole]
    assert lost.values == whole[kill_at].values
    ended = again.ended()
    assert [trial.number for trial in ended if trial.killed] == [lost.number]
    assert ended[lost.number].outcome == Outcome("failed", reason="killed; a later trial repeated it")
    assert sum(trial.start and not trial.killed for trial in ended) == 1
    assert again.counts() == {"complete": 14}


def make(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    return name


def test_what_kill_leaves_of_a_line_and_a_lock_does_no_harm(tmp_path: Path) -> None:
    found = study(tmp_path)
    go_on(found, 3)
    journal = tmp_path / JOURNAL
    complete = journal.read_bytes()
    last = complete.splitlines(keepends=True)[-1]
    for cut in (1, len(last) // 2, len(last) - 1):
        journal.write_bytes(complete[: len(complete) - len(last) + cut])
        (tmp_path / f"{JOURNAL}.lock").touch()
        again = study(tmp_path)
        # The last line is that of its end, before which all was said that there was to say.
        assert [trial.outcome.state for trial in again.ended()] == ["complete"] * 3
        go_on(again, 1)
        assert len(study(tmp_path).ended()) == 4


def test_a_study_cut_off_as_it_began_begins_again(tmp_path: Path) -> None:
    found = study(tmp_path)
    with quiet():
        expected = found.ask()
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        (tmp_path / JOURNAL).write_bytes(b"".join(lines[:count]))
        assert [each.values for each in go_on(study(tmp_path), 1)] == [expected.values]


@pytest.mark.parametrize("line", [b"{}\n", b"no json\n", b"\xff\xfe\n", b"[1]\n", b'{"op_code": 99}\n', b'"word"\n'])
def test_a_damaged_journal_is_told(tmp_path: Path, line: bytes) -> None:
    go_on(study(tmp_path), 2)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(line * 2)
    with pytest.raises(RunError, match=r"journal\.log is damaged .*Choose another `out="):
        study(tmp_path)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = study(tmp_path)

    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OutputError, match="the disk is full"), quiet():
        found.ask()


def test_another_search_is_not_mixed_in(tmp_path: Path) -> None:
    go_on(study(tmp_path), 1)
    other = {"data": {"clips": "abc"}, "settings": {"seed": 1112, "model": "x"}}
    with pytest.raises(
        RunError, match=r"a different search \(seed: 1111 before, 1112 now; model: None before, 'x' now\)"
    ):
        study(tmp_path, identity=other)
    with pytest.raises(RunError, match=r"clips: 'abc' before, None now"):
        study(tmp_path, identity={"data": {}, "settings": {"seed": 1111}})
    (tmp_path / "other").mkdir()
    foreign = study(tmp_path / "other", identity={})
    go_on(foreign, 1)
    with pytest.raises(RunError, match="holds a different search"):
        study(tmp_path / "other")


def run_epochs(found: Study, figures: list[float]) -> int:
    """A trial that is told these figures; returns the epoch after which it is stopped, or their number."""
    with quiet():
        asked = found.ask()
        for epoch, figure in enumerate(figures, start=1):
            if not found.record_epoch(asked.number, epoch, figure):
                found.tell(asked.number, Outcome("pruned", min(figures[:epoch]), 1, 1.0))
                return epoch
        found.tell(asked.number, Outcome("complete", min(figures), 1, 1.0))
    return len(figures)


def test_what_is_worse_than_the_median_is_stopped(tmp_path: Path) -> None:
    found = study(tmp_path)
    for middle in (0.5, 0.6, 0.7, 0.8, 0.9):
        assert run_epochs(found, [middle + 0.3, middle + 0.2, middle + 0.1, middle]) == 4, "five are needed first"
    assert run_epochs(found, [9.0, 9.0, 0.65, 9.0]) == 4, "not before the third epoch; its best figure counts"
    assert run_epochs(found, [0.65, 0.65, 0.65, 0.65]) == 4
    assert run_epochs(found, [9.0, 9.0, 9.0, 0.1]) == 3
    assert run_epochs(found, [1.5, 1.4, 1.3, 0.1]) == 3
    assert found.counts() == {"complete": 7, "pruned": 2}
    again = study(tmp_path)
    assert run_epochs(again, [9.0, 9.0, 9.0, 0.1]) == 3, "what was heard before counts after a restart"


def test_what_was_tried_is_known(tmp_path: Path) -> None:
    found = study(tmp_path, "text.projection=16,32,64")
    states = {
        16: Outcome("failed", reason="too small"),
        32: Outcome("complete", 0.5, 7, 3.0),
        64: Outcome("pruned", 0.9, 2),
    }
    trained, known = [], {}
    with quiet():
        for _ in range(20):
            asked = found.ask()
            value = asked.values["text.projection"]
            outcome = found.known(asked)
            if outcome is None:
                trained.append(value)
            else:
                known[value] = outcome
            found.tell(asked.number, outcome or states[value])
    assert sorted(trained) == [16, 32, 64]
    assert known[32] == Outcome("complete", 0.5, 7, 0.0, "the same as trial 0")
    assert known[64].state == "pruned"
    assert known[16].reason.endswith(": too small")
    assert known[16].reason.count("the same as") == 1


def test_importance_finds_what_matters(tmp_path: Path) -> None:
    found = study(tmp_path, "fusion.lr=1e-4..1e-2 log", "text.projection_dropout=0..0.9", "text.finetune=true,false")
    go_on(found, 4, lambda asked: asked.values["text.projection_dropout"])
    assert found.importance() == {}, "of four nothing can be said"
    go_on(found, 26, lambda asked: asked.values["text.projection_dropout"])
    shares = found.importance()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["text.projection_dropout"] > 0.7
    assert shares == found.importance()
    assert all(isinstance(share, float) for share in json.loads(json.dumps(shares)).values())


def test_figures_that_are_all_the_same_have_no_cause(tmp_path: Path) -> None:
    found = study(tmp_path)
    go_on(found, 8, lambda asked: 0.5)
    assert found.importance() == {}


def test_optuna_keeps_its_messages(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    run_epochs(study(tmp_path), [0.5])
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    assert isinstance(search().spaces["fusion.lr"], Range)
