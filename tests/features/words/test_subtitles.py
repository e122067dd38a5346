"""Subtitles: what real files look like, what is refused, and the way there and back."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfmm.core.errors import MissingPackageError, SourceError
from selfmm.features.streams import Transcript
from selfmm.features.words.cue_files import Cue
from selfmm.features.words.subtitles import read_cues, read_subtitles, to_srt

SRT = """1
00:00:01,000 --> 00:00:02,000
{\\an8}<i>Hello</i> there.

2
00:00:03,500 --> 00:01:00,250 X1:1 Y1:2
- I <3 it
- He went --> that way &amp; back
"""

SRT_OF_TWO = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"

VTT = """WEBVTT - some title
X-TIMESTAMP-MAP=LOCAL:00:00:00.000

STYLE
::cue { color: red }

NOTE a remark
of two lines

intro
00:01.000 --> 00:02.000 position:10%,line-left align:left
<v.loud Mary Ann>Hello</v> <00:00:01.500><c.yellow>there.</c>

01:00:03.500 --> 01:00:04.250
Salt &amp; pepper &lt;now&gt;

NOTE at the end
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, content: str | bytes, name: str = "a.srt") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def times(transcript: Transcript) -> list[tuple[str, float, float]]:
    return [(word.text, word.start, word.end) for word in transcript.words]


SRT_CUES = (Cue(1, 2, "Hello there."), Cue(3.5, 60.25, "- I <3 it - He went --> that way & back"))


@pytest.mark.parametrize(
    "content",
    [
        SRT,
        "\ufeff" + SRT,
        SRT.replace("\n", "\r\n"),
        SRT.replace("\n", "\r"),
        SRT.replace("00:01:00,250", "1:00,25"),
        "\n\n" + SRT + "\n\n\n",
        SRT.replace("00:00:0", "0:0").replace(",", "."),  # hours omitted, a dot
        SRT.replace("\n\n", "\n"),  # lost blank lines
        SRT.replace("1\n00", "00", 1),  # no number
        SRT.replace("it\n-", "it\n\n-"),  # a blank line inside
    ],
)
def test_srt_as_it_comes(folder: Path, content: str) -> None:
    assert read_cues(write(folder, content)) == SRT_CUES


@pytest.mark.parametrize("name", ["a.vtt", "a.srt"])
def test_vtt(folder: Path, name: str) -> None:
    cues = read_cues(write(folder, VTT, name))
    assert cues == (Cue(1, 2, "Hello there."), Cue(3603.5, 3604.25, "Salt & pepper <now>"))
    assert read_cues(write(folder, VTT.replace("\n", "\r\n"), name)) == cues


ASS = """[Script Info]
Title: none

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:03.50,0:01:00.25,Default,,x,0,0,,- I {\\i1}<3{\\i0} it\\N- He went, {smiling}too
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,Hello\\hthere.
Comment: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,not said
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\p1}m 0 0 l 1 1{\\p0}
"""


@pytest.mark.parametrize("name", ["a.ass", "a.SSA"])
def test_ass(folder: Path, name: str) -> None:
    cues = (Cue(1, 2, "Hello there."), Cue(3.5, 60.25, "- I <3 it - He went, too"))
    assert read_cues(write(folder, ASS, name)) == cues


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no subtitles", "cannot be read as .ass or .ssa subtitles"),
        (ASS.replace("0:00:01.00", "soon", 1), "cannot be read as .ass .*'soon'"),
        (ASS.replace("0:00:02.00", "0:00:00.50", 1), r"dialogue 2: a subtitle cannot last from 1.0 s to 0.5 s"),
        (ASS.replace("0:00:01.00", "-0:00:01.00", 1), r"dialogue 2: a subtitle cannot last from -1.0 s to 2.0 s"),
    ],
)
def test_an_ass_file_that_cannot_be_read_is_refused(folder: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_cues(write(folder, content, "a.ass"))


def test_without_pysubs2_the_message_says_how_to_install_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "selfmm.features.words.cue_files", None)
    with pytest.raises(MissingPackageError, match=r"needs pysubs2. Install it with: pip install 'selfmm\[video\]'"):
        read_cues(write(folder, SRT))


