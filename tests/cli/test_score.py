"""``selfmm predict`` on recordings: what it prints and writes, and what it says of inputs that cannot be scored."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("av", reason="recordings are read by PyAV")

from cli.command_line import selfmm, shown
from evaluation.worths import EMPTY, GOOD, UNTOLD, worth
from features.recordings import write_recording
from selfmm.cli.show_scores import card, readable, table
from selfmm.demo.clips import record
from selfmm.demo.scripts import write_scripts
from selfmm.evaluation.worth import FUSION
from selfmm.features.streams import Transcript, Word
from selfmm.features.words.subtitles import read_cues
from selfmm.recordings.model import SentimentModel
from selfmm.recordings.prediction import Prediction, Spread

SPREAD = Spread(0.5, 1.0, np.linspace(-3, 3, 8))
MADE = Prediction(
    id="clip[red]",
    start=0.0,
    end=2.5,
    score=1.5,
    scores={"text": 3.0, "audio": -0.001, "vision": None},
    ranks={FUSION: 0.75, "text": 1.0, "audio": 0.5, "vision": None},
    spreads=dict.fromkeys((FUSION, "text", "audio", "vision"), SPREAD),
    label_range=(-3.0, 3.0),
    transcript=Transcript("a very [b]long[/b]\nstory \x1b[2J " * 9, (), "en", "recognised"),
    warnings=("no pictures",),
    worth=worth(text=GOOD, audio=GOOD, vision=GOOD),
)


def lines_of(content: object, width: int = 100) -> list[str]:
    return shown(content, width).splitlines()


def line_of(lines: list[str], word: str) -> str:
    return next(line for line in lines if word in line)


def test_a_card_says_everything() -> None:
    lines = lines_of(card(MADE))
    assert lines[0] == "clip[red]  2.5 s"
    assert "+1.50" in line_of(lines, "all together")
    assert "│█████ " in line_of(lines, "all together")
    assert "│██████████ " in line_of(lines, "text")
    assert " 0.00 " in line_of(lines, "audio")
    assert "█" not in line_of(lines, "audio")
    assert "missing" in line_of(lines, "vision")
    assert "+0.58 to +2.42" in line_of(lines, "all together")
    assert "75%" in line_of(lines, "all together")
    assert "higher than: share of the training clips with a lower score" in "\n".join(lines)
    assert "±" not in "".join(lines[2:])
    assert lines[1] == "positive; four of five such scores are within ±0.92 of the label"
    text = "\n".join(lines)
    assert "recognised words: “a very [b]long[/b]" in text
    assert "\x1b" not in text
    assert "warning: no pictures" in text


@pytest.mark.parametrize(
    ("label_range", "score", "figure", "bar"),
    [
        ((0.0, 100.0), 25.0, "25.00", "     █████│          "),
        ((0.0, 100.0), 50.0, "50.00", "          │          "),
        ((1.0, 5.0), 5.0, " 5.00", "          │██████████"),
        ((1.0, 5.0), 1.0, " 1.00", "██████████│          "),
        ((-1.0, 3.0), -1.0, "-1.00", "       ███│          "),
        ((-1.0, 1.0), 9.0, "+9.00", "          │██████████"),
    ],
)
def test_bars_start_from_the_neutral_label(
    label_range: tuple[float, float], score: float, figure: str, bar: str
) -> None:
    made = replace(MADE, score=score, label_range=label_range, worth=worth(label_range=label_range))
    line = line_of(lines_of(card(made)), "all together")
    assert figure in line
    assert "+" not in line or label_range[0] < 0
    assert bar in line


def test_a_score_without_information_is_grey_and_has_neither_number_nor_bar() -> None:
    made = replace(MADE, worth=worth(text=EMPTY, audio=GOOD, vision=GOOD))
    line = line_of(lines_of(card(made)), "text ")
    assert line.split() == ["text", "no", "information"]
    assert "\x1b[2m" in line_of(shown(card(made), colour=True).splitlines(), "text ")
    lines = lines_of(table([made], curve=False), 120)
    assert "?" in line_of(lines, "+1.50")
    assert "+3.00" not in "".join(lines)
    assert "?: text (no information)" in "\n".join(lines)


def test_a_table_of_a_data_set_on_a_terminal_shows_what_can_be_trusted() -> None:
    columns = {"score": [1.0], "score_text": [3.0], "score_audio": [np.nan], "low": [0.1], "high": [1.9]}
    made = pd.DataFrame({"id": ["a"], **columns, "informs": [True], "low_text": [1.0], "informs_text": [False]})
    table = readable(made, worth(text=EMPTY, audio=UNTOLD))
    assert table.columns.tolist() == ["id", "score", "score_text", "score_audio", "low", "high"]
    assert table.iloc[0]["score_text"] == "no information"
    assert np.isnan(table.iloc[0]["score_audio"])
    assert readable(made, worth(UNTOLD)).columns.tolist() == ["id", "score", "score_text", "score_audio"]


def test_a_run_that_knows_nothing_says_so_first() -> None:
    nothing = replace(MADE, worth=worth(UNTOLD, 22, text=EMPTY, audio=EMPTY, vision=EMPTY))
    lines = lines_of(card(nothing), 300)
    assert lines[0].startswith("warning: trained on 22 clips, fewer than 100")
    assert lines[1].startswith("warning: whether the score says anything cannot be told from 6 test clips")
    assert lines[3].startswith("cannot tell: there are too few")
    assert not any("█" in line or "+1.50" in line or "+3.00" in line for line in lines)
    curve = lines_of(table([nothing], curve=True), 120)
    assert not any("█" in line or "+1.50" in line for line in curve)
    old = lines_of(card(replace(MADE, worth=None)), 300)
    assert old[0].startswith("warning: what these scores are worth is not known")
    assert "+1.50" in line_of(old, "all together")


def test_nothing_to_go_by_is_a_card_too() -> None:
    nothing = replace(MADE, score=None, scores=dict.fromkeys(MADE.scores), ranks=dict.fromkeys(MADE.ranks))
    lines = lines_of(card(replace(nothing, transcript=Transcript(""))))
    assert sum("missing" in line for line in lines) == 4
    assert "no words" in lines


@pytest.mark.parametrize("width", [80, 120])
def test_a_table_has_one_line_for_each(width: int) -> None:
    made = [replace(MADE, id=f"clip_{n}", warnings=MADE.warnings * n) for n in range(3)]
    lines = [line.rstrip() for line in lines_of(table(made, curve=False), width)]
    rows = [line for line in lines if "clip_" in line]
    assert len(rows) == 3
    assert all(len(line) <= width for line in lines)
    assert rows[0].split()[:7] == ["clip_0", "+1.50", "+3.00", "0.00", "-", "a", "very"]
    assert "…" in rows[0]
    assert rows[2].endswith("2")
    assert not rows[0].endswith("0")


def test_a_curve_tells_its_spans_by_their_times() -> None:
    lines = lines_of(table([MADE, replace(MADE, start=2.5, end=5.0, score=None)], curve=True), 120)
    assert "0.0 - 2.5" in line_of(lines, "+1.50")
    assert "│██" in line_of(lines, "+1.50")
    assert "2.5 - 5.0" in "\n".join(lines)


@pytest.fixture
def predict(clip_run: SentimentModel) -> Predict:
    return Predict(clip_run)


class Predict:
    """``selfmm predict RUN ...``"""

    def __init__(self, run: SentimentModel) -> None:
        self.run = run

    def __call__(self, *arguments: str | Path) -> CompletedProcess[str]:
        return selfmm("predict", self.run.folder.path, *arguments)


def recordings(table: Path, count: int) -> list[Path]:
    return sorted(table.parent.glob("*.mp4"))[:count]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven seconds with subtitles."""
    folder = tmp_path_factory.mktemp("talk")
    sound = np.concatenate([record(script, (1.6, 2.2), "tones") for script in write_scripts(4, 0, (1.6, 2.2))])
    cues = "1\n00:00:00,500 --> 00:00:02,000\nthe plot was wonderful.\n\n2\n00:00:04,000 --> 00:00:05,500\nno.\n"
    (folder / "talk.srt").write_text(cues)
    return write_recording(folder / "talk.wav", sound=sound[: 7 * 16000])