# Each of these is right, and pysubs2 alone would read it in another way.
@pytest.mark.parametrize(
    ("name", "content", "cues"),
    [
        ("a.srt", "100:00:00,000 --> 100:00:01,000\nlong\n", (Cue(360000, 360001, "long"),)),
        ("a.srt", "00:00:01,000 --> 00:00:02,000\nin\n1984\n", (Cue(1, 2, "in 1984"),)),
        (
            "a.srt",
            "00:00:01,000 --> 00:00:02,000\n00:00:01,000 00:00:02,000\n",
            (Cue(1, 2, "00:00:01,000 00:00:02,000"),),
        ),
        ("a.srt", "00:00:01,000 --> 00:00:02,000\n{laughs} C:\\New\n", (Cue(1, 2, "{laughs} C:\\New"),)),
        ("a.vtt", "WEBVTT\n\n00:01.5 --> 00:02.25\na < b > c\n", (Cue(1.5, 2.25, "a < b > c"),)),
    ],
)
def test_what_pysubs2_alone_would_misread(folder: Path, name: str, content: str, cues: tuple[Cue, ...]) -> None:
    assert read_cues(write(folder, content, name)) == cues


def test_words_share_their_cue_by_letters(folder: Path) -> None:
    path = write(folder, to_srt([(1, 2, "ab cdefgh"), (4, 6, "no - no")]))
    transcript = read_subtitles(path)
    assert transcript.text == "ab cdefgh no - no"
    assert transcript.source == "subtitles"
    assert times(transcript) == [("ab", 1, 1.25), ("cdefgh", 1.25, 2), ("no", 4, 4.8), ("-", 4.8, 5.2), ("no", 5.2, 6)]


def test_a_clip_takes_the_words_whose_middle_it_holds_with_its_own_times(folder: Path) -> None:
    path = write(folder, to_srt([(10, 14, "aa bb cc dd"), (20, 21, "好好"), (30, 31, "late")]))
    transcript = read_subtitles(path, start=11.4, end=20.5)
    assert transcript.text == "bb cc dd 好"
    assert times(transcript) == [("bb", 0, 0.6), ("cc", 0.6, 1.6), ("dd", 1.6, 2.6), ("好", 8.6, 9.1)]
    assert read_subtitles(path, start=14, end=20) == Transcript("", (), None, "subtitles")
    assert read_subtitles(path, start=20).text == "好好 late"


@pytest.mark.parametrize(("name", "language"), [("a.srt", None), ("a.de.srt", "de"), ("a.en-US.sdh.vtt", "en")])
def test_the_language_in_the_name_of_the_file(folder: Path, name: str, language: str | None) -> None:
    content = "WEBVTT\n\n" if name.endswith("vtt") else ""
    assert read_subtitles(write(folder, content + to_srt([(1, 2, "so")]), name)).language == language


def test_overlapping_cues_give_rising_times(folder: Path) -> None:
    path = write(folder, to_srt([(3, 9, "third"), (0, 5, "first"), (3, 4, "fourth"), (4, 5, "fifth")]))
    transcript = read_subtitles(path)
    assert transcript.text == "first third fourth fifth"
    assert [(word.start, word.end) for word in transcript.words][:1] == [(0, 3)]
    flat = [time for word in transcript.words for time in (word.start, word.end)]
    assert flat == sorted(flat)
    assert flat[-1] == 5


def test_plain_text_is_a_transcript_without_times(folder: Path) -> None:
    path = write(folder, "\ufeffIt was\r\n fine. ", "a.TXT")
    assert read_subtitles(path, start=3, end=4) == Transcript("It was fine.")


@pytest.mark.parametrize("content", ["", "\n \n", "WEBVTT\n", "1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n"])
def test_a_file_without_words_is_allowed(folder: Path, content: str) -> None:
    assert read_cues(write(folder, content)) == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\n00:00:05,000 --> 00:00:02,000\nx\n", "line 2: the subtitle ends at 2.0 s before it starts at 5.0 s"),
        ("\n\n1\n-00:00:05,000 --> 00:00:02,000\nx\n", "line 4: .* is not a time of a recording"),
        ("1\n00:00:75,000 --> 00:02:02,000\nx\n", "line 2: .* is not a time of a recording"),
        ("1\n00:61:05,000 --> 02:00:02,000\nx\n", "line 2: .* is not a time of a recording"),
        (SRT + "\n3\nsoon --> later\nx\n", "line 11: expected a time like .*, found 'soon --> later'"),
        (SRT + "\n3\n" + "9" * 5000 + ":00:00,0 --> 00:00:02,000\nx\n", "line 11: expected a time like"),
        ("<html>\n<p>no</p>\n", "line 1: expected a time like .*, found '<html>'"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nd\xe9j\xe0 vu\n", r"is not UTF-8 text \(byte 33\). Save it as UTF-8"),
    ],
)
def test_refused_with_the_line(folder: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_subtitles(write(folder, content))


def test_a_vtt_file_without_its_first_line_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="begins with WEBVTT"):
        read_cues(write(folder, SRT, "a.vtt"))