@pytest.mark.slow
def test_to_a_pipe_it_is_csv(predict: Predict, demo_clips: Path) -> None:
    files = recordings(demo_clips, 2)
    plain, asked = predict(*files), predict(*files, "--csv")
    assert plain.returncode == asked.returncode == 0
    assert plain.stdout == asked.stdout
    rows = list(csv.DictReader(io.StringIO(plain.stdout)))
    assert [row["id"] for row in rows] == [file.stem for file in files]
    assert rows[0]["score_text"] == ""
    made = predict.run.predict(files[0])
    assert float(rows[0]["score"]) == pytest.approx(made.score)


@pytest.mark.slow
def test_a_table_of_clips_gives_their_words(predict: Predict, demo_clips: Path) -> None:
    result = predict(demo_clips, "--json")
    content = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    stored = predict.run.predictions.set_index("id")["score"]
    assert {one["id"]: one["score"] for one in content} == pytest.approx(stored.to_dict(), abs=1e-5)
    assert all(one["transcript"]["source"] == "given" for one in content)


def test_one_bad_clip_stops_no_other(predict: Predict, demo_clips: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no film")
    [good] = recordings(demo_clips, 1)
    result = predict(tmp_path / "none.mp4", text, good, "--json", "--out", tmp_path / "made.json")
    assert result.returncode == 1
    assert "none.mp4 does not exist" in result.stderr
    assert "text.mp4 cannot be read as a recording" in result.stderr
    [made] = json.loads(result.stdout)
    assert made["id"] == good.stem
    assert json.loads((tmp_path / "made.json").read_text()) == [made]
    assert json.loads(predict(text, "--json").stdout) == []


def test_recordings_of_one_name_are_told_apart(predict: Predict, demo_clips: Path, tmp_path: Path) -> None:
    [good] = recordings(demo_clips, 1)
    twin = tmp_path / good.name
    twin.write_bytes(good.read_bytes())
    rows = list(csv.DictReader(io.StringIO(predict(good, twin).stdout)))
    assert [row["id"] for row in rows] == [str(good), str(twin)]


def test_files_are_never_lost_by_a_wrong_name(predict: Predict, demo_clips: Path, tmp_path: Path) -> None:
    [good] = recordings(demo_clips, 1)
    out = tmp_path / "made.parquet"
    out.write_text("mine")
    refused = predict(good, "--out", out)
    assert refused.returncode == 1
    assert "exists already" in refused.stderr
    assert out.read_text() == "mine"
    assert predict(good, "--out", out, "--force").stdout == f"{out}: 1 prediction\n"
    assert pd.read_parquet(out)["id"].tolist() == [good.stem]
    assert "name a file that ends in" in predict(good, "--out", tmp_path / "made.txt").stderr


@pytest.mark.slow
def test_a_curve_in_every_form(predict: Predict, talk: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it draws the picture")
    srt, picture = tmp_path / "c.srt", tmp_path / "c.png"
    result = predict(talk, "--window", "3", "--hop", "2", "--csv", "--srt", srt, "--picture", picture)
    assert result.returncode == 0, result.stderr
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["start"], row["end"]) for row in rows] == [("0.0", "3.0"), ("2.0", "5.0"), ("4.0", "7.0")]
    cues = list(read_cues(srt))
    assert [(cue.start, cue.end) for cue in cues] == [(0, 2), (2, 4), (4, 7)]
    for cue, row in zip(cues, rows, strict=True):
        assert cue.text == "cannot tell"  # a run on twelve clips knows nothing
        assert row["informs"] == "False"
        assert row["low"] == "" or float(row["low"]) <= float(row["score"]) <= float(row["high"])  # "": no words
    assert "warning: trained on" in result.stderr.splitlines()[0]
    assert picture.read_bytes().startswith(b"\x89PNG")
    sparse = predict(talk, "--window", "1", "--hop", "3", "--csv")
    assert "the 2 s between two windows are not scored. To score everything, pass --hop 1 or less." in sparse.stderr
    spoken = predict(talk, "--by-sentence", "--table")
    assert "the plot was wonderful." in spoken.stdout
    assert "0.5 - 2.0" in spoken.stdout


def test_an_explanation_of_each_clip(predict: Predict, demo_clips: Path, tmp_path: Path) -> None:
    result = predict(*recordings(demo_clips, 2), "--explain")
    assert result.returncode == 0
    assert result.stdout.count("What moves the score") == 2
    assert result.stdout.count("the clip has none") == 2
    [made] = json.loads(predict(*recordings(demo_clips, 1), "--explain", "--json").stdout)
    assert made["explanation"]["lacking"] == ["text"]
    picture = tmp_path / "why.svg"
    both = predict(*recordings(demo_clips, 2), "--explain", "--picture", picture)
    assert both.returncode == 1
    assert "--picture shows one clip, but there are 2" in both.stderr


def test_a_picture_without_matplotlib_is_told_before_the_work(
    predict: Predict, talk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = predict(talk, "--window", "2", "--picture", tmp_path / "c.png")
    assert (result.returncode, result.stdout) == (1, "")
    assert "pip install 'selfmm[report]'" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hop", "2"], "give --window too"),
        (["--window", "2", "--by-sentence"], "not both"),
        (["--window", "0"], "window = 0: give seconds"),
        (["--window", "2", "--hop", "0"], "hop = 0: give seconds"),
        (["--json", "--csv"], "one of --json, --csv and --table"),
        (["--srt", "a.srt"], "--srt is for a curve"),
        (["--picture", "a.png"], "--picture shows a curve or an explanation"),
        (["--window", "2", "--explain"], "--explain is for whole clips"),
        (["--explain", "--csv"], "--explain of recordings does not fit into a table"),
        (["--split", "test"], "a recording has no splits"),
    ],
)
def test_options_that_do_not_go_together(predict: Predict, talk: Path, options: list[str], message: str) -> None:
    result = predict(talk, *options)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr


def test_inputs_that_cannot_be_scored(predict: Predict, talk: Path, demo_clips: Path, tmp_path: Path) -> None:
    data = predict.run.info.dataset_path
    for inputs, message in (
        ([data, talk], "is not a recording, but other inputs are"),
        ([data, data], "several inputs must be recordings"),
        ([data, "--explain", "--picture", "why.png"], "--picture is for recordings"),
        ([tmp_path], "holds no recording (mp4"),
        ([tmp_path / "none.mp4"], "does not exist. Give a recording"),
        ([*recordings(demo_clips, 2), "--window", "2"], "a curve is of one recording, and there are 2"),
        ([], "give either INPUT or --text"),
    ):
        result = predict(*inputs)
        assert (result.returncode, result.stdout) == (1, ""), inputs
        assert message in result.stderr


def test_words_and_data_sets_in_every_format(predict: Predict, tmp_path: Path) -> None:
    """What --out x.csv can write, --csv can print; the same for --json."""
    data = predict.run.info.dataset_path
    [read, printed] = [json.loads(predict(*arguments).stdout) for arguments in ((data, "--json"), (data, "--json"))]
    assert read == printed
    table = pd.read_csv(io.StringIO(predict(data, "--csv").stdout))
    assert [row["id"] for row in read] == table["id"].tolist()
    assert [row["score"] for row in read] == pytest.approx(table["score"].tolist())
    assert predict(data, "--out", tmp_path / "a.json").returncode == 0
    assert json.loads((tmp_path / "a.json").read_text()) == read
    assert "│" in predict(data, "--table").stdout
    explained = predict(data, "--explain", "--csv")
    assert explained.returncode == 0, explained.stderr


def test_times_of_recognised_words_stand_beside_them() -> None:
    """Nobody has to look up where in the clip the strongest word is."""
    from selfmm.explain.explanation import Explanation, WordShare

    text = "so good"
    said = Transcript(text, (Word("so", 0.1, 0.3), Word("good", 1.4, 1.8)), "en", "recognised")
    why = Explanation("a", 1.5, 1.0, (-3.0, 3.0), (), (), text, (WordShare("good", 3, 7, 0.5),), (), 8)
    assert "+0.50 good (1.4 s)" in "\n".join(lines_of(card(replace(MADE, transcript=said, explanation=why))))


def test_a_clips_journey_reads_the_run_and_makes_the_recipe_once(
    predict: Predict, demo_clips: Path, run_reads: list[str]
) -> None:
    for arguments in ([], ["--window", "1"]):
        run_reads.clear()
        assert predict(*recordings(demo_clips, 1), *arguments).returncode == 0
        assert sorted(run_reads) == ["recipe", "run.json"]


def test_without_a_run_the_starter_scores(
    talk: Path, demo_clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which weights it lacks is one message, whatever is to be scored."""
    (tmp_path / "starter").mkdir()  # not a run
    get, empty = "Fetch with: selfmm weights get", str(tmp_path / "cache")
    monkeypatch.setattr("selfmm.core.weights._installed", lambda weights: None)
    [clip] = recordings(demo_clips, 1)
    alone = tmp_path / "alone.mp4"
    alone.write_bytes(clip.read_bytes())  # no table and no subtitles are next to it
    for inputs, names in (
        ([alone], "e5 tiny.en face"),
        (["starter", alone], "e5 tiny.en face"),
        ([alone, clip, "--json"], "e5 tiny.en face"),
        ([talk], "e5 face"),
        ([talk, "--window", "2"], "e5 face"),
    ):
        result = selfmm("predict", *inputs, cwd=tmp_path, SELFMM_CACHE=empty)
        assert (result.returncode, result.stdout) == (1, ""), inputs
        assert len(result.stderr.splitlines()) == 1
        assert f"{get} {names}\n" in result.stderr
    result = selfmm("predict", "--text", "I loved it", cwd=tmp_path, SELFMM_CACHE=empty)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert "selfmm weights get e5" in result.stderr


def test_a_recording_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = selfmm("predict", "none.mp4", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "none.mp4 does not exist. Give a recording" in result.stderr


def test_a_card_says_why_a_modality_has_no_score() -> None:
    lines = lines_of(card(replace(MADE, scores={"text": 3.0}, unscored={"audio": "no score: nothing rated"})))
    assert line_of(lines, "no score: nothing rated").split()[:2] == ["audio", "-"]