def test_a_missing_file_is_reported(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*gone\.srt: No such file"):
        read_subtitles(folder / "gone.srt")


LINES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="<{"), min_size=1)
MILLISECONDS = st.integers(0, 400_000_000)


@pytest.mark.slow
@given(st.lists(st.tuples(MILLISECONDS, MILLISECONDS, st.lists(LINES, min_size=1, max_size=3)), max_size=6))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, planned: list[tuple[int, int, list[str]]]
) -> None:
    cues = [(min(a, b) / 1000, max(a, b) / 1000, "\n".join(lines)) for a, b, lines in planned]
    path = write(tmp_path_factory.getbasetemp(), to_srt(cues))
    expected = [Cue(start, end, " ".join(text.replace("-->", "→").split())) for start, end, text in cues]
    assert list(read_cues(path)) == sorted(expected, key=lambda cue: cue.start)


@given(st.text("0123456789:,.-> \n\r<i{\\}abWEBVTT", max_size=80), st.sampled_from(["a.srt", "a.vtt"]))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str, name: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), text, name)
    try:
        words = read_subtitles(path).words
    except SourceError:
        return
    flat = [time for word in words for time in (word.start, word.end)]
    assert flat == sorted(flat)


def test_writing_leaves_out_the_empty_and_refuses_impossible_times() -> None:
    assert to_srt([(0, 1, " \n "), (1, 3661.0004, "a\n\nb --> c")]) == ("1\n00:00:01,000 --> 01:01:01,000\na\nb → c\n")
    for start, end in ((-1, 2), (3, 2), (0, float("inf")), (float("nan"), 1)):
        with pytest.raises(ValueError, match="cannot last from"):
            to_srt([(start, end, "x")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (SRT_OF_TWO.replace("\n", "\r\r\n"), "Hello Bye"),  # text mode on Windows
        (SRT_OF_TWO.replace("2\n", "2\n\n"), "Hello Bye"),  # a blank line below the number
        (f"{SRT_OF_TWO}\n3\n", "Hello Bye"),  # a number without a subtitle
        (f"{SRT_OF_TWO}\n\x1a", "Hello Bye"),
        (SRT_OF_TWO.replace("Hello", "You &amp; I&#39;m<br>here<BR/>now"), "You & I'm here now Bye"),
        (SRT_OF_TWO.replace("Hello", "{y:i}Hello{\\an8}"), "Hello Bye"),
        (SRT_OF_TWO.replace("Hello", "AT&T &not; R&D"), "AT&T \u00ac R&D Bye"),
        (SRT_OF_TWO.replace("Hello", "7"), "7 Bye"),
    ],
)
def test_what_converters_leave_is_not_said(folder: Path, content: str, said: str) -> None:
    assert read_subtitles(write(folder, content)).text == said


def test_a_wrong_time_is_named_by_its_own_line(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2: expected a time .* found '00:00:01.000 -> 00:00:02.000'"):
        read_subtitles(write(folder, "1\n00:00:01.000 -> 00:00:02.000\nHello\n"))


ASS_HEAD = (
    "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n"
)
ASS_FORMAT = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
ASS_LINE = "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,Hello, you\n"


def test_syllables_of_karaoke_are_not_said_again(folder: Path) -> None:
    effects = "".join(ASS_LINE.replace("0,,Hello, you", f"0,fx,{part}") for part in ("Hel", "lo"))
    assert read_subtitles(write(folder, ASS_HEAD + ASS_FORMAT + ASS_LINE + effects, "a.ass")).text == "Hello, you"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ASS_LINE, "1 line of dialogue cannot be read"),
        (f"{ASS_HEAD}{ASS_FORMAT}{ASS_LINE}Dialogue: 0,0:00:01.00,0:00:02.00,Default\n", "1 line of dialogue"),
        (ASS_HEAD + ASS_FORMAT.replace("Start, End", "End, Start") + ASS_LINE, "in another order than usual"),
        (f"{ASS_HEAD}Format: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,Hi\n", "cannot be read"),
    ],
)
def test_dialogue_that_would_be_lost_or_misread_is_refused(folder: Path, content: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read_subtitles(write(folder, content, "a.ass"))
